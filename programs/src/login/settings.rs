//! What the arguments and the environment say (reference config.md 5,
//! authlib.md 1.1).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use authlib::Record;
use authlib::bearer::Bearer;
use authlib::cram::Proof;
use authlib::domain::DefaultDomain;
use authlib::record::Refused;
use authlib::sasl::{Hints, Mechanism};
use pop3::Offer;

use crate::environment;

/// Who is asked whether the credentials are good.
pub(super) enum Form {
    /// The modules of the chain: the words of the command line behind ours
    /// (authlib(7)).
    Chain(Vec<OsString>),
    /// authdaemond, over its socket: with exactly two words, the mail program
    /// and the default Maildir (reference wire.md 1).
    Daemon {
        /// courierpop3d, by its full path.
        program: OsString,
        /// Maildir of accounts that have none of their own.
        maildir: OsString,
    },
}

impl Form {
    /// From the arguments behind our own name; `None` if they are too few.
    pub(super) fn from_words(mut words: Vec<OsString>) -> Option<Self> {
        match words.len() {
            0 | 1 => None,
            2 => {
                let maildir = words.pop()?;
                Some(Form::Daemon { program: words.pop()?, maildir })
            }
            _ => Some(Form::Chain(words)),
        }
    }
}

/// What is offered before login.
pub(super) fn offer(stls: bool) -> Offer {
    let mechanisms = announced("POP3AUTH").unwrap_or_else(for_every_account);
    let mechanisms_under_tls = match announced("POP3AUTH_TLS") {
        Some(list) if !list.is_empty() => list,
        _ => mechanisms.clone(),
    };
    let in_clear = |mechanism: &Mechanism| !mechanism.needs_tls() || token_in_clear();
    Offer {
        mechanisms: names(mechanisms.into_iter().filter(in_clear)),
        mechanisms_under_tls: names(mechanisms_under_tls),
        stls,
        tls: environment::number("POP3_TLS") != 0,
        tls_required: environment::number("POP3_TLS_REQUIRED") != 0,
    }
}

/// The mechanisms of the list in variable `name` that we know (ledger 116).
fn announced(name: &str) -> Option<Vec<Mechanism>> {
    std::env::var_os(name)?;
    let list = environment::octets(name);
    Some(list.split(u8::is_ascii_whitespace).filter_map(Mechanism::from_name).collect())
}

/// What is announced where nobody says otherwise. A client may prefer CRAM to
/// PLAIN, and would fail at an account that has no secret for it, so CRAM is
/// announced only where the administrator lists it (ledger 116).
fn for_every_account() -> Vec<Mechanism> {
    Mechanism::ALL.into_iter().filter(|mechanism| mechanism.tells_password()).collect()
}

fn names(mechanisms: impl IntoIterator<Item = Mechanism>) -> Vec<String> {
    mechanisms.into_iter().map(|mechanism| mechanism.name().to_owned()).collect()
}

/// Whether the administrator insists on tokens without TLS (ledger 780).
pub(super) fn token_in_clear() -> bool {
    environment::number("POP3_TOKEN_IN_CLEAR") != 0
}

/// What a client hears of tokens that would do: OAUTH2_SCOPE and
/// OAUTH2_OPENID_CONFIGURATION. What is no UTF-8 is left out.
pub(super) fn hints() -> Hints {
    let text = |name| environment::non_empty(name).and_then(|value| value.into_string().ok());
    Hints { scope: text("OAUTH2_SCOPE"), openid_configuration: text("OAUTH2_OPENID_CONFIGURATION") }
}

/// The program that speaks TLS for us, if STLS is switched on and it can be
/// run: `POP3_STARTTLS` and `COURIERTLS` (reference wire.md 5).
pub(super) fn couriertls() -> Option<PathBuf> {
    let switched_on = matches!(environment::octets("POP3_STARTTLS").first(), Some(b'y' | b'Y'));
    let program = PathBuf::from(environment::non_empty("COURIERTLS")?);
    let executable = rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_ok();
    (switched_on && executable).then_some(program)
}

/// The name of this machine, as challenges tell it.
pub(super) fn host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}

/// What modules and authdaemond are asked about somebody who gives a name and
/// a password.
///
/// # Errors
/// See [`Refused`].
pub(super) fn login_record(user: &[u8], password: &[u8]) -> Result<Record, Refused> {
    Record::login(&service(), &default_domain().apply(user), password)
}

/// The same about somebody who proves to know a password. The name inside gets
/// the default domain too.
///
/// # Errors
/// See [`Refused`].
pub(super) fn proof_record(proof: Proof) -> Result<Record, Refused> {
    let user = default_domain().apply(proof.user()).into_owned();
    Record::proof(&service(), &proof.with_user(user))
}

/// The same about somebody who shows a token. Where nobody is named there is
/// no name to complete.
///
/// # Errors
/// See [`Refused`].
pub(super) fn token_record(bearer: Bearer) -> Result<Record, Refused> {
    let bearer = match bearer.user() {
        b"" => bearer,
        user => {
            let user = default_domain().apply(user).into_owned();
            bearer.with_user(user)
        }
    };
    Record::token(&service(), &bearer)
}

/// The service name for modules: `AUTHSERVICE<port>` of the local port, else
/// `pop3` (reference authlib.md 4). A missing TCPLOCALPORT is no reason to
/// crash, as it is for Courier (ledger 121).
fn service() -> Vec<u8> {
    let port = environment::octets("TCPLOCALPORT");
    let name = std::str::from_utf8(&port)
        .ok()
        .filter(|port| !port.is_empty() && port.bytes().all(|octet| octet.is_ascii_digit()))
        .and_then(|port| environment::non_empty(&format!("AUTHSERVICE{port}")));
    name.map_or_else(|| b"pop3".to_vec(), OsStringExt::into_vec)
}

/// DEFDOMAIN and DOMAINSEP.
fn default_domain() -> DefaultDomain {
    let octets = |name| environment::non_empty(name).map(OsStringExt::into_vec);
    DefaultDomain::new(octets("DEFDOMAIN").as_deref(), octets("DOMAINSEP").as_deref())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exactly_two_words_mean_authdaemond() {
        let words = |count: usize| (0..count).map(|word| OsString::from(format!("/w{word}"))).collect();
        assert!(Form::from_words(words(0)).is_none());
        assert!(Form::from_words(words(1)).is_none());
        assert!(matches!(Form::from_words(words(2)), Some(Form::Daemon { program, .. }) if program == "/w0"));
        assert!(matches!(Form::from_words(words(3)), Some(Form::Chain(words)) if words.len() == 3));
    }
}

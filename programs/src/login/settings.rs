//! What the arguments and the environment say (reference config.md 5,
//! authlib.md 1.1).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

use authlib::bearer::Bearer;
use authlib::cram::Proof;
use authlib::domain::DefaultDomain;
use authlib::printable::reason;
use authlib::record::Refused;
use authlib::sasl::{Hints, Mechanism};
use authlib::scram::{self, Wanted};
use authlib::scram_keys::Hash;
use authlib::{Record, apop};
use pop3::Offer;

use crate::environment;
use crate::log;

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

    /// Which mechanisms can be had at all: a chain cannot be asked twice, and
    /// couriertls does not tell what binds to a channel (ledger 164).
    pub(super) fn mechanisms(&self) -> fn(Mechanism) -> bool {
        match self {
            Form::Chain(_) => |mechanism| !mechanism.asks_twice(),
            Form::Daemon { .. } => |mechanism| !matches!(mechanism, Mechanism::ScramPlus(_)),
        }
    }
}

/// The mechanisms of the list in variable `name` that we know and that can be
/// had (ledger 116). EXTERNAL is announced whenever a certificate has a name,
/// and never else, whatever the list says.
fn announced(name: &str, can_serve: fn(Mechanism) -> bool) -> Option<Vec<Mechanism>> {
    std::env::var_os(name)?;
    let list = environment::octets(name);
    let known = list.split(u8::is_ascii_whitespace).filter_map(Mechanism::from_name);
    Some(known.filter(|&mechanism| mechanism != Mechanism::External && can_serve(mechanism)).collect())
}

/// The mechanisms of the lists for clients in clear and inside TLS.
fn listed(can_serve: fn(Mechanism) -> bool) -> (Vec<Mechanism>, Vec<Mechanism>) {
    let in_clear = announced("POP3AUTH", can_serve).unwrap_or_else(for_every_account);
    let under_tls = announced("POP3AUTH_TLS", can_serve).filter(|list| !list.is_empty());
    let under_tls = under_tls.unwrap_or_else(|| in_clear.clone());
    (in_clear, under_tls)
}

/// What is announced besides, where an exchange can be bound to the channel:
/// SCRAM with `-PLUS`, if it is listed so or without (ledger 143).
pub(super) fn bound(can_serve: fn(Mechanism) -> bool) -> impl Iterator<Item = Mechanism> {
    let (_, listed) = listed(can_serve);
    let plus = Hash::ALL.into_iter().map(|hash| (Mechanism::Scram(hash), Mechanism::ScramPlus(hash)));
    let wanted =
        move |(scram, plus): &(Mechanism, Mechanism)| listed.contains(scram) || listed.contains(plus);
    plus.filter(wanted).map(|(_, plus)| plus).filter(move |plus| can_serve(*plus))
}

/// What is offered before login.
pub(crate) fn offer(
    can_serve: fn(Mechanism) -> bool,
    stls: bool,
    certificate: bool,
    timestamp: Option<Vec<u8>>,
) -> Offer {
    let (mechanisms, mechanisms_under_tls) = listed(can_serve);
    let is_bound = |mechanism: &Mechanism| matches!(mechanism, Mechanism::ScramPlus(_));
    let mut mechanisms_under_tls: Vec<_> =
        mechanisms_under_tls.into_iter().filter(|mechanism| !is_bound(mechanism)).collect();
    let in_clear =
        |mechanism: &Mechanism| !is_bound(mechanism) && (!mechanism.needs_tls() || token_in_clear());
    if certificate {
        mechanisms_under_tls.push(Mechanism::External);
    }
    Offer {
        mechanisms: names(mechanisms.into_iter().filter(in_clear)),
        mechanisms_under_tls: names(mechanisms_under_tls),
        stls,
        tls: environment::number("POP3_TLS") != 0,
        tls_required: environment::number("POP3_TLS_REQUIRED") != 0,
        timestamp,
    }
}

/// The variable in which a chain that comes back finds the timestamp of its
/// greeting.
pub(super) const TIMESTAMP: &str = "POSTRIDER_APOP_TIMESTAMP";

/// The timestamp for APOP, if POP3_APOP switches that on (ledger 170): a new
/// one, or that of the greeting that this connection has heard.
pub(crate) fn timestamp(again: bool) -> Option<Vec<u8>> {
    if !is_yes("POP3_APOP") {
        return None;
    }
    if again {
        return environment::non_empty(TIMESTAMP).map(OsStringExt::into_vec);
    }
    let timestamp = apop::timestamp(&host_name());
    timestamp.inspect_err(|error| log::error(&format_args!("no APOP: {}", reason(error)))).ok()
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
    let switched_on = is_yes("POP3_STARTTLS");
    let program = PathBuf::from(environment::non_empty("COURIERTLS")?);
    let executable = rustix::fs::access(&program, rustix::fs::Access::EXEC_OK).is_ok();
    (switched_on && executable).then_some(program)
}

/// Whether STLS is to be offered where TLS can be had without another program:
/// unless `POP3_STARTTLS` says another thing than yes.
pub(crate) fn stls_is_wanted() -> bool {
    environment::non_empty("POP3_STARTTLS").is_none() || is_yes("POP3_STARTTLS")
}

/// Whether the variable `name` begins with `y` or `Y` (reference config.md 3).
fn is_yes(name: &str) -> bool {
    matches!(environment::octets(name).first(), Some(b'y' | b'Y'))
}

/// The name of this machine, as challenges tell it.
pub(crate) fn host_name() -> Vec<u8> {
    rustix::system::uname().nodename().to_bytes().to_vec()
}

/// What modules and authdaemond are asked about somebody who gives a name and
/// a password.
///
/// # Errors
/// See [`Refused`].
pub(super) fn login_record(service: &[u8], user: &[u8], password: &[u8]) -> Result<Record, Refused> {
    Record::login(service, &default_domain().apply(user), password)
}

/// The same about somebody who proves to know a password. The name inside gets
/// the default domain too.
///
/// # Errors
/// See [`Refused`].
pub(super) fn proof_record(service: &[u8], proof: Proof) -> Result<Record, Refused> {
    let user = default_domain().apply(proof.user()).into_owned();
    Record::proof(service, &proof.with_user(user))
}

/// The same about somebody who shows a token. Where nobody is named there is
/// no name to complete.
///
/// # Errors
/// See [`Refused`].
pub(super) fn token_record(service: &[u8], bearer: Bearer) -> Result<Record, Refused> {
    let bearer = match bearer.user() {
        b"" => bearer,
        user => {
            let user = default_domain().apply(user).into_owned();
            bearer.with_user(user)
        }
    };
    Record::token(service, &bearer)
}

/// The same about somebody who proves it by APOP; `None` if nobody can be
/// meant, or nobody was greeted with a timestamp.
pub(super) fn apop_record(
    service: &[u8],
    timestamp: Option<&[u8]>,
    user: &[u8],
    digest: &[u8],
) -> Option<Result<Record, Refused>> {
    let user = default_domain().apply(user).into_owned();
    let proof = apop::Proof::new(timestamp?, &user, digest)?;
    Some(Record::apop(service, &proof))
}

/// The same about somebody who proves it by SCRAM. What the client has said
/// stays as it was; only who is asked about gets the default domain.
///
/// # Errors
/// See [`Refused`].
pub(super) fn scram_record(service: &[u8], proof: scram::Proof) -> Result<Record, Refused> {
    let user = default_domain().apply(proof.user()).into_owned();
    Record::scram(service, &proof.with_user(user))
}

/// Whose salt is to be asked for, with the default domain.
pub(super) fn with_default_domain(wanted: Wanted) -> Wanted {
    Wanted { user: default_domain().apply(&wanted.user).into_owned(), ..wanted }
}

/// The same about somebody whom a certificate names. No domain is added: the
/// name is what was certified (reference authlib.md 4).
///
/// # Errors
/// See [`Refused`].
pub(super) fn external_record(service: &[u8], user: &[u8]) -> Result<Record, Refused> {
    Record::external(service, user)
}

/// The service name for modules, where TCPLOCALPORT says at which port the
/// client is. That it is missing is no reason to crash, as it is for Courier
/// (ledger 121).
pub(super) fn service() -> Vec<u8> {
    let port = environment::octets("TCPLOCALPORT");
    service_at(std::str::from_utf8(&port).ok().and_then(|port| port.parse().ok()))
}

/// The service name for modules: `AUTHSERVICE<port>` of the local port, else
/// `pop3` (reference authlib.md 4).
pub(crate) fn service_at(port: Option<u16>) -> Vec<u8> {
    let name = port.and_then(|port| environment::non_empty(&format!("AUTHSERVICE{port}")));
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

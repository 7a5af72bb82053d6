//! Whether an account's mail is here, and by what a back-end is to let us in.

use authlib::{Account, Secret};

use pop3::reply::{self, Reply};

use super::settings::{Proof, Settings};
use crate::log::{self, Harmless};

/// Where an account's mail is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Route {
    /// On this machine.
    Here,
    /// On the back-end of this name or address.
    To(String),
    /// Nobody can tell: the account names no host.
    Nowhere,
}

/// Longest name of a host, in octets (RFC 1035 section 2.3.4).
const LONGEST: usize = 255;

/// Where the mail of `account` is: the option `mailhost` says it (reference:
/// wire 15).
pub(crate) fn route(account: &Account, settings: &Settings) -> Route {
    let host = account.options.get("mailhost").flatten().unwrap_or_default();
    let address = Harmless(&account.address);
    if host.is_empty() {
        log::warning(&format_args!("proxy enabled, but no proxy host defined for {address}"));
        return Route::Here;
    }
    if settings.own_names.iter().any(|name| name.eq_ignore_ascii_case(host)) {
        return Route::Here;
    }
    match std::str::from_utf8(host) {
        Ok(host) if host.len() <= LONGEST && host.bytes().all(|octet| octet.is_ascii_graphic()) => {
            Route::To(host.to_owned())
        }
        _ => {
            log::error(&format_args!("the mailhost of {address} is no name of a host"));
            Route::Nowhere
        }
    }
}

/// What the client is to hear instead, if `account` may not be used over POP3, or
/// not without TLS; no back-end hears of it then (ledger 872).
pub(crate) fn disabled(account: &Account, tls: bool) -> Option<Reply> {
    let is_on = |option| account.options.is_on(option);
    if is_on("disablepop3") {
        return Some(reply::DISABLED);
    }
    (is_on("disableinsecurepop3") && !tls).then_some(reply::DISABLED_INSECURE)
}

/// By what a back-end is to let us in.
#[derive(Debug)]
pub(crate) enum Login {
    /// USER and PASS, with the password that the client has given.
    Password(Secret),
    /// SASL PLAIN, as a user who may be everybody there (RFC 4616).
    Master(Master),
    /// SASL EXTERNAL: it knows us by our certificate (RFC 4422 appendix A).
    External,
}

/// Somebody who may be everybody on a back-end.
#[derive(Debug)]
pub(crate) struct Master {
    /// His name.
    pub(crate) user: Vec<u8>,
    /// His password.
    pub(crate) password: Secret,
}

impl Master {
    /// From a file of two lines, name and password.
    ///
    /// # Errors
    /// It has others.
    pub(crate) fn parse(file: &[u8]) -> Result<Master, String> {
        let mut lines =
            file.split(|&octet| octet == b'\n').map(|line| line.strip_suffix(b"\r").unwrap_or(line));
        match (lines.next(), lines.next(), lines.next().unwrap_or_default(), lines.next()) {
            (Some(user), Some(password), b"", None) if !user.is_empty() && !password.is_empty() => {
                Ok(Master { user: user.to_vec(), password: Secret::copy_of(password) })
            }
            _ => Err("it should hold two lines, a name and a password".to_owned()),
        }
    }
}

impl Clone for Master {
    fn clone(&self) -> Self {
        Master { user: self.user.clone(), password: Secret::copy_of(self.password.expose()) }
    }
}

/// By what the back-end is to let `account` in; `None` if it wants a password
/// that nobody knows.
pub(crate) fn login(account: &mut Account, settings: &Settings, master: Option<&Master>) -> Option<Login> {
    let login = match settings.proof {
        Proof::Password => account.clear_password.take().map(Login::Password),
        Proof::Master => master.cloned().map(Login::Master),
        Proof::External => Some(Login::External),
    };
    if login.is_none() {
        let address = Harmless(&account.address);
        log::warning(&format_args!("proxy enabled, but no password for {address}"));
    }
    login
}

#[cfg(test)]
mod tests {
    use super::{Master, Route, route};
    use crate::proxy::settings;
    use authlib::account::Ids;
    use authlib::{Account, Options};

    fn to(options: &str) -> Route {
        let settings = settings::read(&[("PROXY_HOSTNAME", "mx1.example.com")]).unwrap();
        let mut account = Account::new(b"alice".to_vec(), Ids::numeric(5, 5).unwrap(), "/home".into());
        account.options = Options::parse(options.as_bytes());
        route(&account, &settings)
    }

    #[test]
    fn an_account_without_a_mailhost_or_with_ours_is_here() {
        for options in ["", "mailhost", "mailhost=", "mailhost=mx1.example.com", "mailhost=MX1.example.com"] {
            assert_eq!(to(options), Route::Here, "{options}");
        }
        assert_eq!(to("disableimap=1,mailhost=mx2.example.com"), Route::To("mx2.example.com".into()));
        for options in ["mailhost=a b", "mailhost=\u{e4}"] {
            assert_eq!(to(options), Route::Nowhere, "{options}");
        }
    }

    #[test]
    fn a_master_is_two_lines() {
        let master = Master::parse(b"proxy\nsecret\n").unwrap();
        assert_eq!((&*master.user, master.password.expose()), (&b"proxy"[..], &b"secret"[..]));
        assert!(Master::parse(b"proxy\nsecret").is_ok());
        for wrong in [&b""[..], b"proxy", b"proxy\n", b"\nsecret\n", b"a\nb\nc\n"] {
            assert!(Master::parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

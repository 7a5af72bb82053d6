//! POP3_PROXY and its companions.

use std::ffi::OsString;
use std::path::PathBuf;

use crate::environment;
use crate::login::settings::host_name;

/// The authorities that the machine trusts, where Debian keeps them.
const DEBIANS_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Whether there is TLS to the back-end: `POSTRIDER_PROXY_TLS` (ledger 871).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Tls {
    /// By STLS, unless the back-end is on this machine; if it is unset.
    ByPlace,
    /// `none`: never, whoever listens on the way.
    Never,
    /// `stls`: by STLS, everywhere.
    Stls,
    /// `tls`: from the first octet on.
    Implicit,
}

/// How a back-end hears where the client is: `POSTRIDER_PROXY_FORWARD`
/// (ledger 873).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Forward {
    /// `none`: not at all.
    Nothing,
    /// `proxy2`: by the PROXY protocol, version 2.
    Proxy2,
    /// `xclient`: by the command XCLIENT.
    Xclient,
}

/// By what a back-end lets us in: `POSTRIDER_PROXY_LOGIN` (ledger 874).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Proof {
    /// `password`: the client's own.
    Password,
    /// `master`: that of a master user, by SASL PLAIN.
    Master,
    /// `external`: our certificate, by SASL EXTERNAL.
    External,
}

/// Files that a privileged process opens for those who need them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Files {
    /// Who may sign the certificates of back-ends, in PEM:
    /// `POSTRIDER_PROXY_TRUSTCERTS`. None where TLS is never spoken.
    pub(crate) authorities: Option<PathBuf>,
    /// Our own certificate chain and its key, in PEM:
    /// `POSTRIDER_PROXY_CERTFILE` and `POSTRIDER_PROXY_KEYFILE`, which may be
    /// one file.
    pub(crate) identity: Option<(PathBuf, PathBuf)>,
    /// Name and password of the master user, a line each:
    /// `POSTRIDER_PROXY_MASTER`.
    pub(crate) master: Option<PathBuf>,
}

/// The settings of the proxy.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Settings {
    /// What leads nowhere else: `PROXY_HOSTNAME`, and the machine's own name.
    pub(crate) own_names: Vec<Vec<u8>>,
    /// The port of back-ends: `POSTRIDER_PROXY_PORT`, else that of `pop3`, or of
    /// `pop3s` where TLS comes first.
    pub(crate) port: u16,
    /// See [`Tls`].
    pub(crate) tls: Tls,
    /// See [`Forward`].
    pub(crate) forward: Forward,
    /// See [`Proof`].
    pub(crate) proof: Proof,
    /// `PROTOCOL`, for the log.
    pub(crate) protocol: String,
    /// See [`Files`].
    pub(crate) files: Files,
}

impl Settings {
    /// Those of the environment; `None` without `POP3_PROXY`.
    ///
    /// # Errors
    /// Which of them is wrong, for an administrator.
    pub(crate) fn from_environment() -> Result<Option<Settings>, String> {
        if environment::number("POP3_PROXY") == 0 {
            return Ok(None);
        }
        Settings::read(&|name| environment::non_empty(name)).map(Some)
    }

    fn read(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Settings, String> {
        let text = |name: &str| variable(name).map(|value| value.to_string_lossy().into_owned());
        let path = |name: &str| variable(name).map(PathBuf::from);
        let tls = match text("POSTRIDER_PROXY_TLS").as_deref() {
            None => Tls::ByPlace,
            Some("none") => Tls::Never,
            Some("stls") => Tls::Stls,
            Some("tls") => Tls::Implicit,
            Some(other) => return Err(wrong("POSTRIDER_PROXY_TLS", other, "none, stls or tls")),
        };
        let forward = match text("POSTRIDER_PROXY_FORWARD").as_deref() {
            None | Some("none") => Forward::Nothing,
            Some("proxy2") => Forward::Proxy2,
            Some("xclient") => Forward::Xclient,
            Some(other) => return Err(wrong("POSTRIDER_PROXY_FORWARD", other, "none, proxy2 or xclient")),
        };
        let proof = match text("POSTRIDER_PROXY_LOGIN").as_deref() {
            None | Some("password") => Proof::Password,
            Some("master") => Proof::Master,
            Some("external") => Proof::External,
            Some(other) => return Err(wrong("POSTRIDER_PROXY_LOGIN", other, "password, master or external")),
        };
        let port = match text("POSTRIDER_PROXY_PORT") {
            None => usual_port(tls),
            Some(port) => match port.parse() {
                Ok(number) if number > 0 => number,
                _ => return Err(wrong("POSTRIDER_PROXY_PORT", &port, "a number from 1 to 65535")),
            },
        };
        let certificate = path("POSTRIDER_PROXY_CERTFILE");
        let authorities = path("POSTRIDER_PROXY_TRUSTCERTS").unwrap_or_else(|| DEBIANS_AUTHORITIES.into());
        let files = Files {
            authorities: (tls != Tls::Never).then_some(authorities),
            identity: certificate.map(|chain| {
                let key = path("POSTRIDER_PROXY_KEYFILE").unwrap_or_else(|| chain.clone());
                (chain, key)
            }),
            master: path("POSTRIDER_PROXY_MASTER").filter(|_| proof == Proof::Master),
        };
        match proof {
            Proof::Master if files.master.is_none() => {
                return Err("POSTRIDER_PROXY_LOGIN=master wants POSTRIDER_PROXY_MASTER".to_owned());
            }
            Proof::External if files.identity.is_none() => {
                return Err("POSTRIDER_PROXY_LOGIN=external wants POSTRIDER_PROXY_CERTFILE".to_owned());
            }
            Proof::External if tls == Tls::Never => {
                return Err("POSTRIDER_PROXY_LOGIN=external wants TLS".to_owned());
            }
            _ => {}
        }
        let own_names = text("PROXY_HOSTNAME").map(String::into_bytes).into_iter().chain([host_name()]);
        let protocol = text("PROTOCOL").unwrap_or_else(|| "POP3".to_owned());
        Ok(Settings { own_names: own_names.collect(), port, tls, forward, proof, protocol, files })
    }

    /// Whether back-ends let us in by the client's own password.
    pub(crate) fn is_by_password(&self) -> bool {
        self.proof == Proof::Password
    }

    /// Whether TLS is to be spoken with a back-end, which is on this machine if
    /// `is_local` says so, and is to be begun by STLS.
    pub(crate) fn stls(&self, is_local: bool) -> bool {
        match self.tls {
            Tls::Stls => true,
            // A certificate is shown in TLS only.
            Tls::ByPlace => !is_local || self.proof == Proof::External,
            Tls::Never | Tls::Implicit => false,
        }
    }
}

fn usual_port(tls: Tls) -> u16 {
    let (service, number) = if tls == Tls::Implicit { ("pop3s", 995) } else { ("pop3", 110) };
    system::service::tcp_port(service).unwrap_or(number)
}

fn wrong(name: &str, value: &str, right: &str) -> String {
    format!("{name} is {value:?}, and should be {right}")
}

/// Those that an environment of these variables has.
#[cfg(test)]
pub(super) fn read(set: &[(&str, &str)]) -> Result<Settings, String> {
    Settings::read(&|name| set.iter().find(|(own, _)| *own == name).map(|(_, value)| (*value).into()))
}

#[cfg(test)]
mod tests {
    use super::{Forward, Proof, Tls, read};

    #[test]
    fn unset_is_couriers_way_but_for_tls() {
        let settings = read(&[]).unwrap();
        assert_eq!((settings.tls, settings.forward), (Tls::ByPlace, Forward::Nothing));
        assert_eq!((settings.proof, settings.port), (Proof::Password, 110));
        assert_eq!(settings.protocol, "POP3");
        assert!(settings.stls(false) && !settings.stls(true));
    }

    #[test]
    fn where_tls_comes_first_the_port_is_another() {
        let settings = read(&[("POSTRIDER_PROXY_TLS", "tls")]).unwrap();
        assert_eq!((settings.port, settings.stls(false)), (995, false));
        let both = [("POSTRIDER_PROXY_TLS", "tls"), ("POSTRIDER_PROXY_PORT", "9950")];
        assert_eq!(read(&both).unwrap().port, 9950);
    }

    #[test]
    fn a_key_may_be_in_the_certificates_file() {
        let set = [("POSTRIDER_PROXY_LOGIN", "external"), ("POSTRIDER_PROXY_CERTFILE", "/both.pem")];
        let settings = read(&set).unwrap();
        assert_eq!(settings.files.identity, Some(("/both.pem".into(), "/both.pem".into())));
        assert!(settings.stls(true));
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (set, named) in [
            (&[("POSTRIDER_PROXY_TLS", "yes")][..], "POSTRIDER_PROXY_TLS is \"yes\""),
            (&[("POSTRIDER_PROXY_FORWARD", "1")], "POSTRIDER_PROXY_FORWARD"),
            (&[("POSTRIDER_PROXY_LOGIN", "trust")], "POSTRIDER_PROXY_LOGIN"),
            (&[("POSTRIDER_PROXY_PORT", "0")], "POSTRIDER_PROXY_PORT"),
            (&[("POSTRIDER_PROXY_PORT", "pop3")], "POSTRIDER_PROXY_PORT"),
            (&[("POSTRIDER_PROXY_LOGIN", "master")], "POSTRIDER_PROXY_MASTER"),
            (&[("POSTRIDER_PROXY_LOGIN", "external")], "POSTRIDER_PROXY_CERTFILE"),
        ] {
            assert!(read(set).unwrap_err().contains(named), "{set:?}");
        }
    }
}

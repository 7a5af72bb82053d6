//! Who serves the clients.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;

use testbed::Outcome;
use testbed::certificates::Certificates;
use testbed::chain::Chain;
use testbed::service::Service;
use testbed::stand::{self, Cast, Stand};

use crate::programs::{Errand, Login, Security};

/// A server, which listens.
pub(crate) enum Server {
    /// The chain.
    Chain(Chain),
    /// `postrider serve`, and what its clients do about TLS.
    Service(Service, Security, Certificates),
}

impl Server {
    /// The chain, for whoever logs in so.
    pub(crate) fn chain(stand: &mut Stand, login: Login) -> Outcome<Server> {
        let mut chain = chain(stand, login)?;
        // It listens from here on; a session without a word does no harm.
        drop(chain.connect()?);
        Ok(Server::Chain(chain))
    }

    /// The service, with certificates that are made in `directory`.
    pub(crate) fn service(stand: &mut Stand, security: Security, directory: &Path) -> Outcome<Server> {
        let certificates = Certificates::make(directory, IpAddr::V4(Ipv4Addr::LOCALHOST), "nobody")?;
        let mut service = stand.service(false, &[], &[], Some(&certificates))?;
        drop((service.connect()?, service.connect_for_tls()?));
        Ok(Server::Service(service, security, certificates))
    }

    /// Whether all have logged in as they should, by the log.
    pub(crate) fn judge(&self, log: &str) -> Outcome {
        let Server::Service(_, security, _) = self else { return Ok(()) };
        let mut logins = log.lines().filter(|line| line.contains("INFO: LOGIN, ")).peekable();
        let are_inside_tls = *security != Security::Clear;
        if logins.peek().is_some() && logins.all(|line| line.ends_with(", stls=1") == are_inside_tls) {
            return Ok(());
        }
        Err(format!("not all logins were as they should:\n{log}").into())
    }

    /// An errand of a client whose files are in `directory`.
    pub(crate) fn errand(&mut self, directory: &Path, login: Login) -> Outcome<Errand> {
        match self {
            Server::Chain(chain) => Errand::new(directory, chain.address(), login),
            Server::Service(service, security, certificates) => {
                let address = match security {
                    Security::Tls => service.tls_address(),
                    Security::Clear | Security::Stls => service.address(),
                };
                Errand::new(directory, address, login)?.secured(*security, &certificates.authority())
            }
        }
    }
}

/// A chain that serves whoever logs in so. An account that shall use CRAM gets
/// in with nothing else.
fn chain(stand: &mut Stand, login: Login) -> Outcome<Chain> {
    const DAEMON: Cast = Cast { login: stand::Login::OurSocket, ..Cast::OURS };
    let (cast, (name, value), password) = match login {
        Login::Password => return stand.chain(Cast::OURS, &[], &[]),
        Login::CramMd5 => (Cast::OURS, ("POP3AUTH", "PLAIN LOGIN CRAM-MD5"), "*"),
        Login::ScramSha1 => (DAEMON, ("POP3AUTH", "PLAIN SCRAM-SHA-1"), "{PLAIN}secret"),
        Login::ScramSha256 => (DAEMON, ("POP3AUTH", "PLAIN SCRAM-SHA-256"), KEYS),
        Login::Apop => (Cast::OURS, ("POP3_APOP", "YES"), "{PLAIN}secret"),
    };
    stand.chain(cast, &[(name.to_owned(), value.to_owned())], &[format!("pop3pw={password}")])
}

/// Keys for SCRAM of the password `secret`.
const KEYS: &str = "SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:\
    0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=";

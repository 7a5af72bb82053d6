//! Clients of somebody who stands in front (the PROXY protocol): who may say
//! where a client is, and how that is heard.

use std::net::IpAddr;
use std::time::Duration;

use authlib::abuse::Networks;
use rustix::event::epoll::EventFlags;

use super::Front;
use super::client::State;
use super::whence::Whence;
use crate::environment;
use crate::log;
use crate::mailbox::Client as _;
use crate::proxy_header::{Header, Malformed, Reader};
use crate::service::stream::Stream;

/// Octets that are looked at at once.
const LOOK: usize = 512;
/// How long a header may take, as with Courier (reference couriertcpd.md 10).
const PATIENCE: Duration = Duration::from_secs(15);
/// The longest that anybody may ask for.
const MOST: Duration = Duration::from_secs(3600);

/// Who is believed, and what becomes of others.
pub(in crate::service) struct Trust {
    networks: Networks,
    others_are_served: bool,
    pub(super) patience: Duration,
}

/// How somebody is treated who connects where a proxy is expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Treatment {
    /// It says where the client is.
    Believed,
    /// It is the client.
    Served,
    /// It is sent away.
    Refused,
}

impl Trust {
    /// From POSTRIDER_PROXY_FROM, POSTRIDER_PROXY_OTHERS and
    /// POSTRIDER_PROXY_TIMEOUT (ledger 832).
    ///
    /// # Errors
    /// What is wrong, for the log.
    pub(in crate::service) fn from_environment() -> Result<Trust, String> {
        let networks = match environment::variable("POSTRIDER_PROXY_FROM") {
            None => Networks::loopback(),
            Some(list) => Networks::parse(list.as_encoded_bytes())
                .map_err(|error| format!("POSTRIDER_PROXY_FROM: {error}"))?,
        };
        let others_are_served = match environment::octets("POSTRIDER_PROXY_OTHERS").as_slice() {
            b"" | b"refuse" => false,
            b"serve" => true,
            _ => return Err("POSTRIDER_PROXY_OTHERS is neither refuse nor serve".to_owned()),
        };
        let patience = environment::seconds("POSTRIDER_PROXY_TIMEOUT", PATIENCE).min(MOST);
        Ok(Trust { networks, others_are_served, patience })
    }

    /// Who has come over a UNIX socket was let in by its rights.
    pub(super) fn treatment(&self, from: Option<IpAddr>) -> Treatment {
        match from {
            None => Treatment::Believed,
            Some(ip) if self.networks.contain(ip) => Treatment::Believed,
            Some(_) if self.others_are_served => Treatment::Served,
            Some(_) => Treatment::Refused,
        }
    }
}

/// Takes from `stream` what belongs to the header that `reader` reads; `None` if
/// more has to come.
fn hear(reader: &mut Reader, stream: &Stream) -> Result<Option<Header>, Unheard> {
    let mut buffer = [0; LOOK];
    loop {
        let Some(octets) = stream.look(&mut buffer).map_err(|_| Unheard::Closed)? else { return Ok(None) };
        if octets == 0 {
            return Err(Unheard::Closed);
        }
        let mut rest = &buffer[..octets];
        let header = reader.take(&mut rest)?;
        let mut used = octets - rest.len();
        while used > 0 {
            // They are there: they were looked at.
            match stream.take(&mut buffer[..used]) {
                Ok(Some(octets @ 1..)) => used -= octets,
                Ok(None) => {}
                Ok(Some(0)) | Err(_) => return Err(Unheard::Closed),
            }
        }
        if header.is_some() {
            return Ok(header);
        }
    }
}

/// Why there is no header, in Courier's words.
#[derive(Debug, thiserror::Error)]
enum Unheard {
    #[error("connection closed")]
    Closed,
    #[error(transparent)]
    Malformed(#[from] Malformed),
}

impl Front {
    /// Hears where a client is, or goes on waiting for that.
    pub(super) fn hear_proxy(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        let State::Announced { implicit_tls } = client.state else { return };
        match hear(&mut client.header, &client.transport.stream) {
            Ok(None) => self.wait_for(token, EventFlags::IN),
            Ok(Some(header)) => {
                if let Header::Clients { source, destination } = header {
                    client.stands_for(Whence { client: Some(source), local: Some(destination) });
                }
                let end = client.login_ends();
                self.clients.set_deadline(token, end);
                self.begin(token, implicit_tls);
                self.go_on(token);
            }
            Err(unheard) => {
                log::proxy_failed(&unheard, client.peer());
                self.close(token);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Networks, PATIENCE, Treatment, Trust};

    #[test]
    fn who_comes_from_elsewhere_is_not_believed() {
        let networks = || Networks::parse(b"192.0.2.0/24").unwrap();
        let trust = |others_are_served| Trust { networks: networks(), others_are_served, patience: PATIENCE };
        let ip = |text: &str| Some(text.parse().unwrap());
        assert_eq!(trust(false).treatment(ip("::ffff:192.0.2.7")), Treatment::Believed);
        assert_eq!(trust(false).treatment(ip("198.51.100.1")), Treatment::Refused);
        assert_eq!(trust(true).treatment(ip("198.51.100.1")), Treatment::Served);
        assert_eq!(trust(false).treatment(None), Treatment::Believed);
    }
}

//! From a client's first octet of TLS to its conversation, and from that to its
//! tunnel.

use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::epoll::EventFlags;

use super::Front;
use super::tls::{Opening, Session};
use super::tunnel::{Ready, Tunnel};
use crate::environment;
use crate::log;
use crate::service::material::Material;
use crate::service::side::Side;
use crate::service::stream::Stream;
use crate::service::ticket_keys::TicketKeys;

/// How long a handshake may take: a client's program does it without asking
/// anybody, so that is less than the time for a login.
const PATIENCE: Duration = Duration::from_secs(20);

/// POSTRIDER_HANDSHAKE_TIMEOUT.
pub(super) fn patience() -> Duration {
    environment::seconds("POSTRIDER_HANDSHAKE_TIMEOUT", PATIENCE)
}

impl Front {
    /// What TLS is made of has come, and has been found good before.
    pub(super) fn know_tls(&mut self, material: OwnedFd) -> io::Result<()> {
        let made = (self.make_server)(&Material::unseal(material)?);
        self.tls = Some(made.map_err(io::Error::other)?.server);
        Ok(())
    }

    /// Has a client shake hands next, in its time for that (ledger 141).
    pub(super) fn begin_tls(&mut self, token: u64, opening: Opening) {
        let Some(local) = self.clients.get(token).map(|client| client.local()) else { return };
        let session = self.new_session(local, opening);
        let Some(client) = self.clients.get(token) else { return };
        client.begin_tls(session);
        let end = client.login_ends().min(Instant::now() + self.handshake_patience);
        self.clients.set_deadline(token, end);
    }

    /// What seals tickets has changed.
    pub(super) fn know_ticket_keys(&mut self, keys: &TicketKeys) {
        if let Some(tls) = &self.tls {
            tls.know_ticket_keys(keys);
        }
    }

    /// TLS with one more client, if that can be had.
    fn new_session(&self, local: Option<IpAddr>, opening: Opening) -> Option<Box<dyn Session>> {
        let session = self.tls.as_ref()?.session(local, opening);
        session.inspect_err(|reason| log::error(&format_args!("TLS: {reason}"))).ok()
    }

    /// Goes on with a handshake.
    pub(super) fn shake(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        match client.transport.shake() {
            Ok(Some(events)) => self.wait_for(token, events),
            Ok(None) => {
                client.tls_started();
                let end = client.login_ends();
                self.clients.set_deadline(token, end);
                self.go_on(token);
            }
            Err(error) => {
                log::handshake_failed(&reason(&error), client.peer());
                self.close(token);
            }
        }
    }

    /// What its tunnel is to end at, if the client needs one: the inner side here,
    /// and that of the mailbox process.
    pub(super) fn ends_for_tunnel(&mut self, token: u64) -> io::Result<Option<(Stream, Stream)>> {
        match self.clients.get(token) {
            Some(client) if client.transport.is_in_tls() => {
                self.wait_for(token, EventFlags::IN);
                Stream::pair().map(Some)
            }
            _ => Ok(None),
        }
    }

    /// Lays a tunnel between `network`, which is watched for what comes in, and
    /// `inner`.
    pub(super) fn lay_tunnel(
        &mut self,
        token: u64,
        network: Stream,
        inner: Stream,
        session: Box<dyn Session>,
    ) {
        let network = Side::watched(network, EventFlags::IN);
        self.tunnels.add(token, Tunnel::new(network, inner, session));
        // What the client has said behind its login may be in the session already.
        self.pump(token, Ready::Neither);
    }

    pub(super) fn pump(&mut self, token: u64, ready: Ready) {
        if let Err(error) = self.tunnels.pump(token, ready, &self.epoll) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error)));
        }
    }
}

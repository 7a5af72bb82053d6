//! Where clients come in.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::io::Errno;
use rustix::net::sockopt::set_tcp_nodelay;
use rustix::net::{SocketFlags, acceptfrom_with};

use super::client::{Client, State};
use super::proxied::Treatment;
use super::tls::Opening;
use super::whence::Whence;
use super::{FIRST_CLIENT, FIRST_LISTENER, Front};
use crate::log;
use crate::login::settings;
use crate::proxy_header::Reader;
use crate::service::listen::Manner;
use crate::service::stream::Stream;

/// How long nobody is let in when accept(2) fails for want of something.
const REST: Duration = Duration::from_secs(1);

/// Connections taken at once from one listening socket, before others have
/// their turn.
pub(super) const AT_ONCE: usize = 64;

/// Where clients come from.
pub(super) struct Listener {
    pub(super) socket: OwnedFd,
    /// How they begin.
    pub(super) manner: Manner,
}

impl Front {
    /// Other fronts listen at the same socket.
    pub(super) fn listen(&mut self, listener: Listener) -> io::Result<()> {
        let token = FIRST_LISTENER + self.listeners.len() as u64;
        if token >= FIRST_CLIENT {
            return Err(io::Error::other("too many listening sockets"));
        }
        // Small replies leave at once: every connection inherits it (tcp(7)). On a UNIX
        // socket it fails, and need not be.
        let _it_has_none = set_tcp_nodelay(&listener.socket, true);
        watch_listener(&self.epoll, &listener, token)?;
        self.listeners.push(listener);
        Ok(())
    }

    /// Lets in who waits at a listening socket, `most` of them; whether there may be
    /// more.
    pub(super) fn accept(&mut self, token: u64, now: Instant, most: usize) -> bool {
        for _ in 0..most {
            let index = usize::try_from(token - FIRST_LISTENER).unwrap_or(usize::MAX);
            let Some(listener) = self.listeners.get(index) else { return false };
            match acceptfrom_with(&listener.socket, SocketFlags::CLOEXEC) {
                Ok((socket, address)) => {
                    let whence = Whence::of(&socket, address);
                    let stls = self.tls.is_some() && settings::stls_is_wanted();
                    let manner = listener.manner;
                    let client = Client::new(Stream::of(socket), whence, stls, now + self.login);
                    self.welcome(client, manner, now);
                }
                Err(Errno::AGAIN) => return false,
                Err(Errno::CONNABORTED | Errno::INTR) => {}
                Err(error) => {
                    self.cannot_accept(&error.into(), now);
                    return false;
                }
            }
        }
        true
    }

    /// Makes room, and lets new clients wait in the kernel for a moment: nobody
    /// spins when the machine is short already (as ledger 514).
    pub(super) fn cannot_accept(&mut self, error: &io::Error, now: Instant) {
        log::error(&format_args!("accept: {}", reason(error)));
        if let Some(oldest) = self.clients.oldest_stranger() {
            self.close(oldest);
        }
        self.rest(now);
    }

    /// Leaves new clients to other fronts as soon as sessions have all descriptors:
    /// one for whom this front is woken is nobody else's any more.
    pub(super) fn rest_if_full(&mut self, now: Instant) {
        if self.resting_until.is_none() && !self.has_room() {
            self.rest(now);
        }
    }

    /// Lets new clients wait in the kernel for a moment, or go to other fronts.
    fn rest(&mut self, now: Instant) {
        for listener in &self.listeners {
            let _it_was_not_watched = epoll::delete(&self.epoll, &listener.socket);
        }
        self.resting_until = Some(now + REST);
    }

    /// Listens again after a rest.
    pub(super) fn end_rest(&mut self, now: Instant) -> io::Result<()> {
        if self.listeners.is_empty() || self.resting_until.is_none_or(|until| now < until) {
            return Ok(());
        }
        if !self.has_room() {
            self.resting_until = Some(now + REST);
            return Ok(());
        }
        self.resting_until = None;
        for (index, listener) in self.listeners.iter().enumerate() {
            watch_listener(&self.epoll, listener, FIRST_LISTENER + index as u64)?;
        }
        Ok(())
    }

    pub(super) fn welcome(&mut self, mut client: Client, manner: Manner, now: Instant) {
        if self.is_full() {
            match self.clients.oldest_stranger() {
                Some(oldest) => self.close(oldest),
                None => return client.close(),
            }
        }
        self.last_client += 1;
        let token = self.last_client;
        let treatment = manner.proxied.then(|| self.trust.treatment(client.address()));
        let is_announced = treatment == Some(Treatment::Believed);
        if treatment == Some(Treatment::Refused) {
            log::proxy_failed(&"not from a trusted network", client.peer());
            return client.close();
        }
        if is_announced {
            client.state = State::Announced { implicit_tls: manner.implicit_tls };
        }
        self.clients.add(token, client);
        if is_announced {
            self.clients.set_deadline(token, now + self.trust.patience);
        } else {
            self.begin(token, manner.implicit_tls);
        }
        self.go_on(token);
    }

    /// Lets a client's conversation begin, now that it is known where it is.
    pub(super) fn begin(&mut self, token: u64, implicit_tls: bool) {
        if !self.count_in(token, implicit_tls) {
            return;
        }
        let Some(client) = self.clients.get(token) else { return };
        client.header = Reader::default();
        client.state = State::Talking;
        match implicit_tls {
            true => self.begin_tls(token, Opening::Implicit),
            false => client.greet(),
        }
    }

    /// Whether somebody else can come, if need be in the place of a stranger.
    fn has_room(&self) -> bool {
        !self.is_full() || self.clients.oldest_stranger().is_some()
    }

    /// Whether all descriptors are in use: a client has one, a tunnel two.
    pub(super) fn is_full(&self) -> bool {
        self.clients.are_too_many(2 * self.tunnels.len())
    }
}

/// The kernel wakes one of those who listen at the same socket.
fn watch_listener(epoll: &OwnedFd, listener: &Listener, token: u64) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    Ok(epoll::add(epoll, &listener.socket, EventData::new_u64(token), flags)?)
}

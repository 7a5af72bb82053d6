//! The connection to a back-end, in clear or inside TLS, never waited for.

use std::io;
use std::net::SocketAddr;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::event::epoll::EventFlags;
use rustix::net::sockopt;
use rustix::net::{AddressFamily, SocketFlags, SocketType, connect, getsockname, socket_with};

use super::tls::Session;
use crate::mailbox::Client as _;
use crate::service::front::tls::{flush, shake, take};
use crate::service::side::Side;
use crate::service::stream::Stream;

/// Octets that are passed on at once, a record of TLS.
pub(super) const CHUNK: usize = 16 * 1024;

/// A connection to a back-end.
pub(super) struct Backend {
    side: Side,
    session: Option<Box<dyn Session>>,
}

impl Backend {
    /// Begins to connect to `address`; [`connected`](Backend::connected) says
    /// what came of it when the socket is writable.
    ///
    /// # Errors
    /// What the system reports at once.
    pub(super) fn connect(address: SocketAddr) -> io::Result<Backend> {
        let family = if address.is_ipv4() { AddressFamily::INET } else { AddressFamily::INET6 };
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let socket = socket_with(family, SocketType::STREAM, flags, None)?;
        // Small commands leave at once; and one that has vanished is noticed.
        let _ = sockopt::set_tcp_nodelay(&socket, true);
        let _ = sockopt::set_socket_keepalive(&socket, true);
        match connect(&socket, &address) {
            Ok(()) | Err(rustix::io::Errno::INPROGRESS | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(Backend { side: Side::new(Stream::of(socket)), session: None })
    }

    /// Whether it is connected.
    ///
    /// # Errors
    /// It will not be.
    pub(super) fn connected(&self) -> io::Result<()> {
        Ok(sockopt::socket_error(self).map_err(io::Error::from)??)
    }

    /// Our own address.
    pub(super) fn own_address(&self) -> Option<SocketAddr> {
        SocketAddr::try_from(getsockname(self).ok()?).ok()
    }

    /// From here on TLS is spoken.
    pub(super) fn begin_tls(&mut self, session: Box<dyn Session>) {
        self.session = Some(session);
    }

    /// Whether it is.
    pub(super) fn is_in_tls(&self) -> bool {
        self.session.is_some()
    }

    /// Goes on with the handshake; for what it waits then, or `None` if it is
    /// done.
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn shake(&mut self) -> io::Result<Option<EventFlags>> {
        match &mut self.session {
            Some(session) => match shake(&mut **session, &self.side.stream)? {
                None if !flush(&mut **session, &self.side.stream)? => Ok(Some(EventFlags::OUT)),
                waits_for => Ok(waits_for),
            },
            None => Ok(None),
        }
    }

    /// Takes octets, as many as `buffer` has room for; `None` if there are none
    /// now, 0 at the end.
    ///
    /// # Errors
    /// There will be none any more.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.session {
            Some(session) => take(&mut **session, &self.side.stream, buffer),
            None => self.side.stream.take(buffer),
        }
    }

    /// Gives octets, as many as there is room for; `None` if there is none.
    ///
    /// # Errors
    /// It takes none any more.
    pub(super) fn give(&mut self, octets: &[u8]) -> io::Result<Option<usize>> {
        let Some(session) = &mut self.session else { return self.side.stream.give(octets) };
        if !flush(&mut **session, &self.side.stream)? {
            return Ok(None);
        }
        let given = octets.len().min(CHUNK);
        session.write(&octets[..given])?;
        flush(&mut **session, &self.side.stream)?;
        Ok(Some(given))
    }

    /// Sends what TLS has left to send; whether nothing is left.
    ///
    /// # Errors
    /// It takes none any more.
    pub(super) fn flush(&mut self) -> io::Result<bool> {
        self.session.as_mut().map_or(Ok(true), |session| flush(&mut **session, &self.side.stream))
    }

    /// There is nothing more to be given. A record that TLS still has to send
    /// goes first, so inside TLS the socket itself stays open.
    pub(super) fn finish(&mut self) {
        match &mut self.session {
            Some(session) => {
                session.close();
                // What it does not take now it takes later, or has gone.
                let _ = flush(&mut **session, &self.side.stream);
            }
            None => self.side.stream.finish(),
        }
    }

    /// Says `line` if that goes at once, and ends the connection.
    pub(super) fn leave(mut self, line: &[u8]) {
        let _it_may_have_gone = self.give(line);
        self.finish();
        self.side.stream.close();
    }

    /// Has `epoll` watch it as `token` for `events`, and for room where TLS has
    /// something left to send.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports.
    pub(super) fn watch(&mut self, events: EventFlags, token: u64, epoll: &OwnedFd) -> io::Result<()> {
        let says = self.session.as_ref().is_some_and(|session| session.wants_write());
        let events = if says { events | EventFlags::OUT } else { events };
        self.side.watch(events, token, epoll)
    }
}

impl AsFd for Backend {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.side.stream.as_fd()
    }
}

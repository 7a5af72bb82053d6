//! One session that goes through, without the service: for a login program
//! that has become nobody who could do harm before it comes here.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::Timespec;
use rustix::event::epoll::{self, CreateFlags};

use super::backend::Backend;
use super::login::{Login, Means, Progress};
use super::names;
use super::relay::Relay;
use super::{Connect, TICK};
use crate::log;
use crate::proxy::{Failure, Settings};
use crate::service::stream::Stream;

const BACKEND: u64 = 0;
const CLIENT: u64 = 1;

/// A session that has begun on a back-end.
pub(crate) struct Begun {
    /// Where it is watched.
    epoll: OwnedFd,
    backend: Backend,
    /// What it has said behind that.
    heard: Vec<u8>,
}

/// Logs in at a back-end, in clear, until `deadline` at the latest.
///
/// # Errors
/// There is no session, and why.
pub(crate) fn log_in(connect: Connect, settings: &Settings, deadline: Instant) -> Result<Begun, Failure> {
    let host = &connect.host;
    let addresses = match names::literal(host) {
        Some(address) => vec![address],
        None => names::look_up(host).map_err(Failure::Unreachable)?,
    };
    let epoll = epoll::create(CreateFlags::CLOEXEC).map_err(|error| unreachable(&error.into()))?;
    let means = Means { settings, connector: None };
    let mut login = Login::new(connect, Instant::now());
    login.found(addresses, &means)?;
    loop {
        login.watch(BACKEND, &epoll).map_err(|error| unreachable(&error))?;
        wait(&epoll, login.deadline().min(deadline)).map_err(|error| unreachable(&error))?;
        let now = Instant::now();
        if now >= login.deadline().min(deadline) {
            login.time_is_up(&means, now)?;
            if now >= deadline {
                return Err(Failure::Unreachable("timed out".to_owned()));
            }
        }
        if let Progress::Done(backend, heard) = login.go_on(&means)? {
            return Ok(Begun { epoll, backend, heard });
        }
    }
}

impl Begun {
    /// Tells the client that it is connected, and passes octets on until one of
    /// the two has gone.
    ///
    /// # Errors
    /// What epoll(7) reports.
    pub(crate) fn pass_on(self, client: OwnedFd, session: log::Session, protocol: &str) -> io::Result<()> {
        session.proxied(protocol);
        let said = (Vec::new(), self.heard);
        let mut relay = Relay::new(Stream::of(client), self.backend, said, session, protocol.to_owned());
        while relay.pump() {
            relay.watch(CLIENT, BACKEND, &self.epoll)?;
            wait(&self.epoll, relay.deadline())?;
            if Instant::now() >= relay.deadline() && !relay.time_is_up() {
                break;
            }
        }
        relay.end();
        Ok(())
    }
}

/// Waits for something to happen, until `deadline` or for a tick.
fn wait(epoll: &OwnedFd, deadline: Instant) -> io::Result<()> {
    let left = deadline.saturating_duration_since(Instant::now()).min(Duration::from_secs(1));
    let timeout = Timespec::try_from(left).unwrap_or(TICK);
    let mut events = Vec::with_capacity(2);
    match epoll::wait(epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
        Ok(_) | Err(rustix::io::Errno::INTR) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

fn unreachable(error: &io::Error) -> Failure {
    Failure::Unreachable(reason(error))
}

//! postrider-proxy: sessions of accounts whose mail is on another server. It
//! logs in there with what auth gives it, and then passes octets on; it opens
//! no file, and no mail is on this machine.
//!
//! ```text
//!   auth ──Errand──> │       │ ──login, TLS──> back-end
//!        <─Outcome── │ proxy │
//!   monitor ─Visitor, the client's descriptor─> from here on octets go both ways
//! ```
//!
//! One thread waits for everybody at once; another process looks names up. The client
//! is told that it is logged in only when it is; until then it is the front's,
//! and a failure is an ordinary failed login there.

pub(crate) mod alone;
mod backend;
mod login;
pub(super) mod material;
mod names;
mod relay;
mod resolver;
mod sessions;
pub mod tls;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::Instant;

use authlib::printable::reason;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use self::material::BackendTls;
use self::resolver::Resolver;
use self::sessions::Sessions;
use self::tls::{Connector, MakeConnector};
use super::confinement::Confinement;
use super::dismissal::Dismissal;
pub(crate) use super::errand::Connect;
use super::errand::{Errand, Outcome, Visitor};
pub(crate) use super::guest::Origin;
use super::material::Pem;
use super::order::Order;
use super::report::Report;
use super::stream::Stream;
use super::ticket::Number;
use super::wire::Wire;
use super::{birth, guest, report};
use crate::log;
use crate::proxy::Settings;

/// How often deadlines are looked at, which are seconds away.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

const MONITOR: u64 = 0;
const AUTH: u64 = 1;
const RESOLVER: u64 = 2;

/// As the log names this process.
const NAME: &str = "postrider-proxy";

/// Runs postrider-proxy, whose TLS `make_connector` makes.
#[must_use]
pub fn run(make_connector: MakeConnector) -> ExitCode {
    if let Some(status) = names::run() {
        return status;
    }
    // While there are files, and programs to be started.
    let names = match names::start() {
        Ok(names) => names,
        Err(error) => return birth::refused(NAME, reason(&error)),
    };
    match birth::as_account(&Confinement::Proxy).map(|wire| Rc::new(Wire::of(wire))) {
        Ok(wire) => {
            let served = Proxy::new(Rc::clone(&wire), names, make_connector).and_then(Proxy::serve);
            report::ended(NAME, &wire, served.map_err(|error| reason(&error)))
        }
        Err(reason) => {
            log::error(&format_args!("{NAME}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// The proxy at work.
struct Proxy {
    monitor: Rc<Wire>,
    auth: Option<Wire>,
    make_connector: MakeConnector,
    sessions: Sessions,
    stage: Stage,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stage {
    Serving,
    /// Nobody else comes; who is here may stay.
    Leaving,
    /// The same, and nobody is told who goes: the monitor has gone.
    Alone,
}

impl Proxy {
    fn new(monitor: Rc<Wire>, names: Wire, make_connector: MakeConnector) -> io::Result<Proxy> {
        let settings = Settings::from_environment()
            .and_then(|settings| settings.ok_or("POP3_PROXY is not set".to_owned()));
        let settings = settings.map_err(io::Error::other)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let resolver = Resolver::new(names);
        watch(&epoll, &*monitor, MONITOR)?;
        watch(&epoll, &resolver, RESOLVER)?;
        let sessions = Sessions::new(epoll, settings, resolver);
        Ok(Proxy { monitor, auth: None, make_connector, sessions, stage: Stage::Serving })
    }

    /// Serves until the monitor has gone or wants no more of us, and then those
    /// who are here.
    fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        while self.stage == Stage::Serving || self.sessions.relays() > 0 {
            events.clear();
            match epoll::wait(&self.sessions, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for event in &events {
                match event.data.u64() {
                    MONITOR => self.hear_monitor()?,
                    AUTH => self.hear_auth(now)?,
                    RESOLVER => self.hear_resolver(now)?,
                    token => self.sessions.hear(token),
                }
            }
            self.sessions.sweep(now);
            self.report();
        }
        Ok(())
    }

    fn hear_monitor(&mut self) -> io::Result<()> {
        while self.stage != Stage::Alone {
            let Ok(received) = self.monitor.receive() else {
                self.stage = Stage::Alone;
                epoll::delete(&self.sessions, &*self.monitor)?;
                return Ok(());
            };
            let Some(received) = received else { return Ok(()) };
            if let Some(dismissal) = Dismissal::decode(&received.message) {
                self.leave(dismissal);
                continue;
            }
            match Visitor::decode(&received.message) {
                Ok(visitor) => {
                    // auth has told us of it before it told anybody else: it is in the wire.
                    self.hear_auth(Instant::now())?;
                    self.welcome(visitor, received.descriptor);
                }
                Err(_) => self.obey(Order::decode(received).map_err(io::Error::other)?)?,
            }
        }
        Ok(())
    }

    /// Takes answers to names. When nobody is left to ask, nobody else is taken in:
    /// this process starts no programs any more, and the next one does.
    fn hear_resolver(&mut self, now: Instant) -> io::Result<()> {
        if self.sessions.hear_resolver(now) {
            return Ok(());
        }
        epoll::delete(&self.sessions, &self.sessions.resolver)?;
        // auth sends others on its errands.
        self.auth = None;
        let why = "who looks names up for it has gone".to_owned();
        if Report::Leaves(why.clone()).send(&self.monitor) { Ok(()) } else { Err(io::Error::other(why)) }
    }

    fn leave(&mut self, dismissal: Dismissal) {
        self.stage = Stage::Leaving;
        if dismissal == Dismissal::Now {
            self.sessions.end_all();
        }
    }

    fn welcome(&mut self, visitor: Visitor, descriptor: Option<OwnedFd>) {
        match descriptor {
            Some(descriptor) => self.sessions.visit(visitor, Stream::of(descriptor)),
            None => {
                log::error(&"a client was sent away: there is no descriptor left");
                self.sessions.forget(&visitor);
            }
        }
    }

    fn obey(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Tls(material) => self.sessions.connector = Some(self.connector(material)?),
            Order::Ping(number) => drop(Report::Alive(number).send(&self.monitor)),
            Order::Wire(_, wire) => {
                let wire = Wire::of(wire);
                watch(&self.sessions, &wire, AUTH)?;
                self.auth = Some(wire);
            }
            _ => return Err(io::Error::other("an order for somebody else")),
        }
        Ok(())
    }

    /// TLS, of what the monitor has sent.
    fn connector(&self, material: OwnedFd) -> io::Result<Box<dyn Connector>> {
        let BackendTls { authorities, identity } = BackendTls::unseal(material)?;
        let identity = identity.as_ref().map(|Pem { chain, key }| (chain.as_slice(), key.as_slice()));
        (self.make_connector)(&authorities, identity).map_err(io::Error::other)
    }

    fn hear_auth(&mut self, now: Instant) -> io::Result<()> {
        while let Some(auth) = &self.auth {
            match auth.receive() {
                Ok(Some(received)) => {
                    let errand = Errand::decode(&received.message).map_err(io::Error::other)?;
                    self.sessions.run(errand, now);
                }
                Ok(None) => return Ok(()),
                // The monitor will send a wire to the next one.
                Err(_) => self.auth = None,
            }
        }
        Ok(())
    }

    /// Tells auth what came of errands, and the monitor who has gone.
    fn report(&mut self) {
        for (number, outcome) in std::mem::take(&mut self.sessions.outcomes) {
            self.tell(&number, outcome);
        }
        for session in std::mem::take(&mut self.sessions.ended) {
            // If there is no room the monitor counts a session too many for as
            // long as this process lives.
            let _ = self.monitor.send(&guest::ended(session), None);
        }
    }

    fn tell(&self, number: &Number, outcome: Outcome) {
        let sent = self.auth.as_ref().map(|auth| auth.send(&outcome.encode(number), None));
        if matches!(sent, Some(Ok(false))) {
            log::error(&"auth does not take what came of its errands");
        }
    }
}

fn watch(epoll: impl AsFd, source: impl AsFd, token: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, source, EventData::new_u64(token), EventFlags::IN)?)
}

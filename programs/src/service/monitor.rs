//! The monitor: births, tickets, descriptors, reaping. One thread; root, where
//! accounts have uids of their own. It looks at no octet of a client: what a
//! client has said behind its login passes through unread.
//!
//! ```text
//!   auth    ──Issued──> │         │ ──Guest──> mailbox processes, by uid and shard
//!   fronts  ──Shown───> │ monitor │ <──ended──
//!           <─Admission │         │
//! ```

mod admission;
mod certificates;
mod parts;
mod plan;

use std::hash::RandomState;
use std::io;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use self::certificates::{Assayer, Certificates};
use self::parts::{Parts, Role, Token};
pub(super) use self::plan::{Certificate, Environments, Isolation, Plan};
use super::guest;
use super::listen::Listener;
use super::order::Order;
use super::ticket::{Issued, Shown};
use super::tickets::Tickets;
use super::wire::{Received, Wire};
use crate::log;

/// A process that keeps ending is not started more often than this.
const PAUSE: Duration = Duration::from_secs(1);
/// A mailbox process without sessions ends after this.
const IDLE: Duration = Duration::from_secs(60);
/// Most mailbox processes.
const MOST_MAILBOXES: usize = 512;
/// How long sessions may go on after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(10);

const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const SIGNALS: Token = 0;

/// The monitor at work.
pub(crate) struct Monitor {
    plan: Plan,
    signals: SignalFd,
    parts: Parts,
    certificates: Option<Certificates>,
    tickets: Tickets,
    hasher: RandomState,
    last_session: u64,
    not_before: Option<Instant>,
}

impl Monitor {
    /// Tries the certificate, and starts auth and the fronts.
    ///
    /// # Errors
    /// What the system reports; the certificate is none.
    pub(crate) fn new(plan: Plan) -> io::Result<Monitor> {
        let mask: SigSet =
            [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)?;
        let (ids, environment) = (front_ids()?, &plan.environments.front);
        let assayer = Assayer { programs: &plan.programs, ids: &ids, environment };
        let certificates = plan.certificate.as_ref().map(|files| Certificates::open(files, &assayer));
        let certificates = certificates.transpose().map_err(io::Error::other)?;
        let parts = Parts::new(epoll, plan.programs.clone(), plan.environments.clone(), SIGNALS);
        let mut monitor = Monitor {
            plan,
            signals,
            parts,
            certificates,
            tickets: Tickets::default(),
            hasher: RandomState::new(),
            last_session: 0,
            not_before: None,
        };
        monitor.fill()?;
        Ok(monitor)
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// If the loop itself cannot go on.
    pub(crate) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        loop {
            events.clear();
            match epoll::wait(&self.parts, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            for event in &events {
                match event.data.u64() {
                    SIGNALS => {
                        if self.take_signals()? {
                            self.farewell();
                            return Ok(());
                        }
                    }
                    token => self.hear(token),
                }
            }
            self.parts.retire_idle(IDLE);
            if let Err(error) = self.fill() {
                self.not_before = Some(Instant::now() + PAUSE);
                log::error(&format_args!("a process could not be started: {}", reason(&error)));
            }
        }
    }

    /// Starts what is missing, not too soon after a process has ended.
    fn fill(&mut self) -> io::Result<()> {
        if self.not_before.is_some_and(|time| Instant::now() < time) {
            return Ok(());
        }
        self.not_before = None;
        if self.parts.auth().is_none() {
            // Fronts have wires to the one that has gone.
            self.parts.fronts().into_iter().for_each(|front| self.parts.dismiss(front));
            self.parts.start(Role::Auth, "postrider-auth", &[])?;
        }
        for _ in self.parts.fronts().len()..self.plan.fronts {
            self.start_front()?;
        }
        Ok(())
    }

    /// Starts a front, and gives it all that it needs.
    fn start_front(&mut self) -> io::Result<()> {
        let material = self.certificates.as_ref().map(Certificates::material).transpose()?;
        let (fronts_end, auths_end) = Wire::pair()?;
        let front = self.parts.start(Role::Front, "postrider-front", &front_ids()?)?;
        if let Some(auth) = self.parts.auth() {
            self.parts.order(auth, Order::Wire(front, auths_end.into_descriptor()));
        }
        self.parts.order(front, Order::Wire(front, fronts_end.into_descriptor()));
        if let Some(material) = material {
            self.parts.order(front, Order::Tls(material));
        }
        for Listener { manner, socket, .. } in &self.plan.listeners {
            let socket = socket.try_clone()?;
            self.parts.order(front, Order::Listener { manner: *manner, socket });
        }
        Ok(())
    }

    fn hear(&mut self, token: Token) {
        self.parts.flush(token);
        while self.hear_one(token) {}
    }

    /// Takes one message; whether there may be another.
    fn hear_one(&mut self, token: Token) -> bool {
        let Some(role) = self.parts.role(token) else { return false };
        let Received { message, descriptor } = match self.parts.receive(token) {
            Ok(Some(received)) => received,
            Ok(None) => return false,
            Err(error) => {
                self.lose(token, &error);
                return false;
            }
        };
        let understood = match role {
            Role::Auth => Issued::decode(&message).map(|issued| self.tickets.add(issued, Instant::now())),
            Role::Front => Shown::decode(&message).map(|shown| self.admit(token, shown, descriptor)),
            Role::Mailbox(_) => guest::decode_ended(&message).map(|_| self.parts.session_ended(token)),
        };
        if let Err(malformed) = understood {
            self.lose(token, &io::Error::other(malformed));
        }
        understood.is_ok()
    }

    /// A process has gone, or is not to be believed any more.
    fn lose(&mut self, token: Token, error: &io::Error) {
        self.not_before = Some(Instant::now() + PAUSE);
        self.parts.lose(token, error);
    }

    /// Whether it is time to end.
    fn take_signals(&mut self) -> io::Result<bool> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                // Whose wire is closed is seen there; here are those that have left.
                Some(Signal::SIGCHLD) => drop(self.parts.reap()),
                Some(Signal::SIGHUP) => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Nobody comes any more; who is here may say QUIT.
    fn farewell(&mut self) {
        self.plan.listeners.clear();
        self.parts.everybody().into_iter().for_each(|token| self.parts.dismiss(token));
        let end = Instant::now() + FAREWELL;
        while !self.parts.reap() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(20));
        }
        self.parts.end_leaving();
    }
}

/// Whom a front becomes: nobody, where we are root.
fn front_ids() -> io::Result<Vec<String>> {
    let (uid, gid) = if system::user::is_root() {
        system::user::by_name("nobody")?.ok_or_else(|| io::Error::other("there is no user nobody"))?
    } else {
        system::user::own_ids()
    };
    Ok(vec![uid.to_string(), gid.to_string()])
}

//! postrider-auth: passwords, accounts, back-ends. It is asked by fronts, has
//! workers that run the modules, and never sees a maildrop. It counts failed
//! logins and lets them wait as authdaemond does, with the same parts.
//!
//! ```text
//!   front ──Question──> │      │ ──request──> workers (the same as authdaemond's)
//!         <──Answer──── │ auth │ <──answer───
//!                       │      │ ──Issued──> monitor: whose account the ticket in the answer is for
//! ```

use std::cell::RefCell;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use authlib::protocol::request::{self, Request};
use authlib::{Client, Record};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::confinement::{Confinement, Needs};
use super::desk::{Asker, Desk};
use super::errand::Outcome;
use super::order::Order;
use super::question::Question;
use super::referrals::Referrals;
use super::report::Report;
use super::wire::Wire;
use super::{birth, client_certificates, report, trial};
use crate::authdaemond::{self, Caller, Office, Settings};
use crate::log;
use crate::places;

/// As the log names this process.
const NAME: &str = "postrider-auth";

/// Most questions at once.
const MOST: usize = 8192;
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How often all who wait are looked at: it takes longer the more there are.
const SWEEPING: Duration = Duration::from_millis(500);

/// Names the wire to the monitor among the events.
const MONITOR: u64 = 0;
/// Set in the tokens of workers, not in those of fronts.
const WORKER: u64 = 1 << 63;

/// Runs postrider-auth, or a worker of it.
#[must_use]
pub fn run() -> ExitCode {
    if let Some(status) = authdaemond::run_as_worker() {
        return status;
    }
    if let Some(status) = trial::run_as_trial() {
        return status;
    }
    let settings = match Settings::read_or_embedded() {
        Ok(settings) => settings,
        Err(reason) => return birth::refused(NAME, reason),
    };
    settings.announce();
    // What the modules need decides what this process and its workers may do.
    let modules = Needs::of(settings.modules());
    match birth::as_auth(&Confinement::Auth { directories: places::scramkey().into(), modules }) {
        Ok(wire) => {
            let wire = Rc::new(Wire::of(wire));
            let served = Auth::new(Rc::clone(&wire), settings).and_then(Auth::serve);
            report::ended(NAME, &wire, served.map_err(|error| reason(&error)))
        }
        Err(reason) => {
            log::error(&format_args!("{NAME}: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// auth at work.
struct Auth {
    epoll: OwnedFd,
    desk: Rc<Desk>,
    office: Office<Asker>,
    last_question: u64,
    swept: Instant,
    /// Whether the epoll tells when there is room on the wire to the monitor.
    waits_for_room: bool,
    /// Clients may log in by their certificates, at which only fronts can look.
    takes_vouching: bool,
}

impl Auth {
    fn new(monitor: Rc<Wire>, settings: Settings) -> io::Result<Auth> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &*monitor, MONITOR)?;
        let office = Office::new(settings, MOST, |id, socket| watch(&epoll, socket, id | WORKER))?;
        let referrals = RefCell::new(Referrals::new().map_err(io::Error::other)?);
        let desk = Rc::new(Desk {
            monitor,
            fronts: RefCell::default(),
            referrals,
            random: RefCell::default(),
            untold: RefCell::default(),
        });
        let takes_vouching = client_certificates::naming_field().is_some();
        let (last_question, swept) = (0, Instant::now());
        Ok(Auth { epoll, desk, office, last_question, swept, waits_for_room: false, takes_vouching })
    }

    /// Serves until the monitor has gone.
    fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for event in &events {
                match event.data.u64() {
                    MONITOR => {
                        if !self.hear_monitor()? {
                            return Ok(());
                        }
                    }
                    token if token & WORKER != 0 => self.office.hear_worker(token & !WORKER, now),
                    token => self.hear_other(token, now),
                }
            }
            if now.saturating_duration_since(self.swept) >= SWEEPING {
                self.swept = now;
                self.office.pool().reap();
                self.office.sweep(now);
            }
            let epoll = &self.epoll;
            self.office.dispatch(now, |id, socket| watch(epoll, socket, id | WORKER));
            self.tell_monitor()?;
        }
    }

    /// Tells the monitor of tickets for which there was no room before, as soon as
    /// there is.
    fn tell_monitor(&mut self) -> io::Result<()> {
        if self.waits_for_room {
            self.desk.tell_all();
        }
        let waits = self.desk.waits_for_room();
        if std::mem::replace(&mut self.waits_for_room, waits) != waits {
            let events = if waits { EventFlags::IN | EventFlags::OUT } else { EventFlags::IN };
            epoll::modify(&self.epoll, &*self.desk.monitor, EventData::new_u64(MONITOR), events)?;
        }
        Ok(())
    }

    /// Takes wires to new fronts and proxies; whether the monitor is there.
    fn hear_monitor(&mut self) -> io::Result<bool> {
        loop {
            let (other, descriptor, is_front) = match Order::next(&self.desk.monitor) {
                Ok(Some(Order::Wire(front, wire))) if front & WORKER == 0 => (front, wire, true),
                Ok(Some(Order::Proxy(proxy, wire))) if proxy & WORKER == 0 => (proxy, wire, false),
                Ok(Some(Order::Master(file))) => {
                    self.desk.referrals.borrow_mut().know_master(file).map_err(io::Error::other)?;
                    continue;
                }
                Ok(Some(Order::Ping(number))) => {
                    // Without an answer the monitor will do what is to be done.
                    let _ = Report::Alive(number).send(&self.desk.monitor);
                    continue;
                }
                Ok(None) => return Ok(true),
                Ok(Some(_)) => {
                    log::error(&"the monitor talks nonsense");
                    return Ok(false);
                }
                Err(_) => return Ok(false),
            };
            let wire = Wire::of(descriptor);
            match watch(&self.epoll, &wire, other) {
                Ok(()) if is_front => drop(self.desk.fronts.borrow_mut().insert(other, wire)),
                Ok(()) => self.desk.referrals.borrow_mut().add(other, wire),
                Err(error) => log::error(&format_args!("epoll_ctl: {}", reason(&error))),
            }
        }
    }

    /// A front or a proxy process speaks.
    fn hear_other(&mut self, token: u64, now: Instant) {
        let is_proxy = self.desk.referrals.borrow().wire(token).is_some();
        if is_proxy { self.hear_proxy(token) } else { self.hear_front(token, now) }
    }

    /// Takes what came of errands.
    fn hear_proxy(&mut self, proxy: u64) {
        loop {
            let received = self.desk.referrals.borrow().wire(proxy).map(Wire::receive);
            let outcome = match received {
                Some(Ok(Some(received))) => Outcome::decode(&received.message),
                Some(Ok(None)) | None => return,
                Some(Err(_)) => return self.desk.proxy_lost(proxy),
            };
            match outcome {
                Ok((number, outcome)) => self.desk.errand_done(number, outcome),
                Err(malformed) => {
                    log::error(&format_args!("a proxy: {malformed}"));
                    return self.desk.proxy_lost(proxy);
                }
            }
        }
    }

    /// Takes one question. If there are more, epoll_wait(2) says so at once,
    /// which costs no more than to ask whether there are.
    fn hear_front(&mut self, front: u64, now: Instant) {
        let received = self.desk.fronts.borrow().get(&front).map(Wire::receive);
        let question = match received {
            Some(Ok(Some(received))) => Question::decode(&received.message),
            Some(Ok(None)) | None => return,
            // Its connections are gone with it.
            Some(Err(_)) => return self.forget(front),
        };
        match question {
            Ok(question) => self.take(front, &question, now),
            Err(malformed) => {
                log::error(&format_args!("a front: {malformed}"));
                self.forget(front);
            }
        }
    }

    fn forget(&mut self, front: u64) {
        self.desk.fronts.borrow_mut().remove(&front);
    }

    /// A front may ask about credentials and for salts; whoever has taken one
    /// over learns nothing else here, and has nobody let in without a proof, unless
    /// certificates are proofs that it alone can see.
    fn take(&mut self, front: u64, question: &Question, now: Instant) {
        let connection = question.connection;
        let (origin, utf8) = (question.origin.clone(), question.utf8);
        let asker =
            |for_salt| Asker { desk: Rc::clone(&self.desk), front, connection, origin, utf8, for_salt };
        let Some((record, client)) = read(question).filter(|_| self.office.clients.len() < MOST) else {
            return asker(false).say(b"");
        };
        let vouched = record.vouched().map(|user| request::look_up(None, record.service(), user, &client));
        self.last_question += 1;
        let id = self.last_question;
        match vouched {
            None => {
                self.office.clients.add_asked(id, asker(record.wanted_salt().is_some()), now);
                self.office.take_login(id, record, client, true, now);
            }
            Some(Some(request)) if self.takes_vouching => {
                self.office.clients.add_asked(id, asker(false), now);
                self.office.take(id, request, now);
            }
            // Nobody is who he is because a front says so.
            Some(_) => asker(false).say(b""),
        }
    }
}

/// The credentials that a question is about.
fn read(question: &Question) -> Option<(Record, Client)> {
    let mut reader = request::Reader::new();
    reader.push(&question.request).ok()?;
    let question = reader.next_question().ok()??;
    let Request::Auth(record) = question.request else { return None };
    Some((record, question.client))
}

fn watch(epoll: &OwnedFd, source: impl AsFd, token: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, source, EventData::new_u64(token), EventFlags::IN)?)
}

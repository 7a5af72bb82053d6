//! The monitor: births, tickets, descriptors, reaping. One thread; root, where
//! accounts have uids of their own. It looks at no octet of a client: what a
//! client has said behind its login passes through unread.
//!
//! ```text
//!   auth    ──Issued──> │         │ ──Guest──> mailbox processes, by uid and shard
//!   fronts  ──Shown───> │ monitor │ <──ended──
//!           <─Refused── │         │ ──Visitor─> proxy processes <──ended──
//! ```

mod admission;
mod certificates;
mod farewell;
mod files;
mod generation;
mod keyring;
mod office;
mod parts;
mod pause;
mod plan;
mod process;
mod proxies;
mod renewal;
mod requests;
mod sessions;
mod succession;
mod trial;

use std::hash::RandomState;
use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

pub(super) use self::certificates::try_out;
use self::farewell::Farewell;
pub(super) use self::files::{Beside, Certificate};
use self::generation::Generation;
pub(super) use self::keyring::Keeping;
use self::keyring::Keyring;
use self::office::Office;
use self::parts::{Lost, Parts};
use self::pause::Pause;
pub(super) use self::plan::{Environments, Isolation, Plan};
use self::process::{Role, Token};
pub(super) use self::proxies::Proxy;
use self::sessions::Sessions;
pub(super) use self::succession::Heir;
use self::succession::{PREDECESSOR, SUCCESSOR, Succession};
use self::trial::Trial;
use super::fields::Malformed;
use super::guest;
use super::manager::{Manager, State};
use super::report::Report;
use super::sockets::Sockets;
use super::succession::{Inheritance, Predecessor};
use super::ticket::{Issued, Shown};
use super::tickets::Tickets;
use super::wire::Received;
use crate::log;

/// A mailbox process without sessions ends after this.
const IDLE: Duration = Duration::from_secs(60);
/// Most mailbox processes.
const MOST_MAILBOXES: usize = 512;

/// Most messages of one auth that are taken in passing.
const MOST_AT_ONCE: usize = 4096;

const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// How often all processes are looked at; a little less than a tick.
const LOOK: Duration = Duration::from_millis(900);
const SIGNALS: Token = 0;

/// Reads the settings, with the listening sockets that are open already; or
/// says what is wrong with them.
pub(super) type Read = Box<dyn FnMut(Sockets) -> Result<Plan, String>>;

/// The monitor at work.
pub(crate) struct Monitor {
    read: Read,
    signals: SignalFd,
    parts: Parts,
    tickets: Tickets,
    keyring: Keyring,
    sessions: Sessions,
    hasher: RandomState,
    last_session: u64,
    last_generation: u64,
    /// The settings in force, as soon as there are any.
    serving: Option<Generation>,
    trial: Option<Trial>,
    /// When to see to everything again (see [`go_on`](Monitor::go_on)).
    look_at: Instant,
    /// Somebody wants the settings to be read again.
    wants_reload: bool,
    /// The last new settings since then that could not be had, when and why.
    refused: Option<(Instant, String)>,
    pauses: Pauses,
    office: Office,
    started: Instant,
    /// How another monitor is started; none follows a demonstration.
    heir: Option<Heir>,
    succession: Option<Succession>,
    predecessor: Option<Predecessor>,
    /// What the one before has listened at, until the settings are read.
    inherited: Sockets,
    farewell: Option<Farewell>,
    manager: Manager,
    /// When the manager is to hear of us again.
    beats_at: Instant,
}

/// When what has ended is started again.
#[derive(Default)]
struct Pauses {
    auth: Pause,
    front: Pause,
    proxy: Pause,
}

impl Monitor {
    /// A monitor of what `read` says, which is asked for the first time now. It has
    /// this `inheritance`, and may be followed by its `heir`.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn new(read: Read, inheritance: Inheritance, heir: Option<Heir>) -> Result<Monitor, String> {
        let (signals, epoll) = senses().map_err(|error| reason(&error))?;
        let sessions = Sessions::new().map_err(|error| reason(&error))?;
        let mut monitor = Monitor {
            read,
            signals,
            parts: Parts::new(epoll, SIGNALS),
            tickets: Tickets::default(),
            keyring: Keyring::default(),
            sessions,
            hasher: RandomState::new(),
            last_session: 0,
            last_generation: 0,
            serving: None,
            trial: None,
            look_at: Instant::now(),
            wants_reload: false,
            refused: None,
            pauses: Pauses::default(),
            office: Office::new(inheritance.door),
            started: Instant::now(),
            heir,
            succession: None,
            predecessor: inheritance.predecessor,
            inherited: inheritance.open,
            farewell: None,
            manager: Manager::from_environment(),
            beats_at: Instant::now(),
        };
        monitor.watch_predecessor().map_err(|error| reason(&error))?;
        monitor.begin_trial()?;
        Ok(monitor)
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// Why nobody can be served, or the loop itself cannot go on.
    pub(crate) fn run(mut self) -> Result<(), String> {
        loop {
            self.hear_all().map_err(|error| reason(&error))?;
            match self.farewell {
                Some(farewell) => {
                    if self.go_on_leaving(farewell) {
                        return Ok(());
                    }
                }
                None => {
                    self.go_on()?;
                    self.show_life();
                }
            }
        }
    }

    /// Waits until there is something to hear, at most a tick, and hears it.
    fn hear_all(&mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(64);
        match epoll::wait(&self.parts, rustix::buffer::spare_capacity(&mut events), Some(&self.pause())) {
            Ok(_) | Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        for event in &events {
            match event.data.u64() {
                SIGNALS => self.take_signals()?,
                SUCCESSOR => self.hear_successor(),
                PREDECESSOR => self.hear_predecessor(),
                token if token >= office::FIRST => self.attend(token),
                token => self.hear(token),
            }
        }
        self.office.send_away_the_slow();
        Ok(())
    }

    /// How long to wait at the most.
    fn pause(&self) -> Timespec {
        let Some(_) = self.manager.beat else { return TICK };
        let left = self.beats_at.saturating_duration_since(Instant::now());
        match left.is_zero() || left >= Duration::from_secs(1) {
            true => TICK,
            false => Timespec { tv_sec: 0, tv_nsec: left.subsec_nanos().into() },
        }
    }

    /// Lets the manager know that all is well, if all processes have answered since the
    /// last time. If not, it hears nothing, and restarts the service.
    fn show_life(&mut self) {
        let (Some(beat), now) = (self.manager.beat, Instant::now()) else { return };
        if self.serving.is_none() || self.beats_at > now {
            return;
        }
        self.hear_auths();
        if self.parts.have_answered() {
            self.manager.tell(State::Alive);
            self.parts.ask_all();
            self.beats_at = now + beat;
        }
    }

    /// Does what time asks for, each tick and where a process has come or gone: a
    /// login alone is no occasion to look at all of them.
    ///
    /// # Errors
    /// Nobody is served, and why.
    fn go_on(&mut self) -> Result<(), String> {
        let now = Instant::now();
        if now < self.look_at {
            return Ok(());
        }
        self.look_at = now + LOOK;
        self.hear_auths();
        self.lose_the_late();
        let _somebody_is_here = self.parts.reap();
        self.judge_trial()?;
        self.see_to_succession();
        if self.wants_reload && self.trial.is_none() && self.succession.is_none() {
            self.wants_reload = false;
            self.begin_trial()?;
        }
        self.sessions.forget_the_gone(&mut self.parts);
        self.turn_ticket_keys();
        self.renew_certificates();
        self.fill();
        self.parts.retire_idle(IDLE);
        let wanted = [self.serving.as_ref().map(|one| one.number), self.trial.as_ref().map(Trial::number)];
        self.parts.dismiss_unneeded(&wanted.into_iter().flatten().collect::<Vec<_>>());
        Ok(())
    }

    /// Starts what is missing, not too soon after one has ended.
    fn fill(&mut self) {
        let Some(serving) = &self.serving else { return };
        let (now, parts) = (Instant::now(), &mut self.parts);
        if serving.auth(parts).is_none() && self.pauses.auth.is_over(now) {
            let started = serving.start_auth(parts);
            not_started(&mut self.pauses.auth, started, now);
        }
        if self.pauses.proxy.is_over(now) {
            let started = serving.start_proxies(parts);
            not_started(&mut self.pauses.proxy, started, now);
        }
        if parts.of(&Role::Front, serving.number).len() < serving.plan.fronts
            && self.pauses.front.is_over(now)
        {
            let started = serving.start_front(parts, &mut self.sessions);
            not_started(&mut self.pauses.front, started, now);
        }
    }

    fn hear(&mut self, token: Token) {
        self.parts.flush(token);
        // If there is another message, epoll_wait(2) says so at once, which costs no
        // more than to ask whether there is.
        self.hear_one(token);
    }

    /// Takes what auths have said without waking us.
    fn hear_auths(&mut self) {
        for auth in self.parts.all_of(&Role::Auth) {
            let _all_or_many = (0..MOST_AT_ONCE).take_while(|_| self.hear_one(auth)).count();
        }
    }

    /// Takes one message; whether there may be another.
    fn hear_one(&mut self, token: Token) -> bool {
        let Some(role) = self.parts.role(token) else { return false };
        let received = match self.parts.receive(token) {
            Ok(Some(received)) => received,
            Ok(None) => return false,
            Err(error) => {
                match error.kind() {
                    io::ErrorKind::UnexpectedEof if self.parts.is_leaving(token) => {
                        self.look_soon();
                        self.sessions.end_all(token);
                        self.parts.dismiss(token);
                    }
                    io::ErrorKind::UnexpectedEof => self.lose(token, "it has ended"),
                    _ => self.lose(token, &reason(&error)),
                }
                return false;
            }
        };
        let understood = self.understand(token, &role, received);
        if let Err(malformed) = understood {
            self.lose(token, &malformed.to_string());
        }
        understood.is_ok()
    }

    fn understand(&mut self, token: Token, role: &Role, received: Received) -> Result<(), Malformed> {
        let Received { message, descriptor } = received;
        match role {
            Role::Mailbox(_) => self.session_ended(token, &message)?,
            Role::Auth | Role::Front | Role::Proxy => match (Report::decode(&message)?, role) {
                (Some(Report::Alive(ping)), _) => self.has_answered(token, role, ping),
                (Some(Report::Leaves(reason)), Role::Proxy) => self.replace_proxy(token, &reason),
                (Some(Report::Cannot(reason) | Report::Leaves(reason)), _) => self.lose(token, &reason),
                (None, Role::Auth) => self.tickets.add(Issued::decode(&message)?, Instant::now()),
                (None, Role::Proxy) => self.session_ended(token, &message)?,
                (None, _) => self.admit(token, Shown::decode(&message)?, descriptor),
            },
        }
        Ok(())
    }

    /// A mailbox or proxy process has one session less.
    fn session_ended(&mut self, token: Token, message: &[u8]) -> Result<(), Malformed> {
        self.sessions.end(guest::decode_ended(message)?, token);
        self.parts.session_ended(token);
        Ok(())
    }

    /// A process is ready. Where it is one more of those that serve, it serves.
    fn has_answered(&mut self, token: Token, role: &Role, ping: u64) {
        if !self.parts.has_answered(token, ping) {
            return;
        }
        self.look_soon();
        if *role != Role::Front {
            return;
        }
        self.give_ticket_keys(token);
        let Some(serving) = &self.serving else { return };
        if self.parts.of(role, serving.number).contains(&token)
            && let Err(error) = serving.open(&mut self.parts, token)
        {
            self.lose(token, &reason(&error));
        }
    }

    /// A process has gone, or is not to be believed any more.
    fn lose(&mut self, token: Token, why: &str) {
        self.look_soon();
        self.sessions.end_all(token);
        let Some(Lost { role, generation, lived }) = self.parts.lose(token) else { return };
        let name = role.name();
        if let Some(trial) = self.trial.as_mut().filter(|trial| trial.number() == generation) {
            return trial.fail(format!("{name}: {why}"));
        }
        let serves = self.serving.as_ref().is_some_and(|serving| serving.number == generation);
        let pause = match role {
            Role::Auth if serves => &mut self.pauses.auth,
            Role::Front if serves => &mut self.pauses.front,
            Role::Proxy if serves => &mut self.pauses.proxy,
            _ => return log::error(&format_args!("{name} is gone: {why}")),
        };
        let pause = pause.ended(lived, Instant::now()).as_secs();
        log::error(&format_args!("{name} is gone: {why}; another one starts in {pause} s"));
    }

    /// Whoever cannot say in time that it is ready cannot serve.
    fn lose_the_late(&mut self) {
        let plan =
            self.trial.as_ref().map(Trial::plan).or(self.serving.as_ref().map(|serving| &serving.plan));
        let Some(patience) = plan.map(|plan| plan.patience) else { return };
        for token in self.parts.late(patience) {
            self.lose(token, &format!("it is not ready after {} s", patience.as_secs()));
        }
    }

    /// Something is to be done that does not wait for the next tick.
    fn look_soon(&mut self) {
        self.look_at = Instant::now();
    }

    fn take_signals(&mut self) -> io::Result<()> {
        self.look_soon();
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                // Whose wire is closed is seen there; who has left is noted each time.
                Some(Signal::SIGCHLD) => {}
                // A demonstration ends with its terminal.
                Some(Signal::SIGHUP) if self.heir.is_some() => self.wants_reload = true,
                _ => match self.farewell {
                    None | Some(Farewell::Succeeded) => self.begin_farewell(),
                    Some(_) => self.parts.end_all(),
                },
            }
        }
        Ok(())
    }
}

/// What the monitor hears with: its signals, and where it waits.
fn senses() -> io::Result<(SignalFd, OwnedFd)> {
    let mask: SigSet =
        [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
    mask.thread_block()?;
    let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
    let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
    epoll::add(&epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)?;
    Ok((signals, epoll))
}

fn not_started(pause: &mut Pause, started: io::Result<()>, now: Instant) {
    if let Err(error) = started {
        let pause = pause.ended(Duration::ZERO, now).as_secs();
        log::error(&format_args!("a process could not be started: {}; again in {pause} s", reason(&error)));
    }
}

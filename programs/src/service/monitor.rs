//! The monitor: births, tickets, descriptors, reaping. One thread; root, where
//! accounts have uids of their own. It looks at no octet of a client: what a
//! client has said behind its login passes through unread.
//!
//! ```text
//!   auth    ──Issued──> │         │ ──Guest──> mailbox processes, by uid and shard
//!   fronts  ──Shown───> │ monitor │ <──ended──
//!           <─Admission │         │
//! ```

use std::collections::HashMap;
use std::ffi::OsString;
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::io;
use std::net::TcpListener;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::fields::Writer;
use super::guest::{self, Guest};
use super::part::Part;
use super::ticket::{Admission, Holder, Issued, Shown};
use super::tickets::Tickets;
use super::wire::{Received, Wire};
use crate::log;

/// A listening socket is for a front, and whether clients begin with TLS there.
pub(super) const LISTENER: u8 = b'L';
/// A wire is for asking auth, or for being asked by a front.
pub(super) const WIRE: u8 = b'W';
/// A file with a certificate chain is for a front.
pub(super) const CERTIFICATE: u8 = b'C';
/// The file with the key of the certificate that came before.
pub(super) const KEY: u8 = b'K';

/// A process that keeps ending is not started more often than this.
const PAUSE: Duration = Duration::from_secs(1);
/// A mailbox process without sessions ends after this.
const IDLE: Duration = Duration::from_secs(60);
/// Most mailbox processes.
const MOST_MAILBOXES: usize = 512;
/// How long sessions may go on after SIGTERM.
const FAREWELL: Duration = Duration::from_secs(10);

const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
const SIGNALS: u64 = 0;

/// What the service is to be.
pub(crate) struct Plan {
    /// Where the programs are.
    pub(crate) programs: PathBuf,
    /// How many fronts.
    pub(crate) fronts: usize,
    /// Over how many processes the accounts of a uid are spread.
    pub(crate) shards: u64,
    /// The listening sockets.
    pub(crate) listeners: Vec<Listener>,
    /// The certificate of TLS, if it is spoken.
    pub(crate) certificate: Option<Certificate>,
    /// The Maildir of accounts that have none of their own.
    pub(crate) maildir: PathBuf,
    /// What the processes find in their environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// A listening socket.
pub(crate) struct Listener {
    /// The socket, which never blocks.
    pub(crate) socket: TcpListener,
    /// Clients begin with TLS there.
    pub(crate) implicit_tls: bool,
}

/// Where the certificate of TLS is, and its key. Nobody here reads them: the
/// files are opened for the fronts, which may not, and anew for each, so that a
/// renewed one comes to the next front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The certificate chain, in PEM.
    pub(crate) chain: PathBuf,
    /// The private key, in PEM; it may be in the same file.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Both files.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn open(&self) -> Result<[OwnedFd; 2], String> {
        let open = |path: &Path| {
            let file = File::open(path).map_err(|error| format!("{}: {}", path.display(), reason(&error)));
            file.map(OwnedFd::from)
        };
        Ok([open(&self.chain)?, open(&self.key)?])
    }
}

/// Names a process for as long as the service lives.
type Token = u64;

/// Which mailbox process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    uid: u32,
    gid: u32,
    groups: Vec<u32>,
    shard: u64,
}

/// What a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Role {
    Auth,
    Front,
    Mailbox(Key),
}

struct Process {
    role: Role,
    part: Part,
    /// Sessions that it has; only a mailbox process has any.
    sessions: usize,
    /// Since when it has none.
    idle_since: Instant,
}

/// The monitor at work.
pub(crate) struct Monitor {
    plan: Plan,
    epoll: OwnedFd,
    signals: SignalFd,
    processes: HashMap<Token, Process>,
    mailboxes: HashMap<Key, Token>,
    /// Processes whose wire is closed.
    leaving: Vec<Child>,
    tickets: Tickets,
    hasher: RandomState,
    last_token: Token,
    last_session: u64,
    not_before: Option<Instant>,
}

impl Monitor {
    /// Starts auth and the fronts.
    ///
    /// # Errors
    /// What the system reports.
    pub(crate) fn new(plan: Plan) -> io::Result<Monitor> {
        let mask: SigSet =
            [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        epoll::add(&epoll, &signals, EventData::new_u64(SIGNALS), EventFlags::IN)?;
        let mut monitor = Monitor {
            plan,
            epoll,
            signals,
            processes: HashMap::new(),
            mailboxes: HashMap::new(),
            leaving: Vec::new(),
            tickets: Tickets::default(),
            hasher: RandomState::new(),
            last_token: SIGNALS,
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
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
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
            self.retire_idle();
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
        if self.auth().is_none() {
            // Fronts have wires to the one that has gone.
            self.dismiss_all(&Role::Front);
            self.start(Role::Auth, "postrider-auth", &[])?;
        }
        for _ in self.count(&Role::Front)..self.plan.fronts {
            self.start_front()?;
        }
        Ok(())
    }

    fn start_front(&mut self) -> io::Result<()> {
        let certificate = self.plan.certificate.as_ref().map(Certificate::open).transpose();
        let certificate = certificate.map_err(io::Error::other)?;
        let (fronts_end, auths_end) = Wire::pair()?;
        let token = self.start(Role::Front, "postrider-front", &front_ids()?)?;
        let wire = |token| Writer::new(WIRE).number(token).message();
        if let Some(auth) = self.auth() {
            self.send(auth, wire(token), Some(auths_end.into_descriptor()));
        }
        self.send(token, wire(token), Some(fronts_end.into_descriptor()));
        if let Some([chain, key]) = certificate {
            self.send(token, Writer::new(CERTIFICATE).message(), Some(chain));
            self.send(token, Writer::new(KEY).message(), Some(key));
        }
        for listener in 0..self.plan.listeners.len() {
            let Listener { socket, implicit_tls } = &self.plan.listeners[listener];
            let message = Writer::new(LISTENER).number(u64::from(*implicit_tls)).message();
            let socket = socket.try_clone()?;
            self.send(token, message, Some(socket.into()));
        }
        Ok(())
    }

    fn start(&mut self, role: Role, program: &str, words: &[String]) -> io::Result<Token> {
        let part = Part::start(&self.plan.programs.join(program), words, &self.plan.environment)?;
        self.last_token += 1;
        epoll::add(&self.epoll, part.wire(), EventData::new_u64(self.last_token), EventFlags::IN)?;
        let process = Process { role, part, sessions: 0, idle_since: Instant::now() };
        self.processes.insert(self.last_token, process);
        Ok(self.last_token)
    }

    fn auth(&self) -> Option<Token> {
        self.processes.iter().find(|(_, process)| process.role == Role::Auth).map(|(token, _)| *token)
    }

    fn count(&self, role: &Role) -> usize {
        self.processes.values().filter(|process| process.role == *role).count()
    }

    /// Sends to a process; whether it will get it.
    fn send(
        &mut self,
        token: Token,
        message: zeroize::Zeroizing<Vec<u8>>,
        descriptor: Option<OwnedFd>,
    ) -> bool {
        let Some(process) = self.processes.get_mut(&token) else { return false };
        let sent = process.part.send(message, descriptor);
        self.watch(token, sent != Ok(false));
        sent.is_ok()
    }

    /// Waits for a process to speak, and if something waits for it also for room.
    fn watch(&self, token: Token, has_all: bool) {
        let Some(process) = self.processes.get(&token) else { return };
        let events = if has_all { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
        let data = EventData::new_u64(token);
        if let Err(error) = epoll::modify(&self.epoll, process.part.wire(), data, events) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
        }
    }

    fn hear(&mut self, token: Token) {
        let Some(process) = self.processes.get_mut(&token) else { return };
        let has_all = process.part.flush();
        self.watch(token, has_all);
        while self.hear_one(token) {}
    }

    /// Takes one message; whether there may be another.
    fn hear_one(&mut self, token: Token) -> bool {
        let Some(process) = self.processes.get(&token) else { return false };
        let (role, received) = (process.role.clone(), process.part.receive());
        let Received { message, descriptor } = match received {
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
            Role::Mailbox(_) => guest::decode_ended(&message).map(|_| self.session_ended(token)),
        };
        if let Err(malformed) = understood {
            self.lose(token, &io::Error::other(malformed));
        }
        understood.is_ok()
    }

    /// A process has gone, or is not to be believed any more.
    fn lose(&mut self, token: Token, error: &io::Error) {
        let Some(process) = self.processes.remove(&token) else { return };
        let name = match &process.role {
            Role::Auth => "auth".to_owned(),
            Role::Front => "a front".to_owned(),
            Role::Mailbox(key) => {
                self.mailboxes.remove(key);
                format!("a mailbox process of uid {}", key.uid)
            }
        };
        log::error(&format_args!("{name} is gone: {}", reason(error)));
        self.not_before = Some(Instant::now() + PAUSE);
        self.leaving.push(process.part.end());
    }

    /// A front shows a ticket.
    fn admit(&mut self, front: Token, shown: Shown, descriptor: Option<OwnedFd>) {
        let connection = shown.connection;
        // auth has told us of the ticket before it told the front: it is in the wire.
        if let Some(auth) = self.auth() {
            while self.hear_one(auth) {}
        }
        let holder = self.tickets.spend(&shown.ticket, front, Instant::now());
        let admission = match (holder, descriptor) {
            (Some(holder), Some(descriptor)) => self.hand_over(holder, shown, descriptor),
            _ => {
                log::error(&"a front has shown a ticket that is none");
                Admission::Unavailable
            }
        };
        self.send(front, admission.encode(connection), None);
    }

    /// Hands a client to the mailbox process of its account.
    fn hand_over(&mut self, holder: Holder, shown: Shown, descriptor: OwnedFd) -> Admission {
        let shard = self.hasher.hash_one(&holder.address) % self.plan.shards.max(1);
        let Holder { uid, gid, groups, address, home, maildir, options } = holder;
        let token = match self.mailbox(Key { uid, gid, groups, shard }) {
            Ok(token) => token,
            Err(why) => {
                log::error(&format_args!("uid {uid}: {why}"));
                return Admission::Unavailable;
            }
        };
        self.last_session += 1;
        let guest = Guest {
            number: self.last_session,
            address,
            home,
            maildir: maildir.unwrap_or_else(|| self.plan.maildir.clone()),
            options,
            origin: shown.origin,
            utf8: shown.utf8,
            arrived: shown.arrived,
        };
        if !self.send(token, guest.encode(), Some(descriptor)) {
            log::error(&format_args!("uid {uid}: its mailbox process has too much to do"));
            return Admission::Unavailable;
        }
        if let Some(process) = self.processes.get_mut(&token) {
            process.sessions += 1;
        }
        Admission::Granted
    }

    /// The process of `key`, started if need be.
    fn mailbox(&mut self, key: Key) -> Result<Token, String> {
        if let Some(token) = self.mailboxes.get(&key) {
            return Ok(*token);
        }
        if !system::user::is_root() && system::user::own_ids() != (key.uid, key.gid) {
            return Err("only root can serve accounts of others".to_owned());
        }
        if self.mailboxes.len() >= MOST_MAILBOXES && !self.retire_one() {
            return Err(format!("{MOST_MAILBOXES} mailbox processes have sessions"));
        }
        let ids = [key.uid, key.gid].into_iter().chain(key.groups.iter().copied());
        let words: Vec<String> = ids.map(|id| id.to_string()).collect();
        let started = self.start(Role::Mailbox(key.clone()), "postrider-mailbox", &words);
        let token = started.map_err(|error| reason(&error))?;
        self.mailboxes.insert(key, token);
        Ok(token)
    }

    fn session_ended(&mut self, token: Token) {
        if let Some(process) = self.processes.get_mut(&token) {
            process.sessions = process.sessions.saturating_sub(1);
            process.idle_since = Instant::now();
        }
    }

    /// Lets mailbox processes go that nobody has needed for a while.
    fn retire_idle(&mut self) {
        let is_idle = |process: &Process| {
            matches!(process.role, Role::Mailbox(_))
                && process.sessions == 0
                && process.idle_since.elapsed() >= IDLE
        };
        let idle: Vec<Token> = self.processes.iter().filter(|(_, p)| is_idle(p)).map(|(t, _)| *t).collect();
        idle.into_iter().for_each(|token| self.dismiss(token));
    }

    /// Lets the mailbox process go that has had no session for the longest
    /// time; whether there was one.
    fn retire_one(&mut self) -> bool {
        let idle = self
            .processes
            .iter()
            .filter(|(_, process)| matches!(process.role, Role::Mailbox(_)) && process.sessions == 0);
        let Some(token) = idle.min_by_key(|(_, process)| process.idle_since).map(|(token, _)| *token) else {
            return false;
        };
        self.dismiss(token);
        true
    }

    /// Closes a process's wire: it ends when it has nothing left to do.
    fn dismiss(&mut self, token: Token) {
        if let Some(process) = self.processes.remove(&token) {
            if let Role::Mailbox(key) = &process.role {
                self.mailboxes.remove(key);
            }
            self.leaving.push(process.part.dismiss());
        }
    }

    fn dismiss_all(&mut self, role: &Role) {
        let tokens: Vec<Token> = self
            .processes
            .iter()
            .filter(|(_, process)| process.role == *role)
            .map(|(token, _)| *token)
            .collect();
        tokens.into_iter().for_each(|token| self.dismiss(token));
    }

    /// Whether it is time to end.
    fn take_signals(&mut self) -> io::Result<bool> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                // Whose wire is closed is seen there; here are those that have left.
                Some(Signal::SIGCHLD) => {
                    self.leaving.retain_mut(|child| matches!(child.try_wait(), Ok(None)))
                }
                Some(Signal::SIGHUP) => {}
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Nobody comes any more; who is here may say QUIT.
    fn farewell(&mut self) {
        self.plan.listeners.clear();
        let tokens: Vec<Token> = self.processes.keys().copied().collect();
        tokens.into_iter().for_each(|token| self.dismiss(token));
        let end = Instant::now() + FAREWELL;
        while !self.leaving.is_empty() && Instant::now() < end {
            self.leaving.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
            std::thread::sleep(Duration::from_millis(20));
        }
        for child in &mut self.leaving {
            let _it_has_ended = child.kill();
            let _it_was_killed = child.wait();
        }
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

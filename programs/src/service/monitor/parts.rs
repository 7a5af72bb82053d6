//! The processes that the monitor has started, and who of them is what.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::PathBuf;
use std::process::Child;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::birth;
use super::super::order::Order;
use super::super::part::Part;
use super::super::wire::Received;
use super::plan::Environments;
use crate::log;

/// Names a process for as long as the service lives.
pub(super) type Token = u64;

/// Which mailbox process.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) uid: u32,
    pub(super) gid: u32,
    pub(super) groups: Vec<u32>,
    pub(super) shard: u64,
    /// The one Maildir that it may touch, where each account has a process.
    pub(super) maildir: Option<PathBuf>,
}

/// What a process is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Role {
    Auth,
    Front,
    Mailbox(Key),
}

impl Role {
    fn is_mailbox(&self) -> bool {
        matches!(self, Role::Mailbox(_))
    }

    /// As the log shows it.
    fn name(&self) -> String {
        match self {
            Role::Auth => "auth".to_owned(),
            Role::Front => "a front".to_owned(),
            Role::Mailbox(key) => format!("a mailbox process of uid {}", key.uid),
        }
    }
}

struct Process {
    role: Role,
    part: Part,
    /// Whether we wait for room there, besides for what it says.
    waits_for_room: bool,
    /// Sessions that it has; only a mailbox process has any.
    sessions: usize,
    /// Since when it has none.
    idle_since: Instant,
}

/// The processes.
pub(super) struct Parts {
    /// Where all of them are heard.
    epoll: OwnedFd,
    programs: PathBuf,
    environments: Environments,
    all: HashMap<Token, Process>,
    mailboxes: HashMap<Key, Token>,
    /// Processes whose wire is closed.
    leaving: Vec<Child>,
    last_token: Token,
}

impl Parts {
    /// None yet. Their programs are in `programs`, their tokens larger than
    /// `reserved`.
    pub(super) fn new(
        epoll: OwnedFd,
        programs: PathBuf,
        environments: Environments,
        reserved: Token,
    ) -> Parts {
        let (all, mailboxes, leaving) = (HashMap::new(), HashMap::new(), Vec::new());
        Parts { epoll, programs, environments, all, mailboxes, leaving, last_token: reserved }
    }

    /// Starts `program` with `words`.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start(&mut self, role: Role, program: &str, words: &[String]) -> io::Result<Token> {
        let mut environment = match role {
            Role::Front => self.environments.front.clone(),
            Role::Auth => self.environments.auth.clone(),
            Role::Mailbox(_) => self.environments.mailbox.clone(),
        };
        if let Role::Mailbox(Key { maildir: Some(maildir), .. }) = &role {
            environment.push((birth::MAILDIR.into(), maildir.into()));
        }
        let part = Part::start(&self.programs.join(program), words, &environment)?;
        self.last_token += 1;
        epoll::add(&self.epoll, part.wire(), EventData::new_u64(self.last_token), EventFlags::IN)?;
        if let Role::Mailbox(key) = &role {
            self.mailboxes.insert(key.clone(), self.last_token);
        }
        let process = Process { role, part, waits_for_room: false, sessions: 0, idle_since: Instant::now() };
        self.all.insert(self.last_token, process);
        Ok(self.last_token)
    }

    /// What `token` is.
    pub(super) fn role(&self, token: Token) -> Option<Role> {
        self.all.get(&token).map(|process| process.role.clone())
    }

    /// auth, if it is there.
    pub(super) fn auth(&self) -> Option<Token> {
        self.tokens(|process| process.role == Role::Auth).first().copied()
    }

    /// The fronts.
    pub(super) fn fronts(&self) -> Vec<Token> {
        self.tokens(|process| process.role == Role::Front)
    }

    /// The mailbox process of `key`, if it is there.
    pub(super) fn mailbox(&self, key: &Key) -> Option<Token> {
        self.mailboxes.get(key).copied()
    }

    /// How many mailbox processes there are.
    pub(super) fn mailboxes(&self) -> usize {
        self.mailboxes.len()
    }

    /// All of them.
    pub(super) fn everybody(&self) -> Vec<Token> {
        self.all.keys().copied().collect()
    }

    fn tokens(&self, is_meant: impl Fn(&Process) -> bool) -> Vec<Token> {
        self.all.iter().filter(|(_, process)| is_meant(process)).map(|(token, _)| *token).collect()
    }

    /// Gives a process an order; whether it will get it.
    pub(super) fn order(&mut self, token: Token, order: Order) -> bool {
        let (message, descriptor) = order.encode();
        self.send(token, message, descriptor)
    }

    /// Sends to a process; whether it will get it.
    pub(super) fn send(
        &mut self,
        token: Token,
        message: zeroize::Zeroizing<Vec<u8>>,
        descriptor: Option<OwnedFd>,
    ) -> bool {
        let Some(process) = self.all.get_mut(&token) else { return false };
        let sent = process.part.send(message, descriptor);
        self.watch(token, sent != Ok(false));
        sent.is_ok()
    }

    /// Sends what has waited for room at a process.
    pub(super) fn flush(&mut self, token: Token) {
        let Some(process) = self.all.get_mut(&token) else { return };
        let has_all = process.part.flush();
        self.watch(token, has_all);
    }

    /// Waits for a process to speak, and if something waits for it also for room.
    /// The kernel is told where that changes: this is on the way of each login.
    fn watch(&mut self, token: Token, has_all: bool) {
        let Some(process) = self.all.get_mut(&token) else { return };
        let for_room = !has_all;
        if std::mem::replace(&mut process.waits_for_room, for_room) == for_room {
            return;
        }
        let events = if has_all { EventFlags::IN } else { EventFlags::IN | EventFlags::OUT };
        let data = EventData::new_u64(token);
        if let Err(error) = epoll::modify(&self.epoll, process.part.wire(), data, events) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
        }
    }

    /// What a process says next, if it says something.
    ///
    /// # Errors
    /// It has gone, or talks nonsense.
    pub(super) fn receive(&self, token: Token) -> io::Result<Option<Received>> {
        self.all.get(&token).map_or(Ok(None), |process| process.part.receive())
    }

    /// A mailbox process gets one more session.
    pub(super) fn session_begins(&mut self, token: Token) {
        if let Some(process) = self.all.get_mut(&token) {
            process.sessions += 1;
        }
    }

    /// One of its sessions is over.
    pub(super) fn session_ended(&mut self, token: Token) {
        if let Some(process) = self.all.get_mut(&token) {
            process.sessions = process.sessions.saturating_sub(1);
            process.idle_since = Instant::now();
        }
    }

    /// Lets mailbox processes go that nobody has needed for `idle`.
    pub(super) fn retire_idle(&mut self, idle: Duration) {
        let is_idle = |process: &Process| {
            process.role.is_mailbox() && process.sessions == 0 && process.idle_since.elapsed() >= idle
        };
        self.tokens(is_idle).into_iter().for_each(|token| self.dismiss(token));
    }

    /// Lets the mailbox process go that has had no session for the longest
    /// time; whether there was one.
    pub(super) fn retire_one(&mut self) -> bool {
        let idle = self.all.iter().filter(|(_, process)| process.role.is_mailbox() && process.sessions == 0);
        let Some(token) = idle.min_by_key(|(_, process)| process.idle_since).map(|(token, _)| *token) else {
            return false;
        };
        self.dismiss(token);
        true
    }

    /// A process has gone, or is not to be believed any more.
    pub(super) fn lose(&mut self, token: Token, error: &io::Error) {
        if let Some(process) = self.forget(token) {
            log::error(&format_args!("{} is gone: {}", process.role.name(), reason(error)));
            self.leaving.push(process.part.end());
        }
    }

    /// Closes a process's wire: it ends when it has nothing left to do.
    pub(super) fn dismiss(&mut self, token: Token) {
        if let Some(process) = self.forget(token) {
            self.leaving.push(process.part.dismiss());
        }
    }

    fn forget(&mut self, token: Token) -> Option<Process> {
        let process = self.all.remove(&token)?;
        if let Role::Mailbox(key) = &process.role {
            self.mailboxes.remove(key);
        }
        Some(process)
    }

    /// Takes note of those that have left; whether all have that were to.
    pub(super) fn reap(&mut self) -> bool {
        self.leaving.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        self.leaving.is_empty()
    }

    /// Ends those that have not left.
    pub(super) fn end_leaving(&mut self) {
        for child in &mut self.leaving {
            let _it_has_ended = child.kill();
            let _it_was_killed = child.wait();
        }
    }
}

impl AsFd for Parts {
    fn as_fd(&self) -> std::os::fd::BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

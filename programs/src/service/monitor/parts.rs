//! The processes that the monitor has started, and who of them is what.

use std::collections::HashMap;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::birth;
use super::super::dismissal::Dismissal;
use super::super::order::{Order, Strangers};
use super::super::part::Part;
use super::super::wire::Received;
use super::plan::Plan;
use super::process::{Key, Process, Role, Stage, Token};

/// What is left of a process that has gone.
pub(super) struct Lost {
    pub(super) role: Role,
    pub(super) generation: u64,
    pub(super) lived: Duration,
}

/// How many processes there are of each role, and how many of all roles leave.
#[derive(Default)]
pub(super) struct Numbers {
    pub(super) auth: usize,
    pub(super) fronts: usize,
    pub(super) mailboxes: usize,
    pub(super) proxies: usize,
    pub(super) leaving: usize,
}

/// The processes.
pub(super) struct Parts {
    /// Where all of them are heard.
    epoll: OwnedFd,
    all: HashMap<Token, Process>,
    mailboxes: HashMap<Key, Token>,
    /// The auth of each generation.
    auths: HashMap<u64, Token>,
    /// Processes whose wire is closed.
    leaving: Vec<Child>,
    last_token: Token,
    last_ping: u64,
}

impl Parts {
    /// None yet. Their tokens are larger than `reserved`.
    pub(super) fn new(epoll: OwnedFd, reserved: Token) -> Parts {
        let (all, mailboxes, auths) = (HashMap::new(), HashMap::new(), HashMap::new());
        Parts { epoll, all, mailboxes, auths, leaving: Vec::new(), last_token: reserved, last_ping: 0 }
    }

    /// Starts `program` with `words`, one of the `generation` of `plan`.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start(
        &mut self,
        role: Role,
        generation: u64,
        plan: &Plan,
        program: &str,
        words: &[String],
    ) -> io::Result<Token> {
        let mut environment = match role {
            Role::Front => plan.environments.front.clone(),
            Role::Auth => plan.environments.auth.clone(),
            Role::Mailbox(_) => plan.environments.mailbox.clone(),
            Role::Proxy => plan.environments.proxy.clone(),
        };
        if let Role::Mailbox(Key { maildir: Some(maildir), .. }) = &role {
            environment.push((birth::MAILDIR.into(), maildir.into()));
        }
        let part = Part::start(&plan.programs.join(program), words, &environment)?;
        self.last_token += 1;
        epoll::add(&self.epoll, part.wire(), EventData::new_u64(self.last_token), EventFlags::IN)?;
        match &role {
            Role::Mailbox(key) => {
                self.mailboxes.insert(key.clone(), self.last_token);
            }
            Role::Auth => {
                self.auths.insert(generation, self.last_token);
            }
            Role::Front | Role::Proxy => {}
        }
        let now = Instant::now();
        let process = Process {
            role,
            generation,
            stage: Stage::Starting,
            part,
            waits_for_room: false,
            sessions: 0,
            asked: 0,
            answered: 0,
            started: now,
            idle_since: now,
        };
        self.all.insert(self.last_token, process);
        Ok(self.last_token)
    }

    /// What `token` is.
    pub(super) fn role(&self, token: Token) -> Option<Role> {
        self.all.get(&token).map(|process| process.role.clone())
    }

    /// Those of `generation` that are `role` and do not leave.
    pub(super) fn of(&self, role: &Role, generation: u64) -> Vec<Token> {
        self.tokens(|process| {
            process.role == *role && process.generation == generation && process.stage != Stage::Leaving
        })
    }

    /// All that are `role`, of whatever generation.
    pub(super) fn all_of(&self, role: &Role) -> Vec<Token> {
        self.tokens(|process| process.role == *role)
    }

    /// Ends all of `generation`.
    pub(super) fn end_generation(&mut self, generation: u64) {
        for token in self.tokens(|process| process.generation == generation) {
            self.lose(token);
        }
    }

    /// The auth of `generation`, if it is there.
    pub(super) fn auth(&self, generation: u64) -> Option<Token> {
        self.auths.get(&generation).copied()
    }

    /// The auth that the front `front` asks.
    pub(super) fn auth_of(&self, front: Token) -> Option<Token> {
        self.auth(self.all.get(&front)?.generation)
    }

    /// The mailbox process of `key`, if it is there.
    pub(super) fn mailbox(&self, key: &Key) -> Option<Token> {
        self.mailboxes.get(key).copied()
    }

    /// How many there are of each.
    pub(super) fn numbers(&self) -> Numbers {
        let mut numbers = Numbers { leaving: self.leaving.len(), ..Numbers::default() };
        for process in self.all.values() {
            *match (process.stage, &process.role) {
                (Stage::Leaving, _) => &mut numbers.leaving,
                (_, Role::Auth) => &mut numbers.auth,
                (_, Role::Front) => &mut numbers.fronts,
                (_, Role::Mailbox(_)) => &mut numbers.mailboxes,
                (_, Role::Proxy) => &mut numbers.proxies,
            } += 1;
        }
        numbers
    }

    /// How many mailbox processes there are.
    pub(super) fn mailboxes(&self) -> usize {
        self.mailboxes.len()
    }

    /// Asks all who are ready whether they are well.
    pub(super) fn ask_all(&mut self) {
        self.last_ping += 1;
        let ping = self.last_ping;
        for token in self.tokens(|process| process.stage == Stage::Ready && !process.role.is_mailbox()) {
            self.order(token, Order::Ping(ping));
            if let Some(process) = self.all.get_mut(&token) {
                process.asked = ping;
            }
        }
    }

    /// Whether all who were asked have answered, but for those who leave.
    pub(super) fn have_answered(&self) -> bool {
        self.all.values().all(|process| process.stage == Stage::Leaving || process.answered >= process.asked)
    }

    /// Asks a process to say that it is ready.
    pub(super) fn ping(&mut self, token: Token) {
        self.order(token, Order::Ping(0));
    }

    /// It has said so, to that ping; whether that is news.
    pub(super) fn has_answered(&mut self, token: Token, ping: u64) -> bool {
        let Some(process) = self.all.get_mut(&token) else { return false };
        process.answered = ping;
        let was_starting = process.stage == Stage::Starting;
        if was_starting {
            process.stage = Stage::Ready;
            process.tell(&self.epoll, token);
        }
        was_starting
    }

    /// Whether it has said so.
    pub(super) fn is_ready(&self, token: Token) -> bool {
        self.all.get(&token).is_some_and(|process| process.stage == Stage::Ready)
    }

    /// Whether it is to end by itself.
    pub(super) fn is_leaving(&self, token: Token) -> bool {
        self.all.get(&token).is_some_and(|process| process.stage == Stage::Leaving)
    }

    /// Those who should have said so within `patience`.
    pub(super) fn late(&self, patience: Duration) -> Vec<Token> {
        self.tokens(|process| {
            let is_late = process.stage == Stage::Starting && process.started.elapsed() >= patience;
            is_late && !process.role.is_mailbox()
        })
    }

    /// A front lets nobody else in, and ends by itself.
    pub(super) fn let_leave(&mut self, front: Token, strangers: Strangers) {
        self.order(front, Order::Leave(strangers));
        if let Some(process) = self.all.get_mut(&front) {
            process.stage = Stage::Leaving;
        }
    }

    /// Lets auth go where no front is left that could ask it, and the proxy
    /// processes that it sends sessions to, but for `wanted` generations.
    pub(super) fn dismiss_unneeded(&mut self, wanted: &[u64]) {
        let is_unneeded = |process: &Process| {
            let asks = |one: &Process| one.role == Role::Front && one.generation == process.generation;
            matches!(process.role, Role::Auth | Role::Proxy)
                && !wanted.contains(&process.generation)
                && !self.all.values().any(asks)
        };
        for token in self.tokens(is_unneeded) {
            match self.role(token) {
                Some(Role::Proxy) => {
                    self.retire(token);
                }
                _ => self.dismiss(token),
            }
        }
    }

    fn tokens(&self, is_meant: impl Fn(&Process) -> bool) -> Vec<Token> {
        self.all.iter().filter(|(_, process)| is_meant(process)).map(|(token, _)| *token).collect()
    }

    /// Gives a process an order; whether it will get it.
    pub(super) fn order(&mut self, token: Token, order: Order) -> bool {
        let (message, descriptor) = order.encode();
        self.send(token, message, descriptor)
    }

    /// Whether a process gets what it is sent.
    pub(super) fn takes_more(&self, token: Token) -> bool {
        self.all.get(&token).is_some_and(|process| process.part.takes_more())
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
        if std::mem::replace(&mut process.waits_for_room, for_room) != for_room {
            process.tell(&self.epoll, token);
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
            let is_mailbox = process.role.is_mailbox() && process.stage != Stage::Leaving;
            is_mailbox && process.sessions == 0 && process.idle_since.elapsed() >= idle
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

    /// A process has gone, or is not to be believed any more: it is ended.
    pub(super) fn lose(&mut self, token: Token) -> Option<Lost> {
        let Process { role, generation, part, started, .. } = self.forget(token)?;
        self.leaving.push(part.end());
        Some(Lost { role, generation, lived: started.elapsed() })
    }

    /// Mailbox processes get no more guests, and end when those they have are
    /// gone.
    pub(super) fn retire_mailboxes(&mut self) {
        for token in self.tokens(|process| process.role.is_mailbox()) {
            self.retire(token);
        }
        self.mailboxes.clear();
    }

    /// One that has sessions gets no more, and ends when those are gone; how long
    /// it has lived.
    pub(super) fn retire(&mut self, token: Token) -> Duration {
        if !self.is_leaving(token) {
            self.send(token, Dismissal::WhenEmpty.encode(), None);
        }
        let Some(process) = self.all.get_mut(&token) else { return Duration::ZERO };
        process.stage = Stage::Leaving;
        process.started.elapsed()
    }

    /// All sessions end now; in mailbox processes when the commands that they are
    /// at are done.
    pub(super) fn end_sessions(&mut self) {
        for token in self.tokens(|process| process.role.has_sessions()) {
            self.send(token, Dismissal::Now.encode(), None);
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
        match &process.role {
            // Another one may serve the same accounts by now.
            Role::Mailbox(key) if self.mailboxes.get(key) == Some(&token) => {
                self.mailboxes.remove(key);
            }
            Role::Auth => self.auths.retain(|_, auth| *auth != token),
            Role::Mailbox(_) | Role::Front | Role::Proxy => {}
        }
        Some(process)
    }

    /// Somebody else's process has been ended.
    pub(super) fn bury(&mut self, child: Child) {
        self.leaving.push(child);
    }

    /// Takes note of those that have left; whether nobody is here.
    pub(super) fn reap(&mut self) -> bool {
        self.leaving.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
        self.leaving.is_empty() && self.all.is_empty()
    }

    /// Ends everybody.
    pub(super) fn end_all(&mut self) {
        self.all.keys().copied().collect::<Vec<_>>().into_iter().for_each(|token| drop(self.lose(token)));
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

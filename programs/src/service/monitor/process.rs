//! A process that the monitor has started: what it is, and how far.

use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::time::Instant;

use authlib::printable::reason;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::part::Part;
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
    Proxy,
    Mailbox(Key),
}

impl Role {
    pub(super) fn is_mailbox(&self) -> bool {
        matches!(self, Role::Mailbox(_))
    }

    pub(super) fn has_sessions(&self) -> bool {
        matches!(self, Role::Mailbox(_) | Role::Proxy)
    }

    /// As the log shows it.
    pub(super) fn name(&self) -> String {
        match self {
            Role::Auth => "auth".to_owned(),
            Role::Front => "a front".to_owned(),
            Role::Proxy => "a proxy process".to_owned(),
            Role::Mailbox(key) => format!("a mailbox process of uid {}", key.uid),
        }
    }
}

/// How far a process is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It has not said yet that it can serve.
    Starting,
    /// It serves.
    Ready,
    /// It finishes what it is at, and ends.
    Leaving,
}

/// A process, as the monitor knows it.
pub(super) struct Process {
    pub(super) role: Role,
    /// After which reading of the settings it was started.
    pub(super) generation: u64,
    pub(super) stage: Stage,
    pub(super) part: Part,
    /// Whether we wait for room there, besides for what it says.
    pub(super) waits_for_room: bool,
    /// Sessions that it has; only mailbox and proxy processes have any.
    pub(super) sessions: usize,
    /// The last ping that it was sent, and the last that it has answered.
    pub(super) asked: u64,
    pub(super) answered: u64,
    pub(super) started: Instant,
    /// Since when it has none.
    pub(super) idle_since: Instant,
}

impl Process {
    /// Tells the kernel for what to wake us. auth's tickets are read when somebody shows
    /// one, and each tick: as soon as it serves, only its end wakes us, of which the
    /// kernel tells in any case.
    pub(super) fn tell(&self, epoll: &OwnedFd, token: Token) {
        let for_words = !(self.role == Role::Auth && self.stage == Stage::Ready);
        let mut events = EventFlags::empty();
        events.set(EventFlags::IN, for_words);
        events.set(EventFlags::OUT, self.waits_for_room);
        if let Err(error) = epoll::modify(epoll, self.part.wire(), EventData::new_u64(token), events) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
        }
    }
}

//! A session as text: who says what, on which maildrop, and what is left on
//! disk afterwards.
//!
//! `dialogues/README.md` describes the form of the files; `parse` reads it,
//! `crate::play` plays it.

mod parse;

use crate::answer;
use crate::maildrop::{Change, Entry, Remains};
use crate::pattern::Pattern;

pub use parse::{all, read};

/// One file of `dialogues/`.
#[derive(Debug, Clone)]
pub struct Dialogue {
    /// The file's name without `.txt`.
    pub name: String,
    /// Where the dialogue begins.
    pub state: State,
    /// Drivers it is limited to; empty if it is not.
    pub only: Vec<Driver>,
    /// Whether it is the same inside TLS.
    pub tls: bool,
    /// Environment of the server, beyond what every driver sets.
    pub environment: Vec<(String, String)>,
    /// Fields of the account's userdb record, beyond what every account has.
    pub fields: Vec<String>,
    /// What lies in the Maildir before the session.
    pub maildrop: Vec<Entry>,
    /// The conversation.
    pub steps: Vec<Step>,
    /// Every ledger number that the file names.
    pub ledger: Vec<u16>,
}

/// What has been said already when a dialogue begins.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum State {
    /// Nothing: the first octet of the session belongs to the dialogue.
    Connection,
    /// The greeting.
    Authorization,
    /// The greeting and a successful login.
    Transaction,
}

/// The ways to run a dialogue.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Driver {
    /// Our protocol core alone, with an invented maildrop.
    Memory,
    /// Our `courierpop3d` on two pipes.
    Pipe,
    /// Our whole chain on a TCP connection.
    Tcp,
    /// The same with our authdaemond; only for dialogues that ask for it, the
    /// others are played so as well.
    Authdaemond,
    /// `postrider serve`.
    Service,
    /// Courier's programs, both ways.
    Courier,
}

/// Whose programs speak.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Side {
    /// postrider's.
    Ours,
    /// Courier's.
    Courier,
}

/// A step and the line of the file it stands on.
#[derive(Debug, Clone)]
pub struct Step {
    /// Line number, counted from 1.
    pub line: usize,
    /// What is done.
    pub act: Act,
}

/// What is done in a step.
#[derive(Debug, Clone)]
pub enum Act {
    /// The client sends these octets in one write.
    Send(Vec<u8>),
    /// The client answers the server's last line.
    Answer(answer::Answer),
    /// The client closes its sending side.
    Finish,
    /// Something else happens to the Maildir meanwhile.
    Meanwhile(Change),
    /// The server says something.
    Wire(Expected<Answer>),
    /// The disk holds something when the session is over.
    Disk(Expected<Remains>),
    /// The log holds a line that fits when the session is over.
    Log(Expected<Pattern>),
}

/// What postrider does, and what Courier does where it is not the same.
#[derive(Debug, Clone)]
pub struct Expected<T> {
    ours: Vec<T>,
    courier: Option<Vec<T>>,
}

/// One thing that a server says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answer {
    /// A line, its end included.
    Line(Pattern),
    /// Nothing more: it has closed the connection.
    Closed,
}

impl<T> Expected<T> {
    fn new(ours: Vec<T>) -> Self {
        Expected { ours, courier: None }
    }

    /// What `side` does.
    #[must_use]
    pub fn of(&self, side: Side) -> &[T] {
        match (side, &self.courier) {
            (Side::Courier, Some(different)) => different,
            _ => &self.ours,
        }
    }

    /// Whether the two sides differ here.
    #[must_use]
    pub fn differs(&self) -> bool {
        self.courier.is_some()
    }
}

impl Dialogue {
    /// Whether `driver` can play this.
    #[must_use]
    pub fn suits(&self, driver: Driver) -> bool {
        let allowed = self.only.is_empty() || self.only.contains(&driver);
        allowed
            && match driver {
                Driver::Memory => self.is_only_talk(),
                Driver::Pipe => self.state == State::Transaction && self.fields.is_empty(),
                Driver::Tcp | Driver::Service | Driver::Courier => true,
                Driver::Authdaemond => !self.only.is_empty(),
            }
    }

    /// The same conversation by a client that says everything in one packet and
    /// then listens: the answers must be the same (RFC 2449 section 6.6).
    /// `None` if something else happens in the middle of it, or the client must
    /// hear a challenge first.
    #[must_use]
    pub fn at_once(&self) -> Option<Dialogue> {
        let mut sent = Vec::new();
        let mut rest = Vec::new();
        for step in &self.steps {
            match &step.act {
                Act::Send(octets) => sent.extend_from_slice(octets),
                Act::Answer(_) | Act::Finish | Act::Meanwhile(_) => return None,
                Act::Wire(_) | Act::Disk(_) | Act::Log(_) => rest.push(step.clone()),
            }
        }
        rest.insert(0, Step { line: 1, act: Act::Send(sent) });
        Some(Dialogue { steps: rest, ..self.clone() })
    }

    /// Whether it needs neither a disk nor a process: only regular files
    /// below `new` and `cur`, nothing happening to them meanwhile.
    fn is_only_talk(&self) -> bool {
        self.environment.is_empty()
            && self.fields.is_empty()
            && self.maildrop.iter().all(Entry::is_plain_message)
            && !self.steps.iter().any(|step| matches!(step.act, Act::Meanwhile(_)))
    }
}

//! The sessions there are: how many of an account, and how many from where.

use std::collections::HashMap;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use super::super::counts::{self, Key, Place, Secret, Table, View};
use super::super::limits::Limits;
use super::super::order::{Order, SESSIONS};
use super::parts::Parts;
use super::process::{Role, Token};

/// The sessions, and the tables in which all connections are counted.
pub(super) struct Sessions {
    secret: Secret,
    table: Rc<Table>,
    /// For fronts to read.
    shown: OwnedFd,
    /// Those of the fronts, for the others to read.
    fronts: HashMap<Token, OwnedFd>,
    all: HashMap<u64, Session>,
    of_account: HashMap<Vec<u8>, u64>,
}

/// How many sessions there are, of how many accounts, and how many connections
/// before their login.
pub(super) struct Numbers {
    pub(super) all: usize,
    pub(super) accounts: usize,
    pub(super) strangers: u64,
}

struct Session {
    mailbox: Token,
    account: Vec<u8>,
    _place: Place,
}

impl Sessions {
    /// None yet.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn new() -> io::Result<Sessions> {
        let memory = counts::memory()?;
        Ok(Sessions {
            secret: system::random::octets()?,
            table: Table::of(&memory.writer)?,
            shown: memory.reader,
            fronts: HashMap::new(),
            all: HashMap::new(),
            of_account: HashMap::new(),
        })
    }

    /// Gives `front` a table of its own, and lets all fronts that there are read
    /// each other's.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn introduce(&mut self, parts: &mut Parts, front: Token) -> io::Result<()> {
        let memory = counts::memory()?;
        parts.order(front, Order::Count(self.secret, memory.writer));
        parts.order(front, Order::Counted(SESSIONS, Some(self.shown.try_clone()?)));
        for (other, table) in &self.fronts {
            parts.order(front, Order::Counted(*other, Some(table.try_clone()?)));
            parts.order(*other, Order::Counted(front, Some(memory.reader.try_clone()?)));
        }
        self.fronts.insert(front, memory.reader);
        Ok(())
    }

    /// The tables of fronts that have gone count no more.
    pub(super) fn forget_the_gone(&mut self, parts: &mut Parts) {
        let present = parts.all_of(&Role::Front);
        let gone: Vec<Token> = self.fronts.keys().filter(|token| !present.contains(token)).copied().collect();
        for token in gone {
            self.fronts.remove(&token);
            for other in &present {
                parts.order(*other, Order::Counted(token, None));
            }
        }
    }

    /// How many there are.
    pub(super) fn numbers(&self) -> Numbers {
        let strangers = self.fronts.values().filter_map(|table| View::of(table).ok());
        Numbers {
            all: self.all.len(),
            accounts: self.of_account.len(),
            strangers: strangers.map(|table| table.total()).sum(),
        }
    }

    /// Whether `account` may have one more session by these limits.
    pub(super) fn has_room_for(&self, account: &[u8], limits: &Limits) -> bool {
        let present = self.of_account.get(account).copied().unwrap_or(0);
        limits.per_account.is_none_or(|most| present < most)
    }

    /// What a session from the address `ip` counts for.
    pub(super) fn keys(&self, limits: &Limits, ip: &str) -> Vec<Key> {
        // A front says where a client is; if that is no address, it is nowhere else.
        let keys = limits.of(&self.secret, ip.parse::<IpAddr>().ok());
        keys.into_iter().map(|(key, _)| key).collect()
    }

    /// `account` gets the session `number` at `mailbox`, which counts for `keys`.
    pub(super) fn begin(&mut self, number: u64, mailbox: Token, account: Vec<u8>, keys: Vec<Key>) {
        let place = self.table.take(keys);
        *self.of_account.entry(account.clone()).or_default() += 1;
        self.all.insert(number, Session { mailbox, account, _place: place });
    }

    /// A session of `mailbox` has ended.
    pub(super) fn end(&mut self, number: u64, mailbox: Token) {
        if self.all.get(&number).is_some_and(|session| session.mailbox == mailbox) {
            self.forget(number);
        }
    }

    /// All sessions of `mailbox` have.
    pub(super) fn end_all(&mut self, mailbox: Token) {
        let its = self.all.iter().filter(|(_, session)| session.mailbox == mailbox);
        let numbers: Vec<u64> = its.map(|(number, _)| *number).collect();
        numbers.into_iter().for_each(|number| self.forget(number));
    }

    fn forget(&mut self, number: u64) {
        let Some(Session { account, .. }) = self.all.remove(&number) else { return };
        if let Some(count) = self.of_account.get_mut(&account) {
            *count -= 1;
            if *count == 0 {
                self.of_account.remove(&account);
            }
        }
    }
}

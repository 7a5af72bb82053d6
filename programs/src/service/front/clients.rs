//! Everybody who is not logged in yet, and until when.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Instant;

use super::client::Client;
use crate::descriptors;

/// Most clients at once, if there are descriptors for them. Beyond that the
/// oldest goes: one who logs in takes a moment, one who only sits there does
/// not.
const MOST: usize = 8192;

/// Descriptors for everything but clients.
const OTHER_DESCRIPTORS: u64 = 128;

/// The clients, by their tokens.
pub(super) struct Clients {
    /// How many descriptors there may be.
    room: usize,
    /// In the order in which they came, since tokens are given in that order.
    all: BTreeMap<u64, (Client, Instant)>,
    deadlines: BTreeSet<(Instant, u64)>,
}

impl Default for Clients {
    fn default() -> Self {
        let descriptors = descriptors::most().saturating_sub(OTHER_DESCRIPTORS);
        let room = usize::try_from(descriptors).unwrap_or(usize::MAX).max(1);
        Clients { room, all: BTreeMap::new(), deadlines: BTreeSet::new() }
    }
}

impl Clients {
    /// Adds a client, whose time ends with its login phase.
    pub(super) fn add(&mut self, token: u64, client: Client) {
        let deadline = client.login_ends();
        self.deadlines.insert((deadline, token));
        self.all.insert(token, (client, deadline));
    }

    pub(super) fn get(&mut self, token: u64) -> Option<&mut Client> {
        self.all.get_mut(&token).map(|(client, _)| client)
    }

    pub(super) fn remove(&mut self, token: u64) -> Option<Client> {
        let (client, deadline) = self.all.remove(&token)?;
        self.deadlines.remove(&(deadline, token));
        Some(client)
    }

    /// Somebody is to look after `token` again then.
    pub(super) fn set_deadline(&mut self, token: u64, deadline: Instant) {
        if let Some((_, present)) = self.all.get_mut(&token) {
            self.deadlines.remove(&(*present, token));
            self.deadlines.insert((deadline, token));
            *present = deadline;
        }
    }

    /// When somebody is to be looked after next.
    pub(super) fn next_deadline(&self) -> Option<Instant> {
        self.deadlines.first().map(|(deadline, _)| *deadline)
    }

    /// Who is to be looked after now.
    pub(super) fn overdue(&self, now: Instant) -> Vec<u64> {
        self.deadlines.iter().take_while(|(deadline, _)| *deadline <= now).map(|(_, token)| *token).collect()
    }

    /// Whether nobody else finds room, with `others` descriptors in use beside
    /// those of clients.
    pub(super) fn are_too_many(&self, others: usize) -> bool {
        self.all.len() >= MOST || self.all.len() + others >= self.room
    }

    /// Whether nobody is here.
    pub(super) fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// All of them.
    pub(super) fn tokens(&self) -> Vec<u64> {
        self.all.keys().copied().collect()
    }

    /// The one who has been here for the longest time and is being waited for.
    pub(super) fn oldest_stranger(&self) -> Option<u64> {
        self.all.iter().find(|(_, (client, _))| client.is_waited_for()).map(|(token, _)| *token)
    }
}

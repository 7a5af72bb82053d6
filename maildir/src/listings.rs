//! Listings that a process keeps for the sessions to come, within a bound.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::known::Known;

/// A Maildir: device and inode of its directory.
pub(crate) type Key = (u64, u64);

/// Listings of Maildirs, shared by all sessions of a process. Those that were
/// not used for the longest time go first.
#[derive(Debug)]
pub struct Listings {
    /// Bytes of memory.
    most: usize,
    shelf: Mutex<Shelf>,
}

#[derive(Debug, Default)]
struct Shelf {
    kept: HashMap<Key, Entry>,
    /// By when they were used.
    order: BTreeMap<u64, Key>,
    uses: u64,
    /// Bytes of memory.
    taken: usize,
    /// Those that hold their size list open.
    holding: Vec<Arc<Known>>,
}

#[derive(Debug)]
struct Entry {
    known: Arc<Known>,
    used: u64,
}

impl Listings {
    /// Room for listings of `most` bytes of memory together; those that sessions
    /// still look at when they go are not counted.
    #[must_use]
    pub fn new(most: usize) -> Listings {
        Listings { most, shelf: Mutex::default() }
    }

    /// To be called from time to time, best each second: closes files that are
    /// not needed any more.
    pub fn rest(&self) {
        self.shelf().holding.retain(|known| !known.let_go());
    }

    /// Whether anything is ever kept.
    pub(crate) fn keeps_any(&self) -> bool {
        self.most > 0
    }

    pub(crate) fn find(&self, key: Key) -> Option<Arc<Known>> {
        let mut shelf = self.shelf();
        let Shelf { kept, order, uses, .. } = &mut *shelf;
        let entry = kept.get_mut(&key)?;
        order.remove(&entry.used);
        *uses += 1;
        entry.used = *uses;
        order.insert(*uses, key);
        Some(Arc::clone(&entry.known))
    }

    /// Keeps `known` in the place of what was known before, if there is room.
    pub(crate) fn keep(&self, key: Key, known: Known) {
        let known = Arc::new(known);
        let mut shelf = self.shelf();
        shelf.forget(key);
        let memory = memory(&known);
        if memory > self.most {
            return;
        }
        while shelf.taken + memory > self.most {
            let Some((_, oldest)) = shelf.order.first_key_value() else { break };
            let oldest = *oldest;
            shelf.forget(oldest);
        }
        if !known.let_go() {
            shelf.holding.push(Arc::clone(&known));
        }
        shelf.uses += 1;
        let used = shelf.uses;
        shelf.order.insert(used, key);
        shelf.kept.insert(key, Entry { known, used });
        shelf.taken += memory;
    }

    /// Forgets what is known of a Maildir.
    pub(crate) fn forget(&self, key: Key) {
        self.shelf().forget(key);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Shelf {
    fn forget(&mut self, key: Key) {
        if let Some(Entry { known, used }) = self.kept.remove(&key) {
            self.order.remove(&used);
            self.taken -= memory(&known);
            self.holding.retain(|holding| !Arc::ptr_eq(holding, &known));
        }
    }
}

/// Bytes of memory of one entry.
fn memory(known: &Known) -> usize {
    size_of::<(Entry, Known)>() + 2 * size_of::<(Key, u64)>() + known.messages.memory()
}

//! Listings that a process keeps for the sessions to come, within a bound.

use std::collections::{BTreeMap, HashMap};
use std::mem::size_of;
use std::num::NonZero;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use system::stamp::is_witnessed;

use crate::known::Known;
use crate::witness::{Witness, Witnesses};

/// Files are read by so many threads at the most, beside those of sessions.
const MOST_HELPERS: usize = 7;

/// A Maildir: device and inode of its directory.
pub(crate) type Key = (u64, u64);

/// Listings of Maildirs, shared by all sessions of a process. Those that were
/// not used for the longest time go first.
#[derive(Debug)]
pub struct Listings {
    /// Bytes of memory.
    most: usize,
    shelf: Mutex<Shelf>,
    witnesses: Arc<Witnesses>,
    /// Threads that may be started to read files.
    helpers: AtomicUsize,
}

/// Threads that may be started by who has this, and by nobody else meanwhile.
#[derive(Debug)]
pub(crate) struct Helpers<'a> {
    count: usize,
    of: &'a AtomicUsize,
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
    /// Bytes.
    memory: usize,
}

impl Listings {
    /// Room for listings of `most` bytes of memory together; those that sessions
    /// still look at when they go are not counted.
    #[must_use]
    pub fn new(most: usize) -> Listings {
        let cores = thread::available_parallelism().map_or(1, NonZero::get);
        Listings {
            most,
            shelf: Mutex::default(),
            witnesses: Arc::default(),
            helpers: AtomicUsize::new(cores.min(MOST_HELPERS + 1) - 1),
        }
    }

    /// To be called from time to time, best each second: closes files that are
    /// not needed any more, and takes what the kernel tells of directories.
    pub fn rest(&self) {
        self.witnesses.hear();
        self.shelf().holding.retain(|known| !known.let_go());
    }

    /// All threads that nobody has; there may be none.
    pub(crate) fn helpers(&self) -> Helpers<'_> {
        Helpers { count: self.helpers.swap(0, Ordering::Relaxed), of: &self.helpers }
    }

    /// Watches `cur`, if the kernel tells of all that is done there.
    pub(crate) fn watch(&self, cur: impl AsFd) -> Option<Witness> {
        let cur = cur.as_fd();
        if is_witnessed(cur) { self.witnesses.watch(cur) } else { None }
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

    /// Keeps `known` in the place of what was known before, if there is room; not of
    /// what another session has read at the same time and goes along.
    pub(crate) fn keep(&self, key: Key, known: Known) {
        let memory = memory(&known);
        let goes_along = known.goes_along();
        let mut shelf = self.shelf();
        if goes_along || !shelf.kept.get(&key).is_some_and(|entry| entry.known.goes_along()) {
            shelf.put(key, Arc::new(known), memory, self.most);
        }
    }

    /// Takes note that `known` has changed.
    pub(crate) fn changed(&self, key: Key, known: &Arc<Known>) {
        let memory = memory(known);
        let mut shelf = self.shelf();
        if shelf.kept.get(&key).is_some_and(|entry| Arc::ptr_eq(&entry.known, known)) {
            shelf.put(key, Arc::clone(known), memory, self.most);
        }
    }

    /// Forgets what is known of a Maildir.
    pub(crate) fn forget(&self, key: Key) {
        self.shelf().forget(key);
    }

    fn shelf(&self) -> MutexGuard<'_, Shelf> {
        self.shelf.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Helpers<'_> {
    pub(crate) fn count(&self) -> usize {
        self.count
    }
}

impl Drop for Helpers<'_> {
    fn drop(&mut self) {
        self.of.fetch_add(self.count, Ordering::Relaxed);
    }
}

impl Shelf {
    /// Puts `known`, which takes so much `memory`, where it was or something else was.
    /// If there is no room for it in `most` the oldest go, or it does.
    fn put(&mut self, key: Key, known: Arc<Known>, memory: usize, most: usize) {
        self.forget(key);
        if memory > most {
            return;
        }
        while self.taken + memory > most {
            let Some((_, oldest)) = self.order.first_key_value() else { break };
            let oldest = *oldest;
            self.forget(oldest);
        }
        if !known.let_go() {
            self.holding.push(Arc::clone(&known));
        }
        self.uses += 1;
        let used = self.uses;
        self.order.insert(used, key);
        self.kept.insert(key, Entry { known, used, memory });
        self.taken += memory;
    }

    fn forget(&mut self, key: Key) {
        if let Some(Entry { known, used, memory }) = self.kept.remove(&key) {
            self.order.remove(&used);
            self.taken -= memory;
            self.holding.retain(|holding| !Arc::ptr_eq(holding, &known));
        }
    }
}

/// Bytes of memory of one entry.
fn memory(known: &Known) -> usize {
    size_of::<(Entry, Known)>() + 2 * size_of::<(Key, u64)>() + known.memory()
}

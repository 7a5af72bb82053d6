//! Who sees every change of a directory: inotify(7).
//!
//! The kernel notes each name that comes, goes or changes in a directory while it
//! holds the directory's lock, whoever does it, whatever the clock says. So
//! who waits for that lock once has all changes that were made before in his
//! queue, and every name that is not there is as it was.
//!
//! That is true of file systems that are changed through this kernel only, and are
//! not set back to an earlier state while they are mounted.

use std::collections::{BTreeSet, HashMap};
use std::mem::{self, MaybeUninit};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

use rustix::fs::inotify::{self, CreateFlags, Event, ReadFlags, WatchFlags};
use rustix::io::Errno;

/// Directories that are watched at once.
const MOST: usize = 1024;

/// Names that are noted of one directory. With more of them reading it is as fast.
const MOST_NAMES: usize = 10_000;

/// Bytes of the queue that are read at once.
const BUFFER: usize = 16 * 1024;

/// All that a process watches.
#[derive(Debug, Default)]
pub(crate) struct Witnesses {
    /// `None` if the system lets us have none.
    inotify: OnceLock<Option<OwnedFd>>,
    /// What was seen, by watch.
    seen: Mutex<HashMap<i32, Seen>>,
}

/// What was seen in one directory.
#[derive(Debug)]
enum Seen {
    /// So many changes of these names.
    Changes { names: BTreeSet<Vec<u8>>, events: u64 },
    /// Something may have been missed.
    NotAll,
}

/// One directory that is watched, until this is dropped.
#[derive(Debug)]
pub(crate) struct Witness {
    watch: i32,
    witnesses: Arc<Witnesses>,
}

impl Witnesses {
    /// Watches `directory` from now on; `None` if it cannot be, or is already.
    pub(crate) fn watch(self: &Arc<Self>, directory: impl AsFd) -> Option<Witness> {
        let inotify =
            self.inotify.get_or_init(|| inotify::init(CreateFlags::CLOEXEC | CreateFlags::NONBLOCK).ok());
        // Held, so that nobody reads an event of a watch that is not noted yet.
        let mut seen = self.seen();
        if seen.len() >= MOST {
            return None;
        }
        // Its name might by now be another one's.
        let path = format!("/proc/self/fd/{}", directory.as_fd().as_raw_fd());
        let flags = WatchFlags::CREATE
            | WatchFlags::DELETE
            | WatchFlags::MOVE
            | WatchFlags::DELETE_SELF
            | WatchFlags::ONLYDIR
            | WatchFlags::MASK_CREATE;
        let watch = inotify::add_watch(inotify.as_ref()?, path, flags).ok()?;
        seen.insert(watch, Seen::Changes { names: BTreeSet::new(), events: 0 });
        Some(Witness { watch, witnesses: Arc::clone(self) })
    }

    /// Takes what the kernel has in its queue, which is bounded; best each second.
    pub(crate) fn hear(&self) {
        if let Some(Some(inotify)) = self.inotify.get() {
            hear(inotify, &mut self.seen());
        }
    }

    fn seen(&self) -> MutexGuard<'_, HashMap<i32, Seen>> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn hear(inotify: &OwnedFd, seen: &mut HashMap<i32, Seen>) {
    let mut buffer = [MaybeUninit::uninit(); BUFFER];
    let mut events = inotify::Reader::new(inotify, &mut buffer);
    loop {
        match events.next() {
            Ok(event) if event.events().contains(ReadFlags::QUEUE_OVERFLOW) => return miss(seen),
            // Of a watch that has ended there may be some left.
            Ok(event) => {
                if let Some(seen) = seen.get_mut(&event.wd()) {
                    seen.note(&event);
                }
            }
            Err(Errno::INTR) => {}
            Err(Errno::AGAIN) => return,
            Err(_) => return miss(seen),
        }
    }
}

/// What is in the queue is not all.
fn miss(seen: &mut HashMap<i32, Seen>) {
    seen.values_mut().for_each(|seen| *seen = Seen::NotAll);
}

impl Seen {
    fn note(&mut self, event: &Event<'_>) {
        let over = ReadFlags::IGNORED | ReadFlags::UNMOUNT | ReadFlags::DELETE_SELF;
        match (&mut *self, event.file_name()) {
            (Seen::Changes { names, events }, Some(name))
                if names.len() < MOST_NAMES && !event.events().intersects(over) =>
            {
                names.insert(name.to_bytes().to_vec());
                *events += 1;
            }
            _ => *self = Seen::NotAll,
        }
    }
}

impl Witness {
    /// The names that were touched since this was asked last; `None` if there may
    /// have been others.
    pub(crate) fn touched(&self) -> Option<BTreeSet<Vec<u8>>> {
        self.ask(|names, _| mem::take(names))
    }

    /// How many changes there were; `None` if there may have been others.
    pub(crate) fn events(&self) -> Option<u64> {
        self.ask(|_, events| events)
    }

    fn ask<T>(&self, answer: impl FnOnce(&mut BTreeSet<Vec<u8>>, u64) -> T) -> Option<T> {
        let inotify = self.witnesses.inotify.get()?.as_ref()?;
        let mut seen = self.witnesses.seen();
        hear(inotify, &mut seen);
        match seen.get_mut(&self.watch)? {
            Seen::Changes { names, events } => Some(answer(names, *events)),
            Seen::NotAll => None,
        }
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        let mut seen = self.witnesses.seen();
        seen.remove(&self.watch);
        if let Some(Some(inotify)) = self.witnesses.inotify.get() {
            let _ended_with_its_directory = inotify::remove_watch(inotify, self.watch);
        }
    }
}

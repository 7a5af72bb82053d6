//! What is known of a Maildir from an earlier opening, and whether it is still
//! so (ledger 330).
//!
//! A listing is kept only if it was whole: no file was hidden for want of
//! anything, every unique-id is on disk. It is believed as long as `new/`,
//! `cur/` and the size list have the stamps that they had, each of which was
//! settled when what it stands for was read (see [`system::stamp`]). So a change
//! that was not seen has another stamp, whoever made it and whatever times he gave
//! to files. A file that is changed in place keeps its place in the listing, as
//! it does in the size list.
//!
//! A large listing also has a witness of `cur/`, and goes along with what is done
//! there (see [`crate::following`]).

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use system::stamp::{self, Lead, Stamp};

use crate::arrival;
use crate::beneath;
use crate::directories::Directories;
use crate::following::Following;
use crate::messages::Messages;
use crate::notice::Notice;
use crate::opening::NAME;

/// Seconds between two cleanings of one `tmp/`, whose files may be two days old.
const CLEANING: u64 = 3600;

/// What has to stay the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamps {
    pub(crate) cur: Stamp,
    pub(crate) new: Stamp,
    /// `None` if there is no size list.
    pub(crate) list: Option<Stamp>,
}

impl Stamps {
    /// Those that everything below `root` has now.
    ///
    /// The size list is looked at first, for what is added to it may be younger
    /// than what is seen of `cur/`; `cur/` comes last, for messages come there
    /// from `new/`.
    pub(crate) fn now(root: &OwnedFd) -> io::Result<Stamps> {
        let of = |name| beneath::stat(root, name).map(|stat| Stamp::of(&stat));
        let list = match of(NAME) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            stamp => Some(stamp?),
        };
        let new = of(b"new")?;
        Ok(Stamps { cur: of(b"cur")?, new, list })
    }
}

/// A listing, and what it stands for.
#[derive(Debug)]
pub(crate) struct Known {
    state: Mutex<State>,
    /// When `tmp/` was cleaned, in Unix seconds.
    cleaned: AtomicU64,
}

/// What may change as long as sessions look.
#[derive(Debug)]
pub(crate) struct State {
    pub(crate) messages: Arc<Messages>,
    pub(crate) stamps: Stamps,
    /// Whether a change of `new/` since then has another stamp, and one of `cur/`.
    pub(crate) settled: (bool, bool),
    /// When it was read.
    pub(crate) lead: Lead,
    /// The size list as long as its stamp is not settled. Held, no other file
    /// can have its inode; and who adds to it makes it longer.
    pub(crate) list: Option<File>,
    /// `None` if it is believed as long as nothing changes, and no longer.
    pub(crate) following: Option<Following>,
}

impl Known {
    /// What was read at `now`, in Unix seconds.
    pub(crate) fn new(state: State, now: u64) -> Known {
        Known { state: Mutex::new(state), cleaned: AtomicU64::new(now) }
    }

    /// The messages below `root`, if everything is as it was or can be followed,
    /// and whether it had to be. If it is neither, all must be read, and this
    /// is of no more use.
    pub(crate) fn open(
        &self,
        root: &Arc<OwnedFd>,
        notices: &mut dyn FnMut(Notice),
    ) -> Option<(Directories, Arc<Messages>, bool)> {
        let begun = stamp::now();
        let mut state = self.state();
        let (lead, stamps) = (Lead::now(), Stamps::now(root).ok()?);
        let directories = Directories::known(Arc::clone(root), &stamps);
        if lead.fell_behind(state.lead) {
            state.following = None;
            return None;
        }
        let is_still_so = state.settled == (true, true) && stamps == state.stamps;
        if !is_still_so {
            // Lost on the way, it ends.
            let following = state.following.take()?;
            let following = state.go_along(following, &directories, (begun, stamps), notices)?;
            (state.following, state.lead) = (Some(following), lead);
        }
        Some((directories, Arc::clone(&state.messages), !is_still_so))
    }

    /// Whether `tmp/` is to be cleaned at `now` (ledger 331); then others need not.
    pub(crate) fn should_clean(&self, now: u64) -> bool {
        let cleaned = self.cleaned.load(Ordering::Relaxed);
        let due = !(cleaned..=cleaned.saturating_add(CLEANING)).contains(&now);
        if due {
            self.cleaned.store(now, Ordering::Relaxed);
        }
        due
    }

    /// Closes the size list if it need not be held any more; whether it need not.
    pub(crate) fn let_go(&self) -> bool {
        // Who has it now is about to hold another one.
        let Ok(mut state) = self.state.try_lock() else { return false };
        if state.stamps.list.is_none_or(|stamp| stamp.is_settled(stamp::now())) {
            state.list = None;
        }
        state.list.is_none()
    }

    /// Whether it can follow what is done.
    pub(crate) fn goes_along(&self) -> bool {
        // Who has it now is following.
        self.state.try_lock().map_or(true, |state| state.following.is_some())
    }

    /// Bytes of memory that the messages take.
    pub(crate) fn memory(&self) -> usize {
        self.state().messages.memory()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Works into the messages what is new, came or went; `None` if it takes a
    /// reading of everything. The stamps are those of a moment `begun` before.
    fn go_along(
        &mut self,
        mut following: Following,
        directories: &Directories,
        (begun, stamps): (Duration, Stamps),
        notices: &mut dyn FnMut(Notice),
    ) -> Option<Following> {
        let is_same = |one: &Stamp, other: &Stamp| one.is_of_same_file(other);
        let same_places = is_same(&stamps.new, &self.stamps.new) && is_same(&stamps.cur, &self.stamps.cur);
        if !same_places || stamps.list != self.stamps.list {
            return None;
        }
        let (new, cur) = (directories.new_dir().ok()?, directories.cur_dir().ok()?);
        let mut after = Stamps { cur: stamps.cur, ..self.stamps };
        let mut settled = self.settled;
        if !settled.0 || stamps.new != after.new {
            let quiet = arrival::move_all(new, cur, notices).ok()?;
            (after.new, settled.0) = (quiet.unwrap_or(stamps.new), quiet.is_some());
        }
        let touched = following.touched(cur)?;
        // What has the time of a moment before was not touched since.
        let cur_now = Stamp::of(&rustix::fs::fstat(cur).ok()?);
        settled.1 = cur_now == after.cur && cur_now.is_settled(begun);
        let changes = following.changes(&self.messages, touched)?;
        if !changes.are_none()
            && let Some((file, stamp)) =
                following.work_in(&mut self.messages, changes, directories, after.list)?
        {
            after.list = Some(stamp);
            self.list = Some(file);
        }
        (self.stamps, self.settled) = (after, settled);
        Some(following)
    }
}

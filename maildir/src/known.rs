//! What is known of a Maildir from an earlier opening, and whether it is still
//! so (ledger 330).
//!
//! A listing is kept only if it was whole: `new/` was empty, no file was hidden
//! for want of anything, every unique-id is on disk. It is believed only as long as
//! `new/`, `cur/` and the size list have the stamps that they had, each
//! of which was settled when what it stands for was read (see [`crate::stamp`]).
//! So a change that was not seen has another stamp, whoever made it and
//! whatever times he gave to files. A file that is changed in place keeps its
//! place in the listing, as it does in the size list.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use crate::beneath;
use crate::messages::Messages;
use crate::opening::NAME;
use crate::stamp::{self, Lead, Stamp};

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
    pub(crate) messages: Arc<Messages>,
    pub(crate) stamps: Stamps,
    /// When it was read.
    lead: Lead,
    /// The size list as long as its stamp is not settled. Held, no other file
    /// can have its inode; and who adds to it makes it longer.
    list: Mutex<Option<File>>,
    /// When `tmp/` was cleaned, in Unix seconds.
    cleaned: AtomicU64,
}

impl Known {
    /// What was read at `now`, in Unix seconds, when the clock had this `lead`.
    pub(crate) fn new(
        messages: Arc<Messages>,
        stamps: Stamps,
        lead: Lead,
        list: Option<File>,
        now: u64,
    ) -> Known {
        Known { messages, stamps, lead, list: Mutex::new(list), cleaned: AtomicU64::new(now) }
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

    /// Whether everything below `root` is as it was.
    pub(crate) fn is_still_so(&self, root: &OwnedFd) -> bool {
        !Lead::now().fell_behind(self.lead) && Stamps::now(root).is_ok_and(|stamps| stamps == self.stamps)
    }

    /// Closes the size list if it need not be held any more; whether it need not.
    pub(crate) fn let_go(&self) -> bool {
        let mut list = self.list.lock().unwrap_or_else(PoisonError::into_inner);
        if self.stamps.list.is_none_or(|stamp| stamp.is_settled(stamp::now())) {
            *list = None;
        }
        list.is_none()
    }
}

/// File systems of this machine alone, whose stamps are the kernel's and at
/// hand at once: not those that another machine may change, nor those that a
/// program makes up.
const LOCAL: [rustix::fs::FsWord; 8] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // F2FS
    0x2FC1_2FC1, // ZFS
    0x3153_464A, // JFS
    0xCA45_1A4E, // bcachefs
];

/// Whether what is in `directory` is changed through this kernel only.
pub(crate) fn is_local(directory: impl AsFd) -> bool {
    rustix::fs::fstatfs(directory).is_ok_and(|stat| LOCAL.contains(&stat.f_type))
}

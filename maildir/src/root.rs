//! The Maildir itself, before its maildrop is opened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags, Stat};
use system::stamp::{Lead, Stamp, is_local};

use crate::arrival;
use crate::beneath;
use crate::directories::Directories;
use crate::following::Following;
use crate::known::{Known, Stamps, State};
use crate::listings::Listings;
use crate::lock;
use crate::maildrop::Maildrop;
use crate::messages::Messages;
use crate::notice::{Error, Notice};
use crate::opening::{self, Help, Opened};
use crate::temporary;
use crate::witness::Witness;

const LOGINEXEC: &[u8] = b"loginexec";

/// A Maildir, held by its descriptor.
#[derive(Debug, Clone)]
pub struct Maildir {
    root: Arc<OwnedFd>,
    is_trash: bool,
}

impl Maildir {
    /// Opens the Maildir at `path`, which may be relative to the current
    /// directory and may lead through symbolic links: the administrator set it.
    /// Below it no link is followed.
    ///
    /// # Errors
    /// [`Error::NoMaildir`].
    pub fn open(path: &Path) -> Result<Maildir, Error> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())
            .map_err(|error| Error::NoMaildir(error.into()))?;
        Ok(Maildir::of(root, path))
    }

    /// The Maildir that was opened as `path`.
    pub(crate) fn of(root: OwnedFd, path: &Path) -> Maildir {
        // A Trash folder does not count for the quota (maildir.md 8).
        let is_trash = path.file_name().is_some_and(|name| name == ".Trash");
        Maildir { root: Arc::new(root), is_trash }
    }

    /// Whether there is a `loginexec` to be run: a regular file that its owner
    /// may execute (maildir.md 10; a link is not run, ledger 317).
    ///
    /// # Errors
    /// If it cannot be looked at.
    pub fn loginexec(&self) -> Result<bool, Error> {
        match beneath::stat(&self.root, LOGINEXEC) {
            Ok(stat) => {
                Ok(beneath::is_regular(&stat) && Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR))
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(Error::Io { what: "loginexec", error }),
        }
    }

    /// Removes `loginexec` after it was run with success.
    ///
    /// # Errors
    /// What unlink(2) reports, if it is there.
    pub fn remove_loginexec(&self) -> io::Result<()> {
        match beneath::unlink(&self.root, LOGINEXEC) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            result => result,
        }
    }

    /// Opens the maildrop: cleans `tmp/`, moves `new/` to `cur/`, finds the
    /// messages, their order, sizes and unique-ids (maildir.md 1).
    ///
    /// `now` is the time in Unix seconds. Every unique-id is on disk when this
    /// returns. `notices` hears what the administrator should know.
    ///
    /// # Errors
    /// See [`Error`]. A list that cannot be saved is not one of them: then what
    /// has no unique-id yet is not shown.
    pub fn open_maildrop(&self, now: u64, notices: &mut dyn FnMut(Notice)) -> Result<Maildrop, Error> {
        let Read { directories, opened, .. } = self.read(None, now, notices)?;
        let messages = Messages::of(&opened.listing, false);
        Ok(Maildrop::new(directories, self.is_trash, Arc::new(messages)))
    }

    /// The same, without reading what is as `listings` knows it.
    ///
    /// # Errors
    /// As [`Maildir::open_maildrop`].
    pub fn open_maildrop_known(
        &self,
        listings: &Listings,
        now: u64,
        notices: &mut dyn FnMut(Notice),
    ) -> Result<Maildrop, Error> {
        if !listings.keeps_any() {
            return self.open_maildrop(now, notices);
        }
        let key = rustix::fs::fstat(&self.root).map(|stat| (stat.st_dev, stat.st_ino));
        let key = key.map_err(|error| Error::NoMaildir(error.into()))?;
        if let Some(known) = listings.find(key)
            && let Some((directories, messages, has_changed)) = known.open(&self.root, notices)
        {
            if has_changed {
                listings.changed(key, &known);
            }
            if known.should_clean(now) {
                clean(&directories, now, notices);
            }
            return Ok(Maildrop::new(directories, self.is_trash, messages));
        }
        let lead = Lead::now();
        let mut noticed = false;
        let read = self.read(Some(listings), now, &mut |notice| {
            noticed = true;
            notices(notice);
        });
        let read = read.inspect_err(|_| listings.forget(key))?;
        let is_whole = !noticed && read.opened.will_stay() && is_local(&self.root);
        let messages = Arc::new(Messages::of(&read.opened.listing, is_whole));
        let (directories, state) = read.kept_with(Arc::clone(&messages), lead);
        match state.filter(|_| is_whole) {
            Some(state) => listings.keep(key, Known::new(state, now)),
            None => listings.forget(key),
        }
        Ok(Maildrop::new(directories, self.is_trash, messages))
    }

    /// Reads everything. What is done in a large `cur/` meanwhile and later is seen
    /// if it is for `listings`.
    fn read(
        &self,
        listings: Option<&Listings>,
        now: u64,
        notices: &mut dyn FnMut(Notice),
    ) -> Result<Read, Error> {
        let directories = Directories::open(Arc::clone(&self.root), notices)?;
        clean(&directories, now, notices);
        let mut new_is_quiet = None;
        if let (Ok(new), Ok(cur)) = (directories.new_dir(), directories.cur_dir()) {
            new_is_quiet = arrival::move_all(new, cur, notices).unwrap_or_else(|error| {
                notices(Notice::DirectoryUnreadable { directory: "new", error });
                None
            });
        }
        let watched = listings.zip(directories.cur_dir().ok()).filter(|(_, cur)| is_large(&self.root, cur));
        let witness = watched.and_then(|(listings, cur)| listings.watch(cur));
        let help = listings.map(|listings| Help { listings, witness: witness.as_ref() });
        let opened = opening::open(&directories, help, now, lock::PATIENCE, notices)?;
        Ok(Read { directories, opened, new: new_is_quiet, witness })
    }
}

/// A Maildir that was read.
struct Read {
    directories: Directories,
    opened: Opened,
    /// The stamp of `new/`, if there was nothing in it and it was settled.
    new: Option<Stamp>,
    /// Of `cur/`, since before it was read.
    witness: Option<Witness>,
}

impl Read {
    /// What of it is to be kept with its `messages`, if it will be seen whether it is
    /// still so.
    fn kept_with(self, messages: Arc<Messages>, lead: Lead) -> (Directories, Option<State>) {
        let Read { directories, opened, new, witness } = self;
        let following =
            witness.zip(opened.numbers()).map(|(witness, numbers)| Following::new(witness, numbers));
        let settled = (new.is_some(), opened.cur.is_some());
        let of = |directory: io::Result<BorrowedFd<'_>>| {
            Some(Stamp::of(&rustix::fs::fstat(directory.ok()?).ok()?))
        };
        let stamps = || {
            let cur = opened.cur.or_else(|| of(directories.cur_dir()))?;
            let list = opened.list.as_ref().map(|(_, stat)| Stamp::of(stat));
            Some(Stamps { cur, new: new.or_else(|| of(directories.new_dir()))?, list })
        };
        let stamps = stamps().filter(|_| settled == (true, true) || following.is_some());
        let list = opened.list.map(|(file, _)| file);
        let state = stamps.map(|stamps| State { messages, stamps, settled, lead, list, following });
        (directories, state)
    }
}

/// Bytes of a size list, or of a directory, of some hundreds of messages: less is
/// read again as fast.
const LARGE: i64 = 16 * 1024;

fn is_large(root: impl AsFd, cur: impl AsFd) -> bool {
    let is_large = |stat: &Stat| stat.st_size >= LARGE;
    beneath::stat(root, opening::NAME).is_ok_and(|list| is_large(&list))
        || rustix::fs::fstat(cur).is_ok_and(|cur| is_large(&cur))
}

fn clean(directories: &Directories, now: u64, notices: &mut dyn FnMut(Notice)) {
    if let Ok(tmp) = directories.tmp_dir()
        && let Err(error) = temporary::clean(tmp, now)
    {
        notices(Notice::DirectoryUnreadable { directory: "tmp", error });
    }
}

impl AsFd for Maildir {
    /// For fchdir(2) before `loginexec` is run.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

//! The Maildir itself, before its maildrop is opened.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::Arc;

use rustix::fs::{CWD, Mode, OFlags};

use crate::arrival;
use crate::beneath;
use crate::directories::Directories;
use crate::lock;
use crate::maildrop::Maildrop;
use crate::notice::{Error, Notice};
use crate::opening;
use crate::temporary;

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
        let directories = Directories::open(Arc::clone(&self.root), notices)?;
        if let Some(tmp) = &directories.tmp
            && let Err(error) = temporary::clean(tmp, now)
        {
            notices(Notice::DirectoryUnreadable { directory: "tmp", error });
        }
        if let Some(new) = &directories.new
            && let Err(error) = arrival::move_all(new.as_fd(), directories.cur.as_fd(), notices)
        {
            notices(Notice::DirectoryUnreadable { directory: "new", error });
        }
        let listing = opening::open(&directories, now, lock::PATIENCE, notices)?;
        Ok(Maildrop::new(directories, self.is_trash, &listing))
    }
}

impl AsFd for Maildir {
    /// For fchdir(2) before `loginexec` is run.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.root.as_fd()
    }
}

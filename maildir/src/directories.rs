//! The held descriptors of one Maildir.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::{Arc, OnceLock};

use system::stamp::Stamp;

use crate::beneath;
use crate::known::Stamps;
use crate::notice::{Error, Notice};

/// The directories of one Maildir; every path is relative to one of these.
#[derive(Debug)]
pub(crate) struct Directories {
    pub(crate) root: Arc<OwnedFd>,
    cur: Directory,
    new: Directory,
    tmp: Directory,
}

/// A directory that is open, or is opened when it is needed, or is not there.
#[derive(Debug)]
struct Directory {
    name: &'static str,
    opened: OnceLock<OwnedFd>,
    wanted: Wanted,
}

/// What is to be opened when a directory is needed.
#[derive(Debug)]
enum Wanted {
    /// Nothing: it is open, or cannot be had.
    Nothing,
    /// What has its name.
    Any,
    /// The one that was looked at when the maildrop was opened, and no other
    /// that has its name by now.
    Same(Stamp),
}

impl Directories {
    /// Opens what is below `root`. Only `cur` has to be there.
    pub(crate) fn open(root: Arc<OwnedFd>, notices: &mut dyn FnMut(Notice)) -> Result<Directories, Error> {
        let cur = Directory::open(&root, "cur").map_err(Error::NoCur)?;
        let mut optional = |name: &'static str| {
            Directory::open(&root, name).unwrap_or_else(|error| {
                if error.kind() != io::ErrorKind::NotFound {
                    notices(Notice::DirectoryUnreadable { directory: name, error });
                }
                Directory::closed(name, Wanted::Nothing)
            })
        };
        let (new, tmp) = (optional("new"), optional("tmp"));
        Ok(Directories { root, cur, new, tmp })
    }

    /// Those that are known: each is opened when it is needed.
    pub(crate) fn known(root: Arc<OwnedFd>, stamps: &Stamps) -> Directories {
        Directories {
            root,
            cur: Directory::closed("cur", Wanted::Same(stamps.cur)),
            new: Directory::closed("new", Wanted::Same(stamps.new)),
            tmp: Directory::closed("tmp", Wanted::Any),
        }
    }

    /// `cur`, where the messages are.
    pub(crate) fn cur_dir(&self) -> io::Result<BorrowedFd<'_>> {
        self.cur.held(&self.root)
    }

    /// `new`; the error is `NotFound` if there is none that we may read.
    pub(crate) fn new_dir(&self) -> io::Result<BorrowedFd<'_>> {
        self.new.held(&self.root)
    }

    /// `tmp`, as [`Directories::new_dir`].
    pub(crate) fn tmp_dir(&self) -> io::Result<BorrowedFd<'_>> {
        self.tmp.held(&self.root)
    }
}

impl Directory {
    fn open(root: &OwnedFd, name: &'static str) -> io::Result<Directory> {
        let opened = OnceLock::from(beneath::directory(root, name.as_bytes())?);
        Ok(Directory { name, opened, wanted: Wanted::Nothing })
    }

    fn closed(name: &'static str, wanted: Wanted) -> Directory {
        Directory { name, opened: OnceLock::new(), wanted }
    }

    fn held(&self, root: &OwnedFd) -> io::Result<BorrowedFd<'_>> {
        if let Some(opened) = self.opened.get() {
            return Ok(opened.as_fd());
        }
        if matches!(self.wanted, Wanted::Nothing) {
            return Err(io::ErrorKind::NotFound.into());
        }
        let opened = beneath::directory(root, self.name.as_bytes())?;
        if let Wanted::Same(stamp) = &self.wanted
            && !stamp.is_of_same_file(&Stamp::of(&rustix::fs::fstat(&opened)?))
        {
            return Err(io::Error::other("another directory stands in its place"));
        }
        Ok(self.opened.get_or_init(|| opened).as_fd())
    }
}

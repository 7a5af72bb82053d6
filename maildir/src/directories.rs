//! The held descriptors of one Maildir.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::Arc;

use crate::beneath;
use crate::notice::{Error, Notice};

/// The directories of one Maildir; every path is relative to one of these.
#[derive(Debug)]
pub(crate) struct Directories {
    pub(crate) root: Arc<OwnedFd>,
    pub(crate) cur: OwnedFd,
    /// `None` if there is none, or not one that we may read.
    pub(crate) new: Option<OwnedFd>,
    pub(crate) tmp: Option<OwnedFd>,
}

impl Directories {
    /// Opens what is below `root`. Only `cur` has to be there.
    pub(crate) fn open(root: Arc<OwnedFd>, notices: &mut dyn FnMut(Notice)) -> Result<Directories, Error> {
        let cur = beneath::directory(&root, b"cur").map_err(Error::NoCur)?;
        let mut optional = |directory: &'static str| match beneath::directory(&root, directory.as_bytes()) {
            Ok(opened) => Some(opened),
            Err(error) => {
                if error.kind() != io::ErrorKind::NotFound {
                    notices(Notice::DirectoryUnreadable { directory, error });
                }
                None
            }
        };
        let (new, tmp) = (optional("new"), optional("tmp"));
        Ok(Directories { root, cur, new, tmp })
    }

    /// `new`, for a file that was seen there.
    pub(crate) fn open_new(&self) -> io::Result<BorrowedFd<'_>> {
        let new = self.new.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(new.as_fd())
    }

    /// `tmp`, for a file that is to be written.
    pub(crate) fn open_tmp(&self) -> io::Result<BorrowedFd<'_>> {
        let tmp = self.tmp.as_ref().ok_or(io::ErrorKind::NotFound)?;
        Ok(tmp.as_fd())
    }
}

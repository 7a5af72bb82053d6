//! Counting all messages of a Maildir and its folders, for the quota
//! (maildir.md 8).

use std::io;
use std::os::fd::{BorrowedFd, OwnedFd};

use rustix::fs::FileType;

use crate::beneath;
use crate::quota::Usage;
use crate::watch::Watch;

/// `new` or `cur` of the Maildir itself or of a folder.
struct Part<'a> {
    folder: Option<&'a [u8]>,
    name: &'static [u8],
}

impl Part<'_> {
    /// Opens it; `None` if there is none.
    fn open(&self, home: BorrowedFd<'_>) -> io::Result<Option<OwnedFd>> {
        let opened = match self.folder {
            Some(folder) => {
                beneath::directory(home, folder).and_then(|folder| beneath::directory(folder, self.name))
            }
            None => beneath::directory(home, self.name),
        };
        match opened {
            Ok(opened) => Ok(Some(opened)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }
}

/// Counts what counts: the Maildir `home` and each of its folders but Trash. No
/// link is followed.
///
/// # Errors
/// `ResourceBusy` if messages came or went meanwhile, and what reading reports.
pub(crate) fn all(home: BorrowedFd<'_>) -> io::Result<Usage> {
    let folders = folders(home)?;
    let places = || [None].into_iter().chain(folders.iter().map(|folder| Some(folder.as_slice())));
    let parts = places().flat_map(|folder| [b"new", b"cur"].map(|name| Part { folder, name }));
    let mut usage = Usage::default();
    let mut watches = Vec::new();
    for part in parts {
        if let Some(opened) = part.open(home)? {
            watches.push((part, Watch::begin(&opened)?));
            add_messages(&opened, &mut usage)?;
        }
    }
    for (part, watch) in watches {
        let unchanged = match part.open(home)? {
            Some(opened) => watch.is_same(opened)?,
            None => false,
        };
        if !unchanged {
            return Err(io::ErrorKind::ResourceBusy.into());
        }
    }
    Ok(usage)
}

fn folders(home: BorrowedFd<'_>) -> io::Result<Vec<Vec<u8>>> {
    let mut folders = Vec::new();
    beneath::list(home, |name, kind| {
        if kind == FileType::Directory && name.starts_with(b".") && name != b".Trash" {
            folders.push(name.to_vec());
        }
    })?;
    Ok(folders)
}

fn add_messages(directory: &OwnedFd, usage: &mut Usage) -> io::Result<()> {
    let mut names = Vec::new();
    beneath::list_messages(directory, |name| names.push(name.to_vec()))?;
    for name in names {
        usage.add(Usage::of(directory, &name)?);
    }
    Ok(())
}

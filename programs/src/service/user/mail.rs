//! The mail of the accounts: `mail/NAME/Maildir` in the service's directory.
//!
//! What is made is made aside, under a name that no account has, and comes to
//! its place in one step when it is whole and belongs to whom it is for.

use std::fs::{self, DirBuilder};
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, lchown};
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use maildir::{Maildir, Sharing};

use super::words::Name;
use crate::service::directory;

/// The Maildir in a home; that of every account that names no other.
pub(super) const MAILDIR: &str = "Maildir";

/// Why there is no Maildir.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failed {
    #[error("{}: belongs to uid {uid}, gid {gid}", .path.display())]
    SomebodyElses { path: PathBuf, uid: u32, gid: u32 },
    #[error("{}: is not a Maildir", .0.display())]
    NoMaildir(PathBuf),
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
}

/// Whether a Maildir was there before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Mail {
    Made,
    Kept,
}

/// The home of the account called `name`.
pub(super) fn home(directory: &Path, name: &Name) -> PathBuf {
    directory.join("mail").join(name.part())
}

/// Sees to it that the account has a Maildir that belongs to `uid` and `gid`.
pub(super) fn provide(directory: &Path, name: &Name, uid: u32, gid: u32) -> Result<Mail, Failed> {
    let home = home(directory, name);
    match fs::symlink_metadata(&home) {
        Ok(status) if (status.uid(), status.gid()) != (uid, gid) => {
            let (uid, gid) = (status.uid(), status.gid());
            Err(Failed::SomebodyElses { path: home, uid, gid })
        }
        Ok(_) => {
            let maildir = home.join(MAILDIR);
            match Maildir::open(&maildir) {
                Ok(_) => Ok(Mail::Kept),
                Err(_) => Err(Failed::NoMaildir(maildir)),
            }
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            make(directory, &home, uid, gid).map(|()| Mail::Made).map_err(|error| Failed::System(home, error))
        }
        Err(error) => Err(Failed::System(home, error)),
    }
}

fn make(directory: &Path, home: &Path, uid: u32, gid: u32) -> io::Result<()> {
    let mail = directory.join("mail");
    DirBuilder::new().recursive(true).mode(directory::mode()).create(&mail)?;
    let aside = mail.join(format!(".{:016x}", u64::from_ne_bytes(system::random::octets()?)));
    let made = fill(&aside, uid, gid).and_then(|()| fs::rename(&aside, home));
    if made.is_err() {
        let _best_effort = fs::remove_dir_all(&aside);
    }
    made
}

/// A home with a Maildir. Until it is given away, last of all, nobody else can
/// reach what is in it.
fn fill(aside: &Path, uid: u32, gid: u32) -> io::Result<()> {
    DirBuilder::new().mode(0o700).create(aside)?;
    let maildir = aside.join(MAILDIR);
    Maildir::create(&maildir, Sharing::Private)?;
    if system::user::is_root() {
        let parts = ["tmp", "new", "cur"].map(|part| maildir.join(part));
        parts.iter().try_for_each(|part| lchown(part, Some(uid), Some(gid)))?;
        lchown(&maildir, Some(uid), Some(gid))?;
        lchown(aside, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Removes the mail of the account; whether there was any.
pub(super) fn remove(directory: &Path, name: &Name) -> Result<bool, Failed> {
    let home = home(directory, name);
    match fs::remove_dir_all(&home) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(Failed::System(home, error)),
    }
}

/// A directory on the way to `path` that `uid` and `gid` are not let through,
/// as far as modes tell.
pub(super) fn barrier(path: &Path, uid: u32, gid: u32) -> Option<PathBuf> {
    let lets_through = |directory: &&Path| {
        fs::metadata(directory).is_ok_and(|status| {
            let shift = match (status.uid() == uid, status.gid() == gid) {
                (true, _) => 6,
                (false, true) => 3,
                (false, false) => 0,
            };
            status.mode() >> shift & 1 == 1
        })
    };
    path.ancestors().skip(1).find(|directory| !lets_through(directory)).map(PathBuf::from)
}

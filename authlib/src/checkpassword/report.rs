//! What a checkpassword program has made of the process in which it runs its
//! successor, written by that successor: ourselves, in another part.
//!
//! The ids are not in it. The kernel says them, since who has the account's
//! uid already may have its hands in this process.

use std::env;
use std::ffi::OsStr;
use std::fs::metadata;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::process::{getegid, geteuid, getgid, getuid};

use crate::helper::{Answer, split};

/// What the message begins with.
const HEAD: &[u8] = b"postrider checkpassword 1";

/// An account as the environment of a process describes it. What is empty was
/// not said.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Report<'a> {
    /// USER.
    pub(super) user: &'a [u8],
    /// The home directory.
    pub(super) home: &'a [u8],
    /// MAILDIR.
    pub(super) maildir: &'a [u8],
}

impl<'a> Report<'a> {
    /// The report that a message is.
    pub(super) fn decode(message: &'a [u8]) -> Option<Self> {
        match split(message)? {
            [HEAD, user, home, maildir] => Some(Report { user, home, maildir }),
            _ => None,
        }
    }
}

/// Reports on this process.
///
/// # Errors
/// Nothing that could be used is there, or nobody waits for it.
pub fn give() -> io::Result<()> {
    if (getuid(), getgid()) != (geteuid(), getegid()) {
        return Err(io::Error::other("real and effective ids differ"));
    }
    let variable = |name| env::var_os(name).unwrap_or_default();
    let home = home(&env::current_dir()?, Path::new(&variable("HOME")))
        .ok_or_else(|| io::Error::other("neither HOME nor the current directory is a home"))?;
    let (user, maildir) = (variable("USER"), variable("MAILDIR"));
    let fields = [user.as_os_str(), home.as_os_str(), &maildir].map(OsStr::as_bytes);
    Answer::take()?.give(&[HEAD, fields[0], fields[1], fields[2]])
}

/// A mail program starts in the current directory and looks for `./Maildir`
/// there, so that is the home; by the name that HOME has for it, if it has one.
/// The root directory is where we have started: there HOME counts.
fn home(current: &Path, named: &Path) -> Option<PathBuf> {
    let named = Some(named).filter(|named| named.is_absolute());
    let is_current = |named: &&Path| {
        let place = |path: &Path| metadata(path).map(|found| (found.dev(), found.ino()));
        matches!((place(named), place(current)), (Ok(one), Ok(other)) if one == other)
    };
    match named.filter(is_current) {
        Some(named) => Some(named.to_owned()),
        None if current == Path::new("/") => named.map(Path::to_owned),
        None => Some(current.to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::{HEAD, Report, home};
    use crate::helper::join;
    use std::path::Path;

    #[test]
    fn a_whole_report_is_one_and_a_part_is_none() {
        let whole = join(&[HEAD, b"alice", b"/home/alice", b""]);
        let report = Report { user: b"alice", home: b"/home/alice", maildir: b"" };
        assert_eq!(Report::decode(&whole), Some(report));
        for end in 0..whole.len() {
            assert_eq!(Report::decode(&whole[..end]), None, "{end}");
        }
        for other in [b"Welcome!\n".as_slice(), b"a\0b\0c\0d\0", b"postrider checkpassword 1\0a\0b\0c\0d\0"] {
            assert_eq!(Report::decode(other), None);
        }
    }

    #[test]
    fn home_is_the_current_directory_by_the_name_it_is_known_by() {
        let directory = tempfile::tempdir().unwrap();
        let (real, link) = (directory.path().join("real"), directory.path().join("link"));
        std::fs::create_dir(&real).unwrap();
        std::os::unix::fs::symlink(&real, &link).unwrap();
        let root = Path::new("/");
        for (current, named, expected) in [
            (real.as_path(), link.as_path(), Some(link.as_path())),
            (&real, directory.path(), Some(&real)),
            (&real, Path::new(""), Some(&real)),
            (&real, Path::new("relative"), Some(&real)),
            (root, &real, Some(&real)),
            (root, root, Some(root)),
            (root, Path::new(""), None),
        ] {
            assert_eq!(home(current, named).as_deref(), expected, "{current:?} {named:?}");
        }
    }
}

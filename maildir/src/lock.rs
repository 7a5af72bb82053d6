//! The lock under which unique-ids are given.
//!
//! flock(2) on a file of its own (the list itself is replaced, and a lock on
//! what was replaced locks nothing). It dies with its holder, and Linux carries
//! it over NFS. Courier takes no lock (ledger 301).

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::time::{Duration, Instant};

use rustix::fs::{FlockOperation, Mode, OFlags};
use rustix::io::Errno;

use crate::beneath;

const NAME: &[u8] = b"courierpop3dsizelist.lock";

/// How long the lock is waited for before the session is told to come again.
pub(crate) const PATIENCE: Duration = Duration::from_secs(30);

/// Between two attempts.
const PAUSE: Duration = Duration::from_millis(20);

/// The lock, held until it is dropped.
#[derive(Debug)]
pub(crate) struct Lock(#[expect(dead_code, reason = "the descriptor is the lock")] File);

impl Lock {
    /// Takes the lock of the Maildir `root`; `None` if others kept it for all
    /// of `patience`.
    pub(crate) fn take(root: impl AsFd, patience: Duration) -> io::Result<Option<Lock>> {
        let file = beneath::regular_file_or_new(root, NAME, OFlags::RDWR, Mode::RUSR | Mode::WUSR)?;
        let begun = Instant::now();
        loop {
            match rustix::fs::flock(&file, FlockOperation::NonBlockingLockExclusive) {
                Ok(()) => return Ok(Some(Lock(file))),
                Err(Errno::INTR) => {}
                Err(Errno::WOULDBLOCK) if begun.elapsed() >= patience => return Ok(None),
                Err(Errno::WOULDBLOCK) => std::thread::sleep(PAUSE),
                Err(error) => return Err(error.into()),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn held(directory: &tempfile::TempDir) -> File {
        File::open(directory.path()).unwrap()
    }

    #[test]
    fn one_holder_at_a_time() {
        let directory = tempfile::tempdir().unwrap();
        let lock = Lock::take(held(&directory), Duration::ZERO).unwrap();
        assert!(lock.is_some());
        assert!(Lock::take(held(&directory), Duration::ZERO).unwrap().is_none());
        drop(lock);
        assert!(Lock::take(held(&directory), Duration::ZERO).unwrap().is_some());
    }

    #[test]
    fn the_file_is_the_owners_alone_and_no_link_is_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("courierpop3dsizelist.lock");
        drop(Lock::take(held(&directory), Duration::ZERO).unwrap());
        assert_eq!(std::fs::metadata(&path).unwrap().mode() & 0o7777, 0o600);
        std::fs::remove_file(&path).unwrap();
        symlink("elsewhere", &path).unwrap();
        assert!(Lock::take(held(&directory), Duration::ZERO).is_err());
        assert!(!directory.path().join("elsewhere").exists());
    }
}

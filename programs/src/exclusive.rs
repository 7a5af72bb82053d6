//! Files that one process at a time changes: a lock that dies with its
//! holder, and replacement in one step.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

/// How long to wait for another process to finish.
const PATIENCE: Duration = Duration::from_secs(60);

/// Holds the lock on the lock file `path` until the result is dropped, or
/// this process ends, however it ends. Courier's tools lock the same files in
/// the same way (flock(2)).
///
/// # Errors
/// What the system reports; `TimedOut` if another process keeps the lock for a
/// minute.
pub fn lock(path: &Path) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let deadline = Instant::now() + PATIENCE;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "locked by another process"));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(50)),
        }
    }
}

/// Removes what an interrupted run left at `path`. The lock must be held.
///
/// # Errors
/// What the system reports; nothing there is no error.
pub fn remove_leftover(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

/// Makes the names in `directory` durable.
///
/// # Errors
/// What the system reports.
pub fn sync_directory(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

/// The directory that `path` is in.
#[must_use]
pub fn directory_of(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::{directory_of, lock, remove_leftover};
    use std::path::Path;

    #[test]
    fn a_lock_is_free_again_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        let held = lock(&path).unwrap();
        let other = std::fs::File::open(&path).unwrap();
        assert!(other.try_lock().is_err());
        drop(held);
        assert!(other.try_lock().is_ok());
    }

    #[test]
    fn a_missing_leftover_is_no_error() {
        let directory = tempfile::tempdir().unwrap();
        assert!(remove_leftover(&directory.path().join("none")).is_ok());
        assert!(remove_leftover(directory.path()).is_err());
    }

    #[test]
    fn every_path_is_in_a_directory() {
        assert_eq!(directory_of(Path::new("userdb")), Path::new("."));
        assert_eq!(directory_of(Path::new("/etc/userdb")), Path::new("/etc"));
    }
}

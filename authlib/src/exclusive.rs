//! Files that one process at a time changes: a lock that dies with its
//! holder, and replacement in one step.

use std::fs::{self, File, OpenOptions, Permissions, TryLockError};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

/// How long a person waits for another process to finish.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Holds the lock on the lock file `path` until the result is dropped, or
/// this process ends, however it ends. Courier's tools lock the same files in
/// the same way (flock(2)).
///
/// # Errors
/// What the system reports; `TimedOut` if another process keeps the lock for
/// as long as `patience`.
pub fn lock(path: &Path, patience: Duration) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(path)?;
    let deadline = Instant::now() + patience;
    loop {
        match file.try_lock() {
            Ok(()) => return Ok(file),
            Err(TryLockError::Error(error)) => return Err(error),
            Err(TryLockError::WouldBlock) if Instant::now() >= deadline => {
                return Err(io::Error::new(io::ErrorKind::TimedOut, "locked by another process"));
            }
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(20)),
        }
    }
}

/// A file that takes another one's place, or is gone again.
#[derive(Debug)]
pub struct Temporary(PathBuf);

impl Temporary {
    /// Makes room at `path` by removing what an interrupted run left there.
    /// The lock that keeps others away must be held.
    ///
    /// # Errors
    /// What the system reports; nothing there is no error.
    pub fn at(path: PathBuf) -> io::Result<Self> {
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(Temporary(path)),
        }
    }

    /// Where it is.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// Takes the place of `path`, in one step.
    ///
    /// # Errors
    /// What rename(2) reports; it is gone then.
    pub fn replace(self, path: &Path) -> io::Result<()> {
        fs::rename(&self.0, path)
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        // Nothing is there if it has become the other one.
        let _ = fs::remove_file(&self.0);
    }
}

/// Gives `file` the owner, group and mode of `old`.
///
/// # Errors
/// What the system reports, such as that only root may give files away.
pub fn take_after(file: &File, old: &fs::Metadata) -> io::Result<()> {
    let own = file.metadata()?;
    if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
        fchown(file, Some(old.uid()), Some(old.gid()))?;
    }
    file.set_permissions(Permissions::from_mode(old.mode() & 0o7777))
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
    use super::{PATIENCE, Temporary, directory_of, lock};
    use std::fs;
    use std::io::ErrorKind;
    use std::path::Path;
    use std::time::Duration;

    #[test]
    fn a_lock_is_free_again_when_it_is_dropped() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("x.lock");
        let held = lock(&path, PATIENCE).unwrap();
        assert_eq!(lock(&path, Duration::ZERO).unwrap_err().kind(), ErrorKind::TimedOut);
        drop(held);
        assert!(lock(&path, Duration::ZERO).is_ok());
    }

    #[test]
    fn a_temporary_file_becomes_another_one_or_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let [new, old] = ["new", "old"].map(|name| directory.path().join(name));
        fs::write(&new, "left over").unwrap();
        let temporary = Temporary::at(new.clone()).unwrap();
        assert!(!new.exists());
        fs::write(temporary.path(), "whole").unwrap();
        temporary.replace(&old).unwrap();
        fs::write(&new, "again").unwrap();
        drop(Temporary::at(new.clone()).unwrap());
        assert!(!new.exists() && fs::read(&old).unwrap() == b"whole");
        assert!(Temporary::at(directory.path().to_owned()).is_err());
    }

    #[test]
    fn every_path_is_in_a_directory() {
        assert_eq!(directory_of(Path::new("userdb")), Path::new("."));
        assert_eq!(directory_of(Path::new("/etc/userdb")), Path::new("/etc"));
    }
}

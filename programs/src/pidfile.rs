//! The pid file of a daemon, and its lock (reference couriertcpd.md 4).
//!
//! What counts is the lock on `FILE.lock`: it dies with its holder, and the
//! kernel says who that is. `FILE` holds the same number for scripts to read.
//! The lock is of the kind that Courier takes, so either couriertcpd finds,
//! stops and restarts the other.

use std::ffi::OsString;
use std::fmt;
use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, fcntl};
use nix::libc;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// An error and the path it is about, shown as perror(3) would.
#[derive(Debug)]
pub(crate) struct PathError {
    path: PathBuf,
    error: io::Error,
}

impl PathError {
    pub(crate) fn new(path: &Path, error: io::Error) -> Self {
        PathError { path: path.to_owned(), error }
    }
}

impl fmt::Display for PathError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.path.display(), reason(&self.error))
    }
}

/// A pid file that is locked by this process until it ends.
///
/// The kind of lock wants it so: closing any descriptor of the lock file would
/// give it up, hence it is opened here only, and once.
#[derive(Debug)]
pub(crate) struct PidFile {
    path: PathBuf,
    _lock: File,
}

impl PidFile {
    /// Locks the pid file at `path`; `None` if another process holds it.
    ///
    /// # Errors
    /// What open(2) or fcntl(2) report on `FILE.lock`.
    pub(crate) fn claim(path: &Path) -> Result<Option<Self>, PathError> {
        let lock = lock_file(path, true)?;
        match fcntl(&lock, FcntlArg::F_SETLK(&whole_file())) {
            Ok(_) => Ok(Some(PidFile { path: path.to_owned(), _lock: lock })),
            Err(Errno::EACCES | Errno::EAGAIN) => Ok(None),
            Err(error) => Err(PathError::new(path, error.into())),
        }
    }

    /// Writes our process id into the file, which is made anew, so that no
    /// link in its place leads elsewhere.
    ///
    /// # Errors
    /// What unlink(2), open(2) or write(2) report.
    pub(crate) fn write_pid(&self) -> Result<(), PathError> {
        let write = || {
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                _ => {}
            }
            let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&self.path)?;
            writeln!(file, "{}", std::process::id())
        };
        write().map_err(|error| PathError::new(&self.path, error))
    }
}

/// Ends the process that holds the pid file at `path` and waits until it has
/// gone. Nothing to do if there is none.
///
/// # Errors
/// What open(2), fcntl(2) or kill(2) report.
pub(crate) fn stop(path: &Path) -> Result<(), PathError> {
    let Some((lock, holder)) = holder(path)? else { return Ok(()) };
    send(path, holder, Signal::SIGTERM)?;
    loop {
        match fcntl(&lock, FcntlArg::F_SETLKW(&whole_file())) {
            Ok(_) => return Ok(()),
            Err(Errno::EINTR) => {}
            Err(error) => return Err(PathError::new(path, error.into())),
        }
    }
}

/// Sends SIGHUP to the process that holds the pid file at `path`, if any.
///
/// # Errors
/// What open(2), fcntl(2) or kill(2) report.
pub(crate) fn restart(path: &Path) -> Result<(), PathError> {
    match holder(path)? {
        Some((_lock, holder)) => send(path, holder, Signal::SIGHUP),
        None => Ok(()),
    }
}

/// The lock file and who holds it.
fn holder(path: &Path) -> Result<Option<(File, Pid)>, PathError> {
    let lock = match lock_file(path, false) {
        Err(failed) if failed.error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other?,
    };
    let mut found = whole_file();
    fcntl(&lock, FcntlArg::F_GETLK(&mut found)).map_err(|error| PathError::new(path, error.into()))?;
    if libc::c_int::from(found.l_type) == libc::F_UNLCK {
        return Ok(None);
    }
    if found.l_pid <= 0 {
        let error = io::Error::other("held by a process that cannot be seen from here");
        return Err(PathError::new(path, error));
    }
    Ok(Some((lock, Pid::from_raw(found.l_pid))))
}

/// Signals `holder`; that it has ended meanwhile is as good.
fn send(path: &Path, holder: Pid, signal: Signal) -> Result<(), PathError> {
    match kill(holder, signal) {
        Ok(()) | Err(Errno::ESRCH) => Ok(()),
        Err(error) => Err(PathError::new(path, error.into())),
    }
}

fn lock_file(path: &Path, create: bool) -> Result<File, PathError> {
    let mut name = OsString::from(path);
    name.push(".lock");
    let mut options = OpenOptions::new();
    options.read(true).write(true).create(create).mode(0o600).custom_flags(libc::O_NOFOLLOW);
    options.open(&name).map_err(|error| PathError::new(Path::new(&name), error))
}

fn whole_file() -> libc::flock {
    // The constants fit: they are 0 and 1 and so declared in <fcntl.h>.
    #[allow(clippy::cast_possible_truncation)]
    libc::flock {
        l_type: libc::F_WRLCK as libc::c_short,
        l_whence: libc::SEEK_SET as libc::c_short,
        l_start: 0,
        l_len: 0,
        l_pid: 0,
    }
}

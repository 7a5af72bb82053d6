//! The chain of programs of authlib(7): how a program hands its connection,
//! and what it knows, to the next one (reference: authlib 1).
//!
//! ```text
//! login program ──exec──> module ──exec──> module … ──exec──> final program
//!   └ record on fd 3        └ reads it: accept: environment, own ids, nothing on fd 3
//!                             reject: the same record on fd 3 again
//!                             unavailable: the login program once more
//! ```
//!
//! Each of them is the same process, so all they share are descriptors, the
//! environment and arguments. Passwords travel on descriptor 3 only.

use authlib::printable::reason;
use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use authlib::Record;
use authlib::record::{LIMIT, Malformed};
use rustix::event::PollFlags;
use rustix::fs::FileType;
use zeroize::Zeroizing;

use crate::connection::wait;
use crate::log::{self, Harmless};

/// The descriptor on which a record travels.
const RECORD: RawFd = 3;

/// How long the writer of a record may take, if it is another process.
const PATIENCE: Duration = Duration::from_secs(30);

/// Most words that a login program is run again with.
const MOST_ARGUMENTS: usize = 1000;

/// Set by a module that could not tell, for a login program that is run again.
const UNABLE_TO_TELL: &str = "POSTRIDER_UNABLE_TO_TELL";

/// Puts `record` on descriptor 3 for the next program.
///
/// The pipe holds it all, so no process has to stay behind to write it.
/// Descriptor 3 must not be in use by anything else of this process.
///
/// # Errors
/// What the kernel reports; a pipe that cannot take the record whole is
/// `WouldBlock` or `WriteZero`.
pub fn offer(record: &Record) -> io::Result<()> {
    system::descriptor::place(system::pipe::holding(record.encode().expose())?, RECORD)
}

/// Why there is no record to be had from descriptor 3.
#[derive(Debug, thiserror::Error)]
pub enum NoRecord {
    /// The program was not started by a chain.
    #[error("descriptor 3 is closed")]
    Closed,
    /// What is there is no record.
    #[error(transparent)]
    Malformed(#[from] Malformed),
    /// It cannot be read.
    #[error("descriptor 3: {0}")]
    Read(#[from] io::Error),
    /// Its writer has not finished within half a minute.
    #[error("descriptor 3: the record does not end")]
    Endless,
}

/// Takes the record from descriptor 3, which is closed afterwards.
///
/// # Errors
/// See [`NoRecord`].
pub fn take_record() -> Result<Record, NoRecord> {
    let reader = system::descriptor::inherited(RECORD).ok_or(NoRecord::Closed)?;
    let deadline = Instant::now() + PATIENCE;
    // One octet more than is allowed, to see that there are too many.
    let mut buffer = Zeroizing::new(vec![0; LIMIT + 1]);
    let mut filled = 0;
    while filled < buffer.len() {
        if !wait(reader.as_fd(), PollFlags::IN, deadline)? {
            return Err(NoRecord::Endless);
        }
        match rustix::io::read(&reader, &mut buffer[filled..]) {
            Ok(0) => break,
            Ok(count) => filled += count,
            Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
            Err(error) => return Err(NoRecord::Read(error.into())),
        }
    }
    Ok(Record::decode(&buffer[..filled])?)
}

/// Closes descriptor 3, whatever is there: a record that nobody needs any more
/// holds a password.
pub fn drop_record() {
    drop(system::descriptor::inherited(RECORD));
}

/// Whether a record waits on descriptor 3: it is a pipe or a socket and holds
/// octets. Takes nothing and never waits.
///
/// A record that nobody has taken was not validated by anybody.
#[must_use]
pub fn record_is_waiting() -> bool {
    system::descriptor::duplicate(RECORD).is_some_and(|descriptor| holds_octets(descriptor.as_fd()))
}

fn holds_octets(descriptor: impl AsFd) -> bool {
    let kind = rustix::fs::fstat(&descriptor).map(|status| FileType::from_raw_mode(status.st_mode));
    matches!(kind, Ok(FileType::Fifo | FileType::Socket))
        && rustix::io::ioctl_fionread(&descriptor).is_ok_and(|octets| octets > 0)
}

/// Whether a module of this chain has accepted somebody: the value of
/// AUTHENTICATED, if it is not empty.
#[must_use]
pub fn authenticated() -> Option<OsString> {
    env::var_os("AUTHENTICATED").filter(|user| !user.is_empty())
}

/// Whether this login program runs once more, after a failed login.
#[must_use]
pub fn is_rerun() -> bool {
    env::var_os("AUTHARGC").is_some_and(|count| !matches!(count.as_bytes().first(), None | Some(b'0')))
}

/// The login program cannot be run again, since nobody knows where it is.
#[derive(Debug, thiserror::Error)]
#[error("AUTHUSER is not initialized to a complete path")]
pub struct NotComplete;

/// What a login program leaves in the environment for the programs that
/// follow: how it was called (`arguments`, its argv), so that they can run it
/// again; and that nobody is authenticated yet. A MAILDIR from outside is
/// forgotten, so that only a module of this chain can set it (ledger 404).
///
/// # Errors
/// If AUTHUSER is set but not absolute, or not set and argv\[0\] is not
/// absolute.
pub fn note_arguments(arguments: &[OsString]) -> Result<Handover, NotComplete> {
    let mut handover = Handover::new();
    match (env::var_os("AUTHUSER"), arguments.first()) {
        (Some(given), _) if Path::new(&given).is_absolute() => {}
        (None, Some(own)) if Path::new(own).is_absolute() => handover.set("AUTHUSER", own),
        _ => return Err(NotComplete),
    }
    handover.set("AUTHARGC", arguments.len().to_string());
    for (number, argument) in arguments.iter().enumerate() {
        handover.set(argument_name(number), argument);
    }
    (arguments.len()..MOST_ARGUMENTS)
        .map(argument_name)
        .take_while(|name| env::var_os(name).is_some())
        .for_each(|stale| handover.remove(stale));
    handover.set("AUTHENTICATED", "");
    handover.remove("MAILDIR");
    Ok(handover)
}

fn argument_name(number: usize) -> String {
    format!("AUTHARGV{number}")
}

/// Changes of the environment that the next program is to see. This process
/// keeps its own as it was.
#[derive(Debug, Default)]
pub struct Handover {
    changes: BTreeMap<OsString, Option<OsString>>,
}

impl Handover {
    /// No changes.
    #[must_use]
    pub fn new() -> Self {
        Handover::default()
    }

    /// Sets the variable `name`. A value with a NUL makes
    /// [`exec_next`](Handover::exec_next) fail.
    pub fn set(&mut self, name: impl Into<OsString>, value: impl Into<OsString>) {
        self.changes.insert(name.into(), Some(value.into()));
    }

    /// Removes the variable `name`.
    pub fn remove(&mut self, name: impl Into<OsString>) {
        self.changes.insert(name.into(), None);
    }

    /// Becomes the program that `words` name: the first word is both its path,
    /// which is not searched for, and its argv\[0\].
    ///
    /// Returns only if that fails, with the reason.
    #[must_use]
    pub fn exec_next(&self, words: &[OsString]) -> io::Error {
        let Some(program) = words.first() else {
            return io::Error::new(io::ErrorKind::InvalidInput, "no program to run next");
        };
        self.exec(&as_path(program), words)
    }

    fn exec(&self, path: &Path, words: &[OsString]) -> io::Error {
        let mut command = Command::new(path);
        if let Some((own_name, arguments)) = words.split_first() {
            command.arg0(own_name).args(arguments);
        }
        for (name, value) in &self.changes {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.exec()
    }
}

/// `word` as execv(3) takes it: a bare name is a file of the current
/// directory, not something to look for in PATH.
fn as_path(word: &OsStr) -> PathBuf {
    if word.as_bytes().contains(&b'/') { PathBuf::from(word) } else { Path::new(".").join(word) }
}

/// Becomes the login program again, as AUTHUSER and AUTHARGV tell; its client
/// then hears that the login failed.
///
/// Returns only if nobody told, or it cannot be run; the reason is on
/// descriptor 2 then, and the status is what this program must end with.
#[must_use]
pub fn rerun_login() -> ExitCode {
    rerun(&Handover::new())
}

/// The same where nobody could tell whether the credentials are good; if the
/// login program is ours its client hears just that (ledger 151).
#[must_use]
pub fn rerun_login_unable_to_tell() -> ExitCode {
    let mut handover = Handover::new();
    handover.set(UNABLE_TO_TELL, "1");
    rerun(&handover)
}

/// Whether a module of ours has run this login program again because it could
/// not tell.
#[must_use]
pub fn could_not_tell() -> bool {
    env::var_os(UNABLE_TO_TELL).is_some_and(|value| !value.is_empty())
}

fn rerun(handover: &Handover) -> ExitCode {
    match login_program() {
        Some((path, words)) => {
            let error = handover.exec(&path, &words);
            let path = Harmless(path.as_os_str().as_bytes());
            log::line(format_args!("ERR: {path}: {}", reason(&error)));
        }
        None => log::line(format_args!("AUTHFAILURE")),
    }
    ExitCode::FAILURE
}

/// Path and argv of the login program, if the environment has both whole.
fn login_program() -> Option<(PathBuf, Vec<OsString>)> {
    let path = PathBuf::from(env::var_os("AUTHUSER")?);
    let count: usize = env::var("AUTHARGC").ok()?.parse().ok()?;
    if !path.is_absolute() || !(1..=MOST_ARGUMENTS).contains(&count) {
        return None;
    }
    let words = (0..count).map(|number| env::var_os(argument_name(number))).collect::<Option<_>>()?;
    Some((path, words))
}

/// Takes leave of children that have ended, such as the writer of the record
/// that another implementation's program left behind.
pub fn reap_children() {
    use rustix::process::{WaitOptions, wait};
    while let Ok(Some(_)) = wait(WaitOptions::NOHANG) {}
}

#[cfg(test)]
mod tests {
    use super::{as_path, holds_octets, note_arguments};
    use std::ffi::{OsStr, OsString};
    use std::io::Write;
    use std::os::unix::net::UnixStream;
    use std::path::Path;

    #[test]
    fn a_bare_name_is_a_file_of_the_current_directory() {
        assert_eq!(as_path(OsStr::new("courierpop3d")), Path::new("./courierpop3d"));
        assert_eq!(as_path(OsStr::new("bin/courierpop3d")), Path::new("bin/courierpop3d"));
        assert_eq!(as_path(OsStr::new("/usr/bin/courierpop3d")), Path::new("/usr/bin/courierpop3d"));
    }

    #[test]
    fn only_a_pipe_or_socket_with_octets_in_it_holds_a_record() {
        let (reader, writer) = rustix::pipe::pipe().unwrap();
        assert!(!holds_octets(&reader));
        rustix::io::write(&writer, b"x").unwrap();
        assert!(holds_octets(&reader));
        let (socket, mut other) = UnixStream::pair().unwrap();
        assert!(!holds_octets(&socket));
        other.write_all(b"x").unwrap();
        assert!(holds_octets(&socket));
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(b"x").unwrap();
        assert!(!holds_octets(&file));
    }

    #[test]
    fn a_login_program_notes_how_to_run_it_again() {
        let words = |words: &[&str]| words.iter().map(Into::into).collect::<Vec<OsString>>();
        let handover = note_arguments(&words(&["/bin/login", "module", ""])).unwrap();
        let value = |name: &str| handover.changes.get(OsStr::new(name)).cloned();
        let set = |text: &str| Some(Some(OsString::from(text)));
        assert_eq!(value("AUTHUSER"), set("/bin/login"));
        assert_eq!(value("AUTHARGC"), set("3"));
        assert_eq!(value("AUTHARGV0"), set("/bin/login"));
        assert_eq!(value("AUTHARGV1"), set("module"));
        assert_eq!(value("AUTHARGV2"), set(""));
        assert_eq!(value("AUTHENTICATED"), set(""));
        assert_eq!(value("MAILDIR"), Some(None));
        assert!(note_arguments(&words(&["login", "module"])).is_err());
    }
}

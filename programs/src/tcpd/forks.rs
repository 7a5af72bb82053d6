//! Connections served by copies of a program that was started once, where the
//! program can do that ([`crate::forkserver`]).
//!
//! Which programs can is seen in their files, so no other is ever started
//! without a connection. When the file is another one, the next connection is
//! the new one's.

use std::ffi::CString;
use std::fs::{File, Metadata, OpenOptions};
use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::event::PollFlags;

use super::spawn::{Executable, Group};
use crate::connection::wait;
use crate::environment;
use crate::forkserver::{VARIABLE, VERSION, copy_of, is_able};
use crate::service::wire::{Received, Wire};

/// How long a fork server may take to copy itself: it has nothing else to do.
const PATIENCE: Duration = Duration::from_secs(5);

/// One that has ended is not started again before.
const PAUSE: Duration = Duration::from_secs(5);

/// Files that are longer are not looked through.
const LONGEST: u64 = 64 * 1024 * 1024;

/// The fork server of a program, if it has one.
#[derive(Debug, Default)]
pub(super) struct Forks {
    /// The file that was last looked at.
    file: Option<Identity>,
    /// Whether it can be one.
    can: bool,
    running: Option<Running>,
    started: Option<Instant>,
}

/// One file, as it was at one time. (A file that is being executed cannot be
/// written to.)
#[derive(Debug, PartialEq, Eq)]
struct Identity {
    inode: (u64, u64),
    mode: u32,
    octets: u64,
    modified: (i64, i64),
}

#[derive(Debug)]
struct Running {
    wire: Wire,
    pid: u32,
}

impl Forks {
    /// Has `connection` served by a copy, which finds `about` in its environment;
    /// gives its process id. `None` if there is nobody to copy: then the program
    /// is to be started.
    ///
    /// # Errors
    /// There is no copy, and nobody knows whether there will be one.
    pub(super) fn start(
        &mut self,
        executable: &Executable,
        environment: &[CString],
        connection: BorrowedFd<'_>,
        about: &[CString],
    ) -> Option<io::Result<u32>> {
        self.look(executable, environment);
        let variables: Vec<&[u8]> = about.iter().map(|variable| variable.as_bytes()).collect();
        let running = self.running.as_ref()?;
        if !matches!(running.wire.send(&variables.join(&0), Some(connection)), Ok(true)) {
            self.running = None;
            return None;
        }
        Some(match running.answer() {
            Ok(answer) => copy_of(&answer.message),
            Err(error) => {
                self.end();
                Err(error)
            }
        })
    }

    /// Process `pid` has ended; perhaps it was the fork server.
    pub(super) fn ended(&mut self, pid: u32) {
        self.running.take_if(|running| running.pid == pid);
    }

    /// Makes sure that the fork server is one of the program that is there now.
    fn look(&mut self, executable: &Executable, environment: &[CString]) {
        let file = std::fs::metadata(executable.path()).ok().map(|file| Identity::of(&file));
        if file != self.file {
            *self = Forks { can: can(executable.path()), file, ..Forks::default() };
        }
        let is_due = self.started.is_none_or(|started| started.elapsed() >= PAUSE);
        if self.can && self.running.is_none() && is_due {
            self.started = Some(Instant::now());
            // That it cannot be started is said where it is started for a client.
            self.running = Running::start(executable, environment).ok();
        }
    }

    /// Ends a fork server that does not do as it should. It has not been waited for
    /// yet, so the process is still it.
    fn end(&mut self) {
        if let Some(pid) = self.running.take().and_then(|running| i32::try_from(running.pid).ok()) {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

impl Running {
    fn start(executable: &Executable, environment: &[CString]) -> io::Result<Running> {
        let (wire, its_end) = Wire::pair()?;
        let null = OpenOptions::new().write(true).open("/dev/null")?;
        let mut environment = environment.to_vec();
        environment.push(CString::new(format!("{VARIABLE}={VERSION}"))?);
        let descriptors = [(its_end.as_fd(), 0), (null.as_fd(), 1)];
        let pid = executable.start(&environment, &descriptors, Group::Ours)?;
        Ok(Running { wire, pid })
    }

    /// What it says to being asked for a copy.
    fn answer(&self) -> io::Result<Received> {
        let deadline = Instant::now() + PATIENCE;
        while wait(self.wire.as_fd(), PollFlags::IN, deadline)? {
            if let Some(received) = self.wire.receive()? {
                return Ok(received);
            }
        }
        Err(io::ErrorKind::TimedOut.into())
    }
}

impl Identity {
    fn of(file: &Metadata) -> Identity {
        Identity {
            inode: (file.dev(), file.ino()),
            mode: file.mode(),
            octets: file.len(),
            modified: (file.mtime(), file.mtime_nsec()),
        }
    }
}

/// Whether the program in the file `path` can be a fork server, and
/// [`VARIABLE`] does not forbid it.
fn can(path: &Path) -> bool {
    let read = || -> io::Result<Vec<u8>> {
        let mut octets = Vec::new();
        File::open(path)?.take(LONGEST).read_to_end(&mut octets)?;
        Ok(octets)
    };
    environment::variable(VARIABLE).is_none_or(|value| value != "0")
        && std::fs::metadata(path).is_ok_and(|file| file.is_file())
        && read().is_ok_and(|octets| is_able(&octets))
}

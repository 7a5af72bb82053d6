//! `-stderrlogger`: one program that reads everybody's descriptor 2.

use std::ffi::{CString, OsStr};
use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::time::{Duration, Instant};

use super::notices;
use super::spawn::{Executable, Group};

/// A logger that keeps ending is not started more often than this.
const PAUSE: Duration = Duration::from_secs(5);

/// The logging program and the pipe it reads.
///
/// We keep the reading end open too. So lines wait in the pipe while there is
/// no logger, and nobody dies of SIGPIPE (ledger 508).
#[derive(Debug)]
pub(super) struct Logger {
    executable: Executable,
    environment: Vec<CString>,
    lines: OwnedFd,
    null: File,
    pid: Option<u32>,
    started: Instant,
}

impl Logger {
    /// Starts the logger `word` with `name` as its one argument; gives it and
    /// the descriptor to write lines to.
    ///
    /// # Errors
    /// What pipe(2), fork(2) and exec(2) report.
    pub(super) fn start(
        word: &OsStr,
        name: &OsStr,
        environment: Vec<CString>,
        now: Instant,
    ) -> io::Result<(Self, OwnedFd)> {
        let (lines, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
        let executable = Executable::new(word, [name])?;
        let null = OpenOptions::new().write(true).open("/dev/null")?;
        let mut logger = Logger { executable, environment, lines, null, pid: None, started: now };
        logger.pid = Some(logger.spawn()?);
        Ok((logger, writing))
    }

    /// Process `pid` has ended; perhaps it was the logger.
    pub(super) fn ended(&mut self, pid: u32) {
        if self.pid == Some(pid) {
            self.pid = None;
            notices::logger_ended(&self.executable);
        }
    }

    /// How long until a logger that has ended may be started again; `None`
    /// while it runs.
    #[must_use]
    pub(super) fn due(&self, now: Instant) -> Option<Duration> {
        let since = now.saturating_duration_since(self.started);
        if self.pid.is_some() { None } else { Some(PAUSE.saturating_sub(since)) }
    }

    /// Starts it again, if it has ended and its time has come.
    pub(super) fn revive(&mut self, now: Instant) {
        if self.due(now) == Some(Duration::ZERO) {
            self.started = now;
            match self.spawn() {
                Ok(pid) => self.pid = Some(pid),
                Err(error) => notices::cannot_start(&self.executable, &error),
            }
        }
    }

    /// In a process group of its own: when all connections are ended by a
    /// signal to ours, the logger still reads what they had to say, and then
    /// ends by itself at the end of the pipe.
    fn spawn(&self) -> io::Result<u32> {
        let descriptors = [(self.lines.as_fd(), 0), (self.null.as_fd(), 1), (self.null.as_fd(), 2)];
        self.executable.start(&self.environment, &descriptors, Group::Own)
    }
}

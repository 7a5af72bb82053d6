//! Starting a program: which words, which descriptors, and nothing else.
//!
//! posix_spawn(3) itself, not `std::process`: that would hand our blocked
//! signals on to the program.

use std::ffi::{CString, OsStr};
use std::fmt;
use std::io;
use std::os::fd::{AsRawFd, BorrowedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawn};
use nix::sys::signal::{SigSet, Signal};
use nix::unistd::Pid;

use crate::log::Harmless;

/// A program and its words, as exec(2) wants them.
#[derive(Debug)]
pub(super) struct Executable {
    path: CString,
    words: Vec<CString>,
}

/// The process group that a program starts in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Group {
    /// Ours: it ends when we are told to end.
    Ours,
    /// One of its own.
    Own,
}

impl Executable {
    /// The program that `word` names, with `word` as `argv[0]` and `arguments`
    /// behind it. PATH is not searched: a word without a slash names a file of
    /// the current directory.
    ///
    /// # Errors
    /// A NUL, which no command line holds.
    pub(super) fn new<'a>(
        word: &'a OsStr,
        arguments: impl IntoIterator<Item = &'a OsStr>,
    ) -> io::Result<Self> {
        let path = CString::new(word.as_bytes())?;
        let words = std::iter::once(word).chain(arguments);
        let words = words.map(|word| CString::new(word.as_bytes())).collect::<Result<_, _>>()?;
        Ok(Executable { path, words })
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        Path::new(OsStr::from_bytes(self.path.as_bytes()))
    }

    /// Starts the program in a new process, gives its id. Its descriptors are
    /// `descriptors` under the numbers given, those of 0 to 2 not given as
    /// they are here, and no other, since ours are all close-on-exec. SIGPIPE
    /// has its default action and no signal is blocked.
    ///
    /// # Errors
    /// What fork(2), dup2(2) and exec(2) report.
    pub(super) fn start(
        &self,
        environment: &[CString],
        descriptors: &[(BorrowedFd<'_>, RawFd)],
        group: Group,
    ) -> io::Result<u32> {
        let mut actions = PosixSpawnFileActions::init()?;
        for (descriptor, number) in descriptors {
            actions.add_dup2(descriptor.as_raw_fd(), *number)?;
        }
        let mut attributes = PosixSpawnAttr::init()?;
        let mut flags = PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        attributes.set_sigmask(&SigSet::empty())?;
        attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
        if group == Group::Own {
            flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
            attributes.set_pgroup(Pid::from_raw(0))?;
        }
        attributes.set_flags(flags)?;
        let pid = posix_spawn(self.path.as_c_str(), &actions, &attributes, &self.words, environment)?;
        Ok(pid.as_raw().unsigned_abs())
    }
}

impl fmt::Display for Executable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Harmless(self.path.as_bytes()).fmt(f)
    }
}

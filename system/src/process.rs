//! How a service begins: in the background if asked to, in a process group
//! of its own, with standard signals, and with no descriptor that the
//! programs it starts would inherit by accident.
//!
//! Everything here is for the first moments of a process, while it has one
//! thread.

use std::fs::File;
use std::io::{self, Read, Write};
use std::process::ExitCode;

use nix::libc;
use nix::sys::signal::{SigHandler, Signal};
use nix::unistd::{ForkResult, Pid};

use crate::sibling::OneThread;

/// Which of the two processes we are after [`background`].
#[derive(Debug)]
pub enum Background {
    /// The process that was started; it has only to wait for the daemon's word.
    Caller(Caller),
    /// The process that stays: leader of a new session, without a terminal.
    Daemon(Daemon),
}

/// The caller's end of the pipe on which the daemon says how its start went.
#[derive(Debug)]
pub struct Caller(File);

/// The daemon's end of that pipe. Dropped without a word it means failure.
#[derive(Debug)]
pub struct Daemon(File);

/// Splits this process into a caller that waits and a daemon that stays.
///
/// # Errors
/// What pipe(2), fork(2) or setsid(2) report; also if this process has more
/// than one thread, since the others would be missing in the daemon.
pub fn background() -> io::Result<Background> {
    // In the other process, others would be missing.
    let _alone = OneThread::look()?;
    let (reading, writing) = rustix::pipe::pipe_with(rustix::pipe::PipeFlags::CLOEXEC)?;
    // SAFETY: this process has one thread (checked above), so no lock or
    // half-changed state of another thread is copied into the child.
    #[allow(unsafe_code)]
    match unsafe { nix::unistd::fork() }? {
        ForkResult::Parent { .. } => Ok(Background::Caller(Caller(reading.into()))),
        ForkResult::Child => {
            nix::unistd::setsid()?;
            Ok(Background::Daemon(Daemon(writing.into())))
        }
    }
}

impl Caller {
    /// Waits until the daemon has started or failed, and gives the exit
    /// status that says which: the daemon's word, or failure if it died
    /// without one.
    #[must_use]
    pub fn wait(mut self) -> ExitCode {
        let mut word = [0];
        match self.0.read_exact(&mut word) {
            Ok(()) => ExitCode::from(word[0]),
            Err(_) => ExitCode::FAILURE,
        }
    }
}

impl Daemon {
    /// Lets the caller end with exit status 0.
    pub fn started(mut self) {
        // A caller that was killed meanwhile has nobody to tell.
        let _ = self.0.write_all(&[0]);
    }
}

/// Makes this process leader of a process group of its own, so that a signal
/// to that group reaches nobody else.
///
/// A process that leads no group yet also leaves its session, and with it the
/// controlling terminal. One that does (started by an interactive shell, or
/// by [`background`]) is left where it is.
///
/// # Errors
/// What setsid(2) reports, other than that there was nothing to do.
pub fn own_group() -> io::Result<()> {
    if nix::unistd::getpgrp() == Pid::this() {
        return Ok(());
    }
    nix::unistd::setsid()?;
    Ok(())
}

/// Undoes what the caller may have ignored: without SIGCHLD no child could be
/// waited for, and an ignored signal stays ignored in every program started.
///
/// # Errors
/// What sigaction(2) reports.
pub fn standard_signals() -> io::Result<()> {
    let standard = [
        Signal::SIGHUP,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGALRM,
        Signal::SIGTERM,
        Signal::SIGCHLD,
        Signal::SIGUSR1,
        Signal::SIGUSR2,
    ];
    standard.into_iter().try_for_each(standard_signal)
}

/// Lets this process wait for its children, although whoever started it may
/// have ignored SIGCHLD.
///
/// # Errors
/// What sigaction(2) reports.
pub fn keep_children() -> io::Result<()> {
    standard_signal(Signal::SIGCHLD)
}

fn standard_signal(signal: Signal) -> io::Result<()> {
    // SAFETY: SIG_DFL is no function of ours that could be unsafe to run at an
    // odd moment.
    #[allow(unsafe_code)]
    unsafe { nix::sys::signal::signal(signal, SigHandler::SigDfl) }?;
    Ok(())
}

/// Marks every descriptor from 3 up close-on-exec, so that what our parent
/// left open does not reach the programs we start.
///
/// # Errors
/// What close_range(2) reports, or, on kernels without it, what reading
/// `/proc/self/fd` reports.
pub fn seal_descriptors() -> io::Result<()> {
    // SAFETY: with CLOSE_RANGE_CLOEXEC nothing is closed; only flags change.
    #[allow(unsafe_code)]
    let result =
        unsafe { libc::syscall(libc::SYS_close_range, 3, libc::c_uint::MAX, libc::CLOSE_RANGE_CLOEXEC) };
    if result == 0 {
        return Ok(());
    }
    for entry in std::fs::read_dir("/proc/self/fd")? {
        let Some(number) = entry?.file_name().to_str().and_then(|name| name.parse().ok()) else { continue };
        if number >= 3 {
            // SAFETY: F_SETFD touches no memory. A descriptor that was closed
            // since the listing makes it fail, which harms nobody.
            #[allow(unsafe_code)]
            let _ = unsafe { libc::fcntl(number, libc::F_SETFD, libc::FD_CLOEXEC) };
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::fd::AsFd;

    use super::seal_descriptors;

    #[test]
    fn sealed_descriptors_stay_open_here_and_close_at_exec() {
        let file = std::fs::File::open("/dev/null").unwrap();
        rustix::io::fcntl_setfd(file.as_fd(), rustix::io::FdFlags::empty()).unwrap();
        seal_descriptors().unwrap();
        assert_eq!(rustix::io::fcntl_getfd(file.as_fd()).unwrap(), rustix::io::FdFlags::CLOEXEC);
    }

    #[test]
    fn a_process_with_several_threads_does_not_fork() {
        let (end, ending) = std::sync::mpsc::channel::<()>();
        let other = std::thread::spawn(move || ending.recv());
        assert!(super::background().is_err());
        drop(end);
        assert!(other.join().unwrap().is_err());
    }
}

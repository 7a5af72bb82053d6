//! A process that is nobody's child.

use std::io;
use std::process::Command;

use nix::sys::wait::{WaitStatus, waitpid};
use nix::unistd::{ForkResult, fork};

/// Starts `command` as a child of init: the program that this process becomes
/// by exec may wait for all its children, and must not find this one.
///
/// Call it while the process has one thread.
///
/// # Errors
/// If the process in between or the command cannot be started.
pub fn spawn(command: &mut Command) -> io::Result<()> {
    // SAFETY: callers have one thread, so the child's memory is whole: no lock
    // is held by a thread that does not exist in it.
    #[allow(unsafe_code)]
    match unsafe { fork() }? {
        ForkResult::Child => {
            let status = i32::from(command.spawn().is_err());
            // SAFETY: _exit touches no memory; nothing of the parent's is
            // flushed or dropped twice.
            #[allow(unsafe_code)]
            unsafe {
                nix::libc::_exit(status)
            }
        }
        ForkResult::Parent { child } => loop {
            match waitpid(child, None) {
                Ok(WaitStatus::Exited(_, 0)) => return Ok(()),
                Ok(_) => return Err(io::Error::other("the program could not be started")),
                Err(nix::errno::Errno::EINTR) => {}
                Err(error) => return Err(error.into()),
            }
        },
    }
}

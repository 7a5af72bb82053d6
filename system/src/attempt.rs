//! For tests: attempts at what a confined process must not do.

use std::io;

use nix::libc;
use nix::sys::wait::waitpid;
use nix::unistd::{ForkResult, fork};

/// Makes a process. It ends at once.
///
/// # Errors
/// What the system reports.
pub fn a_process() -> io::Result<()> {
    // SAFETY: the child calls _exit alone, which is async-signal-safe.
    #[allow(unsafe_code)]
    match unsafe { fork() }? {
        // SAFETY: as above; nothing is flushed or dropped twice.
        #[allow(unsafe_code)]
        ForkResult::Child => unsafe { libc::_exit(0) },
        ForkResult::Parent { child } => Ok(waitpid(child, None).map(drop)?),
    }
}

/// Has memory that can be written and executed.
///
/// # Errors
/// What the system reports.
pub fn executable_memory() -> io::Result<()> {
    let rights = libc::PROT_READ | libc::PROT_WRITE | libc::PROT_EXEC;
    let kind = libc::MAP_PRIVATE | libc::MAP_ANONYMOUS;
    // SAFETY: a new mapping somewhere overlaps no memory in use.
    #[allow(unsafe_code)]
    let memory = unsafe { libc::mmap(std::ptr::null_mut(), 4096, rights, kind, -1, 0) };
    if memory == libc::MAP_FAILED { Err(io::Error::last_os_error()) } else { Ok(()) }
}

/// Leaves no name space at all, by the call that leaves them.
///
/// # Errors
/// What the system reports.
pub fn name_spaces() -> io::Result<()> {
    // SAFETY: without a flag nothing changes.
    #[allow(unsafe_code)]
    let result = unsafe { libc::unshare(0) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}

//! Descriptors that are known by number: what a parent left open for us, and
//! what we leave open for the program we become, or start.
//!
//! Programs of the chain meet at fixed numbers (0 and 1 the client, 2 the log,
//! 3 the credentials; authlib(7)), so numbers cannot be avoided here, and
//! here only.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, IntoRawFd, OwnedFd, RawFd};
use std::os::unix::process::CommandExt;
use std::process::Command;
use std::sync::Mutex;

/// Numbers that [`inherited`] has already given away.
static TAKEN: Mutex<Vec<RawFd>> = Mutex::new(Vec::new());

/// Takes ownership of descriptor `number` if our parent left it open.
///
/// Returns `None` if it is closed, or was taken before.
#[must_use]
pub fn inherited(number: RawFd) -> Option<OwnedFd> {
    let mut taken = TAKEN.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    if number < 0 || taken.contains(&number) || !is_open(number) {
        return None;
    }
    taken.push(number);
    // SAFETY: the descriptor is open, and `TAKEN` guarantees that this
    // function makes at most one owner for a number. Callers ask before they
    // open anything themselves, so no other owner in this process has it.
    #[allow(unsafe_code)]
    Some(unsafe { OwnedFd::from_raw_fd(number) })
}

/// Whether descriptor `number` is open in this process.
#[must_use]
pub fn is_open(number: RawFd) -> bool {
    // SAFETY: F_GETFD touches no memory and changes nothing.
    #[allow(unsafe_code)]
    let flags = unsafe { nix::libc::fcntl(number, nix::libc::F_GETFD) };
    flags >= 0
}

/// A second descriptor for what descriptor `number` names, closed on exec, so
/// that it can be looked at without being taken.
///
/// Returns `None` if `number` is closed, or no descriptor is left.
#[must_use]
pub fn duplicate(number: RawFd) -> Option<OwnedFd> {
    // SAFETY: F_DUPFD_CLOEXEC touches no memory and leaves `number` alone; a
    // descriptor that it returns is new, so nobody else owns it.
    #[allow(unsafe_code)]
    unsafe {
        let copy = nix::libc::fcntl(number, nix::libc::F_DUPFD_CLOEXEC, number.saturating_add(1));
        (copy >= 0).then(|| OwnedFd::from_raw_fd(copy))
    }
}

/// Puts `descriptor` at `number`, open across exec, closing what was there.
///
/// # Errors
/// What dup2(2) reports.
pub fn place(descriptor: OwnedFd, number: RawFd) -> io::Result<()> {
    if descriptor.as_raw_fd() == number {
        rustix::io::fcntl_setfd(descriptor.as_fd(), rustix::io::FdFlags::empty())?;
        let _kept_open = descriptor.into_raw_fd();
        return Ok(());
    }
    // SAFETY: dup2 touches no memory. Callers name a number that the contract
    // of the chain reserves (0 to 3), which no Rust value of theirs owns.
    #[allow(unsafe_code)]
    let result = unsafe { nix::libc::dup2(descriptor.as_raw_fd(), number) };
    if result < 0 {
        return Err(io::Error::last_os_error());
    }
    Ok(())
}

/// Lets the program that `command` starts find `descriptor` at `number`. The
/// command keeps it open until it is dropped.
///
/// # Errors
/// No descriptor is left.
pub fn pass(command: &mut Command, descriptor: OwnedFd, number: RawFd) -> io::Result<()> {
    // At `number` or above it with `number` in use: the standard library's own
    // pipe to the child can then not be what is written over.
    let held = if descriptor.as_raw_fd() == number {
        descriptor
    } else {
        rustix::io::fcntl_dupfd_cloexec(&descriptor, number)?
    };
    // SAFETY: between fork and exec the closure calls dup2 and fcntl alone,
    // which are async-signal-safe, and allocates nothing. In the child
    // `number` belongs to no Rust value that is used after it.
    #[allow(unsafe_code)]
    unsafe {
        command.pre_exec(move || match held.as_raw_fd() {
            same if same == number => {
                Ok(rustix::io::fcntl_setfd(held.as_fd(), rustix::io::FdFlags::empty())?)
            }
            other if nix::libc::dup2(other, number) < 0 => Err(io::Error::last_os_error()),
            _ => Ok(()),
        });
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::pass;
    use std::io;
    use std::process::Command;

    #[test]
    fn a_program_finds_what_it_was_passed_and_a_missing_one_is_an_error() {
        let mut command = Command::new("/bin/cat");
        command.arg("/dev/fd/3");
        pass(&mut command, crate::pipe::holding(b"hello").unwrap(), 3).unwrap();
        assert_eq!(command.output().unwrap().stdout, b"hello");
        let mut command = Command::new("/no/such/program");
        pass(&mut command, crate::pipe::holding(b"hello").unwrap(), 3).unwrap();
        assert_eq!(command.spawn().unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

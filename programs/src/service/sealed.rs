//! Secrets on their way from the monitor, which may open their files, to those
//! who may not: in memory that nobody can change any more.

use std::fs::File;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fstat, memfd_create};
use zeroize::Zeroizing;

/// Most octets of it.
pub(super) const MOST: usize = 16 * 1024 * 1024;

/// A descriptor of `octets`, which nobody can change any more.
///
/// # Errors
/// What the system reports; they are too many.
pub(super) fn seal(octets: &[u8]) -> io::Result<OwnedFd> {
    if octets.len() > MOST {
        return Err(io::Error::other("certificates and keys are too long"));
    }
    let mut memory =
        File::from(memfd_create(c"postrider-tls", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?);
    memory.write_all(octets)?;
    fcntl_add_seals(&memory, SealFlags::WRITE | SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    Ok(memory.into())
}

/// What was sealed.
///
/// # Errors
/// What the system reports; it is too much.
pub(super) fn unseal(memory: OwnedFd) -> io::Result<Zeroizing<Vec<u8>>> {
    let memory = File::from(memory);
    // The standard library's way takes calls that a front does not have.
    let length = usize::try_from(fstat(&memory)?.st_size).unwrap_or(usize::MAX);
    if length > MOST {
        return Err(io::Error::other("this is too long"));
    }
    let mut octets = Zeroizing::new(vec![0; length]);
    // Others read the same descriptor: its offset is everybody's.
    memory.read_exact_at(&mut octets, 0)?;
    Ok(octets)
}

/// Whether both hold the same.
///
/// # Errors
/// As [`unseal`].
pub(super) fn are_same(one: &OwnedFd, other: &OwnedFd) -> io::Result<bool> {
    Ok(*unseal(one.try_clone()?)? == *unseal(other.try_clone()?)?)
}

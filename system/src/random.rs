//! Random octets from the kernel.

use std::io;

/// Fills `buffer` from getrandom(2).
///
/// # Errors
/// Only if the kernel has no randomness to give, which then no caller may
/// paper over: salts, boundaries and tickets all depend on it.
pub fn fill(buffer: &mut [u8]) -> io::Result<()> {
    let mut filled = 0;
    while filled < buffer.len() {
        let rest = &mut buffer[filled..];
        match rustix::rand::getrandom(rest, rustix::rand::GetRandomFlags::empty()) {
            Ok(octets) => filled += octets,
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

/// `N` random octets.
///
/// # Errors
/// As [`fill`].
pub fn octets<const N: usize>() -> io::Result<[u8; N]> {
    let mut buffer = [0; N];
    fill(&mut buffer)?;
    Ok(buffer)
}

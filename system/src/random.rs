//! Random octets from the kernel.

use std::io;

use zeroize::Zeroize;

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

/// Octets that the kernel is asked for in advance, for who needs a few at a time,
/// often, and not as keys: they lie in memory before they are used, not afterwards.
/// A process that copies itself without exec must not have one: both would give the
/// same octets.
#[derive(Default)]
pub struct Supply {
    octets: Vec<u8>,
}

/// Octets that are asked for at once.
const SUPPLY: usize = 256;

impl Supply {
    /// `N` random octets that nobody else gets.
    ///
    /// # Errors
    /// As [`fill`].
    pub fn octets<const N: usize>(&mut self) -> io::Result<[u8; N]> {
        if self.octets.len() < N {
            self.octets.resize(SUPPLY.max(N), 0);
            fill(&mut self.octets).inspect_err(|_| self.octets.clear())?;
        }
        let (mut taken, rest) = ([0; N], self.octets.len() - N);
        taken.copy_from_slice(&self.octets[rest..]);
        self.octets[rest..].zeroize();
        self.octets.truncate(rest);
        Ok(taken)
    }
}

#[cfg(test)]
mod tests {
    use super::Supply;
    use std::collections::HashSet;

    #[test]
    fn what_was_given_out_is_not_given_again() {
        let mut supply = Supply::default();
        let numbers: HashSet<[u8; 16]> = (0..1000).map(|_| supply.octets().unwrap()).collect();
        assert_eq!(numbers.len(), 1000);
        assert!(supply.octets::<1000>().unwrap().iter().any(|&octet| octet != 0));
    }
}

//! What a client may not want others to see.

use alloc::vec::Vec;
use core::fmt;

use zeroize::Zeroizing;

/// Octets of a credential: wiped when dropped, and silent in debug output.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential(Zeroizing<Vec<u8>>);

impl Credential {
    /// Takes over `octets`.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Credential(Zeroizing::new(octets))
    }

    /// The octets themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Credential {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Credential(…)")
    }
}

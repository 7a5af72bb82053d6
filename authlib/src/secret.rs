//! Octets that must not be printed and must not linger.

use std::fmt;

use zeroize::Zeroizing;

/// A password, or octets that hold one.
///
/// It is wiped when dropped and says nothing of itself in `Debug` output.
/// There is no `Clone`, no `Display` and no comparison with `==`: whoever
/// wants the octets says [`expose`](Secret::expose), and can be found by it.
pub struct Secret(Zeroizing<Vec<u8>>);

impl Secret {
    /// Takes over `octets`; they are not copied, so no second copy stays.
    #[must_use]
    pub fn new(octets: Vec<u8>) -> Self {
        Secret(Zeroizing::new(octets))
    }

    /// A copy of `octets`, which the caller still has to wipe.
    #[must_use]
    pub fn copy_of(octets: &[u8]) -> Self {
        Secret::new(octets.to_vec())
    }

    /// The octets themselves.
    #[must_use]
    pub fn expose(&self) -> &[u8] {
        &self.0
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret")
    }
}

#[cfg(test)]
mod tests {
    use super::Secret;

    #[test]
    fn debug_output_tells_neither_text_nor_length() {
        let (short, long) = (Secret::copy_of(b"a"), Secret::copy_of(b"correct horse"));
        assert_eq!(format!("{short:?}"), format!("{long:?}"));
    }
}

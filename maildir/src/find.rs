//! An octet in a name or a line.
//!
//! `memchr::memchr` first asks the processor what it is (`cpuid`), which a
//! virtual machine stops for: ten such questions are a twentieth of a short
//! session of courierpop3d. A name is searched as fast without; what messages
//! hold is worth the questions.

use memchr::arch::all::memchr::One;

/// Where the first `octet` of `text` is.
pub(crate) fn find(octet: u8, text: &[u8]) -> Option<usize> {
    // What every processor of this kind has.
    #[cfg(target_arch = "x86_64")]
    if let Some(one) = memchr::arch::x86_64::sse2::memchr::One::new(octet) {
        return one.find(text);
    }
    One::new(octet).find(text)
}

/// Where the last `octet` of `text` is.
pub(crate) fn find_last(octet: u8, text: &[u8]) -> Option<usize> {
    One::new(octet).rfind(text)
}

#[cfg(test)]
mod tests {
    use super::{find, find_last};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn what_is_found_is_the_first_and_the_last(text in prop::collection::vec(0..3u8, 0..80), octet in 0..3u8) {
            prop_assert_eq!(find(octet, &text), text.iter().position(|other| *other == octet));
            prop_assert_eq!(find_last(octet, &text), text.iter().rposition(|other| *other == octet));
        }
    }
}

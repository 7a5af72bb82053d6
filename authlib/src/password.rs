//! Stored passwords: comparing a clear one with them, and making new ones
//! (reference: authlib 11).
//!
//! Comparisons take the same time wherever the first difference is.

mod digest;
pub mod new;

pub(crate) use digest::lower_hex;

use subtle::ConstantTimeEq;

/// Whether `clear` is the password whose stored form is `stored`.
///
/// The form is told by its prefix, in any case: `{MD5}`, `{MD5RAW}`, `{SHA}`,
/// `{SSHA}`, `{SHA256}`, `{SHA512}`. `{CRYPT}` and no prefix at all leave it
/// to crypt(3). A form that nobody knows matches nothing, and so does an empty
/// password.
#[must_use]
pub fn check(stored: &[u8], clear: &[u8]) -> bool {
    let (scheme, hash) = split_scheme(stored);
    let matches = match digest::Scheme::from_prefix(scheme) {
        Some(scheme) => scheme.check(hash, clear),
        None if scheme.is_empty() || scheme.eq_ignore_ascii_case(b"{CRYPT}") => check_crypt(hash, clear),
        None => false,
    };
    matches && !clear.is_empty()
}

/// A stored password of nobody's, in a usual form. To compare with when there
/// is none, so that a user who does not exist cannot be told from a wrong
/// password by the time it takes.
pub const NOBODYS: &[u8] = b"$1$nobodyis$xxxxxxxxxxxxxxxxxxxxx/";

/// `{SCHEME}` and what stands behind it; the scheme is empty if there is none.
fn split_scheme(stored: &[u8]) -> (&[u8], &[u8]) {
    match stored.iter().position(|&octet| octet == b'}') {
        Some(end) if stored.starts_with(b"{") => stored.split_at(end + 1),
        _ => (b"", stored),
    }
}

fn check_crypt(stored: &[u8], clear: &[u8]) -> bool {
    system::crypt::hash(clear, stored).is_some_and(|hash| hash.ct_eq(stored).into())
}

#[cfg(test)]
mod tests {
    use super::{NOBODYS, check};
    use proptest::prelude::*;

    /// Every form that Courier knows, of the password `secret`.
    const SECRET: [&str; 16] = [
        "$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
        "OdiGHOSKg4jq2",
        "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC",
        "{CRYPT}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
        "{crypt}OdiGHOSKg4jq2",
        "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
        "{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{md5raw}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
        "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
        "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        "{SSHA}tQVGTZl3fAv4Cn80Z7+QJLwCFIRzaXh0ZWVuIG9mIHNhbHQh",
    ];

    #[test]
    fn every_form_of_a_password_is_recognised() {
        for stored in SECRET {
            assert!(check(stored.as_bytes(), b"secret"), "{stored}");
            assert!(!check(stored.as_bytes(), b"Secret"), "{stored}");
            assert!(!check(stored.as_bytes(), b""), "{stored}");
            assert!(!check(&stored.as_bytes()[..stored.len() - 1], b"secret"), "{stored} cut");
            assert!(!check(format!("{stored}x").as_bytes(), b"secret"), "{stored} and more");
        }
    }

    #[test]
    fn what_is_no_stored_password_matches_nothing() {
        for stored in [
            "",
            "*",
            "!",
            "x",
            "secret",
            "se",
            "{}",
            "{SSHA256}+E+iFJ27Yu1ODPH1UNKUmzOmUT06dwfghQJRHHnMsO5zYWx0",
            "{PLAIN}secret",
            "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
            "{MD5}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
            "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ",
            "{MD5RAW}5EBE2294ECD0E0F08EAB7690D2A6EE69",
            "{SSHA}",
            "{SSHA}5en6G6MezRroT3XKqkdPOmY=",
            "{CRYPT}",
            "{crypt}{sha256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "{CRYPT",
        ] {
            for clear in ["secret", "", "*", "x", stored] {
                assert!(!check(stored.as_bytes(), clear.as_bytes()), "{stored} {clear}");
            }
        }
    }

    #[test]
    fn nobodys_password_is_of_a_form_that_crypt_knows() {
        assert!(system::crypt::hash(b"secret", NOBODYS).is_some_and(|hash| hash.len() == NOBODYS.len()));
        assert!(!check(NOBODYS, b"secret"));
    }

    proptest! {
        #[test]
        fn no_stored_text_does_harm(stored in prop::collection::vec(any::<u8>(), 0..60), clear in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = check(&stored, &clear);
        }

        #[test]
        fn no_text_behind_a_prefix_does_harm(scheme in "\\{(MD5|MD5RAW|SHA|SSHA|SHA256|SHA512|CRYPT)\\}", hash in "[A-Za-z0-9+/=]{0,90}") {
            let stored = format!("{scheme}{hash}");
            prop_assert!(!check(stored.as_bytes(), b"secret"));
        }
    }
}

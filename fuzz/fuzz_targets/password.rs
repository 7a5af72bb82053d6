//! Stored passwords: a text from a data base, and one from a client (what
//! stands before the first line end). Nothing but "right", "wrong" and "cannot
//! tell" comes of any, and what is read is written alike.

#![no_main]

use authlib::password::new::Scheme;
use authlib::password::{check, in_clear, is_password};
use authlib::scram_keys::Keys;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|octets: &[u8]| {
    let at = octets.iter().position(|&octet| octet == b'\n').unwrap_or(0);
    let (clear, stored) = octets.split_at(at);
    let stored = stored.strip_prefix(b"\n").unwrap_or(stored);

    let _ = Scheme::like(stored);
    let is_password = is_password(stored);
    if let Some(keys) = Keys::from_stored(stored) {
        let again = Keys::from_stored(keys.stored().as_bytes()).expect("what was written is read");
        assert_eq!(
            (again.hash(), again.iterations(), again.salt()),
            (keys.hash(), keys.iterations(), keys.salt())
        );
        assert!(!keys.is_proof(clear, stored));
    }
    if is_cheap(stored) {
        let is_right = check(stored, clear);
        assert!(!is_right || (is_password && !clear.is_empty()));
        assert!(in_clear(stored).is_none_or(|password| check(stored, password)));
    }
});

/// Whether all numbers of rounds, KiB and so on are small, and bcrypt's, which
/// is an exponent, too: what is allowed beyond that takes seconds.
fn is_cheap(stored: &[u8]) -> bool {
    let has_number = |digits: usize| stored.windows(digits).any(|run| run.iter().all(u8::is_ascii_digit));
    !has_number(3) && !stored.windows(4).any(|run| matches!(run, [b'$', b'1', b'0'..=b'9', b'$']))
}

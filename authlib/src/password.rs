//! Stored passwords: comparing a clear one with them, and making new ones
//! (reference: authlib 11; every form that is accepted: `docs/passwords.md`).
//!
//! Comparisons take the same time wherever the first difference is. A stored
//! password says how much work it wants to be compared with; more than a
//! server can give is not done (ledger 456).
//!
//! `digest`, `crypt`, `argon2` and `pbkdf2` know one family of forms
//! each, and [`scram_keys`](crate::scram_keys) one more. [`new`] makes
//! passwords. [`answers`] is for servers that compare many.

pub mod answers;
mod argon2;
mod crypt;
mod digest;
pub mod new;
pub(crate) mod pbkdf2;

pub use answers::{Answers, Remembered};
pub(crate) use digest::lower_hex;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::account::Unavailable;
use crate::scram_keys::Keys;

/// Whether `clear` is the password whose stored form is `stored`.
///
/// A form that nobody knows matches nothing, and so does an empty password.
///
/// # Errors
/// If that cannot be told: `stored` asks for more work than a server gives
/// (ledger 456), or there is no memory to do it.
pub fn verify(stored: &[u8], clear: &[u8]) -> Result<bool, Unavailable> {
    let matches = match Form::of(stored) {
        Ok(form) => form.check(clear)?,
        Err(Flaw::NoPassword) => false,
        Err(Flaw::TooCostly) => {
            return Err(Unavailable::new("the stored password asks for more work than is allowed"));
        }
    };
    Ok(matches && !clear.is_empty())
}

/// As [`verify`], for whoever has no use for the difference between "no" and
/// "cannot tell".
#[must_use]
pub fn check(stored: &[u8], clear: &[u8]) -> bool {
    verify(stored, clear).unwrap_or(false)
}

/// Whether comparing with `stored` is any work. If it is not (`*`, `!`, a
/// form that nobody knows), some other stored password has to be compared in
/// its place, so that a locked account looks like any other (ledger 458).
#[must_use]
pub fn is_password(stored: &[u8]) -> bool {
    !matches!(Form::of(stored), Err(Flaw::NoPassword))
}

/// Whether `stored` is of a kind that is quick to guess and has a better one in
/// its place: a digest, with salt or without, or crypt(3) by DES, MD5, SHA-1 or
/// NT hash. A password in clear is none: mechanisms that need it would not work
/// any more.
#[must_use]
pub fn is_outdated(stored: &[u8]) -> bool {
    match Form::of(stored) {
        Ok(Form::Digest(_)) => true,
        Ok(Form::Crypt(hash)) => hash.is_outdated(),
        Ok(Form::Clear(_) | Form::Argon2(_) | Form::Pbkdf2(_) | Form::Scram(_)) | Err(_) => false,
    }
}

/// The password itself, if it is stored in clear: mechanisms that have to
/// compute something of it can then do so.
#[must_use]
pub fn in_clear(stored: &[u8]) -> Option<&[u8]> {
    match Form::of(stored) {
        Ok(Form::Clear(clear)) if !clear.is_empty() => Some(clear),
        _ => None,
    }
}

/// Whether `clear` is the password that a back-end keeps as `stored`, in clear
/// and without any prefix. An empty one never is.
#[must_use]
pub fn is_same(stored: &[u8], clear: &[u8]) -> bool {
    // Digests, since lengths must not be told apart either.
    let is_same: bool = Sha256::digest(stored).ct_eq(&Sha256::digest(clear)).into();
    is_same && !clear.is_empty()
}

/// A stored password of nobody's, in the form that new ones have. To compare
/// with when there is none, so that a user who does not exist cannot be told
/// from a wrong password by the time it takes.
pub const NOBODYS: &[u8] = b"$y$j9T$nobodyisnobodys/$xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Why a text is not a [`Form`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// It matches nothing, without any work.
    NoPassword,
    /// More work, or more memory, than a server gives to one password.
    TooCostly,
}

/// A stored password, taken apart.
enum Form<'a> {
    Clear(&'a [u8]),
    Digest(digest::Hash),
    Crypt(crypt::Hash<'a>),
    Argon2(argon2::Hash),
    Pbkdf2(pbkdf2::Hash),
    Scram(Keys),
}

impl<'a> Form<'a> {
    /// Which form it is, by its prefix: one in braces in any case, else one
    /// that belongs to the hash.
    fn of(stored: &'a [u8]) -> Result<Self, Flaw> {
        let (scheme, hash) = split_scheme(stored);
        if let Some(scheme) = digest::Scheme::from_prefix(scheme) {
            return scheme.parse(hash).map(Form::Digest);
        }
        match scheme.to_ascii_uppercase().as_slice() {
            b"" if hash.starts_with(b"$argon2") => argon2::Hash::parse(hash).map(Form::Argon2),
            b"" if hash.starts_with(b"$pbkdf2") => pbkdf2::Hash::parse(hash).map(Form::Pbkdf2),
            b"" => match Keys::parse(hash) {
                Err(Flaw::NoPassword) => crypt::Hash::parse(hash).map(Form::Crypt),
                keys => keys.map(Form::Scram),
            },
            // Dovecot's names for parts of crypt(3) follow.
            b"{CRYPT}" | b"{DES-CRYPT}" | b"{MD5-CRYPT}" | b"{SHA256-CRYPT}" | b"{SHA512-CRYPT}"
            | b"{BLF-CRYPT}" => crypt::Hash::parse(hash).map(Form::Crypt),
            b"{ARGON2}" | b"{ARGON2I}" | b"{ARGON2ID}" => argon2::Hash::parse(hash).map(Form::Argon2),
            b"{PBKDF2}" | b"{PBKDF2-SHA1}" => {
                pbkdf2::Hash::parse_bare(pbkdf2::Prf::HmacSha1, hash).map(Form::Pbkdf2)
            }
            b"{PBKDF2-SHA256}" => pbkdf2::Hash::parse_bare(pbkdf2::Prf::HmacSha256, hash).map(Form::Pbkdf2),
            b"{PBKDF2-SHA512}" => pbkdf2::Hash::parse_bare(pbkdf2::Prf::HmacSha512, hash).map(Form::Pbkdf2),
            b"{SCRAM-SHA-1}" | b"{SCRAM-SHA-256}" => Keys::parse(stored).map(Form::Scram),
            b"{PLAIN}" | b"{CLEAR}" | b"{CLEARTEXT}" => Ok(Form::Clear(hash)),
            _ => Err(Flaw::NoPassword),
        }
    }

    fn check(&self, clear: &[u8]) -> Result<bool, Unavailable> {
        match self {
            Form::Clear(stored) => Ok(is_same(stored, clear)),
            Form::Digest(hash) => Ok(hash.check(clear)),
            Form::Crypt(hash) => hash.check(clear),
            Form::Argon2(hash) => hash.check(clear),
            Form::Pbkdf2(hash) => Ok(hash.check(clear)),
            Form::Scram(keys) => Ok(keys.check(clear)),
        }
    }
}

/// `{SCHEME}` and what stands behind it; the scheme is empty if there is none.
fn split_scheme(stored: &[u8]) -> (&[u8], &[u8]) {
    match stored.iter().position(|&octet| octet == b'}') {
        Some(end) if stored.starts_with(b"{") => stored.split_at(end + 1),
        _ => (b"", stored),
    }
}

/// What stands before the first `separator`, and what behind it.
pub(crate) fn split_once(text: &[u8], separator: u8) -> Option<(&[u8], &[u8])> {
    let at = text.iter().position(|&octet| octet == separator)?;
    Some((&text[..at], &text[at + 1..]))
}

/// A decimal number of nothing but digits. One that is too large to be held
/// is too large for any cost, too.
pub(crate) fn number(text: &[u8]) -> Result<u32, Flaw> {
    if text.is_empty() || !text.iter().all(u8::is_ascii_digit) {
        return Err(Flaw::NoPassword);
    }
    str::from_utf8(text).ok().and_then(|digits| digits.parse().ok()).ok_or(Flaw::TooCostly)
}
#[cfg(test)]
mod tests {
    use super::{NOBODYS, check, in_clear, is_outdated, is_password, verify};
    use proptest::prelude::*;

    /// Every form that there is, of the password `secret`, by whoever makes
    /// them: Courier, libxcrypt, Dovecot, OpenLDAP, passlib.
    const SECRET: [&str; 49] = [
        "$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
        "OdiGHOSKg4jq2",
        "_J9..abcd/H6HLCcf7nw",
        "$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.",
        "$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4",
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        "$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a",
        "$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC",
        "$y$j9T$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
        "$gy$j75$abcdefghijklmnop$5Matl8XuRgYmKQHzzPfQ1wwZku2K3P416/n0C0jUu9D",
        "$7$66..../....abcdefgh$Oew2p52M6uFGy3PHtWP1FQdbBkumI97jB3t7nCk1sH9",
        "$sha1$1000$abcdefgh$ji8ESnkwjcTjo4hThodnLYyi.3yG",
        "$md5,rounds=100$abcdefgh$$noNcKnd3KA8lreQhy3vXg0",
        "$3$$878d8014606cda29677a44efa1353fc7",
        "{CRYPT}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
        "{crypt}OdiGHOSKg4jq2",
        "{BLF-CRYPT}$2y$05$QdaEQhSOk48a7b15mAfe4OaRbOlVz7U8Dp860iljKgL58DsBDAhYq",
        "{SHA256-CRYPT}$5$e8tVnsDlJ3w16v/f$p1iJjTgMf9TBWjawii3SPHNoPmTITG4c1QuOR2FesMA",
        "{MD5-CRYPT}$1$IbJdP0SG$FOHteockqbKAqYY/0SMPG.",
        "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==",
        "{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{md5raw}5ebe2294ecd0e0f08eab7690d2a6ee69",
        "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=",
        "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
        "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
        "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
        "{SSHA}tQVGTZl3fAv4Cn80Z7+QJLwCFIRzaXh0ZWVuIG9mIHNhbHQh",
        "{SSHA256}+E+iFJ27Yu1ODPH1UNKUmzOmUT06dwfghQJRHHnMsO5zYWx0",
        "{ssha256}sfX5NGeuqBS1IgJV8jRgGWjb41UIUbOFs1lmJOGfC8ZzaXh0ZWVuIG9mIHNhbHQh",
        "{SSHA256}/wyDJeGsdjkX9tmI/ekwfgvxBhwsPtK71Zxkso40eI/kYkBF",
        "{SSHA512}E491yrR9AdCoE7rbOPYS3EZgSuZpVE65AD9xko08s6floNesY/Zpe9zMVvLix4S2FiQSJ99RIkNvhHomNO9uL3NhbHQ=",
        "{SSHA512}6wqotaMaX4CEsJhrGL0Y6igNmB4RFSc5cLQMQZwQ+Ti6J4BZAPSwkQ95jZwkf9E0JNCiLC8aVo71dpYWcLMcN7nqMu8=",
        "$argon2id$v=19$m=65536,t=3,p=1$PS8HDK+BZgE9+OHHt/ro6A$C9Jf7rdjoMZJZ2L7dIqlQwPcEMobl5BxsPkNg7CIwEQ",
        "{ARGON2ID}$argon2id$v=19$m=65536,t=3,p=1$PS8HDK+BZgE9+OHHt/ro6A$C9Jf7rdjoMZJZ2L7dIqlQwPcEMobl5BxsPkNg7CIwEQ",
        "{Argon2i}$argon2i$v=19$m=32768,t=4,p=1$OjxpQA0eEqnXE4raWuu8uQ$ZR/kATChaZYcX79r9KSFeeBVv5a4U6Vyt2Ve3JaxSis",
        "{PBKDF2}$1$5fO7R4uqlt70FTrE$5000$846898cfeda34a356c6320505d2fa4de1ac4904d",
        "{pbkdf2}1000$EBESExQVFhcYGRobHB0eHw$K4ln4ruQGe9ExThqhCv0Y2J87q0",
        "$pbkdf2$1000$EBESExQVFhcYGRobHB0eHw$K4ln4ruQGe9ExThqhCv0Y2J87q0",
        "{PBKDF2-SHA256}1000$EBESExQVFhcYGRobHB0eHw$Qkm6ZTllJTCFMoG/YwHqZvLSlGLYMCAlqUAVyqDKLLw",
        "$pbkdf2-sha256$1000$EBESExQVFhcYGRobHB0eHw$Qkm6ZTllJTCFMoG/YwHqZvLSlGLYMCAlqUAVyqDKLLw",
        "$pbkdf2-sha256$i=1000,l=32$EBESExQVFhcYGRobHB0eHw$Qkm6ZTllJTCFMoG/YwHqZvLSlGLYMCAlqUAVyqDKLLw",
        "$pbkdf2-sha512$1000$EBESExQVFhcYGRobHB0eHw$urz/ICuA5iyMN8TLW9Jq/9Eo8Cvy7epM0mb2bA2TRDJf.yb1rPgathqN7ZiPUoI4gEd5ypP/pDiK2RhI/wqldA",
        "{SCRAM-SHA-1}4096,yazeRstdbgzai3ElHOzgrg==,HShaBU/SKge5FA+0G5XM9w7tqh4=,JC+m2cSOA4FwwhnGowh0+JM3/Mw=",
        "{scram-sha-256}4096,3fdrIzGwujhJbROH4qH0UQ==,eswRwvQ/fN3dPq5+COuYJ3QSHhA+AuaJ/mNnmBTG9wk=,AY5wm/a0d84uXPu3uiXkR9+5Iv1fJrQ4MQqnOW470NQ=",
        "SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=",
        "{PLAIN}secret",
        "{ClearText}secret",
    ];

    #[test]
    fn every_form_of_a_password_is_recognised() {
        for stored in SECRET {
            assert!(is_password(stored.as_bytes()), "{stored}");
            assert!(verify(stored.as_bytes(), b"secret").unwrap(), "{stored}");
            assert!(!verify(stored.as_bytes(), b"Secret").unwrap(), "{stored}");
            assert!(!verify(stored.as_bytes(), b"").unwrap(), "{stored}");
            assert!(!check(&stored.as_bytes()[..stored.len() - 1], b"secret"), "{stored} cut");
            assert!(!check(format!("{stored}x").as_bytes(), b"secret"), "{stored} and more");
        }
    }

    #[test]
    fn kinds_that_are_quick_to_guess_are_outdated() {
        let outdated = [
            "$1$",
            "OdiG",
            "_J9",
            "$sha1$",
            "$md5,",
            "$3$",
            "{CRYPT}$1$",
            "{crypt}OdiG",
            "{MD5-CRYPT}",
            "{MD5}",
            "{MD5RAW}",
            "{md5raw}",
            "{SHA}",
            "{SHA256}",
            "{SHA512}",
            "{SSHA}",
            "{SSHA256}",
            "{ssha256}",
            "{SSHA512}",
        ];
        for stored in SECRET {
            let expected = outdated.iter().any(|start| stored.starts_with(start));
            assert_eq!(is_outdated(stored.as_bytes()), expected, "{stored}");
        }
        assert!(![NOBODYS, b"*", b"", b"x"].iter().any(|stored| is_outdated(stored)));
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
            "{NONE}secret",
            "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
            "{MD5}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
            "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ",
            "{SSHA}",
            "{SSHA}5en6G6MezRroT3XKqkdPOmY=",
            "{SHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0",
            "{CRYPT}",
            "{CRYPT}*",
            "{crypt}{sha256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
            "{CRYPT",
            "{ARGON2ID}secret",
            "{PBKDF2}$1$salt$1000",
            "{SCRAM-SHA-256}4096,,,",
            "$none$salt$hash",
        ] {
            assert!(!is_password(stored.as_bytes()), "{stored}");
            for clear in ["secret", "", "*", "x", stored] {
                assert!(!verify(stored.as_bytes(), clear.as_bytes()).unwrap(), "{stored} {clear}");
            }
        }
        // Of these one cannot say before trying.
        for stored in
            ["{MD5RAW}5EBE2294ECD0E0F08EAB7690D2A6EE69", "{MD5RAW}", "{PLAIN}", "$1$$", "{PBKDF2}$1$$1$"]
        {
            assert!(
                !verify(stored.as_bytes(), b"secret").unwrap() && !check(stored.as_bytes(), b""),
                "{stored}"
            );
        }
    }

    #[test]
    fn a_password_in_clear_is_compared_as_it_is() {
        assert!(super::is_same(b"secret", b"secret") && !super::is_same(b"secret", b"secre"));
        assert!(!super::is_same(b"", b"") && !super::is_same(b"{PLAIN}secret", b"secret"));
    }

    #[test]
    fn a_password_is_in_clear_if_it_says_so() {
        assert_eq!(in_clear(b"{plain}secret"), Some(b"secret".as_slice()));
        for stored in ["{PLAIN}", "secret", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="] {
            assert_eq!(in_clear(stored.as_bytes()), None);
        }
    }

    #[test]
    fn what_asks_for_too_much_work_cannot_be_told() {
        for stored in
            ["$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", "{CRYPT}$6$rounds=999999999$a$b"]
        {
            assert!(
                verify(stored.as_bytes(), b"secret").is_err() && is_password(stored.as_bytes()),
                "{stored}"
            );
            assert!(!check(stored.as_bytes(), b"secret"));
        }
    }

    #[test]
    fn nobodys_password_is_of_a_form_that_crypt_knows() {
        let hash = system::crypt::hash(b"secret", NOBODYS).unwrap().unwrap();
        assert_eq!(hash.len(), NOBODYS.len());
        assert!(is_password(NOBODYS));
        assert!(!check(NOBODYS, b"secret"));
    }

    proptest! {
        #[test]
        fn no_stored_text_does_harm(stored in prop::collection::vec(any::<u8>(), 0..60), clear in prop::collection::vec(any::<u8>(), 0..20)) {
            let _ = verify(&stored, &clear);
        }

        #[test]
        fn no_text_behind_a_prefix_does_harm(scheme in "\\{(MD5|MD5RAW|SHA|SSHA|SHA256|SSHA512|CRYPT|ARGON2ID|PBKDF2|PBKDF2-SHA256|SCRAM-SHA-1)\\}", hash in "[A-Za-z0-9+/=]{0,90}") {
            let stored = format!("{scheme}{hash}");
            prop_assert!(!check(stored.as_bytes(), b"secret"));
        }

        #[test]
        fn no_damaged_form_does_harm(which in 0..SECRET.len(), at in any::<prop::sample::Index>(), octet in any::<u8>()) {
            let mut stored = SECRET[which].as_bytes().to_vec();
            let at = at.index(stored.len());
            let same = stored[at].eq_ignore_ascii_case(&octet);
            stored[at] = octet;
            // What asks for another amount of work is tried elsewhere.
            prop_assume!(!octet.is_ascii_digit());
            prop_assert!(same || !matches!(verify(&stored, b"Secret"), Ok(true)));
        }
    }
}

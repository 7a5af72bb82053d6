//! New stored passwords, as userdbpw(8) makes them, and as they replace old
//! ones when a password is changed.
//!
//! What nobody asks otherwise is yescrypt ([`Scheme::MODERN`]): it fills 16 MiB
//! and takes about 20 ms, so that guessing costs memory too; Debian and others
//! use it for their own accounts; and Courier compares it through crypt(3), so
//! that one can switch back. Argon2id would be as good, but Courier does not
//! know it.

use std::io;

use argon2::{Algorithm, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use zeroize::Zeroizing;

use super::{argon2 as argon2_form, digest, split_scheme};
use crate::account::Unavailable;
use crate::scram_keys::{self, Keys};

/// Cost of a new bcrypt hash, a power of two: about a quarter of a second.
const BCRYPT_COST: u32 = 12;
/// Rounds of a new SHA-512 crypt: about 30 ms.
const SHA512_ROUNDS: u32 = 100_000;
/// Memory in KiB and passes of a new Argon2id hash; one lane. About 20 ms.
const ARGON2_COSTS: (u32, u32) = (19 * 1024, 2);
/// Iterations of new keys for SCRAM. A client does them at each login, on
/// whatever it runs on: a few milliseconds, or some tens.
pub(crate) const SCRAM_ITERATIONS: u32 = 20_000;

/// How a new password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Traditional DES crypt. Only the first eight octets of the password
    /// count: for old programs that read nothing else.
    Des,
    /// MD5 crypt, `$1$`.
    Md5Crypt,
    /// SHA-512 crypt, `$6$`.
    Sha512Crypt,
    /// bcrypt, `$2b$`. Only the first 72 octets of the password count.
    Bcrypt,
    /// yescrypt, `$y$`.
    Yescrypt,
    /// Argon2id, `$argon2id$`.
    Argon2id,
    /// Keys for SCRAM, from which no clear password is needed to log in with
    /// it.
    Scram(scram_keys::Hash),
    /// A digest behind a prefix: quick to compute, and so quick to guess.
    Digest(Digest),
}

/// A digest that Courier's authpasswd(1) makes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Digest {
    /// `{MD5}`.
    Md5,
    /// `{MD5RAW}`.
    Md5Raw,
    /// `{SHA}`.
    Sha,
    /// `{SSHA}`, with a salt of the four octets that Courier wants.
    SaltedSha,
    /// `{SHA256}`.
    Sha256,
    /// `{SHA512}`.
    Sha512,
}

impl Scheme {
    /// What is made unless something else is asked for.
    pub const MODERN: Scheme = Scheme::Yescrypt;

    /// What replaces the stored password `old` (ledger 457): the same kind if
    /// that is still sound, else [`MODERN`](Scheme::MODERN).
    #[must_use]
    pub fn like(old: &[u8]) -> Self {
        if let Some(keys) = Keys::from_stored(old) {
            return Scheme::Scram(keys.hash());
        }
        let (_, hash) = split_scheme(old);
        let starts_with =
            |prefixes: &[&str]| prefixes.iter().any(|prefix| hash.starts_with(prefix.as_bytes()));
        if starts_with(&["$argon2"]) {
            Scheme::Argon2id
        } else if starts_with(&["$2a$", "$2b$", "$2y$"]) {
            Scheme::Bcrypt
        } else if starts_with(&["$5$", "$6$"]) {
            Scheme::Sha512Crypt
        } else {
            Scheme::MODERN
        }
    }

    /// How many octets of a password count, if it is not all of them.
    #[must_use]
    pub fn counted(self) -> Option<usize> {
        match self {
            Scheme::Des => Some(8),
            Scheme::Bcrypt => Some(72),
            _ => None,
        }
    }
}

/// Why there is no new stored password.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No salt without randomness, no hash without memory.
    #[error("no randomness, or no memory: {0}")]
    System(#[from] io::Error),
    /// This machine's crypt(3) does not know the scheme, or the password holds
    /// a NUL or has more than 511 octets.
    #[error("crypt(3) cannot make this kind of password, or not of one so long")]
    Crypt,
    /// There is no memory for Argon2.
    #[error("{0}")]
    Unavailable(#[from] Unavailable),
}

/// The form in which the password `clear` is stored, with a fresh random salt.
///
/// # Errors
/// See [`Failed`].
pub fn stored(scheme: Scheme, clear: &[u8]) -> Result<String, Failed> {
    match scheme {
        Scheme::Des => crypt(clear, salt::<2>()?.as_bytes()),
        Scheme::Md5Crypt => crypt(clear, format!("$1${}$", salt::<8>()?).as_bytes()),
        Scheme::Sha512Crypt => crypt(clear, &system::crypt::setting(c"$6$", SHA512_ROUNDS)?),
        Scheme::Bcrypt => crypt(clear, &system::crypt::setting(c"$2b$", BCRYPT_COST)?),
        Scheme::Yescrypt => crypt(clear, &system::crypt::setting(c"$y$", 0)?),
        Scheme::Argon2id => argon2id(clear),
        Scheme::Scram(hash) => scram(hash, clear),
        Scheme::Digest(Digest::SaltedSha) => {
            Ok(digest::Scheme::SaltedSha.make(clear, &system::random::octets::<4>()?))
        }
        Scheme::Digest(Digest::Md5) => Ok(digest::Scheme::Md5.make(clear, b"")),
        Scheme::Digest(Digest::Md5Raw) => Ok(digest::Scheme::Md5Raw.make(clear, b"")),
        Scheme::Digest(Digest::Sha) => Ok(digest::Scheme::Sha.make(clear, b"")),
        Scheme::Digest(Digest::Sha256) => Ok(digest::Scheme::Sha256.make(clear, b"")),
        Scheme::Digest(Digest::Sha512) => Ok(digest::Scheme::Sha512.make(clear, b"")),
    }
}

/// What replaces the stored password `old` when it is changed to `clear`: a
/// [`Scheme::like`] it, and behind a prefix in braces if the old one was, since
/// programs that share the data base may rely on it.
///
/// # Errors
/// See [`Failed`].
pub fn replacing(old: &[u8], clear: &[u8]) -> Result<String, Failed> {
    let scheme = Scheme::like(old);
    let new = stored(scheme, clear)?;
    let has_prefix = !split_scheme(old).0.is_empty();
    Ok(match scheme {
        _ if !has_prefix || new.starts_with('{') => new,
        Scheme::Argon2id => format!("{{ARGON2ID}}{new}"),
        _ => format!("{{CRYPT}}{new}"),
    })
}

fn crypt(clear: &[u8], setting: &[u8]) -> Result<String, Failed> {
    let hash = system::crypt::hash(clear, setting)?.ok_or(Failed::Crypt)?;
    String::from_utf8(hash).map_err(|_| Failed::Crypt)
}

fn argon2id(clear: &[u8]) -> Result<String, Failed> {
    let (memory, passes) = ARGON2_COSTS;
    let params = Params::new(memory, passes, 1, Some(32)).map_err(|_| Failed::Crypt)?;
    let salt = system::random::octets::<16>()?;
    let tag = argon2_form::derive(Algorithm::Argon2id, Version::V0x13, &params, clear, &salt)?;
    let [salt, tag] = [&salt[..], &tag].map(|octets| STANDARD_NO_PAD.encode(octets));
    Ok(format!("$argon2id$v=19$m={memory},t={passes},p=1${salt}${tag}"))
}

fn scram(hash: scram_keys::Hash, clear: &[u8]) -> Result<String, Failed> {
    let salt = system::random::octets::<16>()?;
    let keys = Keys::derive(hash, clear, &salt, SCRAM_ITERATIONS).ok_or(Failed::Crypt)?;
    let stored: Zeroizing<String> = keys.stored();
    Ok(stored.to_string())
}

/// `N` random characters of the 64 that crypt(3) takes for a salt.
fn salt<const N: usize>() -> io::Result<String> {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let octets = system::random::octets::<N>()?;
    Ok(octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 64)])).collect())
}

#[cfg(test)]
mod tests {
    use super::{Digest, Scheme, replacing, stored};
    use crate::password::verify;
    use crate::scram_keys::Hash;

    fn is_right(stored: &str, clear: &str) -> bool {
        verify(stored.as_bytes(), clear.as_bytes()).unwrap()
    }

    #[test]
    fn a_new_password_is_recognised_and_salted() {
        for (scheme, start, length) in [
            (Scheme::Des, "", 13),
            (Scheme::Md5Crypt, "$1$", 34),
            (Scheme::Sha512Crypt, "$6$rounds=100000$", 120),
            (Scheme::Bcrypt, "$2b$12$", 60),
            (Scheme::Yescrypt, "$y$j9T$", 73),
            (Scheme::Argon2id, "$argon2id$v=19$m=19456,t=2,p=1$", 97),
            (Scheme::Scram(Hash::Sha1), "{SCRAM-SHA-1}20000,", 101),
            (Scheme::Scram(Hash::Sha256), "{SCRAM-SHA-256}20000,", 135),
            (Scheme::Digest(Digest::SaltedSha), "{SSHA}", 38),
        ] {
            let hash = stored(scheme, b"secret").unwrap();
            assert!(hash.starts_with(start) && hash.len() == length, "{hash} {}", hash.len());
            assert!(is_right(&hash, "secret") && !is_right(&hash, "Secret"));
            assert_ne!(hash, stored(scheme, b"secret").unwrap());
        }
    }

    #[test]
    fn digests_are_those_of_courier() {
        for (digest, hash) in [
            (Digest::Md5, "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ=="),
            (Digest::Md5Raw, "{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69"),
            (Digest::Sha, "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
            (Digest::Sha256, "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols="),
        ] {
            assert_eq!(stored(Scheme::Digest(digest), b"secret").unwrap(), hash);
        }
        assert!(is_right(&stored(Scheme::Digest(Digest::Sha512), b"secret").unwrap(), "secret"));
    }

    #[test]
    fn what_counts_of_a_password_is_what_the_scheme_says() {
        let long = "a".repeat(100);
        for scheme in [Scheme::Des, Scheme::Bcrypt] {
            let counted = scheme.counted().unwrap();
            let hash = stored(scheme, &long.as_bytes()[..counted]).unwrap();
            assert!(is_right(&hash, &long) && !is_right(&hash, &long[..counted - 1]));
        }
        let hash = stored(Scheme::MODERN, long.as_bytes()).unwrap();
        assert!(Scheme::MODERN.counted().is_none() && !is_right(&hash, &long[..99]));
    }

    #[test]
    fn a_changed_password_keeps_its_kind_if_that_is_sound() {
        for (old, start) in [
            ("", "$y$"),
            ("OdiGHOSKg4jq2", "$y$"),
            ("$1$salt$hash", "$y$"),
            ("$y$j9T$salt$hash", "$y$"),
            ("$2y$05$saltandhash", "$2b$12$"),
            ("$5$salt$hash", "$6$"),
            ("{CRYPT}$6$salt$hash", "{CRYPT}$6$"),
            ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", "{CRYPT}$y$"),
            ("{PLAIN}secret", "{CRYPT}$y$"),
            ("$argon2i$v=19$m=8,t=1,p=1$salt$tag", "$argon2id$"),
            ("{ARGON2ID}$argon2id$v=19$m=8,t=1,p=1$salt$tag", "{ARGON2ID}$argon2id$"),
            (
                "{SCRAM-SHA-1}4096,yazeRstdbgzai3ElHOzgrg==,HShaBU/SKge5FA+0G5XM9w7tqh4=,JC+m2cSOA4FwwhnGowh0+JM3/Mw=",
                "{SCRAM-SHA-1}20000,",
            ),
        ] {
            let new = replacing(old.as_bytes(), b"another").unwrap();
            assert!(new.starts_with(start), "{old} {new}");
            assert!(is_right(&new, "another") && !is_right(&new, "secret"));
        }
    }
}

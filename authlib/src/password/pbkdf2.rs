//! Passwords stored as PBKDF2 (RFC 8018 section 5.2), of which there are
//! several spellings (`docs/passwords.md`).

use base64::alphabet;
use base64::engine::{DecodePaddingMode, Engine, GeneralPurpose, GeneralPurposeConfig};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Flaw, lower_hex, number, split_once};

/// Most rounds of anything that is done in rounds: about a second.
pub(crate) const MOST_ROUNDS: u32 = 2_000_000;

/// A number of rounds that can be borne: from 1 to [`MOST_ROUNDS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Rounds(u32);

impl Rounds {
    /// That many.
    pub(crate) const fn new(rounds: u32) -> Result<Self, Flaw> {
        match rounds {
            0 => Err(Flaw::NoPassword),
            1..=MOST_ROUNDS => Ok(Rounds(rounds)),
            _ => Err(Flaw::TooCostly),
        }
    }

    /// A decimal number.
    pub(crate) fn parse(text: &[u8]) -> Result<Self, Flaw> {
        Rounds::new(number(text)?)
    }

    pub(crate) fn get(self) -> u32 {
        self.0
    }
}

/// The pseudorandom function: HMAC with one of three hashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Prf {
    HmacSha1,
    HmacSha256,
    HmacSha512,
}

impl Prf {
    /// Octets of its output, and of the keys that are derived here.
    pub(crate) fn length(self) -> usize {
        match self {
            Prf::HmacSha1 => 20,
            Prf::HmacSha256 => 32,
            Prf::HmacSha512 => 64,
        }
    }

    /// A key of the function's own [`length`](Prf::length).
    pub(crate) fn derive(self, clear: &[u8], salt: &[u8], rounds: Rounds) -> Zeroizing<Vec<u8>> {
        let mut key = Zeroizing::new(vec![0; self.length()]);
        match self {
            Prf::HmacSha1 => pbkdf2_hmac::<Sha1>(clear, salt, rounds.0, &mut key),
            Prf::HmacSha256 => pbkdf2_hmac::<Sha256>(clear, salt, rounds.0, &mut key),
            Prf::HmacSha512 => pbkdf2_hmac::<Sha512>(clear, salt, rounds.0, &mut key),
        }
        key
    }
}

/// A stored key, of bearable cost.
pub(super) struct Hash {
    prf: Prf,
    rounds: Rounds,
    salt: Vec<u8>,
    key: Key,
}

/// How the key is written.
enum Key {
    Octets(Vec<u8>),
    /// Lower-case hexadecimal digits.
    Digits(Vec<u8>),
}

impl Hash {
    /// `$pbkdf2$…`, `$pbkdf2-sha1$…`, `$pbkdf2-sha256$…`, `$pbkdf2-sha512$…`.
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Flaw> {
        let hash = stored.strip_prefix(b"$").ok_or(Flaw::NoPassword)?;
        let (name, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let prf = match name {
            b"pbkdf2" | b"pbkdf2-sha1" => Prf::HmacSha1,
            b"pbkdf2-sha256" => Prf::HmacSha256,
            b"pbkdf2-sha512" => Prf::HmacSha512,
            _ => return Err(Flaw::NoPassword),
        };
        Self::parse_bare(prf, hash)
    }

    /// What stands behind a prefix: `rounds$salt$key`, salt and key in base64;
    /// or, of SHA-1, Dovecot's `$1$salt$rounds$key` with the salt as it is and
    /// the key in hexadecimal.
    pub(super) fn parse_bare(prf: Prf, hash: &[u8]) -> Result<Self, Flaw> {
        if prf == Prf::HmacSha1
            && let Some(hash) = hash.strip_prefix(b"$1$")
        {
            let (salt, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
            let (rounds, digits) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
            let rounds = Rounds::parse(rounds)?;
            return Ok(Hash { prf, rounds, salt: salt.to_vec(), key: Key::Digits(digits.to_vec()) });
        }
        let (rounds, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let (salt, key) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let (salt, key) = (octets(salt)?, octets(key)?);
        if key.len() != prf.length() {
            return Err(Flaw::NoPassword);
        }
        Ok(Hash { prf, rounds: phc_rounds(rounds, prf)?, salt, key: Key::Octets(key) })
    }

    pub(super) fn check(&self, clear: &[u8]) -> bool {
        let key = self.prf.derive(clear, &self.salt, self.rounds);
        match &self.key {
            Key::Octets(octets) => key.ct_eq(octets).into(),
            Key::Digits(digits) => lower_hex(&key).as_bytes().ct_eq(digits).into(),
        }
    }
}

/// A decimal number, or as in a PHC string `i=600000` or `i=600000,l=32`.
fn phc_rounds(text: &[u8], prf: Prf) -> Result<Rounds, Flaw> {
    let Some(text) = text.strip_prefix(b"i=") else { return Rounds::parse(text) };
    let Some((rounds, length)) = split_once(text, b',') else { return Rounds::parse(text) };
    let length = number(length.strip_prefix(b"l=").ok_or(Flaw::NoPassword)?)?;
    if usize::try_from(length) == Ok(prf.length()) { Rounds::parse(rounds) } else { Err(Flaw::NoPassword) }
}

/// Base64 with or without padding, and with `.` for `+` as passlib has it.
fn octets(text: &[u8]) -> Result<Vec<u8>, Flaw> {
    const LENIENT: GeneralPurpose = GeneralPurpose::new(
        &alphabet::STANDARD,
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent),
    );
    let text: Vec<u8> = text.iter().map(|&octet| if octet == b'.' { b'+' } else { octet }).collect();
    LENIENT.decode(text).map_err(|_| Flaw::NoPassword)
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Hash, Prf, Rounds};
    use crate::password::lower_hex;

    #[test]
    fn keys_are_those_of_rfc_6070() {
        for (rounds, key) in [
            (1, "0c60c80f961f0e71f3a9b524af6012062fe037a6"),
            (2, "ea6c014dc72d6f8ccd1ed92ace1d41f0d8de8957"),
            (4096, "4b007901b765489abead49d926f721d065a429c1"),
        ] {
            let derived = Prf::HmacSha1.derive(b"password", b"salt", Rounds::new(rounds).unwrap());
            assert_eq!(lower_hex(&derived), key);
        }
    }

    #[test]
    fn work_that_would_take_a_server_down_is_not_begun() {
        let key = "Qkm6ZTllJTCFMoG/YwHqZvLSlGLYMCAlqUAVyqDKLLw";
        for rounds in ["2000001", "4294967295", "4294967296", "i=99999999999,l=32"] {
            let stored = format!("$pbkdf2-sha256${rounds}$EBESExQVFhcYGRobHB0eHw${key}");
            assert_eq!(Hash::parse(stored.as_bytes()).err(), Some(Flaw::TooCostly), "{stored}");
        }
        for rounds in ["0", "", "-1", "+1", "i=", "i=1000,l=31", "1000,l=32"] {
            let stored = format!("$pbkdf2-sha256${rounds}$EBESExQVFhcYGRobHB0eHw${key}");
            assert_eq!(Hash::parse(stored.as_bytes()).err(), Some(Flaw::NoPassword), "{stored}");
        }
    }
}

//! Passwords stored as crypt(3) wants them: traditional DES, and `$method$…`.
//!
//! crypt(3) does whatever work its setting asks for, and some can ask for
//! days, or for all the memory there is. So the cost is read here first, and a
//! method whose cost nobody can read here is not one (ledger 456).

use std::hint::black_box;

use subtle::ConstantTimeEq;

use super::pbkdf2::MOST_ROUNDS;
use super::{Flaw, number, split_once};
use crate::account::Unavailable;

/// Largest cost of bcrypt, a power of two: seconds.
const MOST_BCRYPT: u32 = 15;
/// Most octets that yescrypt and scrypt may fill.
const MOST_MEMORY: u64 = 256 << 20;
/// Most rounds of Sun's MD5, each of which hashes a chapter of Hamlet or not.
const MOST_SUN_ROUNDS: u32 = 100_000;
/// Most rounds of the extended DES of BSD.
const MOST_DES_ROUNDS: u32 = 1_000_000;
/// Characters of the shortest hash there is, of traditional DES.
const DES_LENGTH: usize = 13;

/// A hash for crypt(3), of bearable cost.
pub(super) struct Hash<'a> {
    stored: &'a [u8],
    /// Octets that it fills, where that is many.
    memory: u64,
}

impl<'a> Hash<'a> {
    pub(super) fn parse(stored: &'a [u8]) -> Result<Self, Flaw> {
        let memory = match stored.strip_prefix(b"$") {
            Some(hash) => {
                let (method, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
                bearable(method, hash)?
            }
            None => bearable_des(stored)?,
        };
        Ok(Hash { stored, memory })
    }

    /// Whether it is of a method that is quick to guess.
    pub(super) fn is_outdated(&self) -> bool {
        const SOUND: [&str; 11] =
            ["$5$", "$6$", "$sm3$", "$2a$", "$2b$", "$2x$", "$2y$", "$y$", "$gy$", "$sm3y$", "$7$"];
        !SOUND.iter().any(|method| self.stored.starts_with(method.as_bytes()))
    }

    pub(super) fn check(&self, clear: &[u8]) -> Result<bool, Unavailable> {
        let failed = || Unavailable::new("there is no memory to compare a password");
        match system::crypt::hash(clear, self.stored).map_err(|_| failed())? {
            Some(hash) => Ok(hash.ct_eq(self.stored).into()),
            // The library calls a shortage an invalid setting, too.
            None if !is_there_memory(self.memory) => Err(failed()),
            None => Ok(false),
        }
    }
}

fn is_there_memory(octets: u64) -> bool {
    let mut memory = Vec::<u8>::new();
    let is_there = usize::try_from(octets).is_ok_and(|octets| memory.try_reserve_exact(octets).is_ok());
    black_box(memory);
    is_there
}

/// The octets that `$method$hash` fills, if they are few enough, and so is the
/// other work.
fn bearable(method: &[u8], hash: &[u8]) -> Result<u64, Flaw> {
    match method {
        b"1" | b"3" | b"md5" => Ok(0),
        b"5" | b"6" | b"sm3" => match hash.strip_prefix(b"rounds=") {
            Some(rest) => at_most(before_dollar(rest)?, MOST_ROUNDS),
            None => Ok(0),
        },
        b"2a" | b"2b" | b"2x" | b"2y" => at_most(before_dollar(hash)?, MOST_BCRYPT),
        b"y" | b"gy" | b"sm3y" => bearable_yescrypt(hash),
        b"7" => bearable_scrypt(hash),
        b"sha1" => at_most(before_dollar(hash)?, MOST_ROUNDS),
        _ => match method.strip_prefix(b"md5,rounds=") {
            Some(rounds) => at_most(number(rounds)?, MOST_SUN_ROUNDS),
            None => Err(Flaw::NoPassword),
        },
    }
}

/// No memory to speak of, if there are not too many `rounds`.
fn at_most(rounds: u32, most: u32) -> Result<u64, Flaw> {
    if rounds <= most { Ok(0) } else { Err(Flaw::TooCostly) }
}

fn before_dollar(text: &[u8]) -> Result<u32, Flaw> {
    number(split_once(text, b'$').ok_or(Flaw::NoPassword)?.0)
}

/// DES, traditional or (behind `_`) extended, whose rounds are four characters.
fn bearable_des(stored: &[u8]) -> Result<u64, Flaw> {
    match stored.strip_prefix(b"_") {
        Some(hash) => at_most(little_endian(hash.get(..4).ok_or(Flaw::NoPassword)?)?, MOST_DES_ROUNDS),
        None if stored.len() >= DES_LENGTH => little_endian(stored).map(|_| 0),
        None => Err(Flaw::NoPassword),
    }
}

/// yescrypt: `j`, the logarithm of N, and r, one character each, as
/// crypt_gensalt(3) makes them; it fills 128 N r octets.
fn bearable_yescrypt(hash: &[u8]) -> Result<u64, Flaw> {
    let (parameters, _) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
    match *parameters {
        [b'j', log_n, r] => {
            let memory = memory(value(log_n)? + 1, value(r)? + 1);
            if memory <= MOST_MEMORY { Ok(memory) } else { Err(Flaw::TooCostly) }
        }
        // Longer numbers, or further parameters: more than anybody needs.
        [b'j', _, _, _, ..] => Err(Flaw::TooCostly),
        _ => Err(Flaw::NoPassword),
    }
}

/// scrypt: one character for the logarithm of N, five for r, five for p; it
/// fills 128 N r octets, p times.
fn bearable_scrypt(hash: &[u8]) -> Result<u64, Flaw> {
    let [log_n, parameters @ ..] = hash else { return Err(Flaw::NoPassword) };
    let (r, p) = parameters.get(..10).ok_or(Flaw::NoPassword)?.split_at(5);
    let memory = memory(value(*log_n)?, little_endian(r)?);
    let times = u64::from(little_endian(p)?.max(1));
    if memory.saturating_mul(times) <= MOST_MEMORY { Ok(memory) } else { Err(Flaw::TooCostly) }
}

/// 128 N r octets.
fn memory(log_n: u32, r: u32) -> u64 {
    1u64.checked_shl(log_n).unwrap_or(u64::MAX).saturating_mul(128).saturating_mul(u64::from(r))
}

/// Characters that stand for six bits each, the lowest first. Of more than
/// five, what is above 32 bits does not count.
fn little_endian(characters: &[u8]) -> Result<u32, Flaw> {
    let mut result = 0;
    for (place, &character) in (0..).step_by(6).zip(characters) {
        result |= value(character)?.checked_shl(place).unwrap_or(0);
    }
    Ok(result)
}

/// The six bits that crypt(3) means by `character`.
fn value(character: u8) -> Result<u32, Flaw> {
    let value = match character {
        b'.' | b'/' => character - b'.',
        b'0'..=b'9' => character - b'0' + 2,
        b'A'..=b'Z' => character - b'A' + 12,
        b'a'..=b'z' => character - b'a' + 38,
        _ => return Err(Flaw::NoPassword),
    };
    Ok(u32::from(value))
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Hash};

    fn flaw(stored: &str) -> Option<Flaw> {
        Hash::parse(stored.as_bytes()).err()
    }

    #[test]
    fn work_that_would_take_a_server_down_is_not_begun() {
        for stored in [
            "$5$rounds=999999999$salt$hash",
            "$6$rounds=99999999999999999999$salt$hash",
            "$2b$31$abcdefghijklmnopqrstuu",
            "$2y$16$abcdefghijklmnopqrstuu",
            "$y$jFT$salt$hash",
            "$y$jzz$salt$hash",
            "$y$j9T1$salt$hash",
            "$gy$jFT$salt$hash",
            "$7$J6..../....salt$hash",
            "$7$C6....zzzzzsalt$hash",
            "$7$zzzzzzzzzzzsalt$hash",
            "$sha1$4000000000$salt$hash",
            "$md5,rounds=4000000000$salt$$hash",
            "_zzzzsalthashhashhas",
        ] {
            assert_eq!(flaw(stored), Some(Flaw::TooCostly), "{stored}");
        }
    }

    #[test]
    fn what_crypt_makes_by_default_is_bearable() {
        for stored in [
            "OdiGHOSKg4jq2",
            "_J9..abcd/H6HLCcf7nw",
            "$1$salt$hash",
            "$5$salt$hash",
            "$6$rounds=656000$salt$hash",
            "$2b$12$abcdefghijklmnopqrstuu",
            "$y$j9T$salt$hash",
            "$gy$jBT$salt$hash",
            "$7$CU..../....salt$hash",
            "$sha1$40000$salt$hash",
            "$md5,rounds=5000$salt$$hash",
        ] {
            assert_eq!(flaw(stored), None, "{stored}");
        }
    }

    #[test]
    fn what_crypt_does_not_know_is_no_password() {
        for stored in
            ["", "*", "!", "x", "!OdiGHOSKg4jq2", "$", "$$", "$8$a$b", "$y$", "$y$a$b", "$2b$x$", "_J9"]
        {
            assert_eq!(flaw(stored), Some(Flaw::NoPassword), "{stored}");
        }
    }
}

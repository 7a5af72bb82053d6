//! Passwords stored as Argon2 (RFC 9106), in the PHC string form:
//! `$argon2id$v=19$m=65536,t=3,p=1$salt$tag`.

use argon2::{Algorithm, Argon2, Block, Params, Version};
use base64::Engine;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::{Flaw, number, split_once};
use crate::account::Unavailable;

/// Most memory, in KiB: what libsodium calls moderate.
const MOST_MEMORY: u32 = 256 * 1024;
/// Most memory times passes, in KiB: about a second or two.
const MOST_WORK: u64 = 1024 * 1024;
/// Most lanes. They are not run in parallel here, so they cost nothing.
const MOST_LANES: u32 = 64;
/// Octets of a tag; a shorter one would match by chance.
const TAG: std::ops::RangeInclusive<usize> = 16..=64;
/// Octets of a salt: RFC 9106 asks for 8, and nobody takes more than 64.
const SALT: std::ops::RangeInclusive<usize> = 8..=64;

/// A stored hash, of bearable cost.
pub(super) struct Hash {
    algorithm: Algorithm,
    version: Version,
    params: Params,
    salt: Vec<u8>,
    tag: Vec<u8>,
}

impl Hash {
    pub(super) fn parse(stored: &[u8]) -> Result<Self, Flaw> {
        let hash = stored.strip_prefix(b"$").ok_or(Flaw::NoPassword)?;
        let (algorithm, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let algorithm = match algorithm {
            b"argon2id" => Algorithm::Argon2id,
            b"argon2i" => Algorithm::Argon2i,
            b"argon2d" => Algorithm::Argon2d,
            _ => return Err(Flaw::NoPassword),
        };
        let (version, hash) = match hash.strip_prefix(b"v=") {
            Some(rest) => split_once(rest, b'$').ok_or(Flaw::NoPassword)?,
            None => (b"16".as_slice(), hash),
        };
        let version = match version {
            b"16" => Version::V0x10,
            b"19" => Version::V0x13,
            _ => return Err(Flaw::NoPassword),
        };
        let (costs, hash) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let (salt, tag) = split_once(hash, b'$').ok_or(Flaw::NoPassword)?;
        let (salt, tag) = (octets(salt)?, octets(tag)?);
        if !SALT.contains(&salt.len()) || !TAG.contains(&tag.len()) {
            return Err(Flaw::NoPassword);
        }
        Ok(Hash { algorithm, version, params: params(costs, tag.len())?, salt, tag })
    }

    pub(super) fn check(&self, clear: &[u8]) -> Result<bool, Unavailable> {
        let tag = derive(self.algorithm, self.version, &self.params, clear, &self.salt)?;
        Ok(tag.ct_eq(&self.tag).into())
    }
}

/// The tag of `clear`, as long as `params` says.
///
/// # Errors
/// If there is no memory.
pub(super) fn derive(
    algorithm: Algorithm,
    version: Version,
    params: &Params,
    clear: &[u8],
    salt: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    let failed = || Unavailable::new("there is no memory to compare a password");
    let mut memory = Vec::new();
    memory.try_reserve_exact(params.block_count()).map_err(|_| failed())?;
    memory.resize(params.block_count(), Block::new());
    let mut tag = Zeroizing::new(vec![0; params.output_len().unwrap_or(Params::DEFAULT_OUTPUT_LEN)]);
    Argon2::new(algorithm, version, params.clone())
        .hash_password_into_with_memory(clear, salt, &mut tag, memory.as_mut_slice())
        .map_err(|error| Unavailable::new(format!("Argon2: {error}")))?;
    Ok(tag)
}

/// `m=65536,t=3,p=1`: memory in KiB, passes, lanes.
fn params(costs: &[u8], tag_length: usize) -> Result<Params, Flaw> {
    let mut parts = costs.split(|&octet| octet == b',');
    let mut next =
        |name: &[u8]| number(parts.next().and_then(|part| part.strip_prefix(name)).ok_or(Flaw::NoPassword)?);
    let (memory, passes, lanes) = (next(b"m=")?, next(b"t=")?, next(b"p=")?);
    if parts.next().is_some() {
        return Err(Flaw::NoPassword);
    }
    if memory > MOST_MEMORY || lanes > MOST_LANES || u64::from(memory) * u64::from(passes) > MOST_WORK {
        return Err(Flaw::TooCostly);
    }
    Params::new(memory, passes, lanes, Some(tag_length)).map_err(|_| Flaw::NoPassword)
}

fn octets(text: &[u8]) -> Result<Vec<u8>, Flaw> {
    STANDARD_NO_PAD.decode(text).map_err(|_| Flaw::NoPassword)
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Hash};

    fn with_costs(costs: &str) -> String {
        format!("$argon2id$v=19${costs}$OjxpQA0eEqnXE4raWuu8uQ$ZR/kATChaZYcX79r9KSFeeBVv5a4U6Vyt2Ve3JaxSis")
    }

    #[test]
    fn work_that_would_take_a_server_down_is_not_begun() {
        for costs in [
            "m=4294967295,t=1,p=1",
            "m=99999999999,t=1,p=1",
            "m=262145,t=1,p=1",
            "m=262144,t=5,p=1",
            "m=8,t=4294967295,p=1",
            "m=65536,t=3,p=16777215",
        ] {
            assert_eq!(Hash::parse(with_costs(costs).as_bytes()).err(), Some(Flaw::TooCostly), "{costs}");
        }
    }

    #[test]
    fn what_libsodium_makes_is_bearable() {
        for costs in ["m=65536,t=2,p=1", "m=262144,t=3,p=1", "m=32768,t=4,p=1"] {
            assert!(Hash::parse(with_costs(costs).as_bytes()).is_ok(), "{costs}");
        }
    }

    #[test]
    fn costs_that_make_no_sense_are_no_password() {
        for costs in
            ["", "m=0,t=0,p=0", "m=8,t=1,p=0", "m=8,t=1,p=2", "t=1,m=8,p=1", "m=8,t=1", "m=8,t=1,p=1,x=1"]
        {
            assert_eq!(Hash::parse(with_costs(costs).as_bytes()).err(), Some(Flaw::NoPassword), "{costs}");
        }
    }
}

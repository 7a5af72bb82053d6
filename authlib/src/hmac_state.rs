//! What is stored of a password for CRAM (RFC 2195): the HMAC of any
//! challenge can be finished from it, the password not be read back
//! (reference: authlib 12).
//!
//! HMAC (RFC 2104) hashes the key, padded to one block and mixed with a
//! constant, before anything else. Stored are the hash's chaining variables
//! after that block, the outer one's first. Whoever has them can log in with
//! CRAM, so they are as secret as the password.

use std::slice::from_ref;

use md5::Digest;
use zeroize::Zeroizing;

use crate::password::lower_hex;

/// Octets of a block of all three hashes.
const BLOCK: usize = 64;
/// What RFC 2104 mixes into the key of the outer hash.
const OUTER: u8 = 0x5c;
/// What RFC 2104 mixes into the key of the inner hash.
const INNER: u8 = 0x36;

/// A hash that CRAM is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// MD5 (RFC 1321).
    Md5,
    /// SHA-1 (RFC 3174).
    Sha1,
    /// SHA-256 (RFC 6234).
    Sha256,
}

impl Hash {
    /// All of them, in the order in which Courier lists them.
    pub const ALL: [Hash; 3] = [Hash::Md5, Hash::Sha1, Hash::Sha256];

    /// Its name in field names and options: `hmac-md5`, `hmac-sha1`,
    /// `hmac-sha256`.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Hash::Md5 => "hmac-md5",
            Hash::Sha1 => "hmac-sha1",
            Hash::Sha256 => "hmac-sha256",
        }
    }

    /// What is stored of `password`: 64, 80 or 128 lower-case hexadecimal
    /// digits.
    #[must_use]
    pub fn stored(self, password: &[u8]) -> Zeroizing<String> {
        let key = self.key(password);
        let states = [OUTER, INNER].map(|pad| {
            let block = Zeroizing::new(key.map(|octet| octet ^ pad));
            Zeroizing::new(self.state_after(&block))
        });
        Zeroizing::new(states.iter().map(|state| lower_hex(state)).collect())
    }

    /// The password as one block: one that is longer is hashed first.
    fn key(self, password: &[u8]) -> Zeroizing<[u8; BLOCK]> {
        let mut key = Zeroizing::new([0; BLOCK]);
        let mut fill = |octets: &[u8]| key[..octets.len()].copy_from_slice(octets);
        match self {
            _ if password.len() <= BLOCK => fill(password),
            Hash::Md5 => fill(&md5::Md5::digest(password)),
            Hash::Sha1 => fill(&sha1::Sha1::digest(password)),
            Hash::Sha256 => fill(&sha2::Sha256::digest(password)),
        }
        key
    }

    /// The chaining variables after `block`, in the hash's own octet order.
    fn state_after(self, block: &[u8; BLOCK]) -> Vec<u8> {
        match self {
            Hash::Md5 => {
                let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476];
                md5::block_api::compress(&mut state, from_ref(block));
                state.iter().flat_map(|word| word.to_le_bytes()).collect()
            }
            Hash::Sha1 => {
                let mut state = [0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0];
                sha1::block_api::compress(&mut state, from_ref(block));
                state.iter().flat_map(|word| word.to_be_bytes()).collect()
            }
            Hash::Sha256 => {
                let mut state = [
                    0x6a09_e667,
                    0xbb67_ae85,
                    0x3c6e_f372,
                    0xa54f_f53a,
                    0x510e_527f,
                    0x9b05_688c,
                    0x1f83_d9ab,
                    0x5be0_cd19,
                ];
                sha2::block_api::compress256(&mut state, from_ref(block));
                state.iter().flat_map(|word| word.to_be_bytes()).collect()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::Hash;

    #[test]
    fn stored_secrets_are_those_of_courier() {
        for (hash, stored) in [
            (Hash::Md5, "cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56"),
            (Hash::Sha1, "091e0f4c6cb5277ee2beb639a60d0831b5c8adcdaee172433df3e96ba4f00fb1b6a490c3929d2034"),
            (
                Hash::Sha256,
                "5a84072aab37d22275b139adf7a92564c7f674be98e77d991f6f689d29e05245\
                 72804f31b042016804d3dea2f4e991a21b1c8906be161594b202fb74afc8ceb3",
            ),
        ] {
            assert_eq!(hash.stored(b"secret").as_str(), stored);
        }
    }

    #[test]
    fn a_password_longer_than_a_block_counts_whole() {
        for hash in Hash::ALL {
            let (block, longer, other) =
                (hash.stored(&[b'a'; 64]), hash.stored(&[b'a'; 65]), hash.stored(&[b'a'; 66]));
            assert!(block != longer && longer != other);
        }
    }
}

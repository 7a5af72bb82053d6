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
use zeroize::{Zeroize, Zeroizing};

use crate::password::lower_hex;

/// Octets of a block of all three hashes.
const BLOCK: usize = 64;
/// Octets at the end of a hash's last block that tell the length.
const LENGTH: usize = 8;
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

    /// Octets of its digests: 16, 20 or 32.
    #[must_use]
    pub fn length(self) -> usize {
        match self {
            Hash::Md5 => 16,
            Hash::Sha1 => 20,
            Hash::Sha256 => 32,
        }
    }

    /// What is stored of `password`: 64, 80 or 128 lower-case hexadecimal
    /// digits.
    #[must_use]
    pub fn stored(self, password: &[u8]) -> Zeroizing<String> {
        let States { outer, inner } = States::of(self, password);
        Zeroizing::new([outer, inner].iter().map(|state| lower_hex(&state.octets())).collect())
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
}

/// A password's two states, from which the HMAC of any message can be
/// finished.
pub struct States {
    outer: State,
    inner: State,
}

impl States {
    /// Those of `password`.
    #[must_use]
    pub fn of(hash: Hash, password: &[u8]) -> Self {
        let key = hash.key(password);
        let [outer, inner] = [OUTER, INNER].map(|pad| {
            let mut state = State::initial(hash);
            state.compress(&Zeroizing::new(key.map(|octet| octet ^ pad)));
            state
        });
        States { outer, inner }
    }

    /// Those that are stored as `digits`, of either case. `None` if these are
    /// not hexadecimal digits, or not as many as `hash` needs.
    #[must_use]
    pub fn parse(hash: Hash, digits: &[u8]) -> Option<Self> {
        let octets = Zeroizing::new(octets(digits)?);
        let (outer, inner) = octets.split_at_checked(hash.length())?;
        Some(States { outer: State::from_octets(hash, outer)?, inner: State::from_octets(hash, inner)? })
    }

    /// Some that belong to no password that anybody knows, to calculate with
    /// in vain.
    #[must_use]
    pub fn nobodys(hash: Hash) -> Self {
        States { outer: State::initial(hash), inner: State::initial(hash) }
    }

    /// The HMAC of `message`, as many octets as the hash's digests have.
    #[must_use]
    pub fn hmac(&self, message: &[u8]) -> Zeroizing<Vec<u8>> {
        self.outer.finish(&self.inner.finish(message))
    }
}

/// Chaining variables of a hash.
#[derive(Clone)]
enum State {
    Md5([u32; 4]),
    Sha1([u32; 5]),
    Sha256([u32; 8]),
}

impl State {
    /// Those that a hash begins with.
    fn initial(hash: Hash) -> Self {
        match hash {
            Hash::Md5 => State::Md5([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476]),
            Hash::Sha1 => State::Sha1([0x6745_2301, 0xefcd_ab89, 0x98ba_dcfe, 0x1032_5476, 0xc3d2_e1f0]),
            Hash::Sha256 => State::Sha256([
                0x6a09_e667,
                0xbb67_ae85,
                0x3c6e_f372,
                0xa54f_f53a,
                0x510e_527f,
                0x9b05_688c,
                0x1f83_d9ab,
                0x5be0_cd19,
            ]),
        }
    }

    /// Those that are written as `octets` in the hash's own order, if these
    /// are exactly as many as needed.
    fn from_octets(hash: Hash, octets: &[u8]) -> Option<Self> {
        let mut state = State::initial(hash);
        let (words, []) = octets.as_chunks::<4>() else { return None };
        if words.len() != state.words().len() {
            return None;
        }
        for (word, octets) in state.words().iter_mut().zip(words) {
            *word = match hash {
                Hash::Md5 => u32::from_le_bytes(*octets),
                Hash::Sha1 | Hash::Sha256 => u32::from_be_bytes(*octets),
            };
        }
        Some(state)
    }

    /// In the hash's own order.
    fn octets(&self) -> Zeroizing<Vec<u8>> {
        Zeroizing::new(match self {
            State::Md5(words) => words.iter().flat_map(|word| word.to_le_bytes()).collect(),
            State::Sha1(words) => words.iter().flat_map(|word| word.to_be_bytes()).collect(),
            State::Sha256(words) => words.iter().flat_map(|word| word.to_be_bytes()).collect(),
        })
    }

    fn words(&mut self) -> &mut [u32] {
        match self {
            State::Md5(words) => words,
            State::Sha1(words) => words,
            State::Sha256(words) => words,
        }
    }

    /// Hashes one more block.
    fn compress(&mut self, block: &[u8; BLOCK]) {
        match self {
            State::Md5(words) => md5::block_api::compress(words, from_ref(block)),
            State::Sha1(words) => sha1::block_api::compress(words, from_ref(block)),
            State::Sha256(words) => sha2::block_api::compress256(words, from_ref(block)),
        }
    }

    /// The digest, if these are the variables after one block and `message`
    /// is the rest.
    fn finish(&self, message: &[u8]) -> Zeroizing<Vec<u8>> {
        let mut state = self.clone();
        let (blocks, rest) = message.as_chunks::<BLOCK>();
        blocks.iter().for_each(|block| state.compress(block));
        // One octet 0x80, zeros, and the length in bits, up to a block's end.
        let mut last = Zeroizing::new([0; 2 * BLOCK]);
        let end = if rest.len() + 1 + LENGTH <= BLOCK { BLOCK } else { 2 * BLOCK };
        last[..rest.len()].copy_from_slice(rest);
        last[rest.len()] = 0x80;
        last[end - LENGTH..end].copy_from_slice(&state.length_field(BLOCK + message.len()));
        last[..end].as_chunks().0.iter().for_each(|block| state.compress(block));
        state.octets()
    }

    /// The length of `octets` as the hash's last block has it.
    fn length_field(&self, octets: usize) -> [u8; LENGTH] {
        let bits = octets as u64 * 8;
        match self {
            State::Md5(_) => bits.to_le_bytes(),
            State::Sha1(_) | State::Sha256(_) => bits.to_be_bytes(),
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        self.words().zeroize();
    }
}

/// The octets that hexadecimal `digits` of either case stand for; `None` if
/// they are not pairs of such digits.
pub(crate) fn octets(digits: &[u8]) -> Option<Vec<u8>> {
    let (pairs, []) = digits.as_chunks::<2>() else { return None };
    let mut octets = Vec::with_capacity(pairs.len());
    for pair in pairs {
        let [high, low] = pair.map(|digit| char::from(digit).to_digit(16));
        octets.push(u8::try_from(high? * 16 + low?).ok()?);
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::{Hash, States};
    use proptest::prelude::*;

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

    fn hmac(hash: Hash, password: &[u8], message: &[u8]) -> String {
        crate::password::lower_hex(&States::of(hash, password).hmac(message))
    }

    #[test]
    fn hmacs_are_those_of_the_rfcs() {
        let question = b"what do ya want for nothing?";
        // RFC 2202 section 2, test case 2; section 3, test case 2; RFC 4231 section 4.3.
        assert_eq!(hmac(Hash::Md5, b"Jefe", question), "750c783e6ab0b503eaa86e310a5db738");
        assert_eq!(hmac(Hash::Sha1, b"Jefe", question), "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79");
        assert_eq!(
            hmac(Hash::Sha256, b"Jefe", question),
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
        // RFC 2202 section 2, test case 7: a key and a message longer than a block.
        let message = b"Test Using Larger Than Block-Size Key and Larger Than One Block-Size Data";
        assert_eq!(hmac(Hash::Md5, &[0xaa; 80], message), "6f630fad67cda0ee1fb1f562db3aa53e");
        assert_eq!(hmac(Hash::Sha1, &[0xaa; 80], message), "e8e99d0f45237d786d6bbaa7965c7808bbff1a91");
    }

    #[test]
    fn what_is_no_pair_of_states_is_none() {
        let stored = Hash::Md5.stored(b"secret");
        assert!(States::parse(Hash::Md5, stored.as_bytes()).is_some());
        assert!(States::parse(Hash::Md5, stored.to_uppercase().as_bytes()).is_some());
        assert!(States::parse(Hash::Sha1, stored.as_bytes()).is_none());
        for malformed in ["", "*", "cd3b", &stored[1..], &stored[2..], &format!("{}g", &stored[1..])] {
            assert!(States::parse(Hash::Md5, malformed.as_bytes()).is_none(), "{malformed}");
        }
        assert!(States::parse(Hash::Md5, format!("{}00", stored.as_str()).as_bytes()).is_none());
    }

    proptest! {
        #[test]
        fn a_stored_password_gives_the_same_hmac_as_the_password(
            password in prop::collection::vec(any::<u8>(), 0..100),
            message in prop::collection::vec(any::<u8>(), 0..200),
        ) {
            use hmac::{Hmac, KeyInit, Mac};
            for hash in Hash::ALL {
                let stored = States::parse(hash, hash.stored(&password).as_bytes()).unwrap();
                let expected = match hash {
                    Hash::Md5 => Hmac::<md5::Md5>::new_from_slice(&password).unwrap().chain_update(&message).finalize().into_bytes().to_vec(),
                    Hash::Sha1 => Hmac::<sha1::Sha1>::new_from_slice(&password).unwrap().chain_update(&message).finalize().into_bytes().to_vec(),
                    Hash::Sha256 => Hmac::<sha2::Sha256>::new_from_slice(&password).unwrap().chain_update(&message).finalize().into_bytes().to_vec(),
                };
                prop_assert_eq!(stored.hmac(&message).to_vec(), expected);
            }
        }

        #[test]
        fn no_stored_text_does_harm(digits in prop::collection::vec(any::<u8>(), 0..140)) {
            Hash::ALL.into_iter().for_each(|hash| assert!(States::parse(hash, &digits).is_none()));
        }
    }
}

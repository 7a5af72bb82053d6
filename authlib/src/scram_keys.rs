//! What is stored of a password for SCRAM (RFC 5802, RFC 7677), and what a
//! server computes from it.
//!
//! Stored are the salt, the number of iterations, StoredKey and ServerKey, in
//! one of two spellings:
//!
//! ```text
//! SCRAM-SHA-256$4096:salt$StoredKey:ServerKey      RFC 5803, PostgreSQL
//! {SCRAM-SHA-256}4096,salt,StoredKey,ServerKey     Dovecot
//! ```
//!
//! A client proves with them that it knows the password, without saying it;
//! and a clear password can be compared with them too. Whoever has them can
//! play the server towards the client, but cannot log in.
//!
//! Passwords are prepared with SASLprep (RFC 4013), as RFC 5802 wants it, so that
//! it does not matter how a client types an accent. One that SASLprep refuses,
//! or that is not UTF-8, is taken as the octets it is; PostgreSQL does the same.

use std::borrow::Cow;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use sha1::Sha1;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use crate::password::Flaw;
use crate::password::pbkdf2::{Prf, Rounds};

/// Most octets of a salt.
const MOST_SALT: usize = 255;

/// A hash that SCRAM is used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hash {
    /// SHA-1 (RFC 5802).
    Sha1,
    /// SHA-256 (RFC 7677).
    Sha256,
}

impl Hash {
    /// Both of them.
    pub const ALL: [Hash; 2] = [Hash::Sha1, Hash::Sha256];

    /// The name of the mechanism without channel binding, which is also that
    /// of the stored form.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Hash::Sha1 => "SCRAM-SHA-1",
            Hash::Sha256 => "SCRAM-SHA-256",
        }
    }

    /// Octets of a digest, and so of every key, proof and signature.
    #[must_use]
    pub fn length(self) -> usize {
        self.prf().length()
    }

    fn prf(self) -> Prf {
        match self {
            Hash::Sha1 => Prf::HmacSha1,
            Hash::Sha256 => Prf::HmacSha256,
        }
    }

    /// RFC 5802's H.
    fn digest(self, text: &[u8]) -> Vec<u8> {
        match self {
            Hash::Sha1 => Sha1::digest(text).to_vec(),
            Hash::Sha256 => Sha256::digest(text).to_vec(),
        }
    }

    /// RFC 5802's HMAC, with a key that is one digest long.
    fn hmac(self, key: &[u8], text: &[u8]) -> Zeroizing<Vec<u8>> {
        let key = padded(key);
        Zeroizing::new(match self {
            Hash::Sha1 => {
                Hmac::<Sha1>::new((&*key).into()).chain_update(text).finalize().into_bytes().to_vec()
            }
            Hash::Sha256 => {
                Hmac::<Sha256>::new((&*key).into()).chain_update(text).finalize().into_bytes().to_vec()
            }
        })
    }
}

/// A key shorter than a block, filled up with zeros as RFC 2104 does.
fn padded(key: &[u8]) -> Zeroizing<[u8; 64]> {
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(place, octet)| *place = *octet);
    block
}

/// The keys of one account for one hash.
pub struct Keys {
    hash: Hash,
    rounds: Rounds,
    salt: Vec<u8>,
    stored_key: Zeroizing<Vec<u8>>,
    server_key: Zeroizing<Vec<u8>>,
}

impl Keys {
    /// The keys that a stored password holds, if it is of one of the two
    /// forms, and asks for no more than two million iterations (ledger 456).
    #[must_use]
    pub fn from_stored(stored: &[u8]) -> Option<Self> {
        Keys::parse(stored).ok()
    }

    /// Keys of the password `clear`. `None` without a salt, or if the number
    /// of iterations is 0 or above two million.
    #[must_use]
    pub fn derive(hash: Hash, clear: &[u8], salt: &[u8], iterations: u32) -> Option<Self> {
        if salt.is_empty() || salt.len() > MOST_SALT {
            return None;
        }
        let rounds = Rounds::new(iterations).ok()?;
        let salted = hash.prf().derive(&prepared(clear), salt, rounds);
        let client_key = hash.hmac(&salted, b"Client Key");
        Some(Keys {
            hash,
            rounds,
            salt: salt.to_vec(),
            stored_key: Zeroizing::new(hash.digest(&client_key)),
            server_key: hash.hmac(&salted, b"Server Key"),
        })
    }

    pub(crate) fn parse(stored: &[u8]) -> Result<Self, Flaw> {
        for hash in Hash::ALL {
            let name = hash.name().as_bytes();
            if let Some(keys) = strip_name(stored, &[name, b"$"].concat()) {
                return Self::parse_keys(hash, keys, *b":$:");
            }
            if let Some(keys) = strip_name(stored, &[b"{", name, b"}"].concat()) {
                return Self::parse_keys(hash, keys, *b",,,");
            }
        }
        Err(Flaw::NoPassword)
    }

    /// Iterations, salt, StoredKey and ServerKey with `separators` in between.
    fn parse_keys(hash: Hash, mut text: &[u8], separators: [u8; 3]) -> Result<Self, Flaw> {
        let mut parts = [b"".as_slice(); 3];
        for (part, separator) in parts.iter_mut().zip(separators) {
            let at = text.iter().position(|&octet| octet == separator).ok_or(Flaw::NoPassword)?;
            *part = &text[..at];
            text = &text[at + 1..];
        }
        let [rounds, salt, stored_key] = parts;
        let octets = |text: &[u8]| STANDARD.decode(text).map_err(|_| Flaw::NoPassword);
        let (salt, stored_key, server_key) = (octets(salt)?, octets(stored_key)?, octets(text)?);
        let is_right = !salt.is_empty()
            && salt.len() <= MOST_SALT
            && stored_key.len() == hash.length()
            && server_key.len() == hash.length();
        if !is_right {
            return Err(Flaw::NoPassword);
        }
        let (stored_key, server_key) = (Zeroizing::new(stored_key), Zeroizing::new(server_key));
        Ok(Keys { hash, rounds: Rounds::parse(rounds)?, salt, stored_key, server_key })
    }

    /// The form in which they are stored: Dovecot's, which can be told from
    /// the outside like every other form here.
    #[must_use]
    pub fn stored(&self) -> Zeroizing<String> {
        let [salt, stored_key, server_key] =
            [&self.salt, &*self.stored_key, &*self.server_key].map(|octets| STANDARD.encode(octets));
        let (name, iterations) = (self.hash.name(), self.iterations());
        Zeroizing::new(format!("{{{name}}}{iterations},{salt},{stored_key},{server_key}"))
    }

    /// Which hash they are for.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// The number of iterations, for the server's first message.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.rounds.get()
    }

    /// The salt, for the server's first message, which carries it in base64.
    #[must_use]
    pub fn salt(&self) -> &[u8] {
        &self.salt
    }

    /// Whether they are those of the password `clear`, prepared or, as some
    /// servers make them, not.
    #[must_use]
    pub fn check(&self, clear: &[u8]) -> bool {
        let prepared = prepared(clear);
        self.are_of(&prepared) || (*prepared != *clear && self.are_of(clear))
    }

    fn are_of(&self, clear: &[u8]) -> bool {
        let salted = self.hash.prf().derive(clear, &self.salt, self.rounds);
        let client_key = self.hash.hmac(&salted, b"Client Key");
        self.hash.digest(&client_key).ct_eq(&self.stored_key).into()
    }

    /// Whether `proof`, the decoded ClientProof, proves that the client knows
    /// the password (RFC 5802 section 3). `auth_message` are the three
    /// messages that the section joins with commas.
    #[must_use]
    pub fn is_proof(&self, auth_message: &[u8], proof: &[u8]) -> bool {
        let signature = self.hash.hmac(&self.stored_key, auth_message);
        let client_key: Zeroizing<Vec<u8>> =
            Zeroizing::new(signature.iter().zip(proof).map(|(one, other)| one ^ other).collect());
        let is_right: bool = self.hash.digest(&client_key).ct_eq(&self.stored_key).into();
        is_right && proof.len() == self.hash.length()
    }

    /// The ServerSignature, by which the client knows that the server has the
    /// keys (RFC 5802 section 3). Only for a client that has given its proof.
    #[must_use]
    pub fn server_signature(&self, auth_message: &[u8]) -> Vec<u8> {
        self.hash.hmac(&self.server_key, auth_message).to_vec()
    }
}

/// The password as keys are derived from it.
fn prepared(clear: &[u8]) -> Zeroizing<Vec<u8>> {
    let prepared = std::str::from_utf8(clear).ok().and_then(|text| stringprep::saslprep(text).ok());
    Zeroizing::new(match prepared {
        Some(Cow::Owned(text)) => text.into_bytes(),
        Some(Cow::Borrowed(_)) | None => clear.to_vec(),
    })
}

fn strip_name<'a>(stored: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (start, rest) = stored.split_at_checked(name.len())?;
    start.eq_ignore_ascii_case(name).then_some(rest)
}

#[cfg(test)]
mod tests {
    use super::{Hash, Keys, Rounds};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;

    /// The conversation of an RFC: hash, salt, AuthMessage, ClientProof,
    /// ServerSignature; the password is `pencil`, with 4096 iterations.
    const CONVERSATIONS: [(Hash, &str, &str, &str, &str); 2] = [
        // RFC 5802 section 5.
        (
            Hash::Sha1,
            "QSXCR+Q6sek8bf92",
            "n=user,r=fyko+d2lbbFgONRv9qkxdawL,\
             r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096,\
             c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j",
            "v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
            "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
        ),
        // RFC 7677 section 3.
        (
            Hash::Sha256,
            "W22ZaJ0SNY7soEsUEjb6gQ==",
            "n=user,r=rOprNGfwEbeRWgbNEkqO,\
             r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096,\
             c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0",
            "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
            "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
        ),
    ];

    fn octets(text: &str) -> Vec<u8> {
        STANDARD.decode(text).unwrap()
    }

    #[test]
    fn the_conversations_of_the_rfcs_are_understood() {
        for (hash, salt, auth_message, proof, signature) in CONVERSATIONS {
            let keys = Keys::derive(hash, b"pencil", &octets(salt), 4096).unwrap();
            assert!(keys.is_proof(auth_message.as_bytes(), &octets(proof)));
            assert_eq!(keys.server_signature(auth_message.as_bytes()), octets(signature));

            let again = Keys::from_stored(keys.stored().as_bytes()).unwrap();
            assert!(again.is_proof(auth_message.as_bytes(), &octets(proof)));
            assert_eq!((again.hash(), again.iterations(), again.salt()), (hash, 4096, &*octets(salt)));
        }
    }

    #[test]
    fn another_proof_another_message_and_another_password_prove_nothing() {
        for (hash, salt, auth_message, proof, _) in CONVERSATIONS {
            let (salt, proof, message) = (octets(salt), octets(proof), auth_message.as_bytes());
            let keys = Keys::derive(hash, b"pencil", &salt, 4096).unwrap();
            for at in 0..proof.len() {
                let mut other = proof.clone();
                other[at] ^= 1;
                assert!(!keys.is_proof(message, &other));
            }
            assert!(!keys.is_proof(message, b"") && !keys.is_proof(message, &proof[1..]));
            assert!(!keys.is_proof(message, &[&*proof, b"\0"].concat()));
            assert!(!keys.is_proof(&message[1..], &proof));
            let others = Keys::derive(hash, b"Pencil", &salt, 4096).unwrap();
            assert!(!others.is_proof(message, &proof));
        }
    }

    /// The examples of RFC 4013 section 3, and passwords that it does not allow.
    #[test]
    fn passwords_are_prepared_where_that_can_be_done() {
        for (typed, same) in [
            ("I\u{ad}X", "IX"),
            ("\u{aa}", "a"),
            ("\u{2168}", "IX"),
            ("e\u{301}", "\u{e9}"),
            ("a\u{a0}b", "a b"),
        ] {
            for hash in Hash::ALL {
                let keys = Keys::derive(hash, typed.as_bytes(), b"salt", 1).unwrap();
                assert!(keys.check(same.as_bytes()) && keys.check(typed.as_bytes()), "{typed:?}");
            }
        }
        for refused in
            [b"\x07".as_slice(), "\u{627}1".as_bytes(), b"\xff", "\u{1f600}".as_bytes(), b"user", b"USER"]
        {
            let keys = Keys::derive(Hash::Sha1, refused, b"salt", 1).unwrap();
            assert!(keys.check(refused) && !keys.check(b"User"), "{refused:?}");
        }
    }

    /// `\u{e9}` with and without an accent of its own, hashed as it was typed.
    #[test]
    fn keys_of_a_password_that_was_not_prepared_are_compared_all_the_same() {
        let typed = "e\u{301}".as_bytes();
        let salted = Hash::Sha256.prf().derive(typed, b"salt", Rounds::new(1).unwrap());
        let stored_key = Hash::Sha256.digest(&Hash::Sha256.hmac(&salted, b"Client Key"));
        let keys = Keys::derive(Hash::Sha256, b"", b"salt", 1).unwrap();
        let keys = Keys { stored_key: stored_key.into(), ..keys };
        assert!(keys.check(typed) && !keys.check("\u{e9}".as_bytes()));
    }

    #[test]
    fn both_spellings_are_read_in_any_case_and_nothing_like_them() {
        let stored = "SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:\
                      0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=";
        let keys = Keys::from_stored(stored.as_bytes()).unwrap();
        assert!(keys.check(b"secret") && !keys.check(b"Secret"));
        for (from, to) in [("SCRAM", "scram"), ("$4096:", "$2000000:")] {
            assert!(Keys::from_stored(stored.replace(from, to).as_bytes()).is_some(), "{to}");
        }
        for (from, to) in [
            ("4096", "0"),
            ("4096", ""),
            ("4096", "2000001"),
            ("4096", "99999999999"),
            ("EBESExQVFhcYGRobHB0eHw==", ""),
            ("SHA-256", "SHA-1"),
            ("SHA-256", "SHA-512"),
            (":0Wq", ",0Wq"),
            ("wQ4=", "wQ=="),
            ("SCRAM-SHA-256$", "{SCRAM-SHA-256}"),
        ] {
            assert!(Keys::from_stored(stored.replace(from, to).as_bytes()).is_none(), "{from} {to}");
        }
    }
}

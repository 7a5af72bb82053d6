//! A client of SCRAM, for tests: it calculates with nothing of ours but the
//! server's salt.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use pbkdf2::pbkdf2_hmac;
use sha1::Sha1;
use sha2::{Digest, Sha256};

use super::{Proof, Salt};
use crate::scram_keys::Hash;

/// A conversation of an RFC: `user` with the password `pencil`.
pub(crate) struct Conversation {
    pub(crate) hash: Hash,
    /// Client-first without its header `n,,`, server-first, client-final.
    pub(crate) messages: [&'static str; 3],
    /// In base64.
    pub(crate) signature: &'static str,
}

/// RFC 5802 section 5 and RFC 7677 section 3.
pub(crate) const RFC: [Conversation; 2] = [
    Conversation {
        hash: Hash::Sha1,
        messages: [
            "n=user,r=fyko+d2lbbFgONRv9qkxdawL",
            "r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,s=QSXCR+Q6sek8bf92,i=4096",
            "c=biws,r=fyko+d2lbbFgONRv9qkxdawL3rfcNHYJY1ZVvWVs7j,p=v0X8v3Bz2T0CJGbJQyF0X+HI4Ts=",
        ],
        signature: "rmF9pqV8S7suAoZWja4dJRkFsKQ=",
    },
    Conversation {
        hash: Hash::Sha256,
        messages: [
            "n=user,r=rOprNGfwEbeRWgbNEkqO",
            "r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,s=W22ZaJ0SNY7soEsUEjb6gQ==,i=4096",
            "c=biws,r=rOprNGfwEbeRWgbNEkqO%hvYDpWUa2RaTCAfuxFIlj)hNlF$k0,\
             p=dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ=",
        ],
        signature: "6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=",
    },
];

/// Client-final-message-without-proof and the decoded proof.
pub(crate) fn split_last(message: &[u8]) -> (Vec<u8>, Vec<u8>) {
    let at = message.windows(3).rposition(|window| window == b",p=").unwrap();
    (message[..at].to_vec(), STANDARD.decode(&message[at + 3..]).unwrap())
}

/// The proof of somebody with `password`, in a conversation about nothing.
pub(crate) fn proof(hash: Hash, user: &str, salt: &Salt, password: &[u8]) -> Proof {
    let messages = [format!("n={user},r=a").into_bytes(), salt.server_first(b"ab"), b"c=biws,r=ab".to_vec()];
    let proof = client_proof(hash, salt, password, &messages.join(&b','));
    Proof::new(hash, user.as_bytes(), messages, &proof).unwrap()
}

/// The last message of a client whose first was `bare` behind `header`, and
/// that was answered `server_first`.
pub(crate) fn last(hash: Hash, binding: &[u8], bare: &str, server_first: &[u8], password: &[u8]) -> Vec<u8> {
    let text = std::str::from_utf8(server_first).unwrap();
    let nonce = text.split(',').next().unwrap();
    let without_proof = format!("c={},{nonce}", STANDARD.encode(binding));
    let salt = Salt::of_server_first(server_first).unwrap();
    let auth_message = [bare.as_bytes(), server_first, without_proof.as_bytes()].join(&b',');
    let proof = STANDARD.encode(client_proof(hash, &salt, password, &auth_message));
    format!("{without_proof},p={proof}").into_bytes()
}

fn client_proof(hash: Hash, salt: &Salt, password: &[u8], auth_message: &[u8]) -> Vec<u8> {
    let (octets, iterations) = (salt.octets(), salt.iterations());
    let client_key = match hash {
        Hash::Sha1 => {
            let mut salted = [0; 20];
            pbkdf2_hmac::<Sha1>(password, octets, iterations, &mut salted);
            hmac(hash, &salted, b"Client Key")
        }
        Hash::Sha256 => {
            let mut salted = [0; 32];
            pbkdf2_hmac::<Sha256>(password, octets, iterations, &mut salted);
            hmac(hash, &salted, b"Client Key")
        }
    };
    let stored_key = match hash {
        Hash::Sha1 => Sha1::digest(&client_key).to_vec(),
        Hash::Sha256 => Sha256::digest(&client_key).to_vec(),
    };
    let signature = hmac(hash, &stored_key, auth_message);
    client_key.iter().zip(signature).map(|(one, other)| one ^ other).collect()
}

fn hmac(hash: Hash, key: &[u8], text: &[u8]) -> Vec<u8> {
    match hash {
        Hash::Sha1 => {
            let mac = <Hmac<Sha1> as KeyInit>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
        Hash::Sha256 => {
            let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(key).unwrap();
            mac.chain_update(text).finalize().into_bytes().to_vec()
        }
    }
}

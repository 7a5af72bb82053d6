//! An OAuth issuer for tests: keys that openssl(1) makes and signs with, so that
//! it judges tokens with other code than ours, and a server on loopback.

mod key;
mod server;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

use crate::Outcome;
pub use key::{Key, Kind};
pub use server::{Answer, Server, Stream};

/// A set of the public keys of `keys` (RFC 7517 section 5).
///
/// # Errors
/// openssl(1) fails.
pub fn key_set(keys: &[&Key]) -> Outcome<String> {
    let keys: Vec<String> = keys.iter().map(|key| key.jwk()).collect::<Outcome<_>>()?;
    Ok(format!("{{\"keys\":[{}]}}", keys.join(",")))
}

/// A token of these parts, whatever they are (RFC 7515 section 7.1).
#[must_use]
pub fn token(header: &[u8], claims: &[u8], signature: &[u8]) -> String {
    let [header, claims, signature] = [header, claims, signature].map(|part| URL_SAFE_NO_PAD.encode(part));
    format!("{header}.{claims}.{signature}")
}

/// A token "signed" with a secret that everybody knows, such as the text of a
/// public key: HS256.
///
/// # Errors
/// None in truth: a key of HMAC may have any length.
pub fn signed_with_secret(header: &str, claims: &str, secret: &[u8]) -> Outcome<String> {
    let signed = token(header.as_bytes(), claims.as_bytes(), b"");
    let mut hmac = Hmac::<Sha256>::new_from_slice(secret)?;
    hmac.update(signed.trim_end_matches('.').as_bytes());
    Ok(token(header.as_bytes(), claims.as_bytes(), &hmac.finalize().into_bytes()))
}

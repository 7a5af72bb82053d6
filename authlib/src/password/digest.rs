//! Passwords stored as a plain or salted digest behind a `{SCHEME}` prefix.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

/// The digests that Courier's prefixes name.
#[derive(Clone, Copy)]
pub(super) enum Scheme {
    Md5,
    Md5Raw,
    Sha,
    SaltedSha,
    Sha256,
    Sha512,
}

/// Octets of a SHA-1 digest.
const SHA1_LENGTH: usize = 20;

impl Scheme {
    /// The scheme that `prefix`, braces included, names in any case.
    pub(super) fn from_prefix(prefix: &[u8]) -> Option<Self> {
        Some(match prefix.to_ascii_uppercase().as_slice() {
            b"{MD5}" => Scheme::Md5,
            b"{MD5RAW}" => Scheme::Md5Raw,
            b"{SHA}" => Scheme::Sha,
            b"{SSHA}" => Scheme::SaltedSha,
            b"{SHA256}" => Scheme::Sha256,
            b"{SHA512}" => Scheme::Sha512,
            _ => return None,
        })
    }

    /// Whether `stored`, the text behind the prefix, belongs to `clear`.
    pub(super) fn check(self, stored: &[u8], clear: &[u8]) -> bool {
        match self {
            Scheme::Md5 => is_base64_of(stored, &Md5::digest(clear)),
            Scheme::Md5Raw => lower_hex(&Md5::digest(clear)).as_bytes().ct_eq(stored).into(),
            Scheme::Sha => is_base64_of(stored, &Sha1::digest(clear)),
            Scheme::SaltedSha => check_salted(stored, clear),
            Scheme::Sha256 => is_base64_of(stored, &Sha256::digest(clear)),
            Scheme::Sha512 => is_base64_of(stored, &Sha512::digest(clear)),
        }
    }
}

fn is_base64_of(stored: &[u8], digest: &[u8]) -> bool {
    STANDARD.decode(stored).is_ok_and(|octets| octets.ct_eq(digest).into())
}

/// SHA-1 of password and salt, then the salt, which may have any length
/// (ledger 600: Courier's is exactly 4 octets).
fn check_salted(stored: &[u8], clear: &[u8]) -> bool {
    let Ok(octets) = STANDARD.decode(stored) else {
        return false;
    };
    let Some((digest, salt)) = octets.split_at_checked(SHA1_LENGTH) else {
        return false;
    };
    Sha1::new().chain_update(clear).chain_update(salt).finalize().as_slice().ct_eq(digest).into()
}

/// `octets` as lower-case hexadecimal digits.
pub(crate) fn lower_hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

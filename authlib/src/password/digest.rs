//! Passwords stored as a plain or salted digest behind a `{SCHEME}` prefix.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use md5::{Digest, Md5};
use sha1::Sha1;
use sha2::{Sha256, Sha512};
use subtle::ConstantTimeEq;

use super::Flaw;

/// The digests that the prefixes name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scheme {
    Md5,
    Md5Raw,
    Sha,
    SaltedSha,
    Sha256,
    SaltedSha256,
    Sha512,
    SaltedSha512,
}

impl Scheme {
    /// The scheme that `prefix`, braces included, names in any case.
    pub(super) fn from_prefix(prefix: &[u8]) -> Option<Self> {
        Some(match prefix.to_ascii_uppercase().as_slice() {
            b"{MD5}" => Scheme::Md5,
            b"{MD5RAW}" => Scheme::Md5Raw,
            b"{SHA}" => Scheme::Sha,
            b"{SSHA}" => Scheme::SaltedSha,
            b"{SHA256}" => Scheme::Sha256,
            b"{SSHA256}" => Scheme::SaltedSha256,
            b"{SHA512}" => Scheme::Sha512,
            b"{SSHA512}" => Scheme::SaltedSha512,
            _ => return None,
        })
    }

    /// `stored`, the text behind the prefix, taken apart.
    ///
    /// A salt follows the digest and may have any length (ledger 600, 451).
    pub(super) fn parse(self, stored: &[u8]) -> Result<Hash, Flaw> {
        if self == Scheme::Md5Raw {
            return Ok(Hash { scheme: self, digest: stored.to_vec(), salt: Vec::new() });
        }
        let mut digest = STANDARD.decode(stored).map_err(|_| Flaw::NoPassword)?;
        if digest.len() < self.length() {
            return Err(Flaw::NoPassword);
        }
        let salt = digest.split_off(self.length());
        if salt.is_empty() || self.is_salted() {
            Ok(Hash { scheme: self, digest, salt })
        } else {
            Err(Flaw::NoPassword)
        }
    }

    /// The stored form of `clear`, prefix included. Where the scheme has no
    /// salt it is to be empty.
    pub(super) fn make(self, clear: &[u8], salt: &[u8]) -> String {
        let base64 = |digest: &[u8]| STANDARD.encode([digest, salt].concat());
        match self {
            Scheme::Md5 => format!("{{MD5}}{}", base64(&digest::<Md5>(clear, salt))),
            Scheme::Md5Raw => format!("{{MD5RAW}}{}", lower_hex(&digest::<Md5>(clear, salt))),
            Scheme::Sha => format!("{{SHA}}{}", base64(&digest::<Sha1>(clear, salt))),
            Scheme::SaltedSha => format!("{{SSHA}}{}", base64(&digest::<Sha1>(clear, salt))),
            Scheme::Sha256 => format!("{{SHA256}}{}", base64(&digest::<Sha256>(clear, salt))),
            Scheme::SaltedSha256 => format!("{{SSHA256}}{}", base64(&digest::<Sha256>(clear, salt))),
            Scheme::Sha512 => format!("{{SHA512}}{}", base64(&digest::<Sha512>(clear, salt))),
            Scheme::SaltedSha512 => format!("{{SSHA512}}{}", base64(&digest::<Sha512>(clear, salt))),
        }
    }

    fn is_salted(self) -> bool {
        matches!(self, Scheme::SaltedSha | Scheme::SaltedSha256 | Scheme::SaltedSha512)
    }

    /// Octets of the digest.
    fn length(self) -> usize {
        match self {
            Scheme::Md5 | Scheme::Md5Raw => 16,
            Scheme::Sha | Scheme::SaltedSha => 20,
            Scheme::Sha256 | Scheme::SaltedSha256 => 32,
            Scheme::Sha512 | Scheme::SaltedSha512 => 64,
        }
    }
}

/// A stored digest.
pub(super) struct Hash {
    scheme: Scheme,
    /// Octets, or of [`Scheme::Md5Raw`] the digits.
    digest: Vec<u8>,
    salt: Vec<u8>,
}

impl Hash {
    pub(super) fn check(&self, clear: &[u8]) -> bool {
        match self.scheme {
            Scheme::Md5 => self.is_digest::<Md5>(clear),
            Scheme::Md5Raw => lower_hex(&digest::<Md5>(clear, b"")).as_bytes().ct_eq(&self.digest).into(),
            Scheme::Sha | Scheme::SaltedSha => self.is_digest::<Sha1>(clear),
            Scheme::Sha256 | Scheme::SaltedSha256 => self.is_digest::<Sha256>(clear),
            Scheme::Sha512 | Scheme::SaltedSha512 => self.is_digest::<Sha512>(clear),
        }
    }

    fn is_digest<D: Digest>(&self, clear: &[u8]) -> bool {
        digest::<D>(clear, &self.salt).ct_eq(&self.digest).into()
    }
}

fn digest<D: Digest>(clear: &[u8], salt: &[u8]) -> Vec<u8> {
    D::new().chain_update(clear).chain_update(salt).finalize().to_vec()
}

/// `octets` as lower-case hexadecimal digits.
pub(crate) fn lower_hex(octets: &[u8]) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |nibble: u8| char::from(DIGITS[usize::from(nibble)]);
    octets.iter().flat_map(|octet| [digit(octet >> 4), digit(octet & 15)]).collect()
}

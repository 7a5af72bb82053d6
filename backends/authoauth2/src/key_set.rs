//! Public keys of an issuer: a JSON Web Key Set (RFC 7517).

use std::fmt;

use jsonwebtoken::jwk::{AlgorithmParameters, EllipticCurve, Jwk, KeyAlgorithm, KeyOperations, PublicKeyUse};
use jsonwebtoken::{Algorithm, DecodingKey};
use serde_json::Value;

/// Most keys that are read of a set.
const MOST: usize = 100;

/// The keys of a set that can verify a signature: of those of RSA, of P-256 and
/// P-384, and of Ed25519. Secrets (`oct`) are no public keys and are left out.
#[derive(Debug)]
pub struct KeySet(Vec<Key>);

/// One of them.
pub struct Key {
    name: Option<String>,
    algorithm: Option<KeyAlgorithm>,
    kind: Kind,
    key: DecodingKey,
}

/// What a key can be used with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Rsa,
    P256,
    P384,
    Ed25519,
}

impl KeySet {
    /// The keys that the text `octets` holds. One that is of no use to us is
    /// left out.
    ///
    /// # Errors
    /// They are no set, or none of its keys is of use.
    pub fn parse(octets: &[u8]) -> Result<Self, &'static str> {
        let set: Value = serde_json::from_slice(octets).map_err(|_| "is no JSON")?;
        let keys = set.get("keys").and_then(Value::as_array).ok_or("is no set of keys")?;
        if keys.len() > MOST {
            return Err("has too many keys");
        }
        let keys: Vec<Key> = keys.iter().filter_map(Key::of).collect();
        if keys.is_empty() { Err("has no key that can verify a signature") } else { Ok(KeySet(keys)) }
    }

    /// The key that is called `name` and fits `algorithm`. Without a name, the
    /// only one that fits.
    #[must_use]
    pub fn find(&self, name: Option<&str>, algorithm: Algorithm) -> Option<&Key> {
        let mut fitting = self.0.iter().filter(|key| key.fits(algorithm));
        match name {
            Some(name) => fitting.find(|key| key.name.as_deref() == Some(name)),
            None => fitting.next().filter(|_| fitting.next().is_none()),
        }
    }
}

impl Key {
    fn of(value: &Value) -> Option<Key> {
        let jwk: Jwk = serde_json::from_value(value.clone()).ok()?;
        let common = &jwk.common;
        let is_for_signatures =
            common.public_key_use.as_ref().is_none_or(|of| *of == PublicKeyUse::Signature)
                && common.key_operations.as_ref().is_none_or(|list| list.contains(&KeyOperations::Verify));
        let kind = Kind::of(&jwk.algorithm).filter(|_| is_for_signatures)?;
        let key = DecodingKey::from_jwk(&jwk).ok()?;
        Some(Key { name: common.key_id.clone(), algorithm: common.key_algorithm, kind, key })
    }

    /// Whether it may be used with `algorithm`; a key is for one alone if it
    /// says so (RFC 8725 section 3.1).
    fn fits(&self, algorithm: Algorithm) -> bool {
        Kind::for_algorithm(algorithm) == Some(self.kind)
            && self.algorithm.is_none_or(|own| own == KeyAlgorithm::from(algorithm))
    }

    /// Whether `signature`, in base64, is one of `message` by this key.
    #[must_use]
    pub fn verifies(&self, message: &[u8], signature: &str, algorithm: Algorithm) -> bool {
        self.fits(algorithm)
            && jsonwebtoken::crypto::verify(signature, message, &self.key, algorithm).unwrap_or(false)
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Key")
            .field("name", &self.name)
            .field("kind", &self.kind)
            .finish_non_exhaustive()
    }
}

impl Kind {
    fn of(parameters: &AlgorithmParameters) -> Option<Kind> {
        match parameters {
            AlgorithmParameters::RSA(_) => Some(Kind::Rsa),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P256 => Some(Kind::P256),
            AlgorithmParameters::EllipticCurve(key) if key.curve == EllipticCurve::P384 => Some(Kind::P384),
            AlgorithmParameters::OctetKeyPair(key) if key.curve == EllipticCurve::Ed25519 => {
                Some(Kind::Ed25519)
            }
            _ => None,
        }
    }

    /// `None` for those with a shared secret, which no public key can be.
    fn for_algorithm(algorithm: Algorithm) -> Option<Kind> {
        match algorithm {
            Algorithm::RS256
            | Algorithm::RS384
            | Algorithm::RS512
            | Algorithm::PS256
            | Algorithm::PS384
            | Algorithm::PS512 => Some(Kind::Rsa),
            Algorithm::ES256 => Some(Kind::P256),
            Algorithm::ES384 => Some(Kind::P384),
            Algorithm::EdDSA => Some(Kind::Ed25519),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::KeySet;
    use jsonwebtoken::Algorithm;

    /// Keys of the examples in RFC 7517 appendix A.1 and RFC 8037 appendix A.2.
    const EC: &str = r#""kty":"EC","crv":"P-256","x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM""#;
    const ED: &str = r#""kty":"OKP","crv":"Ed25519","x":"11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo""#;
    const RSA: &str = r#""kty":"RSA","n":"0vx7agoebGcQSuuPiLJXZptN9nndrQmbXEps2aiAFbWhM78LhWx4cbbfAAtVT86zwu1RK7aPFFxuhDR1L6tSoc_BJECPebWKRXjBZCiFV4n3oknjhMstn64tZ_2W-5JsGY4Hc5n9yBXArwl93lqt7_RN5w6Cf0h4QyQ5v-65YGjQR0_FDW2QvzqY368QQMicAtaSqzs8KJZgnYb9c7d0zgdAZHzu6qMQvRL5hajrn1n91CbOpbISD08qNLyrdkt-bFTWhAI4vMQFh6WeZu0fM4lFd2NcRwr3XPksINHaQ-G_xBniIqbw0Ls1jF44-csFCur-kEgU8awapJzKnqDKgw","e":"AQAB""#;

    fn set(keys: &[String]) -> Result<KeySet, &'static str> {
        KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes())
    }

    fn key(parameters: &str, more: &str) -> String {
        format!("{{{parameters}{more}}}")
    }

    #[test]
    fn a_key_is_found_by_its_name_and_what_it_is_for() {
        let keys = [
            key(RSA, r#","kid":"a""#),
            key(EC, r#","kid":"a","use":"sig""#),
            key(ED, r#","kid":"b","key_ops":["verify"]"#),
        ];
        let set = set(&keys).unwrap();
        assert!(set.find(Some("a"), Algorithm::RS256).is_some());
        assert!(set.find(Some("a"), Algorithm::PS512).is_some());
        assert!(set.find(Some("a"), Algorithm::ES256).is_some());
        assert!(set.find(Some("b"), Algorithm::EdDSA).is_some());
        for (name, algorithm) in [
            ("b", Algorithm::RS256),
            ("a", Algorithm::ES384),
            ("a", Algorithm::HS256),
            ("A", Algorithm::RS256),
        ] {
            assert!(set.find(Some(name), algorithm).is_none(), "{name} {algorithm:?}");
        }
        assert!(set.find(None, Algorithm::RS256).is_some());
    }

    #[test]
    fn without_a_name_there_must_be_one_that_fits() {
        let two = set(&[key(RSA, r#","kid":"a""#), key(RSA, r#","kid":"b""#)]).unwrap();
        assert!(two.find(None, Algorithm::RS256).is_none());
        let told_apart = set(&[key(RSA, r#","alg":"RS256""#), key(RSA, r#","alg":"PS256""#)]).unwrap();
        assert!(told_apart.find(None, Algorithm::RS256).is_some());
        assert!(told_apart.find(None, Algorithm::RS384).is_none());
    }

    #[test]
    fn what_is_of_no_use_is_left_out() {
        let useless = [
            r#"{"kty":"oct","k":"c2VjcmV0","kid":"a"}"#.to_owned(),
            r#"{"kty":"RSA","kid":"a"}"#.to_owned(),
            r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"X25519","x":"AA"}"#.to_owned(),
            r#"{"kty":"OKP","crv":"P-256","x":"AA"}"#.to_owned(),
            r#"{"kty":"EC","crv":"Ed25519","x":"AA","y":"AA"}"#.to_owned(),
            key(EC, r#","kid":7"#),
            key(EC, r#","use":"enc""#),
            key(EC, r#","key_ops":["sign"]"#),
            "7".to_owned(),
        ];
        assert_eq!(set(&useless).unwrap_err(), "has no key that can verify a signature");
        let one_more = [&useless[..], &[key(EC, "")]].concat();
        assert!(set(&one_more).unwrap().find(None, Algorithm::ES256).is_some());
    }

    #[test]
    fn nonsense_is_no_set() {
        for text in ["", "<html>", "[]", "{}", r#"{"keys":{}}"#, r#"{"keys":[]}"#, r#"{"keys":["#] {
            assert!(KeySet::parse(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(set(&vec![key(EC, ""); 101]).unwrap_err(), "has too many keys");
    }

    #[test]
    fn a_signature_that_is_none_is_not_verified() {
        let set = set(&[key(RSA, ""), key(EC, ""), key(ED, "")]).unwrap();
        for algorithm in [Algorithm::RS256, Algorithm::ES256, Algorithm::EdDSA] {
            let key = set.find(None, algorithm).unwrap();
            for signature in ["", "AA", "####", "AA=="] {
                assert!(!key.verifies(b"message", signature, algorithm));
            }
            assert!(!key.verifies(b"message", "AA", Algorithm::HS256));
        }
    }
}

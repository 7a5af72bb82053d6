//! A JSON Web Token in its compact form (RFC 7515 section 7.1, RFC 7519), taken
//! apart, and its signature.
//!
//! ```text
//! {"alg":"RS256","kid":"1"} . {"iss":…,"exp":…} . signature      each in base64
//! ```
//!
//! Which algorithm may be used is the administrator's word, which key is the
//! issuer's; a token that brings a key of its own gets no hearing for it
//! (RFC 8725 sections 3.1 and 3.2).

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use jsonwebtoken::Algorithm;

use crate::claims::{Claims, NotThat};
use crate::key_set::Key;

/// The algorithms whose signatures nobody can make who can verify them.
pub const ALGORITHMS: [(&str, Algorithm); 9] = [
    ("RS256", Algorithm::RS256),
    ("RS384", Algorithm::RS384),
    ("RS512", Algorithm::RS512),
    ("PS256", Algorithm::PS256),
    ("PS384", Algorithm::PS384),
    ("PS512", Algorithm::PS512),
    ("ES256", Algorithm::ES256),
    ("ES384", Algorithm::ES384),
    ("EdDSA", Algorithm::EdDSA),
];

/// The one of [`ALGORITHMS`] called `name`.
#[must_use]
pub fn algorithm(name: &str) -> Option<Algorithm> {
    ALGORITHMS.into_iter().find(|(known, _)| *known == name).map(|(_, algorithm)| algorithm)
}

/// What a token must be like.
#[derive(Clone, Debug)]
pub struct Form {
    /// The algorithms that are allowed.
    pub algorithms: Vec<Algorithm>,
    /// The types that are allowed, in lower case; if there are none, `jwt`,
    /// `at+jwt` (RFC 9068) or no type at all.
    pub types: Vec<String>,
}

/// A token whose signature has not been looked at.
#[derive(Debug)]
pub struct Unverified<'a> {
    algorithm: Algorithm,
    key_name: Option<String>,
    signed: &'a str,
    claims: &'a str,
    signature: &'a str,
}

impl Form {
    /// The three parts of `token`, if it has this form.
    ///
    /// # Errors
    /// Why it has not.
    pub fn take_apart<'a>(&self, token: &'a [u8]) -> Result<Unverified<'a>, &'static str> {
        let token = std::str::from_utf8(token).map_err(|_| "it is no JWT")?;
        let mut parts = token.split('.');
        let (Some(header), Some(claims), Some(signature), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("it is no JWT");
        };
        let signed = &token[..header.len() + 1 + claims.len()];
        let header = Claims::parse(&decoded(header)?).map_err(|_| "its header is no object of JSON")?;
        // Nothing is understood here that has to be (RFC 7515 section 4.1.11).
        if header.has("crit") {
            return Err("its header has extensions");
        }
        self.check_type(&header)?;
        let text = |name| header.text(name).map_err(|NotThat| "its header is malformed");
        let algorithm = text("alg")?.and_then(algorithm).filter(|named| self.algorithms.contains(named));
        let algorithm = algorithm.ok_or("its algorithm is not allowed")?;
        let key_name = text("kid")?.map(str::to_owned);
        Ok(Unverified { algorithm, key_name, signed, claims, signature })
    }

    /// RFC 8725 section 3.11: another kind of token is no access token.
    fn check_type(&self, header: &Claims) -> Result<(), &'static str> {
        let kind = header.text("typ").map_err(|NotThat| "its header is malformed")?;
        let kind = kind.map(str::to_ascii_lowercase);
        let kind = kind.as_deref().map(|kind| kind.strip_prefix("application/").unwrap_or(kind));
        let is_allowed = match kind {
            None => self.types.is_empty(),
            Some("jwt" | "at+jwt") if self.types.is_empty() => true,
            Some(kind) => self.types.iter().any(|allowed| allowed == kind),
        };
        if is_allowed { Ok(()) } else { Err("its type is not allowed") }
    }
}

impl Unverified<'_> {
    /// With what it says that it is signed.
    #[must_use]
    pub fn algorithm(&self) -> Algorithm {
        self.algorithm
    }

    /// The name of the key with which it says that it is signed.
    #[must_use]
    pub fn key_name(&self) -> Option<&str> {
        self.key_name.as_deref()
    }

    /// What the owner of `key` says in it.
    ///
    /// # Errors
    /// It is not signed with that key; or nothing is said that can be
    /// understood.
    pub fn claims(&self, key: &Key) -> Result<Claims, &'static str> {
        if !key.verifies(self.signed.as_bytes(), self.signature, self.algorithm) {
            return Err("its signature is wrong");
        }
        Claims::parse(&decoded(self.claims)?).map_err(|_| "its claims are no object of JSON")
    }
}

fn decoded(part: &str) -> Result<Vec<u8>, &'static str> {
    URL_SAFE_NO_PAD.decode(part).map_err(|_| "it is no JWT")
}

#[cfg(test)]
mod tests {
    use super::{ALGORITHMS, Form, algorithm};
    use base64::Engine;
    use base64::engine::general_purpose::URL_SAFE_NO_PAD;
    use jsonwebtoken::Algorithm;

    fn form() -> Form {
        Form { algorithms: ALGORITHMS.map(|(_, algorithm)| algorithm).to_vec(), types: Vec::new() }
    }

    fn token(header: &str) -> String {
        format!("{}.e30.AA", URL_SAFE_NO_PAD.encode(header))
    }

    fn why(form: &Form, header: &str) -> Option<&'static str> {
        form.take_apart(token(header).as_bytes()).err()
    }

    #[test]
    fn a_token_says_with_which_key_it_is_signed() {
        let text = token(r#"{"alg":"ES256","kid":"1","typ":"JWT","jwk":{},"jku":"https://x/","x5t":"a"}"#);
        let form = form();
        let parts = form.take_apart(text.as_bytes()).unwrap();
        assert_eq!((parts.algorithm(), parts.key_name()), (Algorithm::ES256, Some("1")));
        assert_eq!(format!("{}.AA", parts.signed), text);
    }

    #[test]
    fn nothing_is_signed_with_nothing_or_with_a_secret() {
        for name in ["none", "None", "HS256", "HS512", "RS1", "ES512", "ES256K", "rs256", ""] {
            assert_eq!(algorithm(name), None);
            assert_eq!(why(&form(), &format!(r#"{{"alg":"{name}"}}"#)), Some("its algorithm is not allowed"));
        }
        assert_eq!(why(&form(), "{}"), Some("its algorithm is not allowed"));
        let only = Form { algorithms: vec![Algorithm::EdDSA], ..form() };
        assert_eq!(why(&only, r#"{"alg":"RS256"}"#), Some("its algorithm is not allowed"));
        assert_eq!(why(&only, r#"{"alg":"EdDSA"}"#), None);
    }

    #[test]
    fn a_header_is_understood_whole_or_not_at_all() {
        for (header, reason) in [
            (r#"{"alg":"RS256","alg":"ES256"}"#, "its header is no object of JSON"),
            (r#"["alg"]"#, "its header is no object of JSON"),
            ("", "its header is no object of JSON"),
            (r#"{"alg":"RS256","crit":["exp"],"exp":1}"#, "its header has extensions"),
            (r#"{"alg":"RS256","crit":[]}"#, "its header has extensions"),
            (r#"{"alg":1}"#, "its header is malformed"),
            (r#"{"alg":"RS256","kid":1}"#, "its header is malformed"),
            (r#"{"alg":"RS256","typ":1}"#, "its header is malformed"),
            (r#"{"alg":"RS256","typ":"secevent+jwt"}"#, "its type is not allowed"),
        ] {
            assert_eq!(why(&form(), header), Some(reason), "{header}");
        }
    }

    #[test]
    fn types_are_those_of_access_tokens_unless_others_are_named() {
        for kind in ["JWT", "jwt", "at+jwt", "application/at+jwt"] {
            assert_eq!(why(&form(), &format!(r#"{{"alg":"RS256","typ":"{kind}"}}"#)), None);
        }
        let only = Form { types: vec!["at+jwt".to_owned()], ..form() };
        assert_eq!(why(&only, r#"{"alg":"RS256","typ":"application/AT+JWT"}"#), None);
        assert_eq!(why(&only, r#"{"alg":"RS256","typ":"JWT"}"#), Some("its type is not allowed"));
        assert_eq!(why(&only, r#"{"alg":"RS256"}"#), Some("its type is not allowed"));
    }

    #[test]
    fn what_has_not_three_parts_in_base64_is_no_token() {
        for text in [
            "",
            "a",
            "..",
            ".",
            "e30",
            "e30.e30",
            "e30.e30.AA.AA",
            "e30.e30.AA.AA.AA",
            "####.e30.AA",
            "e30=.e30.AA",
        ] {
            assert!(form().take_apart(text.as_bytes()).is_err(), "{text}");
        }
        assert_eq!(form().take_apart(b"\xff.e30.AA").unwrap_err(), "it is no JWT");
    }
}

//! OAUTHBEARER (RFC 7628) and XOAUTH2: a message with a bearer token, and what
//! a client hears before the exchange fails.
//!
//! ```text
//! OAUTHBEARER   n,a=alice@example.com,^Ahost=mail.example.com^Aport=110^Aauth=Bearer TOKEN^A^A
//! XOAUTH2       user=alice@example.com^Aauth=Bearer TOKEN^A^A
//! ```

use std::borrow::Cow;

use super::Step;
use crate::bearer::{Bearer, Scheme};

/// Ends each pair, and the message.
const SEPARATOR: u8 = 0x01;

/// What a client is told about tokens that would be accepted, when its own is
/// not (RFC 7628 section 3.2.2). Either may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Hints {
    /// The scope that a token must have.
    pub scope: Option<String>,
    /// The URL of the discovery document of OpenID.
    pub openid_configuration: Option<String>,
}

/// What the client's only message says.
///
/// One that is not a list of pairs, or that has one of them twice, aborts. A
/// list without a bearer token fails, as a wrong one does: so a client can ask
/// what a token should be like (RFC 7628 section 4.3).
pub(super) fn message(scheme: Scheme, message: &[u8]) -> Step {
    let Some(mut fields) = fields(message) else { return Step::Aborted };
    let user = match scheme {
        Scheme::Oauthbearer => fields.next().and_then(authorization_identity).map(Some),
        Scheme::Xoauth2 => Some(None),
    };
    match (user, Pairs::parse(fields)) {
        (Some(user), Some(pairs)) => {
            let user = user.unwrap_or(Cow::Borrowed(pairs.user.unwrap_or_default()));
            let token = pairs.auth.and_then(token);
            token.and_then(|token| Bearer::new(scheme, &user, token)).map_or(Step::Failed, Step::Token)
        }
        _ => Step::Aborted,
    }
}

/// What a client is told before the exchange fails: RFC 7628 section 3.2.2 for
/// OAUTHBEARER, Google's form of it for XOAUTH2.
pub(super) fn refusal(scheme: Scheme, hints: &Hints) -> Vec<u8> {
    let mut members = match scheme {
        Scheme::Oauthbearer => vec![("status", "invalid_token")],
        Scheme::Xoauth2 => vec![("status", "401"), ("schemes", "Bearer")],
    };
    members.extend(hints.scope.as_deref().map(|scope| ("scope", scope)));
    if scheme == Scheme::Oauthbearer {
        members.extend(hints.openid_configuration.as_deref().map(|url| ("openid-configuration", url)));
    }
    let members: Vec<String> =
        members.into_iter().map(|(name, value)| format!("\"{name}\":{}", json(value))).collect();
    format!("{{{}}}", members.join(",")).into_bytes()
}

/// The fields of a message, each of which ends with a separator; another one
/// ends them all.
fn fields(message: &[u8]) -> Option<impl Iterator<Item = &[u8]>> {
    let fields = message.strip_suffix(&[SEPARATOR])?.strip_suffix(&[SEPARATOR])?;
    Some(fields.split(|&octet| octet == SEPARATOR))
}

/// Whom a GS2 header names, `n,a=name,` or `n,,` (RFC 5801 section 4); empty if
/// nobody. `None` if it is no such header, or wants channel binding, which this
/// mechanism has not.
fn authorization_identity(header: &[u8]) -> Option<Cow<'_, [u8]>> {
    let rest = header.strip_prefix(b"n,").or_else(|| header.strip_prefix(b"y,"))?.strip_suffix(b",")?;
    match rest.strip_prefix(b"a=") {
        None if rest.is_empty() => Some(Cow::Borrowed(b"")),
        Some(name) if !name.contains(&b',') => unescaped(name),
        None | Some(_) => None,
    }
}

/// A saslname, in which `=2C` stands for a comma and `=3D` for an equals sign.
fn unescaped(name: &[u8]) -> Option<Cow<'_, [u8]>> {
    if !name.contains(&b'=') {
        return Some(Cow::Borrowed(name));
    }
    let mut parts = name.split(|&octet| octet == b'=');
    let mut plain = parts.next()?.to_vec();
    for part in parts {
        let (sign, rest) = part.split_at_checked(2)?;
        plain.push(match sign {
            b"2C" => b',',
            b"3D" => b'=',
            _ => return None,
        });
        plain.extend_from_slice(rest);
    }
    Some(Cow::Owned(plain))
}

/// The pairs of `key=value` that mean something here. Host and port are what
/// the client believes to be talking to; nothing is decided by them.
#[derive(Default)]
struct Pairs<'a> {
    user: Option<&'a [u8]>,
    auth: Option<&'a [u8]>,
}

impl<'a> Pairs<'a> {
    /// `None` if one is no pair, or one that counts is there twice. Others are
    /// ignored (RFC 7628 section 3.1).
    fn parse(fields: impl Iterator<Item = &'a [u8]>) -> Option<Self> {
        let mut pairs = Pairs::default();
        for field in fields {
            let (key, value) = field.split_at(field.iter().position(|&octet| octet == b'=')?);
            let place = match key {
                b"user" => &mut pairs.user,
                b"auth" => &mut pairs.auth,
                key if !key.is_empty() && key.iter().all(u8::is_ascii_alphabetic) => continue,
                _ => return None,
            };
            if place.replace(&value[1..]).is_some() {
                return None;
            }
        }
        Some(pairs)
    }
}

/// The token of `Bearer TOKEN`, the scheme in any case (RFC 9110 section 11.1).
fn token(auth: &[u8]) -> Option<&[u8]> {
    let (scheme, rest) = auth.split_at_checked(b"Bearer ".len())?;
    scheme.eq_ignore_ascii_case(b"Bearer ").then(|| rest.trim_ascii_start())
}

/// `text` as a string of JSON (RFC 8259 section 7).
fn json(text: &str) -> String {
    let mut quoted = String::from("\"");
    for character in text.chars() {
        match character {
            '"' | '\\' => quoted.extend(['\\', character]),
            control if control.is_control() => quoted.push_str(&format!("\\u{:04x}", u32::from(control))),
            other => quoted.push(other),
        }
    }
    quoted.push('"');
    quoted
}

#[cfg(test)]
mod tests {
    use super::{Hints, json};
    use crate::bearer::Scheme;
    use crate::sasl::{Exchange, Mechanism, Step};

    const OAUTHBEARER: Mechanism = Mechanism::Bearer(Scheme::Oauthbearer);
    const XOAUTH2: Mechanism = Mechanism::Bearer(Scheme::Xoauth2);

    fn say(mechanism: Mechanism, message: &str) -> Step {
        Exchange::new(mechanism, b"host").unwrap().start(Some(message.as_bytes()))
    }

    /// Name and token of a message.
    fn said(mechanism: Mechanism, message: &str) -> (String, String) {
        let Step::Token(bearer) = say(mechanism, message) else { panic!("{message:?}") };
        let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
        (text(bearer.user()), text(bearer.token().expose()))
    }

    fn both(user: &str, token: &str) -> (String, String) {
        (user.to_owned(), token.to_owned())
    }

    #[test]
    fn name_and_token_of_the_example_of_rfc_7628() {
        let message = "n,a=user@example.com,\x01host=server.example.com\x01port=143\x01\
            auth=Bearer vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==\x01\x01";
        let token = "vF9dft4qmTc2Nvb3RlckBhbHRhdmlzdGEuY29tCg==";
        assert_eq!(said(OAUTHBEARER, message), both("user@example.com", token));
        let message = "y,,\x01auth=bEARER  abc\x01unknown=x=y\x01\x01";
        assert_eq!(said(OAUTHBEARER, message), both("", "abc"));
    }

    #[test]
    fn name_and_token_of_xoauth2() {
        let message =
            "user=someuser@example.com\x01auth=Bearer ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg\x01\x01";
        let token = "ya29.vF9dft4qmTc2Nvb3RlckBhdHRhdmlzdGEuY29tCg";
        assert_eq!(said(XOAUTH2, message), both("someuser@example.com", token));
        assert_eq!(said(XOAUTH2, "auth=Bearer abc\x01user=a=b\x01\x01"), both("a=b", "abc"));
    }

    #[test]
    fn a_name_may_hold_a_comma_and_an_equals_sign() {
        let message = |name: &str| format!("n,a={name},\x01auth=Bearer abc\x01\x01");
        assert_eq!(said(OAUTHBEARER, &message("a=2Cb=3D=2C")), both("a,b=,", "abc"));
        assert_eq!(said(OAUTHBEARER, &message("")), both("", "abc"));
        for name in ["a=b", "a=2c", "a=", "a=3", "a,b", "=2C="] {
            assert!(matches!(say(OAUTHBEARER, &message(name)), Step::Aborted), "{name}");
        }
    }

    #[test]
    fn what_is_no_list_of_pairs_aborts() {
        for message in [
            "",
            "\x01",
            "\x01\x01",
            "n,,",
            "n,,\x01",
            "n,,\x01auth=Bearer abc\x01",
            "n,,\x01auth=Bearer abc",
            "n,,auth=Bearer abc\x01\x01",
            "n,\x01auth=Bearer abc\x01\x01",
            "p=tls-exporter,,\x01auth=Bearer abc\x01\x01",
            "F,n,,\x01auth=Bearer abc\x01\x01",
            "n,b=alice,\x01auth=Bearer abc\x01\x01",
            "n,,\x01auth\x01\x01",
            "n,,\x01=x\x01auth=Bearer abc\x01\x01",
            "n,,\x01a1=x\x01auth=Bearer abc\x01\x01",
            "n,,\x01auth=Bearer abc\x01auth=Bearer abc\x01\x01",
            "n,,\x01auth=Bearer abc\x01\x01\x01",
            "n,,\x01\x01auth=Bearer abc\x01\x01",
        ] {
            assert!(matches!(say(OAUTHBEARER, message), Step::Aborted), "{message:?}");
        }
        for message in ["", "\x01\x01", "user=a\x01user=b\x01auth=Bearer abc\x01\x01", "user\x01\x01"] {
            assert!(matches!(say(XOAUTH2, message), Step::Aborted), "{message:?}");
        }
    }

    #[test]
    fn a_list_without_a_usable_token_fails() {
        for auth in
            ["auth=", "auth=Bearer", "auth=Bearer ", "auth=Basic abc", "auth=Bearerabc", "auth=Bearer a b"]
        {
            let message = format!("n,a=alice,\x01{auth}\x01\x01");
            assert!(matches!(say(OAUTHBEARER, &message), Step::Failed), "{auth}");
            let message = format!("user=alice\x01{auth}\x01\x01");
            assert!(matches!(say(XOAUTH2, &message), Step::Failed), "{auth}");
        }
        assert!(matches!(say(OAUTHBEARER, "n,a=alice,\x01host=x\x01\x01"), Step::Failed));
        assert!(matches!(say(OAUTHBEARER, "n,a=al\nice,\x01auth=Bearer abc\x01\x01"), Step::Failed));
        assert!(matches!(say(XOAUTH2, "auth=Bearer abc\x01\x01"), Step::Failed));
        assert!(matches!(say(XOAUTH2, "user=\x01auth=Bearer abc\x01\x01"), Step::Failed));
    }

    #[test]
    fn without_an_initial_response_the_challenge_is_empty() {
        for mechanism in [OAUTHBEARER, XOAUTH2] {
            let mut exchange = Exchange::new(mechanism, b"host").unwrap();
            assert!(matches!(exchange.start(None), Step::Challenge(text) if text.is_empty()));
            assert!(matches!(exchange.undecodable(), Step::Aborted));
        }
    }

    #[test]
    fn a_refusal_says_what_a_token_should_be_like() {
        let text = |mechanism, hints: &Hints| {
            let (_, challenge) = Exchange::refused(mechanism, hints).unwrap();
            String::from_utf8(challenge).unwrap()
        };
        let hints = Hints {
            scope: Some("mail \"x\"".to_owned()),
            openid_configuration: Some("https://id.example.com/.well-known/openid-configuration".to_owned()),
        };
        assert_eq!(
            text(OAUTHBEARER, &hints),
            "{\"status\":\"invalid_token\",\"scope\":\"mail \\\"x\\\"\",\
            \"openid-configuration\":\"https://id.example.com/.well-known/openid-configuration\"}"
        );
        assert_eq!(
            text(XOAUTH2, &hints),
            "{\"status\":\"401\",\"schemes\":\"Bearer\",\"scope\":\"mail \\\"x\\\"\"}"
        );
        assert_eq!(text(OAUTHBEARER, &Hints::default()), "{\"status\":\"invalid_token\"}");
    }

    #[test]
    fn whatever_the_client_says_to_a_refusal_it_is_refused() {
        for response in [b"\x01".as_slice(), b"", b"n,,\x01auth=Bearer abc\x01\x01"] {
            let (mut exchange, _) = Exchange::refused(OAUTHBEARER, &Hints::default()).unwrap();
            assert!(exchange.is_refused());
            assert!(matches!(exchange.respond(response), Step::Refused));
            assert!(matches!(exchange.respond(response), Step::Failed));
        }
        let (mut exchange, _) = Exchange::refused(XOAUTH2, &Hints::default()).unwrap();
        assert!(matches!(exchange.undecodable(), Step::Refused));
        assert!(Exchange::refused(Mechanism::Plain, &Hints::default()).is_none());
    }

    #[test]
    fn a_string_of_json_is_escaped() {
        assert_eq!(json("a\"b\\c\u{1}\u{7f}é"), "\"a\\\"b\\\\c\\u0001\\u007fé\"");
    }
}

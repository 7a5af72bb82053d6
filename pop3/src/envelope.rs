//! What RFC 5034 wraps around a SASL exchange: base64 lines, `=` for an empty
//! initial response, `*` to cancel.

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::credential::Credential;

/// The client sent what is not base64.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Undecodable;

/// What the client's part of an exchange says, decoded; how one ends that is
/// not base64 is for the mechanism to say.
pub type Response = Result<Credential, Undecodable>;

/// The client cancelled.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Cancelled;

/// Decodes the word behind `AUTH mechanism` (RFC 5034 section 4).
pub(crate) fn initial_response(word: &[u8]) -> Response {
    if word == b"=" { Ok(Credential::new(Vec::new())) } else { decode(word) }
}

/// Decodes a line of the exchange; a line that starts with `*` cancels.
pub(crate) fn response(line: &[u8]) -> Result<Response, Cancelled> {
    if line.starts_with(b"*") { Err(Cancelled) } else { Ok(decode(line)) }
}

fn decode(text: &[u8]) -> Response {
    STANDARD.decode(text).map(Credential::new).map_err(|_| Undecodable)
}

/// Appends a challenge as a line: `+ ` and base64, the space also if the
/// challenge is empty.
pub(crate) fn put_challenge(challenge: &[u8], out: &mut Vec<u8>) {
    out.extend_from_slice(b"+ ");
    out.extend_from_slice(STANDARD.encode(challenge).as_bytes());
    out.extend_from_slice(b"\r\n");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_equals_sign_is_an_empty_initial_response_and_nothing_later() {
        let empty = Ok(Credential::new(Vec::new()));
        assert_eq!(initial_response(b"="), empty);
        assert_eq!(response(b"="), Ok(Err(Undecodable)));
        assert_eq!(response(b""), Ok(empty));
    }

    #[test]
    fn an_asterisk_cancels_what_has_begun() {
        assert_eq!(response(b"*"), Err(Cancelled));
        assert_eq!(response(b"*foo"), Err(Cancelled));
        assert_eq!(initial_response(b"*"), Err(Undecodable));
    }

    #[test]
    fn what_is_not_base64_is_said_to_be_none() {
        for line in ["AGFsaWNlAHNlY3JldA", "####", "YQ== "] {
            assert_eq!(response(line.as_bytes()), Ok(Err(Undecodable)), "{line}");
        }
    }

    #[test]
    fn an_empty_challenge_keeps_its_space() {
        let mut out = Vec::new();
        put_challenge(b"", &mut out);
        assert_eq!(out, b"+ \r\n");
    }
}

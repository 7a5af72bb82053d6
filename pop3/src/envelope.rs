//! What RFC 5034 wraps around a SASL exchange: base64 lines, `=` for an empty
//! initial response, `*` to cancel.

use alloc::vec::Vec;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::credential::Credential;

/// The client cancelled, or sent what is not base64.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Aborted;

/// Decodes the word behind `AUTH mechanism` (RFC 5034 section 4).
pub(crate) fn initial_response(word: &[u8]) -> Result<Credential, Aborted> {
    if word == b"=" { Ok(Credential::new(Vec::new())) } else { response(word) }
}

/// Decodes a line of the exchange; a line that starts with `*` cancels.
pub(crate) fn response(line: &[u8]) -> Result<Credential, Aborted> {
    if line.starts_with(b"*") {
        return Err(Aborted);
    }
    STANDARD.decode(line).map(Credential::new).map_err(|_| Aborted)
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
        assert_eq!(initial_response(b"=").map(|empty| empty.expose().len()), Ok(0));
        assert_eq!(response(b"="), Err(Aborted));
        assert_eq!(response(b"").map(|empty| empty.expose().len()), Ok(0));
    }

    #[test]
    fn an_asterisk_cancels_and_so_does_what_is_not_base64() {
        for line in ["*", "*foo", "AGFsaWNlAHNlY3JldA", "####", "YQ== "] {
            assert_eq!(response(line.as_bytes()), Err(Aborted), "{line}");
        }
    }

    #[test]
    fn an_empty_challenge_keeps_its_space() {
        let mut out = Vec::new();
        put_challenge(b"", &mut out);
        assert_eq!(out, b"+ \r\n");
    }
}

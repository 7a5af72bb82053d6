//! CRAM-MD5 (RFC 2195), CRAM-SHA1 and CRAM-SHA256: a challenge that nobody can
//! foresee, answered once.

use std::io;

use system::random;

use super::Step;
use crate::cram::Proof;
use crate::hmac_state::Hash;

/// Random octets of a challenge; each is two digits of it.
const RANDOM: usize = 16;
/// Most octets of a host name (hostname(7)).
const HOST_LIMIT: usize = 253;

/// `<32 upper-case hexadecimal digits@host>`, never the same twice
/// (reference: wire 6). Of `host` only what belongs into a host name is taken.
pub(crate) fn challenge(host: &[u8]) -> io::Result<Vec<u8>> {
    let number = u128::from_be_bytes(random::octets::<RANDOM>()?);
    let host: String = host
        .iter()
        .filter(|octet| octet.is_ascii_alphanumeric() || b"-._".contains(octet))
        .take(HOST_LIMIT)
        .map(|&octet| char::from(octet))
        .collect();
    let host = if host.is_empty() { "localhost" } else { &host };
    Ok(format!("<{number:032X}@{host}>").into_bytes())
}

/// What the client's answer to `challenge` shows. Whatever is wrong with it
/// counts as a failed login, and is shown to nobody (ledger 160).
pub(super) fn response(hash: Hash, challenge: &[u8], response: &[u8]) -> Step {
    Proof::new(hash, challenge, response).map_or(Step::Failed, Step::Proof)
}

#[cfg(test)]
mod tests {
    use super::challenge;
    use crate::hmac_state::Hash;
    use crate::sasl::{Exchange, Mechanism, Step};

    const DIGEST: &[u8] = b"alice 0123456789abcdef0123456789abcdef";

    fn exchange() -> Exchange {
        Exchange::new(Mechanism::Cram(Hash::Md5), b"mail.example.com").unwrap()
    }

    /// An exchange that has asked, and what it asked.
    fn asked() -> (Exchange, Vec<u8>) {
        let mut exchange = exchange();
        let Step::Challenge(challenge) = exchange.start(None) else { panic!() };
        (exchange, challenge)
    }

    #[test]
    fn a_challenge_is_32_digits_and_the_host() {
        let (_, challenge) = asked();
        let text = String::from_utf8(challenge).unwrap();
        let digits = text.strip_prefix('<').unwrap().strip_suffix("@mail.example.com>").unwrap();
        assert_eq!(digits.len(), 32);
        assert!(digits.bytes().all(|digit| matches!(digit, b'0'..=b'9' | b'A'..=b'F')), "{digits}");
        assert_ne!(asked().1, asked().1);
    }

    #[test]
    fn a_host_name_adds_nothing_but_a_host_name() {
        for (host, shown) in [(b"".as_slice(), "localhost"), (b"a>\r\n<b\xff c", "abc"), (b"(none)", "none")]
        {
            let text = String::from_utf8(challenge(host).unwrap()).unwrap();
            assert!(text.ends_with(&format!("@{shown}>")), "{text}");
        }
        assert!(challenge(&[b'x'; 9000]).unwrap().len() < 300);
    }

    #[test]
    fn an_answer_is_a_proof_with_the_challenge_that_was_asked() {
        let (mut exchange, challenge) = asked();
        let Step::Proof(proof) = exchange.respond(DIGEST) else { panic!() };
        assert_eq!((proof.user(), proof.hash()), (b"alice".as_slice(), Hash::Md5));
        assert_eq!(proof.challenge(), challenge);
        assert!(matches!(exchange.respond(DIGEST), Step::Failed));
    }

    #[test]
    fn an_empty_initial_response_is_none_and_any_other_fails() {
        assert!(matches!(exchange().start(Some(b"")), Step::Challenge(_)));
        let mut early = exchange();
        assert!(matches!(early.start(Some(DIGEST)), Step::Failed));
        assert!(matches!(early.respond(DIGEST), Step::Failed));
        assert!(matches!(exchange().undecodable(), Step::Failed));
    }

    #[test]
    fn an_answer_before_the_challenge_fails() {
        assert!(matches!(exchange().respond(DIGEST), Step::Failed));
    }

    #[test]
    fn whatever_is_wrong_with_an_answer_is_a_failed_login() {
        for answer in [b"".as_slice(), b"alice", b"alice ", b" 0123", b"alice 0123", b"alice\n 0123"] {
            assert!(matches!(asked().0.respond(answer), Step::Failed), "{answer:?}");
        }
        assert!(matches!(asked().0.undecodable(), Step::Failed));
    }
}

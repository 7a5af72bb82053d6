//! EXTERNAL (RFC 4422 appendix A): the client is whom its certificate names.

use super::Step;
use crate::printable::has_control;

/// What a client with the certificate of `name` means by its only message: an
/// authorization identity, empty or that very name. Nobody may act as
/// somebody else here (ledger 118).
pub(super) fn message(name: &[u8], message: &[u8]) -> Step {
    let is_usable = !name.is_empty() && !has_control(name);
    if is_usable && (message.is_empty() || message == name) {
        Step::Vouched { user: name.to_vec() }
    } else {
        Step::Failed
    }
}

#[cfg(test)]
mod tests {
    use crate::sasl::{Channel, Exchange, Mechanism, Step};

    fn exchange(name: Option<&[u8]>) -> Exchange {
        let channel = Channel { certificate_name: name.map(<[u8]>::to_vec), ..Channel::default() };
        Exchange::new(Mechanism::External, b"host").unwrap().over(channel)
    }

    fn is_alice(step: Step) -> bool {
        matches!(step, Step::Vouched { user } if user == b"alice")
    }

    #[test]
    fn the_certificates_name_logs_in() {
        let mut asked = exchange(Some(b"alice"));
        assert!(matches!(asked.start(None), Step::Challenge(challenge) if challenge.is_empty()));
        assert!(is_alice(asked.respond(b"")));
        assert!(matches!(asked.respond(b""), Step::Failed));
        assert!(is_alice(exchange(Some(b"alice")).start(Some(b"alice"))));
    }

    #[test]
    fn an_empty_initial_response_is_a_response() {
        assert!(is_alice(exchange(Some(b"alice")).start(Some(b""))));
    }

    #[test]
    fn another_name_and_no_certificate_fail() {
        for response in [b"bob".as_slice(), b"Alice", b"alice\0", b"alice "] {
            assert!(matches!(exchange(Some(b"alice")).start(Some(response)), Step::Failed), "{response:?}");
        }
        for name in [None, Some(b"".as_slice()), Some(b"al\nice")] {
            for response in [b"".as_slice(), b"alice", b"al\nice"] {
                assert!(matches!(exchange(name).start(Some(response)), Step::Failed), "{name:?}");
            }
        }
        let mut exchange = exchange(Some(b"alice"));
        let _ = exchange.start(None);
        assert!(matches!(exchange.undecodable(), Step::Aborted));
    }
}

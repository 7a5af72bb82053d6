//! PLAIN (RFC 4616): one message, `[authzid] NUL authcid NUL passwd`.

use super::{Step, credentials};

/// What the client's only message says.
///
/// Fewer than two NULs are no PLAIN message at all. A further NUL ends up in
/// the password, which may hold none (RFC 4616 section 2).
pub(super) fn message(message: &[u8]) -> Step {
    let mut fields = message.splitn(3, |&octet| octet == 0);
    let (Some(authzid), Some(authcid), Some(password)) = (fields.next(), fields.next(), fields.next()) else {
        return Step::Aborted;
    };
    // Nobody may act as somebody else here (ledger 118).
    if !authzid.is_empty() && authzid != authcid {
        return Step::Failed;
    }
    credentials(authcid, password)
}

#[cfg(test)]
mod tests {
    use crate::sasl::{Exchange, Mechanism, Step};

    fn plain(message: &[u8]) -> Step {
        Exchange::new(Mechanism::Plain, b"host").unwrap().start(Some(message))
    }

    #[test]
    fn name_and_password_are_what_stands_behind_the_nuls() {
        for message in [b"\0alice\0sec ret".as_slice(), b"alice\0alice\0sec ret"] {
            let Step::Credentials { user, password } = plain(message) else { panic!("{message:?}") };
            assert_eq!((user.as_slice(), password.expose()), (b"alice".as_slice(), b"sec ret".as_slice()));
        }
    }

    #[test]
    fn without_an_initial_response_the_challenge_is_empty() {
        let mut exchange = Exchange::new(Mechanism::Plain, b"host").unwrap();
        assert!(matches!(exchange.start(None), Step::Challenge(text) if text.is_empty()));
        assert!(matches!(exchange.respond(b"\0alice\0secret"), Step::Credentials { .. }));
    }

    #[test]
    fn a_message_without_two_nuls_aborts() {
        for message in [b"".as_slice(), b"alice", b"\0alice", b"alice\0secret"] {
            assert!(matches!(plain(message), Step::Aborted), "{message:?}");
        }
    }

    #[test]
    fn a_foreign_authzid_fails() {
        assert!(matches!(plain(b"bob\0alice\0secret"), Step::Failed));
        assert!(matches!(plain(b"alic\0alice\0secret"), Step::Failed));
    }

    #[test]
    fn empty_fields_and_control_octets_fail() {
        for message in [
            b"\0alice\0".as_slice(),
            b"\0\0secret",
            b"\0\0",
            b"\0alice\0secret\0more",
            b"\0alice\nsecret\0x",
            b"\0alice\0sec\x7fret",
        ] {
            assert!(matches!(plain(message), Step::Failed), "{message:?}");
        }
    }
}

//! LOGIN: two prompts, each answered with one text.

/// Asks for the user name.
pub(super) const USER_PROMPT: &[u8] = b"Username:";
/// Asks for the password.
pub(super) const PASSWORD_PROMPT: &[u8] = b"Password:";

#[cfg(test)]
mod tests {
    use crate::sasl::{Exchange, Mechanism, Step};

    fn expect_challenge(step: Step, text: &[u8]) {
        assert!(matches!(step, Step::Challenge(challenge) if challenge == text));
    }

    #[test]
    fn both_prompts_are_answered_in_turn() {
        let mut exchange = Exchange::new(Mechanism::Login, b"host").unwrap();
        expect_challenge(exchange.start(None), b"Username:");
        expect_challenge(exchange.respond(b"alice"), b"Password:");
        let Step::Credentials { user, password } = exchange.respond(b"secret") else { panic!() };
        assert_eq!((user.as_slice(), password.expose()), (b"alice".as_slice(), b"secret".as_slice()));
    }

    #[test]
    fn an_initial_response_is_the_user_name() {
        let mut exchange = Exchange::new(Mechanism::Login, b"host").unwrap();
        expect_challenge(exchange.start(Some(b"alice")), b"Password:");
        assert!(matches!(exchange.respond(b"secret"), Step::Credentials { .. }));
    }

    #[test]
    fn bad_names_and_passwords_fail_after_the_second_answer() {
        for (user, password) in [
            (b"".as_slice(), b"secret".as_slice()),
            (b"alice", b""),
            (b"ali\nce", b"secret"),
            (b"alice", b"sec\0ret"),
        ] {
            let mut exchange = Exchange::new(Mechanism::Login, b"host").unwrap();
            expect_challenge(exchange.start(Some(user)), b"Password:");
            assert!(matches!(exchange.respond(password), Step::Failed), "{user:?} {password:?}");
        }
    }
}

//! SASL mechanisms that end in a user name and a password (RFC 4422).
//!
//! An [`Exchange`] works on decoded octets; base64 and the envelope of the
//! protocol around it are somebody else's. It never asks whether a password
//! is right: it only finds out what the client says.

mod login;
mod plain;

use crate::Secret;
use crate::printable::has_control;

/// A mechanism that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which no RFC defines and every client knows.
    Login,
}

impl Mechanism {
    /// All of them, in the order in which a list names them.
    pub const ALL: [Mechanism; 2] = [Mechanism::Plain, Mechanism::Login];

    /// The name that is registered for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
        }
    }

    /// The mechanism called `name`, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }
}

/// What is to be done after a message of the client.
#[derive(Debug)]
pub enum Step {
    /// Send this challenge and hand the answer to [`Exchange::respond`].
    Challenge(Vec<u8>),
    /// The client has said who it is. Both are non-empty and free of control
    /// octets.
    Credentials {
        /// The user name.
        user: Vec<u8>,
        /// The password.
        password: Secret,
    },
    /// The message has not the form that the mechanism asks for.
    Aborted,
    /// The form is right, but nobody can be meant by it: count it as a
    /// failed login.
    Failed,
}

/// One run of a mechanism.
#[derive(Debug)]
pub struct Exchange(State);

#[derive(Debug)]
enum State {
    Plain,
    LoginUser,
    LoginPassword { user: Vec<u8> },
    Over,
}

impl Exchange {
    /// A run of `mechanism` that nobody has said anything in yet.
    #[must_use]
    pub fn new(mechanism: Mechanism) -> Self {
        Exchange(match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
        })
    }

    /// Begins, with the initial response if the client sent one. An empty one
    /// (`=` in RFC 5034) is one.
    pub fn start(&mut self, initial: Option<&[u8]>) -> Step {
        match (initial, &self.0) {
            (Some(response), _) => self.respond(response),
            (None, State::LoginUser) => Step::Challenge(login::USER_PROMPT.to_vec()),
            (None, State::Plain) => Step::Challenge(Vec::new()),
            (None, State::LoginPassword { .. } | State::Over) => Step::Failed,
        }
    }

    /// Goes on with the client's `response` to the latest challenge. After
    /// any step but a challenge the exchange is over, and every further
    /// response fails.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        match std::mem::replace(&mut self.0, State::Over) {
            State::Plain => plain::message(response),
            State::LoginUser => {
                self.0 = State::LoginPassword { user: response.to_vec() };
                Step::Challenge(login::PASSWORD_PROMPT.to_vec())
            }
            State::LoginPassword { user } => credentials(&user, response),
            State::Over => Step::Failed,
        }
    }
}

/// The last step of a mechanism that has heard both (ledger 119: Courier lets
/// a line end in the name through, which forges fields behind it).
fn credentials(user: &[u8], password: &[u8]) -> Step {
    let usable = |text: &[u8]| !text.is_empty() && !has_control(text);
    if usable(user) && usable(password) {
        Step::Credentials { user: user.to_vec(), password: Secret::copy_of(password) }
    } else {
        Step::Failed
    }
}

#[cfg(test)]
mod tests {
    use super::{Exchange, Mechanism, Step};
    use proptest::prelude::*;

    #[test]
    fn mechanisms_are_known_by_name_in_any_case() {
        assert_eq!(Mechanism::from_name(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::from_name(b"LoGiN"), Some(Mechanism::Login));
        assert_eq!(Mechanism::from_name(b"CRAM-MD5"), None);
        assert_eq!(Mechanism::from_name(b""), None);
    }

    #[test]
    fn an_exchange_that_is_over_stays_over() {
        let mut exchange = Exchange::new(Mechanism::Plain);
        assert!(matches!(exchange.start(Some(b"\0alice\0secret")), Step::Credentials { .. }));
        assert!(matches!(exchange.respond(b"\0alice\0secret"), Step::Failed));
        assert!(matches!(exchange.start(None), Step::Failed));
    }

    proptest! {
        #[test]
        fn no_credentials_are_ever_empty_or_hold_control_octets(
            plain in any::<bool>(),
            responses in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
        ) {
            let mut exchange = Exchange::new(if plain { Mechanism::Plain } else { Mechanism::Login });
            let _ = exchange.start(None);
            for response in responses {
                if let Step::Credentials { user, password } = exchange.respond(&response) {
                    prop_assert!(!user.is_empty() && !password.expose().is_empty());
                    prop_assert!(!user.iter().chain(password.expose()).any(u8::is_ascii_control));
                }
            }
        }
    }
}

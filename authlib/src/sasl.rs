//! SASL mechanisms (RFC 4422).
//!
//! An [`Exchange`] works on decoded octets; base64 and the envelope of the
//! protocol around it are somebody else's. It never asks whether a password
//! is right: it only finds out what the client says, and that is either a
//! user name and a password, or a proof or a token that somebody else verifies,
//! or that the channel's word is to be taken for it.

mod bearer;
pub mod channel;
mod cram;
mod external;
mod login;
mod plain;
mod scram;

use std::io;

use crate::Secret;
use crate::bearer::{Bearer, Scheme};
use crate::cram::Proof;
use crate::hmac_state::Hash;
use crate::printable::has_control;
use crate::{scram as scram_questions, scram_keys};
pub use bearer::Hints;
pub use channel::{Binding, BindingKind, Channel};
pub(crate) use cram::challenge as message_id;

/// A mechanism that we know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// PLAIN (RFC 4616).
    Plain,
    /// LOGIN, which no RFC defines and every client knows.
    Login,
    /// CRAM-MD5 (RFC 2195), and the same with another hash.
    Cram(Hash),
    /// OAUTHBEARER (RFC 7628) or XOAUTH2.
    Bearer(Scheme),
    /// SCRAM-SHA-1 (RFC 5802), and the same with SHA-256 (RFC 7677).
    Scram(scram_keys::Hash),
    /// The same, bound to the channel: with `-PLUS`.
    ScramPlus(scram_keys::Hash),
    /// EXTERNAL (RFC 4422 appendix A).
    External,
}

impl Mechanism {
    /// All of them, in the order in which a list names them.
    pub const ALL: [Mechanism; 12] = [
        Mechanism::Plain,
        Mechanism::Login,
        Mechanism::Cram(Hash::Md5),
        Mechanism::Cram(Hash::Sha1),
        Mechanism::Cram(Hash::Sha256),
        Mechanism::Bearer(Scheme::Oauthbearer),
        Mechanism::Bearer(Scheme::Xoauth2),
        Mechanism::Scram(scram_keys::Hash::Sha1),
        Mechanism::ScramPlus(scram_keys::Hash::Sha1),
        Mechanism::Scram(scram_keys::Hash::Sha256),
        Mechanism::ScramPlus(scram_keys::Hash::Sha256),
        Mechanism::External,
    ];

    /// The name that is registered for it.
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Mechanism::Plain => "PLAIN",
            Mechanism::Login => "LOGIN",
            Mechanism::Cram(Hash::Md5) => "CRAM-MD5",
            Mechanism::Cram(Hash::Sha1) => "CRAM-SHA1",
            Mechanism::Cram(Hash::Sha256) => "CRAM-SHA256",
            Mechanism::Bearer(Scheme::Oauthbearer) => "OAUTHBEARER",
            Mechanism::Bearer(Scheme::Xoauth2) => "XOAUTH2",
            Mechanism::Scram(hash) => hash.name(),
            Mechanism::ScramPlus(scram_keys::Hash::Sha1) => "SCRAM-SHA-1-PLUS",
            Mechanism::ScramPlus(scram_keys::Hash::Sha256) => "SCRAM-SHA-256-PLUS",
            Mechanism::External => "EXTERNAL",
        }
    }

    /// The mechanism called `name`, in any case.
    #[must_use]
    pub fn from_name(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|mechanism| mechanism.name().as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether it tells the password itself, which every back-end can verify,
    /// whatever it has stored of it.
    #[must_use]
    pub fn tells_password(self) -> bool {
        matches!(self, Mechanism::Plain | Mechanism::Login)
    }

    /// Whether what it tells lets anybody in who overhears it, and not here
    /// alone, so that it may be said under TLS only (RFC 6750 section 5.3; ledger
    /// 780). Passwords are left to the administrator.
    #[must_use]
    pub fn needs_tls(self) -> bool {
        matches!(self, Mechanism::Bearer(_))
    }

    /// Whether two questions have to be asked about it, the second one behind
    /// the client's answer to the first: somebody must be there to be asked
    /// twice, which a chain is not.
    #[must_use]
    pub fn asks_twice(self) -> bool {
        matches!(self, Mechanism::Scram(_) | Mechanism::ScramPlus(_))
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
    /// The client has shown who it is. The name in it is non-empty and free of
    /// control octets.
    Proof(Proof),
    /// The client has shown a token that says who it is.
    Token(Bearer),
    /// The channel vouches for this user, a non-empty name without control
    /// octets; whether there is such an account has not been asked.
    Vouched {
        /// The user name.
        user: Vec<u8>,
    },
    /// Ask which salt is the user's and hand it to [`Exchange::salt`].
    Salt(scram_questions::Wanted),
    /// The client has shown who it is, if somebody verifies this; then hand
    /// the signature to [`Exchange::signed`].
    Scram(scram_questions::Proof),
    /// The client has heard the signature: it is who the proof has shown.
    Accepted,
    /// The message has not the form that the mechanism asks for.
    Aborted,
    /// The form is right, but nobody can be meant by it: count it as a
    /// failed login.
    Failed,
    /// The client has taken note that its credentials are not good, which was
    /// counted when it was told so.
    Refused,
}

/// One run of a mechanism.
#[derive(Debug)]
pub struct Exchange {
    state: State,
    channel: Channel,
}

#[derive(Debug)]
enum State {
    Plain,
    LoginUser,
    LoginPassword { user: Vec<u8> },
    CramUnasked { hash: Hash, challenge: Vec<u8> },
    CramAsked { hash: Hash, challenge: Vec<u8> },
    Bearer(Scheme),
    Refused,
    Scram(scram::Run),
    External,
    Over,
}

impl Exchange {
    /// A run of `mechanism` that nobody has said anything in yet. `host` is
    /// the name of this machine, for mechanisms that tell it.
    ///
    /// # Errors
    /// If the mechanism needs randomness and the kernel has none.
    pub fn new(mechanism: Mechanism, host: &[u8]) -> io::Result<Self> {
        let state = match mechanism {
            Mechanism::Plain => State::Plain,
            Mechanism::Login => State::LoginUser,
            Mechanism::Cram(hash) => State::CramUnasked { hash, challenge: cram::challenge(host)? },
            Mechanism::Bearer(scheme) => State::Bearer(scheme),
            Mechanism::Scram(hash) => State::Scram(scram::Run::new(hash, false)?),
            Mechanism::ScramPlus(hash) => State::Scram(scram::Run::new(hash, true)?),
            Mechanism::External => State::External,
        };
        Ok(Exchange { state, channel: Channel::default() })
    }

    /// The same over `channel`.
    #[must_use]
    pub fn over(self, channel: Channel) -> Self {
        Exchange { channel, ..self }
    }

    /// The rest of an exchange whose credentials are not good, in a mechanism
    /// that tells its client why before the exchange fails: the exchange, and
    /// what is to be sent. The client has one more message then.
    #[must_use]
    pub fn refused(mechanism: Mechanism, hints: &Hints) -> Option<(Self, Vec<u8>)> {
        match mechanism {
            Mechanism::Bearer(scheme) => {
                let exchange = Exchange { state: State::Refused, channel: Channel::default() };
                Some((exchange, bearer::refusal(scheme, hints)))
            }
            _ => None,
        }
    }

    /// Whether the client has been told already that its credentials are not
    /// good.
    #[must_use]
    pub fn is_refused(&self) -> bool {
        matches!(self.state, State::Refused)
    }

    /// Begins, with the initial response if the client sent one. An empty one
    /// (`=` in RFC 5034) is one; CRAM, in which the server speaks first, takes
    /// it for none (ledger 162).
    pub fn start(&mut self, initial: Option<&[u8]>) -> Step {
        match (initial, &self.state) {
            (None | Some([]), State::CramUnasked { hash, challenge }) => {
                let challenge = challenge.clone();
                self.state = State::CramAsked { hash: *hash, challenge: challenge.clone() };
                Step::Challenge(challenge)
            }
            // There is nothing to wait for.
            (_, State::External) if self.channel.certificate_name.is_none() => {
                self.state = State::Over;
                Step::Failed
            }
            (Some(response), _) => self.respond(response),
            (None, State::LoginUser) => Step::Challenge(login::USER_PROMPT.to_vec()),
            (None, State::Plain | State::Scram(_) | State::External | State::Bearer(_)) => {
                Step::Challenge(Vec::new())
            }
            (None, State::LoginPassword { .. } | State::CramAsked { .. } | State::Refused | State::Over) => {
                Step::Failed
            }
        }
    }

    /// Goes on with the client's `response` to the latest challenge. After
    /// any step but a challenge the exchange is over, and every further
    /// response fails.
    pub fn respond(&mut self, response: &[u8]) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain => plain::message(response),
            State::LoginUser => {
                self.state = State::LoginPassword { user: response.to_vec() };
                Step::Challenge(login::PASSWORD_PROMPT.to_vec())
            }
            State::LoginPassword { user } => credentials(&user, response),
            State::CramAsked { hash, challenge } => cram::response(hash, &challenge, response),
            State::Bearer(scheme) => bearer::message(scheme, response),
            State::Refused => Step::Refused,
            State::Scram(mut run) => {
                let step = run.respond(response, &self.channel);
                self.state = State::Scram(run);
                step
            }
            State::External => {
                external::message(self.channel.certificate_name.as_deref().unwrap_or_default(), response)
            }
            State::CramUnasked { .. } | State::Over => Step::Failed,
        }
    }

    /// Goes on with the user's salt, which [`Step::Salt`] has asked for.
    pub fn salt(&mut self, salt: &scram_questions::Salt) -> Step {
        match &mut self.state {
            State::Scram(run) => run.salt(salt),
            _ => Step::Failed,
        }
    }

    /// Goes on with the server's signature, for a [`Step::Scram`] that was
    /// right.
    pub fn signed(&mut self, signature: &[u8]) -> Step {
        match &mut self.state {
            State::Scram(run) => run.signed(signature),
            _ => Step::Failed,
        }
    }

    /// Ends, because the client's message could not be decoded. Whether that
    /// is a failed login depends on the mechanism (ledger 161).
    pub fn undecodable(&mut self) -> Step {
        match std::mem::replace(&mut self.state, State::Over) {
            State::Plain
            | State::LoginUser
            | State::LoginPassword { .. }
            | State::Scram(_)
            | State::External
            | State::Bearer(_) => Step::Aborted,
            State::Refused => Step::Refused,
            State::CramUnasked { .. } | State::CramAsked { .. } | State::Over => Step::Failed,
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
    use super::{Binding, BindingKind, Channel, Exchange, Mechanism, Step};
    use crate::bearer::Scheme;
    use crate::hmac_state::Hash;
    use proptest::prelude::*;

    #[test]
    fn mechanisms_are_known_by_name_in_any_case() {
        assert_eq!(Mechanism::from_name(b"plain"), Some(Mechanism::Plain));
        assert_eq!(Mechanism::from_name(b"LoGiN"), Some(Mechanism::Login));
        assert_eq!(Mechanism::from_name(b"cram-md5"), Some(Mechanism::Cram(Hash::Md5)));
        assert_eq!(Mechanism::from_name(b"CRAM-SHA512"), None);
        assert_eq!(Mechanism::from_name(b""), None);
    }

    #[test]
    fn an_exchange_that_is_over_stays_over() {
        let mut exchange = Exchange::new(Mechanism::Plain, b"host").unwrap();
        assert!(matches!(exchange.start(Some(b"\0alice\0secret")), Step::Credentials { .. }));
        assert!(matches!(exchange.respond(b"\0alice\0secret"), Step::Failed));
        assert!(matches!(exchange.start(None), Step::Failed));
    }

    #[test]
    fn what_cannot_be_decoded_ends_every_exchange() {
        for mechanism in Mechanism::ALL {
            let mut exchange = Exchange::new(mechanism, b"host").unwrap();
            let _ = exchange.start(None);
            let is_cram = matches!(mechanism, Mechanism::Cram(_));
            let is_external = mechanism == Mechanism::External;
            assert_eq!(matches!(exchange.undecodable(), Step::Failed), is_cram || is_external);
            assert!(matches!(exchange.respond(b"\0alice\0secret"), Step::Failed));
        }
    }

    /// What a client called `name` says in `mechanism`, that shows `shown`.
    fn messages(mechanism: Mechanism, name: &[u8], shown: &[u8]) -> Vec<Vec<u8>> {
        let said = |parts: &[&[u8]]| parts.concat();
        match mechanism {
            Mechanism::Plain => vec![said(&[b"\0", name, b"\0", shown])],
            Mechanism::Login => vec![name.to_vec(), shown.to_vec()],
            Mechanism::Cram(hash) => {
                let digits = match hash {
                    Hash::Md5 => 32,
                    Hash::Sha1 => 40,
                    Hash::Sha256 => 64,
                };
                vec![said(&[name, b" ", shown, &vec![b'0'; digits][shown.len()..]])]
            }
            Mechanism::Bearer(Scheme::Oauthbearer) => {
                vec![said(&[b"n,a=", name, b",\x01auth=Bearer ", shown, b"\x01\x01"])]
            }
            Mechanism::Bearer(Scheme::Xoauth2) => {
                vec![said(&[b"user=", name, b"\x01auth=Bearer ", shown, b"\x01\x01"])]
            }
            Mechanism::Scram(_) => vec![said(&[b"n,,n=", name, b",r=", shown])],
            Mechanism::ScramPlus(_) => vec![said(&[b"p=tls-exporter,,n=", name, b",r=", shown])],
            Mechanism::External => vec![name.to_vec()],
        }
    }

    /// Where that leads, on a channel that vouches for `name`.
    fn outcome(mechanism: Mechanism, name: &[u8], shown: &[u8]) -> Step {
        let binding = Binding { kind: BindingKind::TlsExporter, data: vec![7; 32] };
        let channel =
            Channel { bindings: vec![binding], offers_binding: true, certificate_name: Some(name.to_vec()) };
        // A client that could bind would have to, if it were offered.
        let offers_binding = matches!(mechanism, Mechanism::ScramPlus(_));
        let mut exchange =
            Exchange::new(mechanism, b"host").unwrap().over(Channel { offers_binding, ..channel });
        let mut step = exchange.start(None);
        for message in messages(mechanism, name, shown) {
            assert!(matches!(step, Step::Challenge(_)), "{mechanism:?}");
            step = exchange.respond(&message);
        }
        step
    }

    #[test]
    fn a_control_octet_in_what_a_client_shows_ends_every_exchange() {
        let leads_nowhere = |step: &Step| matches!(step, Step::Failed | Step::Aborted);
        for mechanism in Mechanism::ALL {
            let good = outcome(mechanism, b"alice", b"abc");
            assert!(!leads_nowhere(&good) && !matches!(good, Step::Challenge(_)), "{mechanism:?}: {good:?}");
            for octet in (0..=0x1f).chain([0x7f]) {
                let step = outcome(mechanism, &[b"al", &[octet][..], b"ice"].concat(), b"abc");
                assert!(leads_nowhere(&step), "{mechanism:?}, name, {octet:#x}: {step:?}");
                // EXTERNAL shows nothing but the name.
                let step = outcome(mechanism, b"alice", &[b"a", &[octet][..], b"c"].concat());
                assert!(
                    leads_nowhere(&step) || mechanism == Mechanism::External,
                    "{mechanism:?}, {octet:#x}: {step:?}"
                );
            }
        }
    }

    proptest! {
        #[test]
        fn nobody_is_ever_named_by_nothing_or_with_control_octets(
            mechanism in prop::sample::select(Mechanism::ALL.to_vec()),
            responses in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..40), 1..4),
        ) {
            let mut exchange = Exchange::new(mechanism, b"host").unwrap();
            let _ = exchange.start(None);
            for response in responses {
                match exchange.respond(&response) {
                    Step::Credentials { user, password } => {
                        prop_assert!(!user.is_empty() && !password.expose().is_empty());
                        prop_assert!(!user.iter().chain(password.expose()).any(u8::is_ascii_control));
                    }
                    Step::Proof(proof) => {
                        prop_assert!(!proof.user().is_empty());
                        prop_assert!(!proof.user().iter().any(u8::is_ascii_control));
                    }
                    Step::Token(bearer) => {
                        prop_assert!(!bearer.user().iter().any(u8::is_ascii_control));
                        prop_assert!(bearer.token().expose().iter().all(u8::is_ascii_graphic));
                    }
                    Step::Salt(wanted) => {
                        prop_assert!(!wanted.user.is_empty());
                        prop_assert!(!wanted.user.iter().any(u8::is_ascii_control));
                    }
                    // Without a salt nobody can have proved anything.
                    Step::Vouched { .. } | Step::Scram(_) | Step::Accepted => prop_assert!(false),
                    Step::Challenge(_) | Step::Aborted | Step::Failed | Step::Refused => {}
                }
            }
        }
    }
}

//! The AUTHORIZATION state (RFC 1939 section 4).
//!
//! ```text
//!   greeting ──> Ready ──USER, CAPA, …──> Ready
//!                  ├──PASS──> Action::Login            driver: accepted (this value ends), or rejected()
//!                  ├──APOP──> Action::Apop             the same; known only where it is offered
//!                  ├──AUTH──> Action::Authenticate     driver: challenge(), or as above
//!                  │             Exchange ──line──> Action::Respond, and so on
//!                  ├──STLS──> Action::StartTls         driver: tls_started()
//!                  └──QUIT──> Action::Quit
//! ```

use alloc::string::String;
use alloc::vec::Vec;

use crate::capability;
use crate::credential::Credential;
use crate::envelope::{self, Response};
use crate::language;
use crate::line::{COMMAND_LIMIT, Line};
use crate::reply;
use crate::words::Words;

/// So many lines of nonsense before login, and the client is dropped
/// (ledger 106).
const ERRORS: u32 = 10;

/// What this server offers to this connection.
#[derive(Clone, Debug, Default)]
pub struct Offer {
    /// SASL mechanisms to announce, in this order.
    pub mechanisms: Vec<String>,
    /// Mechanisms to announce once TLS is on.
    pub mechanisms_under_tls: Vec<String>,
    /// Whether STLS can be had.
    pub stls: bool,
    /// Whether TLS is on already.
    pub tls: bool,
    /// Whether nobody may log in without TLS.
    pub tls_required: bool,
    /// The timestamp of the greeting, where APOP is offered (RFC 1939
    /// section 7).
    pub timestamp: Option<Vec<u8>>,
}

impl Offer {
    fn login_allowed(&self) -> bool {
        self.tls || !self.tls_required
    }

    fn stls_allowed(&self) -> bool {
        self.stls && !self.tls
    }

    fn mechanisms(&self) -> &[String] {
        match (self.login_allowed(), self.tls) {
            (false, _) => &[],
            (true, true) => &self.mechanisms_under_tls,
            (true, false) => &self.mechanisms,
        }
    }
}

/// What the driver is to do. Replies that need no help are in `out` already.
#[derive(Debug, PartialEq, Eq)]
pub enum Action {
    /// Go on with the next line.
    Continue,
    /// Ask whether `password` is that of `user` (PASS).
    Login {
        /// The argument of USER, blanks and all.
        user: Vec<u8>,
        /// The argument of PASS, blanks and all.
        password: Credential,
    },
    /// Ask whether `digest` is that of the greeting's timestamp and the
    /// password of `user` (APOP).
    Apop {
        /// What stands before the last blank of the line.
        user: Vec<u8>,
        /// What stands behind it, hexadecimal digits or not.
        digest: Credential,
    },
    /// Begin a SASL exchange (AUTH).
    Authenticate {
        /// The mechanism's name in upper case, known or not.
        mechanism: String,
        /// The initial response; an empty one (`=`) is not none.
        initial: Option<Response>,
    },
    /// Go on with the SASL exchange: the client's response.
    Respond(Response),
    /// The client cancelled the exchange, and has been told so.
    Aborted,
    /// `+OK` to STLS has been written. Throw away every octet read so far,
    /// shake hands, then call [`Authorization::tls_started`].
    StartTls,
    /// The client has said QUIT and been answered: close.
    Quit,
    /// The client talks nonsense and has been told so: close.
    Drop,
}

/// Whether the next line is a command or belongs to a SASL exchange.
#[derive(Debug, PartialEq, Eq)]
enum State {
    Ready,
    Exchange,
}

/// A connection in the AUTHORIZATION state.
#[derive(Debug)]
pub struct Authorization {
    offer: Offer,
    state: State,
    user: Option<Vec<u8>>,
    utf8: bool,
    errors: u32,
}

impl Authorization {
    /// The state a connection starts in. Nothing is said yet.
    #[must_use]
    pub fn new(offer: Offer) -> Self {
        Authorization { offer, state: State::Ready, user: None, utf8: false, errors: 0 }
    }

    /// The same, where an earlier process has heard UTF8 on this connection.
    #[must_use]
    pub fn with_utf8(mut self, utf8: bool) -> Self {
        self.utf8 = utf8;
        self
    }

    /// The same, where an earlier process has heard USER with `user` on this
    /// connection.
    #[must_use]
    pub fn with_user(mut self, user: Vec<u8>) -> Self {
        self.user = Some(user);
        self
    }

    /// Whether the client has said UTF8 (RFC 6856 section 2).
    #[must_use]
    pub fn utf8(&self) -> bool {
        self.utf8
    }

    /// Whether TLS is on.
    #[must_use]
    pub fn tls(&self) -> bool {
        self.offer.tls
    }

    /// Whether the next line is the client's part of a SASL exchange.
    #[must_use]
    pub fn in_exchange(&self) -> bool {
        self.state == State::Exchange
    }

    /// Greets the client, with the timestamp for APOP if that is offered.
    pub fn greet(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(reply::GREETING.as_bytes());
        if let Some(timestamp) = &self.offer.timestamp {
            out.push(b' ');
            out.extend_from_slice(timestamp);
        }
        out.extend_from_slice(b"\r\n");
    }

    /// Takes one line from the client.
    pub fn line(&mut self, line: &Line<'_>, out: &mut Vec<u8>) -> Action {
        let text = match line {
            Line::Text(text) => *text,
            Line::TooLong => return self.nonsense(reply::LINE_TOO_LONG, out),
            Line::Nul => return self.nonsense(reply::NUL_IN_LINE, out),
        };
        match core::mem::replace(&mut self.state, State::Ready) {
            State::Exchange => self.response(text, out),
            State::Ready => self.command(text, out),
        }
    }

    fn command(&mut self, text: &[u8], out: &mut Vec<u8>) -> Action {
        let mut words = Words::new(text);
        let Some(keyword) = words.next() else {
            return self.nonsense(reply::INVALID_COMMAND, out);
        };
        let keyword = keyword.to_ascii_uppercase();
        match keyword.as_slice() {
            b"USER" => return self.user(&words, out),
            b"PASS" => return self.pass(&words, out),
            b"APOP" if self.offer.timestamp.is_some() => return self.apop(&words, out),
            b"AUTH" => return self.auth(words, out),
            _ if text.len() + b"\r\n".len() > COMMAND_LIMIT => {
                return self.nonsense(reply::LINE_TOO_LONG, out);
            }
            _ => {}
        }
        let argument = words.only();
        match (keyword.as_slice(), argument) {
            (b"LANG", Ok(range)) => language::answer(range, out),
            (b"CAPA", Ok(None)) => self.capabilities(out),
            (b"STLS", Ok(None)) => return self.stls(out),
            (b"UTF8", Ok(None)) => {
                self.utf8 = true;
                reply::put(reply::UTF8_ENABLED, out);
            }
            (b"QUIT", Ok(None)) => {
                reply::put(reply::BETTER_LUCK, out);
                return Action::Quit;
            }
            (b"LANG" | b"CAPA" | b"STLS" | b"UTF8" | b"QUIT", _) => {
                return self.nonsense(reply::SURPLUS_WORDS, out);
            }
            _ => return self.nonsense(reply::INVALID_COMMAND, out),
        }
        Action::Continue
    }

    fn user(&mut self, words: &Words<'_>, out: &mut Vec<u8>) -> Action {
        let Some(name) = words.argument() else {
            return self.nonsense(reply::INVALID_COMMAND, out);
        };
        if self.offer.login_allowed() {
            self.user = Some(name.to_vec());
            reply::put(reply::PASSWORD_REQUIRED, out);
        } else {
            reply::put(reply::TLS_REQUIRED, out);
        }
        Action::Continue
    }

    fn pass(&mut self, words: &Words<'_>, out: &mut Vec<u8>) -> Action {
        match (&self.user, words.argument()) {
            (Some(user), Some(password)) => {
                Action::Login { user: user.clone(), password: Credential::new(password.to_vec()) }
            }
            _ => {
                reply::put(reply::USER_PASS_REQUIRED, out);
                Action::Continue
            }
        }
    }

    fn apop(&mut self, words: &Words<'_>, out: &mut Vec<u8>) -> Action {
        if !self.offer.login_allowed() {
            reply::put(reply::TLS_REQUIRED, out);
            return Action::Continue;
        }
        let line = words.argument().unwrap_or_default().trim_ascii_end();
        match line.iter().rposition(|&octet| octet == b' ') {
            Some(blank) if blank > 0 => Action::Apop {
                user: line[..blank].to_vec(),
                digest: Credential::new(line[blank + 1..].to_vec()),
            },
            _ => self.nonsense(reply::INVALID_COMMAND, out),
        }
    }

    fn auth(&mut self, mut words: Words<'_>, out: &mut Vec<u8>) -> Action {
        if !self.offer.login_allowed() {
            reply::put(reply::TLS_REQUIRED, out);
            return Action::Continue;
        }
        let Some(mechanism) = words.next() else {
            self.list_mechanisms(out);
            return Action::Continue;
        };
        let Ok(initial) = words.only() else {
            return self.nonsense(reply::SURPLUS_WORDS, out);
        };
        let mechanism = String::from_utf8_lossy(&mechanism.to_ascii_uppercase()).into_owned();
        Action::Authenticate { mechanism, initial: initial.map(envelope::initial_response) }
    }

    /// AUTH alone lists the mechanisms (ledger 107).
    fn list_mechanisms(&self, out: &mut Vec<u8>) {
        reply::put(reply::MECHANISMS, out);
        for mechanism in self.offer.mechanisms() {
            reply::put(mechanism, out);
        }
        reply::end(out);
    }

    fn response(&mut self, text: &[u8], out: &mut Vec<u8>) -> Action {
        match envelope::response(text) {
            Ok(response) => Action::Respond(response),
            Err(envelope::Cancelled) => self.abort(out),
        }
    }

    fn abort(&mut self, out: &mut Vec<u8>) -> Action {
        match self.nonsense(reply::AUTHENTICATION_ABORTED, out) {
            Action::Continue => Action::Aborted,
            other => other,
        }
    }

    fn stls(&mut self, out: &mut Vec<u8>) -> Action {
        if self.offer.stls_allowed() {
            reply::put(reply::BEGIN_TLS, out);
            Action::StartTls
        } else {
            reply::put(reply::NO_TLS, out);
            Action::Continue
        }
    }

    fn capabilities(&self, out: &mut Vec<u8>) {
        let before = capability::BeforeLogin {
            mechanisms: self.offer.mechanisms(),
            stls: self.offer.stls_allowed(),
            user: self.offer.login_allowed(),
        };
        capability::answer(Some(&before), out);
    }

    fn nonsense(&mut self, reply: reply::Reply, out: &mut Vec<u8>) -> Action {
        self.state = State::Ready;
        self.errors += 1;
        if self.errors < ERRORS {
            reply::put(reply, out);
            Action::Continue
        } else {
            reply::put(reply::TOO_MANY_ERRORS, out);
            Action::Drop
        }
    }

    /// Sends a challenge; the client's next line answers it.
    pub fn challenge(&mut self, challenge: &[u8], out: &mut Vec<u8>) {
        envelope::put_challenge(challenge, out);
        self.state = State::Exchange;
    }

    /// The mechanism found the exchange malformed; says so to the client.
    pub fn abort_exchange(&mut self, out: &mut Vec<u8>) -> Action {
        self.abort(out)
    }

    /// The mechanism cannot be had here; says so, and not that the credentials
    /// are at fault, so that the client tries another one.
    pub fn cannot_serve(&mut self, out: &mut Vec<u8>) -> Action {
        self.nonsense(reply::MECHANISM_NOT_AVAILABLE, out)
    }

    /// From here on `mechanism` is announced too, under TLS.
    pub fn announce(&mut self, mechanism: &str) {
        self.offer.mechanisms_under_tls.push(mechanism.into());
    }

    /// The timestamp of the greeting, where APOP is offered.
    #[must_use]
    pub fn timestamp(&self) -> Option<&[u8]> {
        self.offer.timestamp.as_deref()
    }

    /// TLS is on now. The client starts anew: what it said in clear, a USER
    /// name or UTF8, may have been somebody else's words (RFC 2595 section 4;
    /// ledger 109).
    pub fn tls_started(&mut self) {
        self.offer.tls = true;
        self.user = None;
        self.utf8 = false;
        self.state = State::Ready;
    }
}

#[cfg(test)]
mod tests {
    use alloc::vec;

    use super::*;

    fn offer() -> Offer {
        let mechanisms = vec![String::from("PLAIN"), String::from("LOGIN")];
        Offer { mechanisms_under_tls: mechanisms.clone(), mechanisms, ..Offer::default() }
    }

    fn say(state: &mut Authorization, text: &str) -> (Action, String) {
        let mut out = vec![];
        let action = state.line(&Line::Text(text.as_bytes()), &mut out);
        (action, String::from_utf8(out).unwrap())
    }

    #[test]
    fn pass_hands_over_both_arguments_with_their_blanks() {
        let mut state = Authorization::new(offer());
        assert_eq!(say(&mut state, "USER alice "), (Action::Continue, "+OK Password required.\r\n".into()));
        let (action, said) = say(&mut state, "pass  two words");
        assert_eq!(said, "");
        assert_eq!(
            action,
            Action::Login { user: b"alice ".to_vec(), password: Credential::new(b" two words".to_vec()) }
        );
    }

    #[test]
    fn a_password_is_not_in_debug_output() {
        let action = Action::Login { user: vec![], password: Credential::new(b"secret".to_vec()) };
        assert!(!alloc::format!("{action:?}").contains("secret"));
    }

    #[test]
    fn stls_forgets_the_user_and_utf8() {
        let mut state = Authorization::new(Offer { stls: true, ..offer() });
        say(&mut state, "USER alice");
        say(&mut state, "UTF8");
        assert_eq!(say(&mut state, "STLS").0, Action::StartTls);
        state.tls_started();
        assert!(!state.utf8());
        assert_eq!(say(&mut state, "PASS x").1, "-ERR USER/PASS required.\r\n");
        assert_eq!(say(&mut state, "STLS").1, "-ERR TLS support not available.\r\n");
    }

    #[test]
    fn where_tls_is_required_nothing_is_offered_before_it() {
        let mut state = Authorization::new(Offer { stls: true, tls_required: true, ..offer() });
        let (_, capabilities) = say(&mut state, "CAPA");
        assert!(!capabilities.contains("USER\r\nTOP") && !capabilities.contains("SASL"), "{capabilities}");
        assert!(capabilities.contains("\r\nSTLS\r\n"));
        for command in ["USER alice", "AUTH", "AUTH PLAIN AGEAYg=="] {
            assert_eq!(say(&mut state, command).1, "-ERR TLS required to log in.\r\n");
        }
        state.tls_started();
        assert!(say(&mut state, "CAPA").1.contains("\r\nSASL PLAIN LOGIN\r\nUSER\r\n"));
    }

    #[test]
    fn an_exchange_takes_lines_until_the_driver_ends_it() {
        let mut state = Authorization::new(offer());
        let (action, _) = say(&mut state, "auth login");
        assert_eq!(action, Action::Authenticate { mechanism: "LOGIN".into(), initial: None });
        let mut out = vec![];
        state.challenge(b"Username:", &mut out);
        assert_eq!(out, b"+ VXNlcm5hbWU6\r\n");
        assert_eq!(say(&mut state, "YWxpY2U=").0, Action::Respond(Ok(Credential::new(b"alice".to_vec()))));
        assert_eq!(say(&mut state, "CAPA").0, Action::Continue);
    }

    #[test]
    fn nonsense_ends_the_connection_at_the_tenth_line() {
        let mut state = Authorization::new(offer());
        for _ in 0..9 {
            assert_eq!(say(&mut state, "GET / HTTP/1.1").0, Action::Continue);
        }
        assert_eq!(say(&mut state, "Host: x"), (Action::Drop, "-ERR Too many errors.\r\n".into()));
    }

    #[test]
    fn apop_is_a_command_where_the_greeting_has_a_timestamp() {
        let timestamp = Some(b"<1896.697170952@dbc.mtview.ca.us>".to_vec());
        let mut state = Authorization::new(Offer { timestamp, ..offer() });
        let mut out = vec![];
        state.greet(&mut out);
        assert_eq!(out, b"+OK Hello there. <1896.697170952@dbc.mtview.ca.us>\r\n");
        let apop = |user: &str, digest: &str| Action::Apop {
            user: user.into(),
            digest: Credential::new(digest.into()),
        };
        assert_eq!(say(&mut state, "apop mrose c4c9334b").0, apop("mrose", "c4c9334b"));
        assert_eq!(say(&mut state, "APOP m rose  c4c9334b ").0, apop("m rose ", "c4c9334b"));
        for line in ["APOP", "APOP ", "APOP mrose", "APOP mrose "] {
            assert_eq!(say(&mut state, line), (Action::Continue, "-ERR Invalid command.\r\n".into()));
        }
        let timestamp = Some(b"<1@host>".to_vec());
        let mut state = Authorization::new(Offer { timestamp, tls_required: true, ..offer() });
        assert_eq!(say(&mut state, "APOP mrose c4").1, "-ERR TLS required to log in.\r\n");
    }

    #[test]
    fn a_mechanism_that_cannot_be_had_is_no_failed_login() {
        let mut state = Authorization::new(offer());
        say(&mut state, "AUTH SCRAM-SHA-1");
        let mut out = vec![];
        assert_eq!(state.cannot_serve(&mut out), Action::Continue);
        assert_eq!(out, b"-ERR Mechanism not available.\r\n");
        assert!(!state.in_exchange());
    }

    #[test]
    fn an_unknown_keyword_is_unknown_whatever_follows_it() {
        let mut state = Authorization::new(offer());
        assert_eq!(say(&mut state, "APOP alice c4c9334b").1, "-ERR Invalid command.\r\n");
        assert_eq!(say(&mut state, "QUIT now").1, "-ERR Too many arguments.\r\n");
        assert_eq!(say(&mut state, "LANG en de").1, "-ERR Too many arguments.\r\n");
    }

    #[test]
    fn only_credentials_may_be_longer_than_a_command() {
        let mut state = Authorization::new(offer());
        let long = "x".repeat(300);
        assert_eq!(say(&mut state, &alloc::format!("LANG {long}")).1, "-ERR Line too long.\r\n");
        assert_eq!(say(&mut state, &alloc::format!("USER {long}")).1, "+OK Password required.\r\n");
    }
}

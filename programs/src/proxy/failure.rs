//! What a back-end says, and why there is no session with it.

use std::fmt;

use authlib::printable::printable;

/// What the first line of a reply says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Said {
    /// `+OK`
    Yes,
    /// `+ …`: a challenge.
    Challenge,
    /// `-ERR`, and it is what it was told that is at fault.
    No,
    /// `-ERR`, and it is something else.
    NotNow,
    /// Nothing of POP3.
    Nonsense,
}

/// Response codes of replies that say nothing against a password (RFC 2449
/// section 8.1, RFC 3206 section 4).
const OTHER_CODES: [&[u8]; 4] = [b"[SYS/", b"[IN-USE]", b"[LOGIN-DELAY]", b"[UTF8]"];

/// How Courier's sentences begin that say nothing against it; they have no
/// code (reference: wire 8 and 13).
const COURIERS: [&[u8]; 5] = [
    b"Temporary problem",
    b"Your account is temporarily",
    b"chdir ",
    b"Maildir invalid",
    b"POP3 access disabled",
];

impl Said {
    /// What `line` says.
    pub(crate) fn read(line: &[u8]) -> Said {
        if line.starts_with(b"+OK") {
            return Said::Yes;
        }
        if line.starts_with(b"+") {
            return Said::Challenge;
        }
        let Some(words) = line.strip_prefix(b"-ERR") else { return Said::Nonsense };
        let words = words.trim_ascii_start();
        let is_other = OTHER_CODES.iter().chain(&COURIERS).any(|beginning| words.starts_with(beginning));
        if is_other { Said::NotNow } else { Said::No }
    }
}

/// What a back-end has said with its no, harmless, for the log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Words(String);

impl Words {
    /// Those of the reply `line`.
    pub(crate) fn of(line: &[u8]) -> Words {
        Words(printable(line))
    }
}

impl fmt::Display for Words {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0.is_empty() { Ok(()) } else { write!(f, ": {}", self.0) }
    }
}

/// Why there is no session with a back-end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Failure {
    /// It was not found or not reached; why.
    Unreachable(String),
    /// TLS with it has failed; why.
    Tls(String),
    /// It has not said `+OK` to begin with.
    NoGreeting,
    /// It has said no to this command; how.
    Refused(&'static str, Words),
    /// It has said no to USER.
    UserRejected(Said, Words),
    /// It has said no to PASS.
    PasswordRejected(Said, Words),
    /// It has said what is no reply, to this command.
    Nonsense(&'static str),
    /// It has ended the connection behind this command.
    Closed(&'static str),
    /// It was silent for too long behind this command.
    Silent(&'static str),
    /// Name or password cannot be said in a line.
    Unspeakable,
    /// It leads back to us.
    Loop,
}

impl Failure {
    /// Whether the client's credentials were not good there. All else is no
    /// fault of theirs, and must never look so.
    pub(crate) fn is_rejection(&self) -> bool {
        matches!(self, Failure::UserRejected(Said::No, _) | Failure::PasswordRejected(Said::No, _))
    }

    /// The line for the log about the back-end `host`; three of them are
    /// Courier's, with its words behind them (reference: wire 15, ledger 882).
    pub(crate) fn line(&self, host: &str) -> String {
        let host = printable(host.as_bytes());
        match self {
            Failure::Unreachable(why) => format!("cannot connect to {host}: {why}"),
            Failure::Tls(why) => format!("TLS with {host}: {}", printable(why.as_bytes())),
            Failure::NoGreeting => format!("Did not receive greeting from {host}"),
            Failure::Refused(command, words) => format!("{command} rejected by {host}{words}"),
            Failure::UserRejected(_, words) => format!("Login userid rejected by {host}{words}"),
            Failure::PasswordRejected(_, words) => format!("Login password rejected by {host}{words}"),
            Failure::Nonsense(command) => format!("to {command} {host} has said what is no reply"),
            Failure::Closed(command) => format!("behind {command} {host} has closed the connection"),
            Failure::Silent(command) => format!("behind {command} {host} was silent for too long"),
            Failure::Unspeakable => format!("{host} cannot be told a name or password with a line end in it"),
            Failure::Loop => {
                format!("{host} leads back to this service: is PROXY_HOSTNAME to be set to that?")
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Failure, Said, Words};

    #[test]
    fn only_what_is_said_against_the_password_is_a_rejection() {
        for (line, said) in [
            (&b"+OK logged in."[..], Said::Yes),
            (b"+ ", Said::Challenge),
            (b"-ERR [AUTH] Login failed.", Said::No),
            (b"-ERR Login failed.", Said::No),
            (b"-ERR", Said::No),
            (b"-ERR [SYS/TEMP] Temporary authentication failure.", Said::NotNow),
            (b"-ERR [IN-USE] busy", Said::NotNow),
            (b"-ERR Temporary problem, please try again later", Said::NotNow),
            (b"-ERR chdir Maildir failed", Said::NotNow),
            (b"220 mail.example.com ESMTP", Said::Nonsense),
            (b"", Said::Nonsense),
        ] {
            assert_eq!(Said::read(line), said, "{}", String::from_utf8_lossy(line));
        }
        assert!(Failure::PasswordRejected(Said::No, Words::default()).is_rejection());
        let not_now = Failure::PasswordRejected(Said::NotNow, Words::default());
        for other in [not_now, Failure::NoGreeting, Failure::Refused("AUTH", Words::default())] {
            assert!(!other.is_rejection());
        }
    }

    #[test]
    fn couriers_lines_are_couriers() {
        for (failure, line) in [
            (Failure::NoGreeting, "Did not receive greeting from mx"),
            (Failure::UserRejected(Said::No, Words::default()), "Login userid rejected by mx"),
            (
                Failure::PasswordRejected(Said::NotNow, Words::of(b"-ERR not\nnow")),
                "Login password rejected by mx: -ERR not.now",
            ),
        ] {
            assert_eq!(failure.line("mx"), line);
        }
    }
}

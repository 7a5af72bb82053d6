//! What DEBUG_LOGIN shows of a client (reference: wire 13): its commands and
//! the name behind USER. Never a password, whatever the level, nor a word that
//! is no command: somebody may have typed a password there (ledger 440).

use pop3::Line;

use crate::environment;
use crate::log::{self, Harmless, Peer};

/// The commands of the AUTHORIZATION state.
const COMMANDS: [&str; 9] = ["APOP", "AUTH", "CAPA", "LANG", "PASS", "QUIT", "STLS", "USER", "UTF8"];

/// Whether lines are shown, and the address that they are from.
pub(super) struct Trace(Option<String>);

impl Trace {
    /// Of the client at `peer`, if DEBUG_LOGIN says so.
    pub(super) fn of(peer: &Peer) -> Self {
        let is_on = environment::number("DEBUG_LOGIN") > 0;
        Trace(is_on.then(|| peer.ip().to_owned()))
    }

    /// A line of the client; within a SASL exchange all of it is secret.
    pub(super) fn line(&self, line: &Line<'_>, in_exchange: bool) {
        if let (Some(ip), Line::Text(text), false) = (&self.0, line, in_exchange) {
            log::line(format_args!("DEBUG: LOGIN: ip=[{ip}], command={}", command(text)));
        }
    }

    /// PASS has come for `user`.
    pub(super) fn user(&self, user: &[u8]) {
        if let Some(ip) = &self.0 {
            log::line(format_args!("DEBUG: LOGIN: ip=[{ip}], username={}", Harmless(user)));
        }
    }
}

/// The command that `text` begins with.
fn command(text: &[u8]) -> &'static str {
    let word = text.split(u8::is_ascii_whitespace).find(|word| !word.is_empty()).unwrap_or_default();
    COMMANDS.into_iter().find(|name| name.as_bytes().eq_ignore_ascii_case(word)).unwrap_or("(unknown)")
}

#[cfg(test)]
mod tests {
    use super::command;

    #[test]
    fn only_a_known_word_is_shown() {
        assert_eq!(command(b"user alice"), "USER");
        assert_eq!(command(b" \tPASS secret"), "PASS");
        for text in [b"secret".as_slice(), b"PASSsecret", b"", b"  "] {
            assert_eq!(command(text), "(unknown)");
        }
    }
}

//! Every sentence that a client may hear.
//!
//! The wording is Courier's wherever the meaning is (people's clients and
//! monitors read it); response codes in brackets are added where RFC 2449
//! section 8, RFC 3206 and RFC 6856 section 5 want them (ledger 102).

use alloc::vec::Vec;
use core::fmt;

/// A response code: the first word after `-ERR`, for programs to read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ResponseCode {
    /// `[AUTH]`: the credentials are at fault (RFC 3206 section 4).
    Auth,
    /// `[SYS/TEMP]`: we are, and it will pass (RFC 3206 section 4).
    SysTemp,
    /// `[SYS/PERM]`: we are, and somebody has to act (RFC 3206 section 4).
    SysPerm,
    /// `[IN-USE]`: another session holds the maildrop (RFC 2449 section 8.1.2).
    InUse,
    /// `[LOGIN-DELAY]`: too soon after the last login (RFC 2449 section 8.1.1).
    LoginDelay,
    /// `[UTF8]`: cannot be had without the UTF8 command (RFC 6856 section 5).
    Utf8,
}

impl fmt::Display for ResponseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            ResponseCode::Auth => "[AUTH]",
            ResponseCode::SysTemp => "[SYS/TEMP]",
            ResponseCode::SysPerm => "[SYS/PERM]",
            ResponseCode::InUse => "[IN-USE]",
            ResponseCode::LoginDelay => "[LOGIN-DELAY]",
            ResponseCode::Utf8 => "[UTF8]",
        })
    }
}

/// A whole reply of one line, without its CRLF.
pub type Reply = &'static str;

// Both states.
/// An unknown or empty command, or one without its argument.
pub const INVALID_COMMAND: Reply = "-ERR Invalid command.";
/// More words than the command has arguments (ledger 105).
pub const SURPLUS_WORDS: Reply = "-ERR Too many arguments.";
/// The line was longer than its limit (ledger 101).
pub const LINE_TOO_LONG: Reply = "-ERR Line too long.";
/// The line held a NUL (ledger 103).
pub const NUL_IN_LINE: Reply = "-ERR NUL in command.";
/// Nothing but nonsense has come; the connection ends (ledger 106).
pub const TOO_MANY_ERRORS: Reply = "-ERR Too many errors.";
/// To UTF8.
pub const UTF8_ENABLED: Reply = "+OK UTF8 enabled";
/// First line of the answer to CAPA.
pub const CAPABILITIES: Reply = "+OK Here's what I can do:";
/// First line of the answer to LANG alone (RFC 6856 section 3).
pub const LANGUAGES: Reply = "+OK Language listing follows:";
/// To LANG with a language that we do not speak.
pub const NO_SUCH_LANGUAGE: Reply = "-ERR Language not available.";

// AUTHORIZATION.
/// The greeting.
pub const GREETING: Reply = "+OK Hello there.";
/// To USER.
pub const PASSWORD_REQUIRED: Reply = "+OK Password required.";
/// To PASS without USER or without a password.
pub const USER_PASS_REQUIRED: Reply = "-ERR USER/PASS required.";
/// To USER, PASS or AUTH before STLS where TLS is asked for.
pub const TLS_REQUIRED: Reply = "-ERR TLS required to log in.";
/// To STLS.
pub const BEGIN_TLS: Reply = "+OK Begin SSL/TLS negotiation now.";
/// To STLS where it is not offered.
pub const NO_TLS: Reply = "-ERR TLS support not available.";
/// First line of the answer to AUTH alone (ledger 107).
pub const MECHANISMS: Reply = "+OK Mechanisms follow:";
/// The account does not exist, the password is wrong, or whatever else makes
/// a rejection: one sentence for all (PASS).
pub const LOGIN_FAILED: Reply = "-ERR [AUTH] Login failed.";
/// The same for AUTH.
pub const AUTHENTICATION_FAILED: Reply = "-ERR [AUTH] Authentication failed.";
/// The same for both, where it was the connection's last one (ledger 125).
pub const TOO_MANY_FAILURES: Reply = "-ERR [AUTH] Too many failed logins.";
/// Nobody has looked at the credentials: too many others from there were wrong
/// (ledger 126).
pub const TOO_MANY_FAILURES_BEFORE: Reply = "-ERR [SYS/TEMP] Too many failed logins, please try again later.";
/// The client cancelled AUTH, or sent what cannot be decoded.
pub const AUTHENTICATION_ABORTED: Reply = "-ERR Authentication aborted.";
/// To AUTH with a mechanism that we know and that cannot be had here: no fault
/// of the credentials, so without a response code.
pub const MECHANISM_NOT_AVAILABLE: Reply = "-ERR Mechanism not available.";
/// In place of the greeting, where the service has as many connections as it may
/// have (RFC 3206 section 4).
pub const TOO_MANY_CONNECTIONS: Reply = "-ERR [SYS/TEMP] Too many connections, please try again later.";
/// The same, where the client's address or network has.
pub const TOO_MANY_FROM_ADDRESS: Reply = "-ERR [SYS/TEMP] Too many connections from your address.";
/// The credentials are good, and the account has as many sessions as it may
/// have. It is the maildrop that is in use, by the client's own others: no fault
/// of the server that SYS/TEMP would tell (RFC 2449 section 8.1.2).
pub const TOO_MANY_SESSIONS: Reply = "-ERR [IN-USE] Too many sessions, please try again later.";
/// To QUIT before login.
pub const BETTER_LUCK: Reply = "+OK Better luck next time.";
/// Nobody can tell now whether the credentials are good.
pub const TEMPORARY_PROBLEM: Reply = "-ERR [SYS/TEMP] Temporary problem, please try again later";
/// The server ends (ledger 860).
pub const SHUTTING_DOWN: Reply = "-ERR [SYS/TEMP] The server is shutting down, please try again later";

// Between the states: the reply to PASS that the maildrop gives.
/// The maildrop is open.
pub const LOGGED_IN: Reply = "+OK logged in.";
/// The maildrop is another server's, and that has let us in (reference: wire 15).
pub const CONNECTED_TO_PROXY: Reply = "+OK Connected to proxy server.";
/// The administrator has set the sticky bit on the home directory.
pub const LOCKED: Reply =
    "-ERR [SYS/TEMP] Your account is temporarily unavailable (+t bit set on home directory).";
/// Account option `disablepop3`.
pub const DISABLED: Reply = "-ERR [SYS/PERM] POP3 access disabled for this account.";
/// Account option `disableinsecurepop3`, without TLS.
pub const DISABLED_INSECURE: Reply = "-ERR [SYS/PERM] POP3 access disabled via insecure connection.";
/// The Maildir cannot be entered.
pub const NO_MAILDIR: Reply = "-ERR [SYS/PERM] Maildir cannot be opened.";
/// The Maildir has no `cur`.
pub const NO_CUR: Reply = "-ERR [SYS/PERM] Maildir invalid (no 'cur' directory)";
/// Another session has been assigning unique-ids for too long.
pub const IN_USE: Reply = "-ERR [IN-USE] Maildrop is in use by another session, please try again later";
/// The Maildir has a `loginexec` that the service may not run (ledger 850).
pub const LOGINEXEC: Reply =
    "-ERR [SYS/PERM] A program is to be run at this login (loginexec), which is not allowed here.";
/// A mail program is never run as root.
pub const NO_ROOT: Reply = "-ERR [SYS/PERM] Refusing to serve mail as root.";

// TRANSACTION and UPDATE.
/// No such message, or it is marked as deleted, or that is no number.
pub const INVALID_MESSAGE_NUMBER: Reply = "-ERR Invalid message number.";
/// TOP with a second word that is no number.
pub const INVALID_LINE_COUNT: Reply = "-ERR Invalid number of lines.";
/// First line of the answer to LIST.
pub const SCAN_LISTING: Reply = "+OK POP3 clients that break here, they violate STD53.";
/// First line of the answer to UIDL.
pub const UNIQUE_ID_LISTING: Reply = "+OK";
/// First line of the answer to TOP.
pub const HEADERS_FOLLOW: Reply = "+OK headers follow.";
/// To DELE.
pub const DELETED: Reply = "+OK Deleted.";
/// To RSET.
pub const RESURRECTED: Reply = "+OK Resurrected.";
/// To NOOP.
pub const YUP: Reply = "+OK Yup.";
/// To QUIT, when every message marked as deleted is gone.
pub const BYE: Reply = "+OK Bye-bye.";
/// To QUIT, when one is not (RFC 1939 section 6; ledger 203).
pub const NOT_REMOVED: Reply = "-ERR Some deleted messages not removed.";
/// The file has vanished since login.
pub const MESSAGE_GONE: Reply = "-ERR Can't open the message file - it's gone!";
/// The file is there and cannot be read.
pub const MESSAGE_UNREADABLE: Reply = "-ERR [SYS/TEMP] Can't read the message file.";

/// Appends `reply` as a line.
pub fn put(reply: &str, out: &mut Vec<u8>) {
    out.extend_from_slice(reply.as_bytes());
    out.extend_from_slice(b"\r\n");
}

/// Appends the line that ends a multi-line reply (RFC 1939 section 3).
pub(crate) fn end(out: &mut Vec<u8>) {
    out.extend_from_slice(b".\r\n");
}

/// `write!` into a reply; a vector takes everything.
pub(crate) struct Out<'a>(pub(crate) &'a mut Vec<u8>);

impl fmt::Write for Out<'_> {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0.extend_from_slice(text.as_bytes());
        Ok(())
    }
}

/// Appends formatted text as a line.
macro_rules! put_line {
    ($out:expr, $($argument:tt)*) => {{
        use core::fmt::Write as _;
        // Writing into a vector cannot fail.
        let _ = write!($crate::reply::Out($out), $($argument)*);
        $out.extend_from_slice(b"\r\n");
    }};
}
pub(crate) use put_line;

#[cfg(test)]
mod tests {
    use super::*;
    use alloc::string::ToString;

    #[test]
    fn codes_that_stand_in_sentences_are_codes_we_know() {
        for (code, sentence) in [
            (ResponseCode::Auth, LOGIN_FAILED),
            (ResponseCode::Auth, AUTHENTICATION_FAILED),
            (ResponseCode::Auth, TOO_MANY_FAILURES),
            (ResponseCode::SysTemp, TOO_MANY_FAILURES_BEFORE),
            (ResponseCode::SysTemp, TEMPORARY_PROBLEM),
            (ResponseCode::SysTemp, LOCKED),
            (ResponseCode::SysPerm, DISABLED),
            (ResponseCode::SysPerm, NO_MAILDIR),
            (ResponseCode::InUse, IN_USE),
        ] {
            assert!(sentence["-ERR ".len()..].starts_with(&code.to_string()), "{sentence}");
        }
    }
}

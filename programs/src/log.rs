//! Lines for the log, on descriptor 2, one event a line.
//!
//! The wording is Courier's (reference wire.md 13): people's filters read it.
//! The word before the colon becomes the syslog priority. Text that comes from
//! outside is made harmless on its way ([`Harmless`]).

use std::fmt;
use std::io::Write;
use std::path::Path;
use std::time::Duration;

/// Most octets of foreign text that one line shows.
const FOREIGN: usize = 512;

/// Text from a client, a file name or an account: control characters and 8-bit
/// octets appear as `.`, and it is cut after 512 octets, so that nobody can
/// forge or flood the log.
pub struct Harmless<'a>(pub &'a [u8]);

impl fmt::Display for Harmless<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        use fmt::Write as _;
        for &octet in self.0.iter().take(FOREIGN) {
            f.write_char(if matches!(octet, b' '..=b'~') { char::from(octet) } else { '.' })?;
        }
        Ok(())
    }
}

/// The client's address and port, as couriertcpd has put them into the
/// environment.
#[derive(Clone, Debug)]
pub struct Peer {
    ip: String,
    port: String,
}

impl Peer {
    /// From TCPREMOTEIP and TCPREMOTEPORT; `no_port` stands for a missing port
    /// (`N/A` before login, `0` after it).
    #[must_use]
    pub fn from_environment(no_port: &str) -> Self {
        let text = |name, default: &str| match std::env::var_os(name) {
            Some(value) => Harmless(value.as_encoded_bytes()).to_string(),
            None => default.to_owned(),
        };
        Peer { ip: text("TCPREMOTEIP", "127.0.0.1"), port: text("TCPREMOTEPORT", no_port) }
    }

    /// At this address and port, as couriertcpd writes them.
    #[must_use]
    pub fn at(ip: &str, port: &str) -> Self {
        Peer { ip: Harmless(ip.as_bytes()).to_string(), port: Harmless(port.as_bytes()).to_string() }
    }

    /// The client's address.
    #[must_use]
    pub fn ip(&self) -> &str {
        &self.ip
    }

    /// Its port.
    #[must_use]
    pub fn port(&self) -> &str {
        &self.port
    }
}

impl fmt::Display for Peer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "ip=[{}], port=[{}]", self.ip, self.port)
    }
}

/// Writes one line, in one write(2), so that lines of several processes do not
/// mix. A log that cannot be written to must not end a session.
pub fn line(text: fmt::Arguments<'_>) {
    let line = format!("{text}\n");
    let _ = std::io::stderr().write_all(line.as_bytes());
}

/// A client has connected.
pub fn connection(peer: &Peer) {
    line(format_args!("DEBUG: Connection, {peer}"));
}

/// A connection has ended before login.
pub fn disconnected(peer: &Peer) {
    line(format_args!("DEBUG: Disconnected, {peer}"));
}

/// QUIT before login.
pub fn quit_before_login(peer: &Peer) {
    line(format_args!("INFO: LOGOUT, {peer}"));
}

/// PASS was refused; `user` is the name as the client sent it.
pub fn user_failed(user: &[u8], peer: &Peer) {
    line(format_args!("INFO: LOGIN FAILED, user={}, {peer}", Harmless(user)));
}

/// AUTH was refused or cancelled.
pub fn method_failed(mechanism: &str, peer: &Peer) {
    line(format_args!("INFO: LOGIN FAILED, method={}, {peer}", Harmless(mechanism.as_bytes())));
}

/// The chain has refused somebody; who it was is not known any more.
pub fn chain_failed(peer: &Peer) {
    line(format_args!("INFO: LOGIN FAILED, {peer}"));
}

/// Nobody could tell whether the credentials are good.
pub fn authentication_error(reason: &dyn fmt::Display) {
    line(format_args!("ERR: authentication error: {reason}"));
}

/// So many logins from an address have failed that the next ones are refused,
/// for `seconds`.
pub fn too_many_failures(ip: &str, seconds: u64) {
    let ip = Harmless(ip.as_bytes());
    line(format_args!("WARN: too many failed logins, ip=[{ip}], refused for {seconds} s"));
}

/// Who connects where a proxy is expected does not say where a client is.
pub fn proxy_failed(reason: &dyn fmt::Display, peer: &Peer) {
    line(format_args!("WARN: haproxy: {reason}, {peer}"));
}

/// A client has not come to an end with its handshake.
pub fn handshake_failed(reason: &dyn fmt::Display, peer: &Peer) {
    line(format_args!("DEBUG: TLS handshake failed, {peer}: {reason}"));
}

/// Something that an administrator has to see to.
pub fn error(what: &dyn fmt::Display) {
    line(format_args!("ERR: {what}"));
}

/// Something that an administrator may want to see to.
pub fn warning(what: &dyn fmt::Display) {
    line(format_args!("WARN: {what}"));
}

/// A system call on a path has failed.
pub fn path_error(call: &str, path: &Path, error: &dyn fmt::Display) {
    let path = Harmless(path.as_os_str().as_encoded_bytes());
    line(format_args!("ERR: {call} {path}: {error}"));
}

/// Who is logged in and from where.
#[derive(Clone, Debug)]
pub struct Session {
    user: String,
    peer: Peer,
    tls: bool,
}

impl Session {
    /// `user` is the address of the account.
    #[must_use]
    pub fn new(user: &[u8], peer: Peer, tls: bool) -> Self {
        Session { user: Harmless(user).to_string(), peer, tls }
    }

    /// The account has been opened.
    pub fn login(&self) {
        let stls = self.tls_suffix();
        line(format_args!("INFO: LOGIN, {self}{stls}"));
    }

    /// Another server has let it in.
    pub fn proxied(&self, protocol: &str) {
        let (protocol, stls) = (Harmless(protocol.as_bytes()), self.tls_suffix());
        line(format_args!("INFO: LOGIN, {self}, protocol={protocol}{stls}"));
    }

    /// The session there has ended, after so many octets from and to the client.
    pub fn left_proxy(&self, protocol: &str, rcvd: u64, sent: u64, time: Duration) {
        let (protocol, time, stls) = (Harmless(protocol.as_bytes()), time.as_secs(), self.tls_suffix());
        line(format_args!(
            "DEBUG: Disconnected, {self}, protocol={protocol}, rcvd={rcvd}, sent={sent}, time={time}{stls}"
        ));
    }

    /// The sticky bit is on.
    pub fn locked(&self) {
        line(format_args!("INFO: LOCKED, {self}"));
    }

    /// A message has been deleted (`file` is its name in cur/).
    pub fn deleted(&self, file: &[u8]) {
        line(format_args!("INFO: DELETED, {self}, filename=cur/{}", Harmless(file)));
    }

    /// The session has ended.
    pub fn ended(&self, ending: Ending, counts: &Counts, time: Duration) {
        let stls = self.tls_suffix();
        line(format_args!("INFO: {ending}, {self}, {counts}, time={}{stls}", time.as_secs()));
    }

    fn tls_suffix(&self) -> &'static str {
        if self.tls { ", stls=1" } else { "" }
    }
}

impl fmt::Display for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "user={}, {}", self.user, self.peer)
    }
}

/// How a session has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ending {
    /// QUIT.
    Logout,
    /// The client has gone without QUIT, or was dropped.
    Disconnected,
    /// The autologout timer, or a client that does not read.
    Timeout,
    /// A message file could not be read to its end.
    IoError,
}

impl fmt::Display for Ending {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Ending::Logout => "LOGOUT",
            Ending::Disconnected => "DISCONNECTED",
            Ending::Timeout => "TIMEOUT",
            Ending::IoError => "I/O error disconnect",
        })
    }
}

/// What a session has cost, in octets.
#[derive(Clone, Copy, Debug, Default)]
pub struct Counts {
    /// Of message files, by TOP, as on disk.
    pub top: u64,
    /// Of message files, by RETR, as on disk.
    pub retr: u64,
    /// Of command lines.
    pub rcvd: u64,
    /// Of replies, from `+OK logged in.` on.
    pub sent: u64,
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "top={}, retr={}, rcvd={}, sent={}", self.top, self.retr, self.rcvd, self.sent)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn foreign_text_cannot_start_a_line_of_its_own() {
        assert_eq!(Harmless(b"a\nINFO: LOGIN\x1b[2J\xc3\xa4").to_string(), "a.INFO: LOGIN.[2J..");
        assert_eq!(Harmless(&[b'x'; 9999]).to_string().len(), FOREIGN);
    }

    #[test]
    fn the_last_line_of_a_session_reads_as_couriers() {
        let counts = Counts { top: 1, retr: 2, rcvd: 30, sent: 105 };
        let peer = Peer { ip: "::ffff:127.0.0.1".into(), port: "56130".into() };
        let session = Session::new(b"alice", peer, false);
        assert_eq!(
            format!("INFO: {}, {session}, {counts}", Ending::Logout),
            "INFO: LOGOUT, user=alice, ip=[::ffff:127.0.0.1], port=[56130], top=1, retr=2, rcvd=30, sent=105"
        );
    }
}

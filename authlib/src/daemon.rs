//! Asks an authdaemond over its socket (reference: authlib 3 and 4).
//!
//! One connection for one question. Whatever goes wrong on the way, and every
//! answer that is not exactly one, is *unavailable*; only the word FAIL
//! rejects.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use zeroize::Zeroizing;

use crate::module::{Changed, Client, Entry, Module, PasswordChange};
use crate::printable::reason;
use crate::protocol::answer::{self, ListLine};
use crate::protocol::request;
use crate::scram::{Salt, Wanted};
use crate::{Record, Unavailable, Verdict};

/// How long to wait for an authdaemond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection; all workers may be busy. (`TIMEOUT_SOCK`)
    pub connect: Duration,
    /// For the request. (`TIMEOUT_WRITE`)
    pub write: Duration,
    /// For the whole answer; in a list, for the next line. (`TIMEOUT_READ`)
    pub read: Duration,
}

impl Default for Timeouts {
    /// Courier's: 10, 10 and 30 seconds.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Timeouts { connect: seconds(10), write: seconds(10), read: seconds(30) }
    }
}

/// The authdaemond that listens on a socket, as a module like any other.
#[derive(Clone, Debug)]
pub struct Daemon {
    socket: PathBuf,
    timeouts: Timeouts,
}

impl Daemon {
    /// The one on `socket`.
    #[must_use]
    pub fn on(socket: PathBuf, timeouts: Timeouts) -> Self {
        Daemon { socket, timeouts }
    }

    /// Its answer to `request`, whole or cut short.
    fn ask(&self, request: &[u8]) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
        let mut stream = self.send(request)?;
        read_answer(&mut stream, self.timeouts.read).map_err(|error| failed(&error))
    }

    fn send(&self, request: &[u8]) -> Result<UnixStream, Unavailable> {
        let send = || {
            let mut stream = connect(&self.socket, self.timeouts.connect)?;
            stream.set_write_timeout(Some(self.timeouts.write))?;
            stream.write_all(request)?;
            Ok(stream)
        };
        send().map_err(|error| failed(&error))
    }
}

impl Module for Daemon {
    fn name(&self) -> &str {
        "authdaemon"
    }

    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        said(self.ask(&request::auth_of_ours(record, client)).map(|octets| answer::verdict(&octets)))
    }

    /// FAIL is what Courier's says, and every other that knows no SCRAM.
    fn salt(
        &mut self,
        service: &[u8],
        wanted: &Wanted,
        client: &Client,
    ) -> Result<Option<Salt>, Unavailable> {
        let Ok(record) = Record::salt(service, wanted) else { return Ok(None) };
        let octets = self.ask(&request::auth(&record, client))?;
        answer::salt(&octets).map_err(|reason| authdaemond(&reason))
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], client: &Client) -> Verdict {
        match request::look_up(None, service, user, client) {
            Some(request) => said(self.ask(&request).map(|octets| answer::verdict(&octets))),
            // Nobody can be called so.
            None => Verdict::Reject,
        }
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        match self.ask(&request::change_password(change)).map(|octets| answer::changed(&octets)) {
            Ok(Changed::Unavailable(reason)) => authdaemond(&reason).into(),
            Ok(changed) => changed,
            Err(reason) => reason.into(),
        }
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let stream = self.send(request::ENUMERATE)?;
        stream.set_read_timeout(Some(self.timeouts.read)).map_err(|error| failed(&error))?;
        read_list(&mut BufReader::new(stream), each)
    }
}

/// The verdict of the authdaemond that listens on `socket`.
///
/// `remote_ip` is the client's address (TCPREMOTEIP), for back-ends that want
/// to know it.
#[must_use]
pub fn ask(socket: &Path, record: &Record, remote_ip: Option<&str>, timeouts: Timeouts) -> Verdict {
    match Client::at(remote_ip.unwrap_or_default().as_bytes()) {
        Ok(client) => Daemon::on(socket.to_owned(), timeouts).authenticate(record, &client),
        Err(reason) => reason.into(),
    }
}

fn said(verdict: Result<Verdict, Unavailable>) -> Verdict {
    match verdict {
        Ok(Verdict::Unavailable(reason)) if !reason.is_after_too_many_failures() => {
            authdaemond(&reason).into()
        }
        Ok(verdict) => verdict,
        Err(reason) => reason.into(),
    }
}

fn authdaemond(reason: &Unavailable) -> Unavailable {
    Unavailable::new(format!("authdaemond: {reason}"))
}

fn failed(error: &io::Error) -> Unavailable {
    match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Unavailable::new("authdaemond does not answer in time")
        }
        _ => Unavailable::new(reason(error)),
    }
}

/// Reads a list to its end.
///
/// # Errors
/// If it has none, or a line of it cannot be understood.
pub(crate) fn read_list(
    reader: &mut impl BufRead,
    each: &mut dyn FnMut(&Entry) -> bool,
) -> Result<(), Unavailable> {
    let mut line = Vec::new();
    loop {
        line.clear();
        let limit = request::LONGEST_LINE as u64;
        let read = reader.by_ref().take(limit).read_until(b'\n', &mut line);
        read.map_err(|error| failed(&error))?;
        let Some(line) = line.strip_suffix(b"\n") else {
            return Err(Unavailable::new("the list of accounts has no end"));
        };
        match answer::list_line(line)? {
            ListLine::End => return Ok(()),
            ListLine::Account(entry) if !each(&entry) => return Ok(()),
            ListLine::Account(_) | ListLine::Heading => {}
        }
    }
}

/// A connection to `socket`. The kernel lets a connect to a full listener
/// wait as long as the socket's send timeout says (unix(7)), which stays.
///
/// # Errors
/// What connect(2) says; a full listener would block.
pub fn connect(socket: &Path, timeout: Duration) -> io::Result<UnixStream> {
    let descriptor =
        rustix::net::socket_with(AddressFamily::UNIX, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
    set_socket_timeout(&descriptor, Timeout::Send, Some(timeout))?;
    rustix::net::connect(&descriptor, &SocketAddrUnix::new(socket)?)?;
    Ok(UnixStream::from(descriptor))
}

/// Reads until the answer is complete, the daemon closes, the limit is
/// reached, or `timeout` has passed since the beginning.
fn read_answer(stream: &mut UnixStream, timeout: Duration) -> io::Result<Zeroizing<Vec<u8>>> {
    let deadline = Instant::now() + timeout;
    // All of it at once: a vector that grows would leave passwords behind.
    let mut buffer = Zeroizing::new(vec![0; answer::LIMIT]);
    let mut filled = 0;
    while filled < buffer.len() && !answer::is_complete(&buffer[..filled]) {
        let left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(io::ErrorKind::TimedOut.into());
        }
        stream.set_read_timeout(Some(left))?;
        match stream.read(&mut buffer[filled..]) {
            Ok(0) => break,
            Ok(octets) => filled += octets,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    buffer.truncate(filled);
    Ok(buffer)
}

#[cfg(test)]
mod tests {
    use super::{Daemon, Timeouts, ask};
    use crate::module::{Changed, Client, Module, PasswordChange};
    use crate::scram::{Salt, Wanted};
    use crate::scram_keys::Hash;
    use crate::{Record, Verdict};
    use std::io::{Read, Write};
    use std::os::unix::net::UnixListener;
    use std::time::Duration;

    /// Asks a daemon that expects `request` and sends the pieces of `answer`.
    fn ask_one_that_says(request: &'static [u8], answer: &'static [&'static [u8]]) -> Verdict {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        let daemon = std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut received = vec![0; request.len()];
            client.read_exact(&mut received).unwrap();
            assert_eq!(received, request);
            for piece in answer {
                client.write_all(piece).unwrap();
            }
        });
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let verdict = ask(&socket, &record, Some("::1"), Timeouts::default());
        daemon.join().unwrap();
        verdict
    }

    const REQUEST: &[u8] = b"POSTRIDER=1\nTCPREMOTEIP=::1\nAUTH 24\npop3\nlogin\nalice\nsecret\n";

    #[test]
    fn an_account_may_arrive_in_any_pieces() {
        let answer: &[&[u8]] = &[b"UID=5000\nGI", b"D=5001\nHOME=/home/alice\n", b"ADDRESS=alice\n.", b"\n"];
        let Verdict::Accept(account) = ask_one_that_says(REQUEST, answer) else { panic!() };
        assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
    }

    fn daemon_that_says(answer: &'static [u8]) -> (tempfile::TempDir, Daemon) {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        std::thread::spawn(move || {
            let (mut client, _) = listener.accept().unwrap();
            let mut some = [0; 4096];
            let _ = client.read(&mut some).unwrap();
            client.write_all(answer).unwrap();
        });
        (directory, Daemon::on(socket, Timeouts::default()))
    }

    #[test]
    fn pre_passwd_and_enumerate_are_asked_and_understood() {
        let (_directory, mut daemon) = daemon_that_says(b"UID=5\nGID=6\nHOME=/\nADDRESS=a\n.\n");
        assert!(matches!(daemon.look_up(b"pop3", b"a", &Client::default()), Verdict::Accept(_)));
        let change = PasswordChange::new(b"pop3", b"alice", b"old", b"new").unwrap();
        let (_directory, mut daemon) = daemon_that_says(b"OK\n");
        assert_eq!(daemon.change_password(&change), Changed::Done);
        let (_directory, mut daemon) = daemon_that_says(b"");
        assert!(matches!(daemon.change_password(&change), Changed::Unavailable(_)));
        for (answer, whole) in [(&b"# x\n\na\t5\t6\t/\t\t\n.\n"[..], true), (b"a\t5\t6\t/\t\t\n", false)] {
            let (_directory, mut daemon) = daemon_that_says(answer);
            let mut names = Vec::new();
            let listed = daemon.enumerate(&mut |entry| {
                names.push(entry.name.clone());
                true
            });
            assert_eq!((listed.is_ok(), names), (whole, vec![b"a".to_vec()]));
        }
    }

    #[test]
    fn only_a_whole_salt_is_one_and_fail_says_that_nobody_has_any() {
        let wanted = |user: &[u8]| Wanted { hash: Hash::Sha1, user: user.to_vec(), for_clear: None };
        let salt = |answer: &'static [u8]| {
            let (_directory, mut daemon) = daemon_that_says(answer);
            daemon.salt(b"pop3", &wanted(b"alice"), &Client::default())
        };
        assert_eq!(salt(b"SALT=4096:c2FsdA==\n.\n").unwrap(), Salt::new(b"salt", 4096));
        assert_eq!(salt(b"FAIL\n").unwrap(), None);
        for answer in [
            b"".as_slice(),
            b"SALT=4096:c2FsdA==\n",
            b"SALT=4096\n.\n",
            b"SALT=0:c2FsdA==\n.\n",
            b"SALT=1:YQ==\nSALT=1:YQ==\n.\n",
            b"UID=5\nGID=6\nHOME=/\nADDRESS=a\n.\n",
            b".\n",
            b"OK\n",
        ] {
            assert!(salt(answer).is_err(), "{answer:?}");
        }
        let mut nobody = Daemon::on("/nonexistent/socket".into(), Timeouts::default());
        assert_eq!(nobody.salt(b"pop3", &wanted(b"a\nb"), &Client::default()).unwrap(), None);
    }

    #[test]
    fn a_name_that_cannot_be_asked_for_is_nobodys() {
        let mut daemon = Daemon::on("/nonexistent/socket".into(), Timeouts::default());
        assert!(matches!(daemon.look_up(b"pop3", b"a\nb", &Client::default()), Verdict::Reject));
    }

    #[test]
    fn fail_rejects() {
        assert!(matches!(ask_one_that_says(REQUEST, &[b"FAIL\n"]), Verdict::Reject));
    }

    #[test]
    fn a_daemon_that_closes_or_breaks_off_is_unavailable() {
        let answers: [&[&[u8]]; 3] = [&[], &[b"FAIL"], &[b"UID=5000\nGID=5000\nHOME=/\nADDRESS=alice\n"]];
        for answer in answers {
            assert!(matches!(ask_one_that_says(REQUEST, answer), Verdict::Unavailable(_)));
        }
    }

    #[test]
    fn an_endless_answer_is_unavailable() {
        static FLOOD: &[&[u8]] = &[&[b'a'; 8191]];
        assert!(matches!(ask_one_that_says(REQUEST, FLOOD), Verdict::Unavailable(_)));
    }

    #[test]
    fn a_silent_daemon_is_unavailable() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let _listener = UnixListener::bind(&socket).unwrap();
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let soon = Duration::from_millis(20);
        let verdict = ask(&socket, &record, None, Timeouts { connect: soon, write: soon, read: soon });
        let Verdict::Unavailable(reason) = verdict else { panic!() };
        assert_eq!(reason.to_string(), "authdaemond does not answer in time");
    }

    #[test]
    fn a_listener_with_no_room_left_is_unavailable() {
        let directory = tempfile::tempdir().unwrap();
        let socket = directory.path().join("socket");
        let listener = UnixListener::bind(&socket).unwrap();
        rustix::net::listen(&listener, 0).unwrap();
        let soon = Duration::from_millis(20);
        let _queued = super::connect(&socket, soon).unwrap();
        assert_eq!(super::connect(&socket, soon).unwrap_err().kind(), std::io::ErrorKind::WouldBlock);
    }

    #[test]
    fn a_missing_socket_is_unavailable_with_the_kernels_reason() {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let nowhere = std::path::Path::new("/nonexistent/socket");
        let Verdict::Unavailable(reason) = ask(nowhere, &record, None, Timeouts::default()) else { panic!() };
        assert_eq!(reason.to_string(), "No such file or directory");
    }

    #[test]
    fn an_address_cannot_forge_a_request() {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        let nowhere = std::path::Path::new("/nonexistent/socket");
        let Verdict::Unavailable(reason) = ask(nowhere, &record, Some("::1\nPRE . x y"), Timeouts::default())
        else {
            panic!()
        };
        assert_eq!(reason.to_string(), "TCPREMOTEIP holds a control octet");
    }
}

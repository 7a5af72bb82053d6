//! Asks an authdaemond over its socket (reference: authlib 3 and 4).
//!
//! One connection for one question. Whatever goes wrong on the way, and every
//! answer that is not exactly one, is *unavailable*; only the word FAIL
//! rejects.

mod answer;

use std::io::{self, Read, Write};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::net::sockopt::{Timeout, set_socket_timeout};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketFlags, SocketType};
use zeroize::Zeroizing;

use crate::printable::{has_control, reason};
use crate::{Record, Unavailable, Verdict};

/// Most octets of an answer.
const ANSWER_LIMIT: usize = 8191;

/// How long to wait for an authdaemond.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// For the connection; all workers may be busy. (`TIMEOUT_SOCK`)
    pub connect: Duration,
    /// For the request. (`TIMEOUT_WRITE`)
    pub write: Duration,
    /// For the whole answer. (`TIMEOUT_READ`)
    pub read: Duration,
}

impl Default for Timeouts {
    /// Courier's: 10, 10 and 30 seconds.
    fn default() -> Self {
        let seconds = Duration::from_secs;
        Timeouts { connect: seconds(10), write: seconds(10), read: seconds(30) }
    }
}

/// The verdict of the authdaemond that listens on `socket`.
///
/// `remote_ip` is the client's address (TCPREMOTEIP), for back-ends that want
/// to know it.
#[must_use]
pub fn ask(socket: &Path, record: &Record, remote_ip: Option<&str>, timeouts: Timeouts) -> Verdict {
    let answer = request(record, remote_ip).and_then(|request| converse(socket, &request, timeouts));
    match answer.and_then(|answer| answer::verdict(&answer)) {
        Ok(Some(account)) => Verdict::Accept(account),
        Ok(None) => Verdict::Reject,
        Err(reason) => Verdict::Unavailable(reason),
    }
}

/// `TCPREMOTEIP=address LF AUTH length LF record`
fn request(record: &Record, remote_ip: Option<&str>) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    let address = remote_ip.unwrap_or_default();
    if has_control(address.as_bytes()) {
        return Err(Unavailable::new("TCPREMOTEIP holds a control octet"));
    }
    let metadata = if address.is_empty() { String::new() } else { format!("TCPREMOTEIP={address}\n") };
    let body = record.body();
    let head = format!("{metadata}AUTH {}\n", body.len());
    let mut request = Zeroizing::new(Vec::with_capacity(head.len() + body.len()));
    request.extend_from_slice(head.as_bytes());
    request.extend_from_slice(body);
    Ok(request)
}

fn converse(socket: &Path, request: &[u8], timeouts: Timeouts) -> Result<Zeroizing<Vec<u8>>, Unavailable> {
    let failed = |error: io::Error| match error.kind() {
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            Unavailable::new("authdaemond does not answer in time")
        }
        _ => Unavailable::new(reason(&error)),
    };
    let mut stream = connect(socket, timeouts.connect).map_err(failed)?;
    stream.set_write_timeout(Some(timeouts.write)).map_err(failed)?;
    stream.write_all(request).map_err(failed)?;
    read_answer(&mut stream, timeouts.read).map_err(failed)
}

/// A connection to `socket`. The kernel lets a connect to a full listener
/// wait as long as the socket's send timeout says (unix(7)).
fn connect(socket: &Path, timeout: Duration) -> io::Result<UnixStream> {
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
    let mut buffer = Zeroizing::new(vec![0; ANSWER_LIMIT]);
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
    use super::{Timeouts, ask};
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

    const REQUEST: &[u8] = b"TCPREMOTEIP=::1\nAUTH 24\npop3\nlogin\nalice\nsecret\n";

    #[test]
    fn an_account_may_arrive_in_any_pieces() {
        let answer: &[&[u8]] = &[b"UID=5000\nGI", b"D=5001\nHOME=/home/alice\n", b"ADDRESS=alice\n.", b"\n"];
        let Verdict::Accept(account) = ask_one_that_says(REQUEST, answer) else { panic!() };
        assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
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

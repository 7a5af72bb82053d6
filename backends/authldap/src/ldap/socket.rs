//! A socket on which no wait is without end.

use std::io::{self, Read, Write};
use std::net::{IpAddr, SocketAddr, TcpStream, ToSocketAddrs};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::mpsc;
use std::thread;
use std::time::{Duration, Instant};

use authlib::daemon;

/// A connection that reads and writes until a moment, and not longer.
#[derive(Debug)]
pub(crate) struct Socket {
    kind: Kind,
    end: Instant,
}

#[derive(Debug)]
enum Kind {
    Tcp(TcpStream),
    Unix(UnixStream),
}

impl Socket {
    /// A connection to one of the addresses of `host`, until `end`.
    pub(crate) fn tcp(host: &str, port: u16, end: Instant) -> io::Result<Socket> {
        let mut failure = io::Error::other("the name has no address");
        for address in addresses(host, port, end)? {
            match TcpStream::connect_timeout(&address, left(end)?) {
                Ok(stream) => {
                    stream.set_nodelay(true)?;
                    return Ok(Socket { kind: Kind::Tcp(stream), end });
                }
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }

    /// A connection to the UNIX socket `path`, until `end`.
    pub(crate) fn unix(path: &Path, end: Instant) -> io::Result<Socket> {
        let stream = daemon::connect(path, left(end)?)?;
        Ok(Socket { kind: Kind::Unix(stream), end })
    }

    /// From now on it reads and writes until `end`.
    pub(crate) fn until(&mut self, end: Instant) {
        self.end = end;
    }
}

impl Read for Socket {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let left = Some(left(self.end)?);
        in_time(match &mut self.kind {
            Kind::Tcp(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
            Kind::Unix(stream) => stream.set_read_timeout(left).and_then(|()| stream.read(buffer)),
        })
    }
}

impl Write for Socket {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        let left = Some(left(self.end)?);
        in_time(match &mut self.kind {
            Kind::Tcp(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(octets)),
            Kind::Unix(stream) => stream.set_write_timeout(left).and_then(|()| stream.write(octets)),
        })
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The time until `end`, which is not nothing.
fn left(end: Instant) -> io::Result<Duration> {
    let left = end.saturating_duration_since(Instant::now());
    if left.is_zero() { Err(io::ErrorKind::TimedOut.into()) } else { Ok(left) }
}

/// What the kernel calls a time-out of a socket has another name here: who
/// reads again would wait again.
fn in_time(result: io::Result<usize>) -> io::Result<usize> {
    result.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => io::ErrorKind::TimedOut.into(),
        _ => error,
    })
}

/// The addresses of `host`. The resolver cannot be told how long to take, so
/// a name is looked up by a thread that nobody waits for any longer.
fn addresses(host: &str, port: u16, end: Instant) -> io::Result<Vec<SocketAddr>> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(vec![SocketAddr::new(ip, port)]);
    }
    let (sender, receiver) = mpsc::sync_channel(1);
    let name = host.to_owned();
    thread::Builder::new().spawn(move || {
        let found = (name.as_str(), port).to_socket_addrs().map(Iterator::collect);
        // Who has asked may have gone.
        let _ = sender.send(found);
    })?;
    receiver.recv_timeout(left(end)?).map_err(|_| io::Error::from(io::ErrorKind::TimedOut))?
}

#[cfg(test)]
mod tests {
    use super::Socket;
    use std::io::{ErrorKind, Read};
    use std::net::TcpListener;
    use std::time::{Duration, Instant};

    #[test]
    fn a_silent_server_is_waited_for_until_the_end() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let soon = || Instant::now() + Duration::from_millis(50);
        let mut socket = Socket::tcp("127.0.0.1", port, soon()).unwrap();
        for _ in 0..2 {
            assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
        }
        socket.until(soon());
        assert_eq!(socket.read(&mut [0; 1]).unwrap_err().kind(), ErrorKind::TimedOut);
    }

    #[test]
    fn names_are_looked_up() {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let port = listener.local_addr().unwrap().port();
        let end = Instant::now() + Duration::from_secs(30);
        assert!(Socket::tcp("localhost", port, end).is_ok());
        assert!(Socket::tcp("no-such-host.invalid", port, end).is_err());
        assert_eq!(Socket::tcp("localhost", port, Instant::now()).unwrap_err().kind(), ErrorKind::TimedOut);
    }
}

//! The client, by plain blocking calls: descriptors 0 and 1, with a deadline
//! on every wait.
//!
//! The descriptors are left in the mode they were given in, since other
//! processes may hold the same open socket. What may block is asked first by
//! poll(2).

use std::io;
use std::os::fd::BorrowedFd;
use std::time::{Duration, Instant};

use pop3::{Line, LineReader};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::net::{RecvFlags, SendFlags};
use zeroize::Zeroizing;

use crate::mailbox::{Client, Wait};

/// Octets asked for in one read.
const READ: usize = 4096;

/// A write of so many octets does not block if poll(2) says that the pipe is
/// writable (PIPE_BUF on Linux).
const PIPE_BUF: usize = 4096;

/// What reading has come to.
#[derive(Debug, PartialEq, Eq)]
pub enum Read<T> {
    /// It is there.
    Had(T),
    /// The client has closed; half a line, if there was one, is dropped
    /// (ledger 113).
    End,
    /// The deadline has passed.
    TimedOut,
}

/// Why the client could not be written to.
#[derive(Debug)]
pub enum NotSent {
    /// It has gone.
    Gone(io::Error),
    /// It took nothing for too long.
    TimedOut,
}

/// The client's side of descriptors 0 and 1.
#[derive(Debug)]
pub struct Connection {
    input: BorrowedFd<'static>,
    output: BorrowedFd<'static>,
    input_is_socket: bool,
    output_is_socket: bool,
}

impl Connection {
    /// Descriptors 0 and 1 of this process.
    #[must_use]
    pub fn inherited() -> Self {
        let (input, output) = (rustix::stdio::stdin(), rustix::stdio::stdout());
        // What we send is gathered already: the kernel need not wait for more
        // (RFC 896), and not every super-server tells it so. On anything but a
        // TCP socket this fails, and need not be.
        let _ = rustix::net::sockopt::set_tcp_nodelay(output, true);
        Connection { input, output, input_is_socket: is_socket(input), output_is_socket: is_socket(output) }
    }

    /// Reads exactly one line and nothing behind it, so that the program that
    /// is exec'ed next finds every octet that it should, and hands it to `take`.
    ///
    /// # Errors
    /// What the system calls report.
    pub fn read_line_only<T>(
        &self,
        reader: &mut LineReader,
        deadline: Instant,
        take: impl FnOnce(&Line<'_>) -> T,
    ) -> io::Result<Read<T>> {
        let mut buffer = Zeroizing::new([0; READ]);
        loop {
            if !wait(self.input, PollFlags::IN, deadline)? {
                return Ok(Read::TimedOut);
            }
            let Some(octets) = self.look(&mut buffer[..])? else { continue };
            if octets == 0 {
                return Ok(Read::End);
            }
            let mut input = &buffer[..octets];
            let line = reader.take(&mut input);
            self.remove(octets - input.len())?;
            if let Some(line) = line {
                return Ok(Read::Had(take(&line)));
            }
        }
    }

    /// Whether a whole line has arrived and not been read. Where that cannot be
    /// seen, on a pipe, the answer is no.
    #[must_use]
    pub fn has_line_waiting(&self) -> bool {
        let mut buffer = Zeroizing::new([0; READ]);
        let seen = rustix::net::recv(self.input, &mut buffer[..], RecvFlags::PEEK | RecvFlags::DONTWAIT);
        seen.is_ok_and(|(octets, _)| buffer[..octets].contains(&b'\n'))
    }

    /// Looks at what has arrived without taking it; `None` if nothing has.
    fn look(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        let seen = if self.input_is_socket {
            rustix::net::recv(self.input, buffer, RecvFlags::PEEK).map(|(octets, _)| octets)
        } else {
            // Only a socket can be looked at; from a pipe one octet is never
            // too many.
            rustix::io::read(self.input, &mut buffer[..1])
        };
        arrived(seen)
    }

    /// Takes the `octets` that [`Self::look`] has seen.
    fn remove(&self, octets: usize) -> io::Result<()> {
        if !self.input_is_socket {
            return Ok(());
        }
        let mut buffer = Zeroizing::new([0; READ]);
        let mut left = octets;
        while left > 0 {
            match rustix::net::recv(self.input, &mut buffer[..left], RecvFlags::empty()) {
                Ok((0, _)) => return Ok(()),
                Ok((octets, _)) => left -= octets,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(())
    }

    /// Throws away what has arrived and not been read: before STLS nothing that
    /// was sent in clear may survive (ledger 115).
    ///
    /// # Errors
    /// What the system calls report.
    pub fn throw_away_arrived(&self) -> io::Result<()> {
        let mut buffer = Zeroizing::new([0; READ]);
        // A client that never stops sending must not keep us here.
        for _ in 0..16 {
            if !wait(self.input, PollFlags::IN, Instant::now())? {
                break;
            }
            match arrived(rustix::io::read(self.input, &mut buffer[..]))? {
                Some(octets) if octets > 0 => {}
                _ => break,
            }
        }
        Ok(())
    }

    /// Waits for what a session asks for; `false` once `deadline` has passed.
    ///
    /// # Errors
    /// What poll(2) reports.
    pub(crate) fn wait_for(&self, what: Wait, deadline: Instant) -> io::Result<bool> {
        match what {
            Wait::ForLine => wait(self.input, PollFlags::IN, deadline),
            Wait::ForRoom => wait(self.output, PollFlags::OUT, deadline),
        }
    }

    /// Sends everything in `out` and empties it. `patience` is how long the
    /// client may take nothing at all.
    ///
    /// # Errors
    /// See [`NotSent`].
    pub fn send(&self, out: &mut Vec<u8>, patience: Duration) -> Result<(), NotSent> {
        let mut rest = out.as_slice();
        while !rest.is_empty() {
            match self.give(rest).map_err(NotSent::Gone)? {
                Some(octets) => rest = &rest[octets..],
                None => self.await_room(patience)?,
            }
        }
        out.clear();
        Ok(())
    }

    /// Sends the last replies before this process ends. A client that is gone
    /// does not hear them, and there is nobody else to tell.
    ///
    /// What the client has sent and we will not answer is read all the same:
    /// closing a socket with octets in it makes the kernel reset the
    /// connection, and the client might lose what we have just said.
    pub fn say_farewell(&self, out: &mut Vec<u8>, patience: Duration) {
        if self.send(out, patience).is_ok() {
            let _ = self.throw_away_arrived();
        }
    }

    /// EAGAIN if there is no room.
    fn try_to_send(&self, octets: &[u8]) -> Result<usize, Errno> {
        if self.output_is_socket {
            return rustix::net::send(self.output, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL);
        }
        match poll(&mut [PollFd::new(&self.output, PollFlags::OUT)], Some(&Timespec::default()))? {
            0 => Err(Errno::AGAIN),
            _ => rustix::io::write(self.output, &octets[..octets.len().min(PIPE_BUF)]),
        }
    }

    fn await_room(&self, patience: Duration) -> Result<(), NotSent> {
        match wait(self.output, PollFlags::OUT, Instant::now() + patience) {
            Ok(true) => Ok(()),
            Ok(false) => Err(NotSent::TimedOut),
            Err(error) => Err(NotSent::Gone(error)),
        }
    }
}

impl Client for Connection {
    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        if self.input_is_socket {
            let received = rustix::net::recv(self.input, buffer, RecvFlags::DONTWAIT);
            return arrived(received.map(|(octets, _)| octets));
        }
        if !wait(self.input, PollFlags::IN, Instant::now())? {
            return Ok(None);
        }
        arrived(rustix::io::read(self.input, buffer))
    }

    fn give(&self, octets: &[u8]) -> io::Result<Option<usize>> {
        loop {
            match self.try_to_send(octets) {
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                result => return Ok(Some(result?)),
            }
        }
    }

    fn forget_arrived(&self) {
        let _ = self.throw_away_arrived();
    }
}

/// Octets that a read has given; `None` if it has to be asked again. A client
/// that has reset the connection has ended it.
fn arrived(read: Result<usize, Errno>) -> io::Result<Option<usize>> {
    match read {
        Ok(octets) => Ok(Some(octets)),
        Err(Errno::INTR | Errno::AGAIN) => Ok(None),
        Err(Errno::CONNRESET) => Ok(Some(0)),
        Err(error) => Err(error.into()),
    }
}

/// Waits for `events` (or the end of the connection); `false` once `deadline`
/// has passed.
pub(crate) fn wait(descriptor: BorrowedFd<'_>, events: PollFlags, deadline: Instant) -> io::Result<bool> {
    loop {
        let left = deadline.saturating_duration_since(Instant::now());
        let left = Timespec::try_from(left).unwrap_or(Timespec { tv_sec: 3600, tv_nsec: 0 });
        match poll(&mut [PollFd::from_borrowed_fd(descriptor, events)], Some(&left)) {
            Ok(0) if Instant::now() >= deadline => return Ok(false),
            Ok(0) | Err(Errno::INTR) => {}
            Ok(_) => return Ok(true),
            Err(error) => return Err(error.into()),
        }
    }
}

fn is_socket(descriptor: BorrowedFd<'_>) -> bool {
    rustix::fs::fstat(descriptor)
        .is_ok_and(|stat| rustix::fs::FileType::from_raw_mode(stat.st_mode) == rustix::fs::FileType::Socket)
}

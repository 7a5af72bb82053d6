//! A client's socket, never waited for.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvFlags, SendAncillaryBuffer, SendFlags, Shutdown, SocketFlags, SocketType, recv, send,
    sendmsg, shutdown, socketpair,
};

use crate::mailbox::Client;

/// A socket that speaks to a client.
#[derive(Debug)]
pub(super) struct Stream(OwnedFd);

impl Stream {
    /// The client on `descriptor`.
    pub(super) fn of(descriptor: OwnedFd) -> Stream {
        Stream(descriptor)
    }

    /// Two that are connected to each other.
    ///
    /// # Errors
    /// What socketpair(2) reports.
    pub(super) fn pair() -> io::Result<(Stream, Stream)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::STREAM, flags, None)?;
        Ok((Stream(one), Stream(other)))
    }

    /// Looks at what has come, and leaves it there; `None` if there is nothing now,
    /// 0 at the end.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn look(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.0, buffer, RecvFlags::DONTWAIT | RecvFlags::PEEK) {
            Ok((octets, _)) => Ok(Some(octets)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    /// Gives `parts`, one behind the other, as octets that leave together; how many,
    /// or `None` if there is no room.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn give_all(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        self.gather(parts, SendFlags::empty())
    }

    /// The same with what is given last before the connection is closed: the
    /// system keeps it for a moment, to send its end in the same segment.
    ///
    /// # Errors
    /// As [`give_all`](Stream::give_all).
    pub(super) fn give_last(&self, parts: &[IoSlice<'_>]) -> io::Result<Option<usize>> {
        self.gather(parts, SendFlags::MORE)
    }

    fn gather(&self, parts: &[IoSlice<'_>], how: SendFlags) -> io::Result<Option<usize>> {
        let flags = how | SendFlags::DONTWAIT | SendFlags::NOSIGNAL;
        loop {
            match sendmsg(&self.0, parts, &mut SendAncillaryBuffer::default(), flags) {
                Ok(octets) => return Ok(Some(octets)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// There is nothing more to be given.
    pub(super) fn finish(&self) {
        // The other side may have gone.
        let _ = shutdown(&self.0, Shutdown::Write);
    }

    /// Ends the connection; the descriptor goes with the value.
    pub(super) fn close(&self) {
        // The client may have gone.
        let _ = shutdown(&self.0, Shutdown::Both);
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Client for Stream {
    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match recv(&self.0, buffer, RecvFlags::DONTWAIT) {
            Ok((octets, _)) => Ok(Some(octets)),
            Err(Errno::INTR | Errno::AGAIN) => Ok(None),
            Err(Errno::CONNRESET) => Ok(Some(0)),
            Err(error) => Err(error.into()),
        }
    }

    fn give(&self, octets: &[u8]) -> io::Result<Option<usize>> {
        loop {
            match send(&self.0, octets, SendFlags::DONTWAIT | SendFlags::NOSIGNAL) {
                Ok(octets) => return Ok(Some(octets)),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN) => return Ok(None),
                Err(error) => return Err(error.into()),
            }
        }
    }

    fn forget_arrived(&self) {
        let mut buffer = [0; 4096];
        // A client that never stops sending must not keep us here.
        for _ in 0..16 {
            if !matches!(recv(&self.0, &mut buffer, RecvFlags::DONTWAIT), Ok((1.., _))) {
                break;
            }
        }
    }
}

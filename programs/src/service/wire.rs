//! What the processes of the service speak over: sockets that keep messages
//! apart (SOCK_SEQPACKET), each with at most one descriptor.

use std::cell::RefCell;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::io::Errno;
use rustix::net::{
    AddressFamily, RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, ReturnFlags, SendAncillaryBuffer,
    SendAncillaryMessage, SendFlags, Shutdown, SocketFlags, SocketType, recvmsg, sendmsg, shutdown,
    socketpair,
};
use zeroize::{Zeroize, Zeroizing};

/// Longest message, in octets: a client's credentials, or an account with all
/// that its client has said already.
pub(crate) const LIMIT: usize = 32 * 1024;

thread_local! {
    /// Where messages arrive. Nothing is left in it: it need not be cleared again
    /// for each, which is on the way of every login many times.
    static ARRIVING: RefCell<Vec<u8>> = RefCell::new(vec![0; LIMIT]);
}

/// One end of a connection between two of our processes.
#[derive(Debug)]
pub(crate) struct Wire(OwnedFd);

/// What has come over it.
pub(crate) struct Received {
    /// The message; it may hold a password.
    pub(crate) message: Zeroizing<Vec<u8>>,
    /// The descriptor that came with it; none also where this process has no
    /// room for one more.
    pub(crate) descriptor: Option<OwnedFd>,
}

impl Wire {
    /// Both ends of a new one. They never block.
    ///
    /// # Errors
    /// What socketpair(2) reports.
    pub(crate) fn pair() -> io::Result<(Wire, Wire)> {
        let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
        let (one, other) = socketpair(AddressFamily::UNIX, SocketType::SEQPACKET, flags, None)?;
        Ok((Wire(one), Wire(other)))
    }

    /// The end that this process was started with.
    pub(crate) fn of(descriptor: OwnedFd) -> Wire {
        Wire(descriptor)
    }

    /// The descriptor, to give to a process that is started.
    pub(crate) fn into_descriptor(self) -> OwnedFd {
        self.0
    }

    /// Sends one message, with `descriptor` if there is one; whether there was
    /// room for it.
    ///
    /// # Errors
    /// The other side has gone.
    pub(crate) fn send(&self, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> io::Result<bool> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        let flags = SendFlags::NOSIGNAL | SendFlags::DONTWAIT;
        loop {
            match sendmsg(&self.0, &[IoSlice::new(message)], &mut ancillary, flags) {
                Ok(_) => return Ok(true),
                Err(Errno::INTR) => {}
                Err(Errno::AGAIN | Errno::NOBUFS) => return Ok(false),
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// Says and hears nothing more; what was sent before arrives.
    pub(crate) fn shut(&self) {
        // The other side may have gone.
        let _ = shutdown(&self.0, Shutdown::Both);
    }

    /// Takes the next message; `None` if there is none now.
    ///
    /// # Errors
    /// The other side has gone (`UnexpectedEof`), or has sent what is too long.
    pub(crate) fn receive(&self) -> io::Result<Option<Received>> {
        ARRIVING.with_borrow_mut(|buffer| self.receive_into(buffer))
    }

    fn receive_into(&self, buffer: &mut [u8]) -> io::Result<Option<Received>> {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let flags = RecvFlags::DONTWAIT | RecvFlags::CMSG_CLOEXEC;
        let mut was_reset = false;
        let received = loop {
            match recvmsg(&self.0, &mut [IoSliceMut::new(buffer)], &mut ancillary, flags) {
                Err(Errno::INTR) => {}
                // Said once if the other side has ended with something unread; what it
                // has sent before is still there.
                Err(Errno::CONNRESET) if !was_reset => was_reset = true,
                Err(Errno::AGAIN) => return Ok(None),
                result => break result?,
            }
        };
        let descriptor = ancillary.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        // No longer than it is, and only so much to wipe.
        let said = &mut buffer[..received.bytes];
        let message = Zeroizing::new(said.to_vec());
        said.zeroize();
        if message.is_empty() {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        if received.flags.contains(ReturnFlags::TRUNC) {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a message is too long"));
        }
        Ok(Some(Received { message, descriptor }))
    }
}

impl AsFd for Wire {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Wire};
    use std::io::{Read, Write};
    use std::os::fd::AsFd;

    #[test]
    fn messages_arrive_whole_and_in_order_with_their_descriptors() {
        let (one, other) = Wire::pair().unwrap();
        let (mut reader, mut writer) = std::io::pipe().unwrap();
        assert!(one.send(b"first", None).unwrap());
        assert!(one.send(b"second", Some(reader.as_fd())).unwrap());
        assert_eq!(&**other.receive().unwrap().unwrap().message, b"first");
        let received = other.receive().unwrap().unwrap();
        assert_eq!(&**received.message, b"second");
        writer.write_all(b"x").unwrap();
        let mut file = std::fs::File::from(received.descriptor.unwrap());
        assert_eq!(file.read(&mut [0; 8]).unwrap(), 1);
        assert!(other.receive().unwrap().is_none());
        let _ = reader.by_ref();
    }

    #[test]
    fn the_end_of_the_other_side_is_seen_by_both() {
        let (one, other) = Wire::pair().unwrap();
        drop(one);
        assert_eq!(other.receive().err().unwrap().kind(), std::io::ErrorKind::UnexpectedEof);
        assert!(other.send(b"x", None).is_err());
    }

    #[test]
    fn what_was_sent_arrives_although_the_other_side_has_ended_with_something_unread() {
        let (one, other) = Wire::pair().unwrap();
        assert!(other.send(b"unread", None).unwrap());
        assert!(one.send(b"last words", None).unwrap());
        drop(one);
        assert_eq!(&**other.receive().unwrap().unwrap().message, b"last words");
        assert_eq!(other.receive().err().unwrap().kind(), std::io::ErrorKind::UnexpectedEof);
    }

    #[test]
    fn what_is_too_long_is_refused() {
        let (one, other) = Wire::pair().unwrap();
        assert!(one.send(&vec![1; LIMIT + 1], None).unwrap());
        assert!(other.receive().is_err());
    }

    #[test]
    fn a_full_wire_says_so() {
        let (one, _other) = Wire::pair().unwrap();
        let sent = (0..10_000).take_while(|_| one.send(&[1; 1000], None).unwrap()).count();
        assert!(sent > 10 && sent < 10_000);
    }
}

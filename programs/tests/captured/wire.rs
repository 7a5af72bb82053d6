//! The wire between processes of the service, as somebody else might speak it:
//! nothing here is shared with the service.

use std::io::{IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags, recvmsg, sendmsg,
};
use testbed::PATIENCE;

/// Number of a ticket.
pub(crate) type Ticket = [u8; 16];

/// One end of it.
pub(crate) struct Wire(pub(crate) OwnedFd);

impl Wire {
    /// Whether the other side was there to take it.
    pub(crate) fn send(&self, message: &[u8], descriptor: Option<BorrowedFd<'_>>) -> bool {
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = SendAncillaryBuffer::new(&mut space);
        let descriptors = descriptor.as_slice();
        if !descriptors.is_empty() {
            ancillary.push(SendAncillaryMessage::ScmRights(descriptors));
        }
        self.ready(PollFlags::OUT, PATIENCE);
        sendmsg(&self.0, &[IoSlice::new(message)], &mut ancillary, SendFlags::NOSIGNAL).is_ok()
    }

    /// The next message and its descriptor; `None` if the other side has gone.
    pub(crate) fn receive(&self) -> Option<(Vec<u8>, Option<OwnedFd>)> {
        assert!(self.ready(PollFlags::IN, PATIENCE), "nothing comes");
        let mut buffer = vec![0; 64 * 1024];
        let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
        let mut ancillary = RecvAncillaryBuffer::new(&mut space);
        let received =
            recvmsg(&self.0, &mut [IoSliceMut::new(&mut buffer)], &mut ancillary, RecvFlags::CMSG_CLOEXEC);
        let octets = received.map_or(0, |received| received.bytes);
        let descriptor = ancillary.drain().find_map(|part| match part {
            RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
            _ => None,
        });
        buffer.truncate(octets);
        (octets > 0).then_some((buffer, descriptor))
    }

    fn ready(&self, events: PollFlags, patience: Duration) -> bool {
        let patience = Timespec { tv_sec: patience.as_secs().cast_signed(), tv_nsec: 0 };
        poll(&mut [PollFd::from_borrowed_fd(self.0.as_fd(), events)], Some(&patience)).unwrap() > 0
    }
}

/// A message, field by field.
pub(crate) struct Message(pub(crate) Vec<u8>);

impl Message {
    pub(crate) fn new(kind: u8) -> Message {
        Message(vec![kind])
    }

    pub(crate) fn number(mut self, number: u64) -> Message {
        self.0.extend(number.to_le_bytes());
        self
    }

    pub(crate) fn octets(mut self, octets: &[u8]) -> Message {
        self.0.extend(u32::try_from(octets.len()).unwrap().to_le_bytes());
        self.0.extend(octets);
        self
    }
}

/// A front shows a ticket of a client at this port.
pub(crate) fn shown(port: &str, ticket: &Ticket) -> Vec<u8> {
    let message = at(Message::new(b'S').octets(ticket), port);
    message.number(0).octets(b"").0
}

/// The monitor lets nobody in at this port, for want of a ticket.
pub(crate) fn refused(port: &str) -> Vec<u8> {
    at(Message::new(b'A'), port).number(0).0
}

fn at(message: Message, port: &str) -> Message {
    message.octets(b"192.0.2.1").octets(port.as_bytes()).number(0)
}

/// A front asks auth.
pub(crate) fn question(connection: u64, request: &[u8]) -> Vec<u8> {
    let message = Message::new(b'Q').number(connection).octets(b"192.0.2.1").octets(b"1").number(0);
    message.number(0).octets(request).0
}

/// auth has accepted somebody.
pub(crate) fn issued(ticket: &Ticket, front: u64, (uid, gid): (u32, u32), home: &str) -> Vec<u8> {
    let message = Message::new(b'I').octets(ticket).number(front).number(uid.into()).number(gid.into());
    message.octets(b"").octets(b"alice").octets(home.as_bytes()).number(0).octets(b"").0
}

/// What the account's client would ask.
pub(crate) fn credentials(password: &str) -> Vec<u8> {
    let body = format!("pop3\nlogin\nalice\n{password}\n");
    format!("AUTH {}\n{body}", body.len()).into_bytes()
}

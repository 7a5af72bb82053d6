//! What a front has to know of TLS: this, and nothing of a library.
//!
//! ```text
//!   network ──read_tls──>  │ Session │ ──read───> plaintext
//!           <──write_tls── │         │ <──write──
//! ```
//!
//! A session does no I/O of its own. That is for the front, which shakes hands
//! and then pumps.

use std::io::{self, ErrorKind, IoSlice, Read, Write};
use std::net::IpAddr;

use authlib::sasl::Channel;
use rustix::event::epoll::EventFlags;

use crate::mailbox::Client as _;
use crate::service::material::Material;
use crate::service::stream::Stream;
use crate::service::ticket_keys::TicketKeys;

/// Makes a [`Server`], or says what is wrong with what it is to be made of.
pub type MakeServer = fn(&Material) -> Result<Made, String>;

/// A [`Server`] that was made.
pub struct Made {
    /// The server.
    pub server: Box<dyn Server>,
    /// What an administrator may want to know about it, in lines for the log.
    pub remarks: Vec<String>,
}

/// How a client has come to speak TLS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Opening {
    /// With its first octet.
    Implicit,
    /// It has said STLS.
    Stls,
}

/// The server's side of TLS, with certificates.
pub trait Server {
    /// A session with a client that has come in at the address `local` and said
    /// nothing yet.
    ///
    /// # Errors
    /// A line for the log.
    fn session(&self, local: Option<IpAddr>, opening: Opening) -> Result<Box<dyn Session>, String>;

    /// With these keys tickets are sealed and opened from now on; without any no
    /// session can be resumed.
    fn know_ticket_keys(&self, keys: &TicketKeys);
}

/// TLS with one client.
pub trait Session {
    /// Takes what has come from `network`; how many octets, 0 at the end.
    ///
    /// # Errors
    /// What `network` reports, or that it is no TLS (`InvalidData`): there is
    /// still an alert to be written then.
    fn read_tls(&mut self, network: &mut dyn Read) -> io::Result<usize>;

    /// Gives to `network`, as much as that takes at once.
    ///
    /// # Errors
    /// What `network` reports.
    fn write_tls(&mut self, network: &mut dyn Write) -> io::Result<usize>;

    /// Whether [`read_tls`](Session::read_tls) is to be called: all plaintext
    /// has been read, and there may be more.
    fn wants_read(&self) -> bool;

    /// Whether there is something for [`write_tls`](Session::write_tls).
    fn wants_write(&self) -> bool;

    /// Whether plaintext cannot be spoken yet.
    fn is_handshaking(&self) -> bool;

    /// Takes plaintext, as much as `buffer` has room for; `None` if there is
    /// none now, 0 at the end.
    ///
    /// # Errors
    /// There will be none any more.
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Takes all of `octets`, to be written as TLS.
    ///
    /// # Errors
    /// It cannot be.
    fn write(&mut self, octets: &[u8]) -> io::Result<()>;

    /// There is no more plaintext from this side (close_notify).
    fn close(&mut self);

    /// What the channel vouches for, once there is one.
    fn channel(&self) -> Channel;
}

/// Goes on with a handshake; for what it waits then, or `None` if it is done. There
/// may be something for [`flush`] then, which can leave with what is said next.
///
/// # Errors
/// It has failed. The client has been sent why, if it takes that.
pub(in crate::service) fn shake(
    session: &mut dyn Session,
    network: &Stream,
) -> io::Result<Option<EventFlags>> {
    if !flush(session, network)? {
        return Ok(Some(EventFlags::OUT));
    }
    if !session.is_handshaking() {
        return Ok(None);
    }
    match session.read_tls(&mut Network(network)) {
        Ok(0) => return Err(ErrorKind::UnexpectedEof.into()),
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(Some(EventFlags::IN)),
        Err(error) => {
            let _alert = flush(session, network);
            return Err(error);
        }
    }
    if !session.is_handshaking() {
        return Ok(None);
    }
    // What else has come is told by epoll(7) once more.
    Ok(Some(if flush(session, network)? { EventFlags::IN } else { EventFlags::OUT }))
}

/// Takes plaintext, as much as `buffer` has room for, of what has come already or
/// else of what comes with one look at the network; `None` if there is none yet, 0
/// at the end.
///
/// # Errors
/// There will be none any more. The client has been sent why, if it takes that.
pub(in crate::service) fn take(
    session: &mut dyn Session,
    network: &Stream,
    buffer: &mut [u8],
) -> io::Result<Option<usize>> {
    if let Some(octets) = session.read(buffer)? {
        return Ok(Some(octets));
    }
    match session.read_tls(&mut Network(network)) {
        Ok(_) => session.read(buffer),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
        Err(error) => {
            let _alert = flush(session, network);
            Err(error)
        }
    }
}

/// Gives to the network what there is for it; whether it has taken all.
///
/// # Errors
/// The client has gone.
pub(in crate::service) fn flush(session: &mut dyn Session, network: &Stream) -> io::Result<bool> {
    write(session, &mut Network(network))
}

/// The same before the connection is closed: what is given leaves with its end.
///
/// # Errors
/// The client has gone.
pub(super) fn flush_last(session: &mut dyn Session, network: &Stream) -> io::Result<bool> {
    write(session, &mut Last(network))
}

fn write(session: &mut dyn Session, network: &mut dyn Write) -> io::Result<bool> {
    while session.wants_write() {
        match session.write_tls(network) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(false),
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

/// A client's socket as libraries see sockets that are not waited for.
pub(in crate::service) struct Network<'s>(pub(in crate::service) &'s Stream);

/// The same for what is the last that is said there.
struct Last<'s>(&'s Stream);

impl Write for Last<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.write_vectored(&[IoSlice::new(octets)])
    }

    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        self.0.give_last(parts)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Read for Network<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.0.take(buffer)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }
}

impl Write for Network<'_> {
    fn write(&mut self, octets: &[u8]) -> io::Result<usize> {
        self.0.give(octets)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    /// A flight of a handshake is several records, which leave in one segment.
    fn write_vectored(&mut self, parts: &[IoSlice<'_>]) -> io::Result<usize> {
        if let [part] = parts {
            return self.write(part);
        }
        self.0.give_all(parts)?.ok_or_else(|| ErrorKind::WouldBlock.into())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

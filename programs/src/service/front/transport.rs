//! What a client before login is spoken to over: its socket, in clear or inside
//! TLS.

use std::io;

use authlib::sasl::Channel;
use rustix::event::epoll::EventFlags;

use super::tls::{self, Session};
use crate::mailbox::{Client as _, Replies};
use crate::service::stream::Stream;

/// A socket, and what is spoken on it.
pub(super) struct Transport {
    pub(super) stream: Stream,
    layer: Layer,
}

enum Layer {
    Clear,
    /// A handshake, as soon as the client has taken what was said in clear.
    Handshake(Box<dyn Session>),
    Tls(Box<dyn Session>),
}

impl Transport {
    /// In clear.
    pub(super) fn of(stream: Stream) -> Transport {
        Transport { stream, layer: Layer::Clear }
    }

    /// A handshake is next.
    pub(super) fn begin_tls(&mut self, session: Box<dyn Session>) {
        self.layer = Layer::Handshake(session);
    }

    /// Goes on with the handshake; for what it waits then, or `None` if it is
    /// done.
    ///
    /// # Errors
    /// It has failed.
    pub(super) fn shake(&mut self) -> io::Result<Option<EventFlags>> {
        match &mut self.layer {
            Layer::Handshake(session) => tls::shake(&mut **session, &self.stream),
            Layer::Clear | Layer::Tls(_) => Err(io::ErrorKind::NotConnected.into()),
        }
    }

    /// The handshake is done. What it has left to say leaves with what is said next.
    pub(super) fn tls_started(&mut self) -> Channel {
        match std::mem::replace(&mut self.layer, Layer::Clear) {
            Layer::Handshake(session) | Layer::Tls(session) => {
                let channel = session.channel();
                self.layer = Layer::Tls(session);
                channel
            }
            Layer::Clear => Channel::default(),
        }
    }

    /// Takes what the client has said, as much as `buffer` has room for; `None` if
    /// there is nothing now, 0 at the end.
    ///
    /// # Errors
    /// The client has gone, or speaks no TLS.
    pub(super) fn take(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match &mut self.layer {
            Layer::Tls(session) => tls::take(&mut **session, &self.stream, buffer),
            Layer::Clear | Layer::Handshake(_) => self.stream.take(buffer),
        }
    }

    /// Whether there is something to be taken of which epoll(7) does not tell: a
    /// record may hold more than was asked for.
    pub(super) fn holds_more(&self) -> bool {
        matches!(&self.layer, Layer::Tls(session) if !session.wants_read())
    }

    /// Sends what waits in `replies`; whether that was all.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn send(&mut self, replies: &mut Replies) -> io::Result<bool> {
        let Layer::Tls(session) = &mut self.layer else { return replies.send(&self.stream) };
        if !replies.out.is_empty() {
            session.write(&replies.out)?;
            replies.out.clear();
        }
        tls::flush(&mut **session, &self.stream)
    }

    /// Whether TLS is spoken.
    pub(super) fn is_in_tls(&self) -> bool {
        matches!(self.layer, Layer::Tls(_))
    }

    /// The socket, and TLS if that is spoken on it.
    pub(super) fn into_parts(self) -> (Stream, Option<Box<dyn Session>>) {
        match self.layer {
            Layer::Tls(session) => (self.stream, Some(session)),
            Layer::Clear | Layer::Handshake(_) => (self.stream, None),
        }
    }

    /// Ends the connection.
    pub(super) fn close(mut self) {
        if let Layer::Tls(session) = &mut self.layer {
            session.close();
            // One that does not take it now hears the end of the connection.
            let _ = tls::flush_last(&mut **session, &self.stream);
        }
        self.stream.forget_arrived();
        self.stream.close();
    }
}

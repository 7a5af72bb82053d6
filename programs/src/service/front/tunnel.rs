//! A client that speaks TLS, and the socket on which its mailbox process sees
//! clear text.
//!
//! ```text
//!   client ──network──> │ session │ ──inner──> mailbox process
//!          <─────────── │         │ <─────────
//! ```
//!
//! What one side does not take the other is not asked for, so a tunnel holds a
//! few records at most. The end of the client is passed on; the end of the
//! other side ends the tunnel, when the client has all that was said to it.

use std::io::{self, ErrorKind};

use rustix::event::epoll::EventFlags;

use super::tls::{Network, Session, flush, flush_last};
use crate::mailbox::Client as _;
use crate::service::side::Side;
use crate::service::stream::Stream;

/// Octets that are passed on to the client at once, a record of TLS.
const CHUNK: usize = 16 * 1024;
/// The same of what it says, which is commands.
const COMMANDS: usize = 4 * 1024;
/// So many times, before others have their turn.
const ROUNDS: usize = 8;

/// Which socket of a tunnel has something, or room for something. What the other
/// one has is not asked for: epoll(7) tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ready {
    /// The client's.
    Network,
    /// That of the mailbox process.
    Inner,
    /// The same, and nothing more will come.
    InnerEnded,
    /// Neither that we know of.
    Neither,
}

impl Ready {
    /// The inner one, of which epoll(7) tells `flags`.
    pub(super) fn inner(flags: EventFlags) -> Ready {
        if flags.contains(EventFlags::HUP) { Ready::InnerEnded } else { Ready::Inner }
    }
}

/// A tunnel in use.
pub(super) struct Tunnel {
    pub(super) network: Side,
    pub(super) inner: Side,
    session: Box<dyn Session>,
    /// What the client has said and the inner side has had no room for.
    waiting: Vec<u8>,
    /// The client says nothing more, and the inner side knows.
    heard_all: bool,
    /// The inner side says nothing more, and the client is being told.
    said_all: bool,
}

impl Tunnel {
    /// Between `network`, with whose client `session` has shaken hands, and
    /// `inner`, which is not watched.
    pub(super) fn new(network: Side, inner: Stream, session: Box<dyn Session>) -> Tunnel {
        let inner = Side::new(inner);
        Tunnel { network, inner, session, waiting: Vec::new(), heard_all: false, said_all: false }
    }

    /// Passes on what is `ready`; whether the tunnel is still needed.
    ///
    /// # Errors
    /// The client has gone, or speaks no TLS.
    pub(super) fn pump(&mut self, ready: Ready) -> io::Result<bool> {
        let has_room = flush(&mut *self.session, &self.network.stream)?;
        // Plaintext that was not delivered is behind some that waits.
        let may_hold_some = ready == Ready::Neither || !self.waiting.is_empty();
        let delivered = !may_hold_some || self.deliver()?;
        match ready {
            Ready::Network if delivered => self.inwards()?,
            Ready::Inner | Ready::InnerEnded if has_room => self.outwards(ready == Ready::InnerEnded)?,
            _ => {}
        }
        Ok(!self.said_all || self.session.wants_write())
    }

    /// For what each side is to be watched.
    pub(super) fn interests(&self) -> (EventFlags, EventFlags) {
        let says = self.session.wants_write();
        let network_in = !self.heard_all && self.waiting.is_empty() && self.session.wants_read();
        let network = when(network_in, EventFlags::IN) | when(says, EventFlags::OUT);
        let inner_in = when(!self.said_all && !says, EventFlags::IN);
        (network, inner_in | when(!self.waiting.is_empty(), EventFlags::OUT))
    }

    /// Whether the inner side has ended.
    pub(super) fn has_said_all(&self) -> bool {
        self.said_all
    }

    /// Ends the client's connection.
    pub(super) fn close(self) {
        // Nobody else has the socket, so the connection ends with it.
        self.network.stream.forget_arrived();
    }

    /// From the inner side to the client, until there is no more for now, or the
    /// client takes no more. If it `has_ended` what it has said last and that it has
    /// ended leave together.
    fn outwards(&mut self, has_ended: bool) -> io::Result<()> {
        let mut buffer = [0; CHUNK];
        for _ in 0..ROUNDS {
            if self.said_all {
                break;
            }
            // An inner side that fails has ended.
            let Some(octets) = self.inner.stream.take(&mut buffer).unwrap_or(Some(0)) else { break };
            if octets == 0 {
                self.said_all = true;
                self.session.close();
                flush_last(&mut *self.session, &self.network.stream)?;
                break;
            }
            self.session.write(&buffer[..octets])?;
            let is_last = octets < CHUNK;
            if has_ended && is_last {
                continue;
            }
            // What fills no record was all there was.
            if !flush(&mut *self.session, &self.network.stream)? || is_last {
                break;
            }
        }
        Ok(())
    }

    /// From the client to the inner side.
    fn inwards(&mut self) -> io::Result<()> {
        if self.heard_all || !self.session.wants_read() {
            return Ok(());
        }
        match self.session.read_tls(&mut Network(&self.network.stream)) {
            Ok(_) => {}
            Err(error) if error.kind() == ErrorKind::WouldBlock => return Ok(()),
            Err(error) => {
                let _alert = flush(&mut *self.session, &self.network.stream);
                return Err(error);
            }
        }
        self.deliver()?;
        // TLS itself may have to answer.
        flush(&mut *self.session, &self.network.stream)?;
        Ok(())
    }

    /// Gives plaintext to the inner side; whether that has taken all there is.
    fn deliver(&mut self) -> io::Result<bool> {
        let waiting = std::mem::take(&mut self.waiting);
        if !self.give(&waiting) {
            return Ok(false);
        }
        let mut buffer = [0; COMMANDS];
        loop {
            match self.session.read(&mut buffer)? {
                None => return Ok(true),
                Some(0) => {
                    if !self.heard_all {
                        self.heard_all = true;
                        self.inner.stream.finish();
                    }
                    return Ok(true);
                }
                Some(octets) => {
                    if !self.give(&buffer[..octets]) {
                        return Ok(false);
                    }
                }
            }
        }
    }

    /// Gives `octets` to the inner side; whether that has taken them all. What it
    /// has not waits.
    fn give(&mut self, mut octets: &[u8]) -> bool {
        while !octets.is_empty() {
            // One that has ended needs nothing; what it has said is still on its way.
            let Some(given) = self.inner.stream.give(octets).unwrap_or(Some(octets.len())) else {
                self.waiting = octets.to_vec();
                return false;
            };
            octets = &octets[given..];
        }
        true
    }
}

fn when(condition: bool, events: EventFlags) -> EventFlags {
    if condition { events } else { EventFlags::empty() }
}

//! A session that goes through us: octets both ways, as they are.
//!
//! ```text
//!   client ──upward──>   │ Relay │ ──> back-end
//!          <──downward── │       │ <──
//! ```
//!
//! What one side does not take the other is not asked for. The end of the
//! client is passed on, inside TLS a little later, and it hears all that is still
//! said to it; the end of the back-end is the end.

use std::io;
use std::os::fd::OwnedFd;
use std::time::{Duration, Instant};

use rustix::event::epoll::EventFlags;

use super::backend::{Backend, CHUNK};
use crate::log;
use crate::mailbox::Client as _;
use crate::service::side::Side;
use crate::service::stream::Stream;

/// How long nobody may say anything: back-ends are to be the first to lose
/// patience (RFC 1939 section 3: ten minutes at least).
const SILENCE: Duration = Duration::from_secs(1800);
/// The same once one of the two has ended.
const LAST_WORDS: Duration = Duration::from_secs(600);
/// How long a back-end inside TLS may be silent until it hears that the client
/// has ended: in TLS most take that for leave to say no more, also what they
/// have been asked for.
const LAST_ANSWER: Duration = Duration::from_secs(5);
/// So many chunks each way, before others have their turn.
const ROUNDS: usize = 8;

/// A session.
pub(super) struct Relay {
    client: Side,
    backend: Backend,
    upward: Flow,
    downward: Flow,
    /// The back-end knows that the client has ended.
    told_end: bool,
    /// Who it is, and since when.
    session: log::Session,
    protocol: String,
    began: Instant,
    last_octet: Instant,
}

/// Octets on their way from one side to the other.
#[derive(Default)]
struct Flow {
    /// Those that the other side has had no room for.
    waiting: Vec<u8>,
    /// No more will come.
    ended: bool,
    /// All that have come or will.
    octets: u64,
}

impl Relay {
    /// Between `client`, who has said `arrived` behind its login, and `backend`,
    /// who has said `answered` behind its.
    pub(super) fn new(
        client: Stream,
        backend: Backend,
        (arrived, answered): (Vec<u8>, Vec<u8>),
        session: log::Session,
        protocol: String,
    ) -> Relay {
        let now = Instant::now();
        let mut words = format!("{}\r\n", pop3::reply::CONNECTED_TO_PROXY).into_bytes();
        words.extend(answered);
        Relay {
            client: Side::new(client),
            backend,
            upward: Flow { octets: arrived.len() as u64, waiting: arrived, ended: false },
            downward: Flow { waiting: words, ..Flow::default() },
            told_end: false,
            session,
            protocol,
            began: now,
            last_octet: now,
        }
    }

    /// Passes on what there is; whether the session goes on.
    pub(super) fn pump(&mut self) -> bool {
        for _ in 0..ROUNDS {
            let Relay { client, backend, upward, downward, .. } = self;
            let stream = &client.stream;
            let said = downward.pass_on(|buffer| backend.take(buffer), |octets| stream.give(octets));
            // Whoever does not hear any more need not be spoken to.
            let Ok(said) = said else { return false };
            let heard = upward.pass_on(|buffer| stream.take(buffer), |octets| backend.give(octets));
            let heard = heard.unwrap_or_else(|_| {
                // It hears nothing more; what it has said is still on its way.
                *upward = Flow { ended: true, octets: upward.octets, waiting: Vec::new() };
                false
            });
            if self.has_end_to_tell() && !self.backend.is_in_tls() {
                self.tell_end();
            }
            if !said && !heard {
                break;
            }
            self.last_octet = Instant::now();
        }
        let all_is_said = self.downward.ended && self.downward.waiting.is_empty();
        !all_is_said && self.backend.flush().is_ok()
    }

    /// The client has ended, and the back-end has all of it but that.
    fn has_end_to_tell(&self) -> bool {
        self.upward.ended && self.upward.waiting.is_empty() && !self.told_end
    }

    fn tell_end(&mut self) {
        self.told_end = true;
        self.backend.finish();
    }

    /// It has been silent for too long; whether it goes on nevertheless.
    pub(super) fn time_is_up(&mut self) -> bool {
        let goes_on = self.has_end_to_tell();
        if goes_on {
            self.tell_end();
            self.last_octet = Instant::now();
        }
        goes_on
    }

    /// Has `epoll` watch both sides, the client as `client`, the back-end as
    /// `backend`.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports.
    pub(super) fn watch(&mut self, client: u64, backend: u64, epoll: &OwnedFd) -> io::Result<()> {
        let (upward, downward) = (&self.upward, &self.downward);
        self.client.watch(upward.source_events() | downward.sink_events(), client, epoll)?;
        self.backend.watch(downward.source_events() | upward.sink_events(), backend, epoll)
    }

    /// When it has been silent for too long.
    pub(super) fn deadline(&self) -> Instant {
        let is_ending = self.upward.ended || self.downward.ended;
        let patience = match is_ending {
            true if self.has_end_to_tell() => LAST_ANSWER,
            true => LAST_WORDS,
            false => SILENCE,
        };
        self.last_octet + patience
    }

    /// Ends it, and logs what it was (ledger 876).
    pub(super) fn end(self) {
        let Relay { client, backend, upward, downward, session, protocol, began, .. } = self;
        client.stream.forget_arrived();
        client.stream.close();
        backend.leave(b"");
        session.left_proxy(&protocol, upward.octets, downward.octets, began.elapsed());
    }
}

impl Flow {
    /// Passes on one chunk from `take` to `give`; whether something has moved.
    ///
    /// # Errors
    /// Nobody takes it any more.
    fn pass_on(
        &mut self,
        take: impl FnOnce(&mut [u8]) -> io::Result<Option<usize>>,
        mut give: impl FnMut(&[u8]) -> io::Result<Option<usize>>,
    ) -> io::Result<bool> {
        let had_waiting = self.waiting.len();
        let mut given = 0;
        while given < had_waiting {
            let Some(octets) = give(&self.waiting[given..])? else { break };
            given += octets;
        }
        self.waiting.drain(..given);
        if !self.waiting.is_empty() || self.ended {
            return Ok(given > 0);
        }
        // A session that waits keeps no buffer.
        self.waiting = Vec::new();
        let mut buffer = [0; CHUNK];
        // A source that fails has ended.
        match take(&mut buffer).unwrap_or(Some(0)) {
            None => Ok(given > 0),
            Some(0) => {
                self.ended = true;
                Ok(true)
            }
            Some(taken) => {
                self.octets += taken as u64;
                let given = give(&buffer[..taken])?.unwrap_or(0);
                self.waiting = buffer[given..taken].to_vec();
                Ok(true)
            }
        }
    }

    /// For what the side is to be watched that it comes from.
    fn source_events(&self) -> EventFlags {
        if !self.ended && self.waiting.is_empty() { EventFlags::IN } else { EventFlags::empty() }
    }

    /// For what the side is to be watched that it goes to.
    fn sink_events(&self) -> EventFlags {
        if self.waiting.is_empty() { EventFlags::empty() } else { EventFlags::OUT }
    }
}

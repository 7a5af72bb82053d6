//! A client before login.

use std::io;
use std::net::IpAddr;
use std::time::Instant;

use authlib::sasl::Mechanism;
use authlib::scram::Salt;
use pop3::reply::Reply;
use pop3::{Authorization, CREDENTIAL_LIMIT, LineReader};
use rustix::event::epoll::EventFlags;

use super::tls::Session;
use super::transport::Transport;
use super::whence::Whence;
use crate::log::{self, Peer};
use crate::login::clock::{self, AfterFailure};
use crate::login::conversation::{Conversation, Next};
use crate::login::settings;
use crate::mailbox::Replies;
use crate::proxy_header::Reader;
use crate::service::counts::Place;
use crate::service::guest::Origin;
use crate::service::stream::Stream;
use crate::service::ticket::Number;

/// Octets that are read at once.
const READ: usize = 4096;

/// What a client is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State {
    /// Somebody in front is to say where it is.
    Announced {
        /// It begins with TLS then.
        implicit_tls: bool,
    },
    /// It shakes hands, as soon as it has taken what was said to it.
    ShakingHands,
    /// It may say something.
    Talking,
    /// auth is asked about it.
    Asking,
    /// Its login has failed, and it waits to hear so.
    Failed,
    /// It is let in as soon as it has taken what was said to it.
    Entering(Number),
    /// It is sent away as soon as it has taken what was said to it.
    Closing,
}

/// A client and the conversation with it.
pub(super) struct Client {
    pub(super) transport: Transport,
    pub(super) state: State,
    /// Whether the kernel watches its socket.
    pub(super) is_watched: bool,
    /// What it has been told to wait for there.
    pub(super) waits_for: EventFlags,
    greeted: bool,
    /// STLS may be offered.
    stls: bool,
    /// What somebody in front has said of where it is.
    pub(super) header: Reader,
    conversation: Conversation,
    /// Holds the beginning of a line; a client that says nothing has none.
    reader: Option<Box<LineReader>>,
    arrived: Vec<u8>,
    replies: Replies,
    origin: Origin,
    address: Option<IpAddr>,
    /// Where it has come in.
    local: Option<IpAddr>,
    /// Where it is counted, until a session is made of it.
    pub(super) place: Option<Place>,
    /// The ticket of whom auth has accepted.
    ticket: Option<Number>,
    failures: u32,
    login_ends: Instant,
}

impl Client {
    /// A client that has just connected, whose login phase ends then, and that may
    /// begin TLS if `stls` says so.
    pub(super) fn new(stream: Stream, whence: Whence, stls: bool, login_ends: Instant) -> Client {
        let (origin, conversation) = opening(whence, stls);
        Client {
            transport: Transport::of(stream),
            state: State::Talking,
            is_watched: false,
            waits_for: EventFlags::empty(),
            greeted: false,
            stls,
            header: Reader::default(),
            conversation,
            reader: None,
            arrived: Vec::new(),
            replies: Replies::default(),
            origin,
            address: whence.client.map(|client| client.ip()),
            local: whence.local.map(|local| local.ip()),
            place: None,
            ticket: None,
            failures: 0,
            login_ends,
        }
    }

    /// It is not where it seemed to be, as somebody says whom we believe.
    pub(super) fn stands_for(&mut self, whence: Whence) {
        (self.origin, self.conversation) = opening(whence, self.stls);
        self.address = whence.client.map(|client| client.ip());
        self.local = whence.local.map(|local| local.ip());
    }

    /// Says `reply`, which is the last that it hears of us.
    pub(super) fn say(&mut self, reply: Reply) {
        pop3::reply::put(reply, &mut self.replies.out);
    }

    /// Says the greeting.
    pub(super) fn greet(&mut self) {
        self.greeted = true;
        self.conversation.greet(&mut self.replies.out);
    }

    /// Sends what waits; whether that was all.
    ///
    /// # Errors
    /// The client has gone.
    pub(super) fn send(&mut self) -> io::Result<bool> {
        self.transport.send(&mut self.replies)
    }

    /// Gives back what a client that is told nothing does not need.
    pub(super) fn rest(&mut self) {
        self.replies.rest();
    }

    /// Has it shake hands next. What it has said before is forgotten
    /// (ledger 115). Without TLS it is sent away.
    pub(super) fn begin_tls(&mut self, session: Option<Box<dyn Session>>) {
        self.state = match session {
            Some(session) => {
                self.transport.begin_tls(session);
                State::ShakingHands
            }
            None => State::Closing,
        };
        self.arrived = Vec::new();
        self.reader = None;
    }

    /// The handshake is done: the conversation goes on inside TLS, from the
    /// beginning.
    pub(super) fn tls_started(&mut self) {
        self.state = State::Talking;
        self.origin.tls = true;
        self.conversation.tls_started(self.transport.tls_started());
        if !self.greeted {
            self.greet();
        }
    }

    /// Whether it can be sent away: nobody but itself is waited for.
    pub(super) fn is_waited_for(&self) -> bool {
        matches!(self.state, State::Talking | State::ShakingHands)
    }

    /// Whether somebody in front is still to say where it is.
    pub(super) fn is_announced(&self) -> bool {
        matches!(self.state, State::Announced { .. })
    }

    /// Whether it waits for an answer, and nothing that it says is heard.
    pub(super) fn is_to_be_silent(&self) -> bool {
        matches!(self.state, State::Asking | State::Failed)
    }

    /// Whether it is its turn to speak.
    pub(super) fn is_talking(&self) -> bool {
        self.state == State::Talking
    }

    /// Takes what has arrived; whether the client is still there.
    pub(super) fn take_arrived(&mut self) -> bool {
        let kept = self.arrived.len();
        if kept >= READ {
            return true;
        }
        self.arrived.resize(kept + READ, 0);
        let taken = self.transport.take(&mut self.arrived[kept..]);
        let octets = taken.as_ref().map_or(0, |taken| taken.unwrap_or(0));
        self.arrived.truncate(kept + octets);
        !matches!(taken, Ok(Some(0)) | Err(_))
    }

    /// What its next line leads to, if that has come.
    pub(super) fn next_line(&mut self) -> Option<Next> {
        let reader = self.reader.get_or_insert_with(|| Box::new(LineReader::new(CREDENTIAL_LIMIT)));
        let mut rest = self.arrived.as_slice();
        let line = reader.take(&mut rest);
        let used = self.arrived.len() - rest.len();
        let next = line.map(|line| self.conversation.line(&line, &mut self.replies.out));
        self.arrived.drain(..used);
        if next.is_some() || used == 0 {
            // Nothing is in it.
            self.reader = None;
        }
        if self.arrived.is_empty() {
            self.arrived = Vec::new();
        }
        next
    }

    /// auth has accepted it.
    pub(super) fn accepted(&mut self, ticket: Number, signature: Option<&[u8]>) -> Next {
        self.ticket = Some(ticket);
        self.conversation.accepted(signature, &mut self.replies.out)
    }

    /// auth has rejected it.
    pub(super) fn rejected(&mut self) -> Next {
        self.conversation.rejected()
    }

    /// Nobody can tell; the log has said why.
    pub(super) fn cannot_tell(&mut self) -> Next {
        self.conversation.cannot_tell(&mut self.replies.out)
    }

    /// auth has told its salt, or that there is none.
    pub(super) fn salt(&mut self, salt: Option<&Salt>) -> Next {
        self.conversation.salt(salt, &mut self.replies.out)
    }

    /// The conversation has ended well.
    pub(super) fn enter(&mut self) {
        self.state = match self.ticket.take() {
            Some(ticket) => State::Entering(ticket),
            None => State::Closing,
        };
    }

    /// Tells the client that the service is shutting down, and lets it hear no
    /// more than that.
    pub(super) fn send_away(&mut self) {
        pop3::reply::put(pop3::reply::SHUTTING_DOWN, &mut self.replies.out);
        self.state = State::Closing;
    }

    /// A login has failed; until when the client waits to hear so.
    pub(super) fn failed(&mut self) -> Instant {
        self.failures = self.failures.saturating_add(1);
        self.state = State::Failed;
        Instant::now() + clock::penalty(self.failures)
    }

    /// Tells the client that its login has failed, if it waits for that.
    pub(super) fn told(&mut self) -> bool {
        if self.state != State::Failed || Instant::now() >= self.login_ends {
            return false;
        }
        match clock::after_failure(self.failures) {
            AfterFailure::Enough => {
                pop3::reply::put(pop3::reply::TOO_MANY_FAILURES, &mut self.replies.out);
                self.state = State::Closing;
            }
            AfterFailure::Again | AfterFailure::TooLate => {
                self.conversation.told(&mut self.replies.out);
                self.state = State::Talking;
            }
        }
        true
    }

    /// When its login phase ends.
    pub(super) fn login_ends(&self) -> Instant {
        self.login_ends
    }

    /// Where it is.
    pub(super) fn origin(&self) -> Origin {
        self.origin.clone()
    }

    /// Where it is, as the log shows it.
    pub(super) fn peer(&self) -> &Peer {
        self.conversation.peer()
    }

    /// TCPREMOTEIP.
    pub(super) fn ip(&self) -> &str {
        &self.origin.ip
    }

    /// Its address, unless it came over a UNIX socket.
    pub(super) fn address(&self) -> Option<IpAddr> {
        self.address
    }

    /// The address at which it has come in.
    pub(super) fn local(&self) -> Option<IpAddr> {
        self.local
    }

    /// The service that modules are asked about.
    pub(super) fn service(&self) -> &[u8] {
        self.conversation.service()
    }

    /// Whether it has said UTF8.
    pub(super) fn utf8(&mut self) -> bool {
        self.conversation.authorization().utf8()
    }

    /// What it has said and nobody has answered.
    pub(super) fn take_rest(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.arrived)
    }

    /// Ends the connection.
    pub(super) fn close(self) {
        log::disconnected(self.conversation.peer());
        self.transport.close();
    }
}

/// Where a client is, and what is said to one from there.
fn opening(whence: Whence, stls: bool) -> (Origin, Conversation) {
    let origin = whence.origin();
    let peer = Peer::at(&origin.ip, &origin.port);
    let can_serve = |_: Mechanism| true;
    let timestamp = settings::timestamp(false);
    let authorization = Authorization::new(settings::offer(can_serve, stls, false, timestamp));
    let service = settings::service_at(whence.local.map(|local| local.port()));
    (origin, Conversation::new(authorization, can_serve, service, peer))
}

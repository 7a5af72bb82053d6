//! Every errand of a proxy process, and the sessions that came of them.

use std::collections::HashMap;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, Instant};

use authlib::printable::reason;
use pop3::reply::{self, Reply};
use rustix::event::epoll::EventFlags;

use super::backend::Backend;
use super::login::{Login, Means, Progress};
use super::relay::Relay;
use super::resolver::Resolver;
use super::tls::Connector;
use crate::log::{self, Peer};
use crate::mailbox::Client as _;
use crate::proxy::{Failure, Settings};
use crate::service::errand::{Connect, Errand, Outcome, Task, Visitor};
use crate::service::stream::Stream;
use crate::service::ticket::Number;

/// The first token of an errand's back-end; that of its client follows.
const FIRST: u64 = 16;
/// How long a session waits for its client, a little longer than a ticket lives.
const CLAIM: Duration = Duration::from_secs(15);
/// Most errands at once whose client is not here.
const MOST_WAITING: usize = 1024;
/// Descriptors for everything but sessions, each of which has two.
const OTHER_DESCRIPTORS: u64 = 64;

/// Errands and sessions.
pub(super) struct Sessions {
    epoll: OwnedFd,
    settings: Settings,
    pub(super) resolver: Resolver,
    pub(super) connector: Option<Box<dyn Connector>>,
    all: HashMap<u64, State>,
    /// Errands whose client is not here.
    unclaimed: HashMap<Number, u64>,
    last_token: u64,
    last_sweep: Instant,
    most: usize,
    /// What auth has to be told.
    pub(super) outcomes: Vec<(Number, Outcome)>,
    /// Sessions that the monitor has to be told the end of.
    pub(super) ended: Vec<u64>,
}

enum State {
    /// It is being logged in.
    Login(Number, Box<Login>),
    /// Its client is to come.
    Ready(Number, Box<Ready>),
    /// Its client is to be refused.
    Refused(Number, Instant, Reply),
    /// The session that the monitor knows by this number.
    Relay(u64, Box<Relay>),
}

struct Ready {
    errand: Connect,
    backend: Backend,
    heard: Vec<u8>,
    until: Instant,
}

impl Sessions {
    pub(super) fn new(epoll: OwnedFd, settings: Settings, resolver: Resolver) -> Sessions {
        let descriptors = crate::descriptors::most().saturating_sub(OTHER_DESCRIPTORS) / 2;
        Sessions {
            epoll,
            settings,
            resolver,
            connector: None,
            all: HashMap::new(),
            unclaimed: HashMap::new(),
            last_token: FIRST,
            last_sweep: Instant::now(),
            most: usize::try_from(descriptors).unwrap_or(usize::MAX),
            outcomes: Vec::new(),
            ended: Vec::new(),
        }
    }

    /// Those whose client is here.
    pub(super) fn relays(&self) -> usize {
        self.all.len() - self.unclaimed.len()
    }

    /// Begins an errand.
    pub(super) fn run(&mut self, Errand { number, task }: Errand, now: Instant) {
        if self.unclaimed.len() >= MOST_WAITING || self.all.len() >= self.most {
            log::error(&"the proxy has too much to do");
            return self.outcomes.push((number, Outcome::Unavailable));
        }
        match task {
            Task::Refuse { insecure } => {
                let sentence = if insecure { reply::DISABLED_INSECURE } else { reply::DISABLED };
                self.insert(number, State::Refused(number, now + CLAIM, sentence));
            }
            Task::Connect(connect) if self.is_loop(&connect) => {
                self.failed(number, &connect, &Failure::Loop);
            }
            Task::Connect(connect) => self.log_in(number, Login::new(connect, now), now),
        }
    }

    fn insert(&mut self, number: Number, state: State) -> u64 {
        self.last_token += 2;
        self.unclaimed.insert(number, self.last_token);
        self.all.insert(self.last_token, state);
        self.last_token
    }

    /// Whether a client is one of our own connections, or has an errand under
    /// way already: its back-end is ourselves (ledger 877).
    fn is_loop(&self, connect: &Connect) -> bool {
        let Ok(ip) = connect.origin.ip.parse::<std::net::IpAddr>() else { return false };
        let Ok(port) = connect.origin.port.parse() else { return false };
        let client = std::net::SocketAddr::new(ip.to_canonical(), port);
        self.unclaimed.values().filter_map(|token| self.all.get(token)).any(|state| match state {
            State::Login(_, login) => {
                login.errand().origin == connect.origin || login.own_address() == Some(client)
            }
            _ => false,
        })
    }

    fn log_in(&mut self, number: Number, login: Login, now: Instant) {
        let host = login.errand().host.clone();
        let token = self.insert(number, State::Login(number, Box::new(login)));
        match self.resolver.ask(&host, token, now) {
            Ok(Some(addresses)) => self.found(token, Ok(addresses)),
            Ok(None) => {}
            Err(why) => self.found(token, Err(why)),
        }
    }

    /// Names may have been looked up; whether others can be.
    pub(super) fn hear_resolver(&mut self, now: Instant) -> bool {
        let Some(answers) = self.resolver.answered(now) else { return false };
        for (tokens, addresses) in answers {
            tokens.into_iter().for_each(|token| self.found(token, addresses.clone()));
        }
        true
    }

    fn found(&mut self, token: u64, addresses: super::names::Addresses) {
        self.step(token, |login, means| {
            login.found(addresses.map_err(Failure::Unreachable)?, means)?;
            Ok(Progress::Waits)
        });
    }

    /// A socket is ready.
    pub(super) fn hear(&mut self, token: u64) {
        // A client's token is that of its back-end, and one more.
        let token = token & !1;
        match self.all.get_mut(&token) {
            Some(State::Login(..)) => self.step(token, Login::go_on),
            Some(State::Ready(number, ready)) => {
                // It has more to say, or has gone before its client came.
                let (number, mut buffer) = (*number, [0; 4096]);
                match ready.backend.take(&mut buffer) {
                    Ok(None) => {}
                    Ok(Some(octets @ 1..)) if ready.heard.len() < buffer.len() => {
                        ready.heard.extend_from_slice(&buffer[..octets]);
                    }
                    _ => self.remove(token, &number),
                }
            }
            Some(State::Relay(..)) => self.pump(token),
            Some(State::Refused(..)) | None => {}
        }
    }

    /// Goes on with a login.
    fn step(&mut self, token: u64, step: impl FnOnce(&mut Login, &Means<'_>) -> Result<Progress, Failure>) {
        let Some(State::Login(number, login)) = self.all.get_mut(&token) else { return };
        let number = *number;
        let means = Means { settings: &self.settings, connector: self.connector.as_deref() };
        let failure = match step(login, &means) {
            Ok(Progress::Waits) => match login.watch(token, &self.epoll) {
                Ok(()) => return,
                Err(error) => Failure::Unreachable(reason(&error)),
            },
            Ok(Progress::Done(backend, heard)) => return self.logged_in(token, number, backend, heard),
            Err(failure) => failure,
        };
        if let Some(State::Login(_, login)) = self.all.remove(&token) {
            self.unclaimed.remove(&number);
            self.failed(number, login.errand(), &failure);
        }
    }

    fn logged_in(&mut self, token: u64, number: Number, mut backend: Backend, heard: Vec<u8>) {
        let Some(State::Login(_, login)) = self.all.remove(&token) else { return };
        let watched = backend.watch(EventFlags::IN, token, &self.epoll);
        if let Err(error) = watched {
            self.unclaimed.remove(&number);
            return self.failed(number, login.errand(), &Failure::Unreachable(reason(&error)));
        }
        let until = Instant::now() + CLAIM;
        let ready = Ready { errand: login.into_errand(), backend, heard, until };
        self.all.insert(token, State::Ready(number, Box::new(ready)));
        self.outcomes.push((number, Outcome::LoggedIn));
    }

    fn failed(&mut self, number: Number, errand: &Connect, failure: &Failure) {
        log::warning(&failure.line(&errand.host));
        let outcome = if failure.is_rejection() { Outcome::Rejected } else { Outcome::Unavailable };
        self.outcomes.push((number, outcome));
    }

    /// A client comes to its session.
    pub(super) fn visit(&mut self, visitor: Visitor, client: Stream) {
        let Visitor { session, ticket, arrived } = visitor;
        let state = self.unclaimed.remove(&ticket).and_then(|token| Some((token, self.all.remove(&token)?)));
        let (token, ready) = match state {
            Some((token, State::Ready(_, ready))) => (token, ready),
            Some((_, State::Refused(_, _, sentence))) => return self.refuse(&client, sentence, session),
            // Its back-end has gone meanwhile.
            _ => return self.refuse(&client, reply::TEMPORARY_PROBLEM, session),
        };
        let Ready { errand, backend, heard, .. } = *ready;
        let Connect { account, origin, .. } = errand;
        let who = log::Session::new(&account, Peer::at(&origin.ip, &origin.port), origin.tls);
        who.proxied(&self.settings.protocol);
        let relay = Relay::new(client, backend, (arrived, heard), who, self.settings.protocol.clone());
        self.all.insert(token, State::Relay(session, Box::new(relay)));
        self.pump(token);
    }

    /// A client was to come that cannot.
    pub(super) fn forget(&mut self, visitor: &Visitor) {
        if let Some(token) = self.unclaimed.get(&visitor.ticket).copied() {
            self.remove(token, &visitor.ticket);
        }
        self.ended.push(visitor.session);
    }

    fn refuse(&mut self, client: &Stream, sentence: Reply, session: u64) {
        let mut out = Vec::new();
        reply::put(sentence, &mut out);
        // A client that has no room for one line has not been waiting for it.
        let _ = client.give(&out);
        client.forget_arrived();
        client.close();
        self.ended.push(session);
    }

    fn pump(&mut self, token: u64) {
        let Some(State::Relay(_, relay)) = self.all.get_mut(&token) else { return };
        let goes_on = relay.pump();
        let watched = if goes_on { relay.watch(token | 1, token, &self.epoll) } else { Ok(()) };
        if let Err(error) = &watched {
            log::error(&format_args!("epoll_ctl: {}", reason(error)));
        }
        if !goes_on || watched.is_err() {
            self.end_relay(token);
        }
    }

    fn end_relay(&mut self, token: u64) {
        if let Some(State::Relay(session, relay)) = self.all.remove(&token) {
            relay.end();
            self.ended.push(session);
        }
    }

    /// Ends all there are.
    pub(super) fn end_all(&mut self) {
        for token in self.all.keys().copied().collect::<Vec<_>>() {
            self.end_relay(token);
        }
        self.unclaimed.clear();
    }

    /// Gives up an errand whose client is not here.
    fn remove(&mut self, token: u64, number: &Number) {
        self.unclaimed.remove(number);
        if let Some(State::Ready(_, ready)) = self.all.remove(&token) {
            ready.backend.leave(b"QUIT\r\n");
        }
    }

    /// Ends, once a second, what has taken too long.
    pub(super) fn sweep(&mut self, now: Instant) {
        if now.saturating_duration_since(self.last_sweep) < Duration::from_secs(1) {
            return;
        }
        self.last_sweep = now;
        let late: Vec<u64> =
            self.all.iter().filter(|(_, state)| state.deadline() <= now).map(|(token, _)| *token).collect();
        for token in late {
            match self.all.get_mut(&token) {
                Some(State::Login(..)) => self.step(token, |login, means| {
                    login.time_is_up(means, now)?;
                    Ok(Progress::Waits)
                }),
                Some(State::Ready(number, _) | State::Refused(number, ..)) => {
                    let number = *number;
                    self.remove(token, &number);
                }
                Some(State::Relay(_, relay)) => {
                    if relay.time_is_up() {
                        self.pump(token);
                    } else {
                        self.end_relay(token);
                    }
                }
                None => {}
            }
        }
    }
}

impl State {
    fn deadline(&self) -> Instant {
        match self {
            State::Login(_, login) => login.deadline(),
            State::Ready(_, ready) => ready.until,
            State::Refused(_, until, _) => *until,
            State::Relay(_, relay) => relay.deadline(),
        }
    }
}

impl AsFd for Sessions {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.epoll.as_fd()
    }
}

//! postrider-front: sockets, TLS and the AUTHORIZATION state. It hears passwords
//! and hands them to auth; it opens no file, and never learns whose account it
//! was.
//!
//! ```text
//!   client ──lines──> │       │ ──Question──> auth
//!                     │ front │ <──Answer────
//!                     │       │ ──Shown, the client's descriptor──> monitor
//!                     │       │ <──Admission──
//! ```
//!
//! One thread that waits for everybody at once. A stranger costs an entry in a
//! table, and the oldest goes if there are too many.
//!
//! A client that speaks TLS is a stranger like others while it shakes hands;
//! then its conversation goes on with one end of a socket pair, and a
//! tunnel lies between the other end and its socket, for as long as the
//! session lasts. The TLS itself is another crate's ([`tls`]): this one is in
//! the programs that open mail.

mod client;
mod clients;
pub mod tls;
mod tunnel;
mod tunnels;

use std::fs::File;
use std::io::{self, Read};
use std::net::TcpListener;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use authlib::protocol::request;
use authlib::scram::Salt;
use authlib::{Client as Asker, Record};
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};
use zeroize::Zeroizing;

use self::client::{Client, State};
use self::clients::Clients;
use self::tls::{MakeServer, Server, Session};
use self::tunnel::Tunnel;
use self::tunnels::Tunnels;
use super::birth;
use super::fields::Reader;
use super::monitor;
use super::question::{Answer, Question};
use super::stream::Stream;
use super::ticket::{Admission, Shown};
use super::wire::Wire;
use crate::log;
use crate::login::conversation::Next;
use crate::login::settings;

/// The longest wait without a look at the clock.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

const MONITOR: u64 = 0;
const AUTH: u64 = 1;
/// The first token that a listening socket may have; clients come behind
/// [`FIRST_CLIENT`].
const FIRST_LISTENER: u64 = 2;
const FIRST_CLIENT: u64 = 1 << 16;

/// How long nobody is let in when accept(2) fails for want of something.
const REST: Duration = Duration::from_secs(1);

/// Connections taken at once from one listening socket, before others have
/// their turn.
const AT_ONCE: usize = 64;

/// Most octets of a file with a certificate or a key.
const PEM: u64 = 1024 * 1024;

/// Runs postrider-front, whose TLS `make_server` makes.
#[must_use]
pub fn run(make_server: MakeServer) -> ExitCode {
    let wire = birth::as_account();
    let front = wire.and_then(|wire| Front::new(wire, make_server).map_err(|error| reason(&error)));
    match front.map(Front::serve) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(error)) => failed(&reason(&error)),
        Err(reason) => failed(&reason),
    }
}

fn failed(reason: &str) -> ExitCode {
    log::error(&format_args!("postrider-front: {reason}"));
    ExitCode::FAILURE
}

/// The front at work.
struct Front {
    epoll: OwnedFd,
    monitor: Wire,
    auth: Option<Wire>,
    listeners: Vec<Listener>,
    make_server: MakeServer,
    /// The file with the certificate, until the key has come too.
    certificate: Option<OwnedFd>,
    tls: Option<Box<dyn Server>>,
    clients: Clients,
    tunnels: Tunnels,
    last_client: u64,
    /// While the machine is short of something nobody is let in.
    resting_until: Option<Instant>,
    /// The monitor has gone: nobody else is let in.
    closing: bool,
}

/// Where clients come from.
struct Listener {
    socket: TcpListener,
    /// They begin with TLS.
    implicit_tls: bool,
}

impl Front {
    fn new(monitor: Wire, make_server: MakeServer) -> io::Result<Front> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &monitor, MONITOR)?;
        Ok(Front {
            epoll,
            monitor,
            auth: None,
            listeners: Vec::new(),
            make_server,
            certificate: None,
            tls: None,
            clients: Clients::default(),
            tunnels: Tunnels::default(),
            last_client: FIRST_CLIENT,
            resting_until: None,
            closing: false,
        })
    }

    /// Serves until the monitor has gone, and those after it whose sessions need
    /// TLS.
    fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        while !self.closing || self.tunnels.len() > 0 {
            events.clear();
            let timeout = self.clients.next_deadline().map_or(TICK, until);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for event in &events {
                match event.data.u64() {
                    MONITOR => self.hear_monitor()?,
                    AUTH => self.hear_auth()?,
                    token if token < FIRST_CLIENT => self.accept(token, now),
                    token => match tunnels::client_of(token) {
                        Some(client) => self.pump(client),
                        None => self.hear_client(token, event.flags),
                    },
                }
            }
            self.end_rest(now)?;
            self.tunnels.end_the_slow(now);
            for late in self.clients.overdue(now) {
                self.time_is_up(late);
            }
        }
        Ok(())
    }

    fn hear_monitor(&mut self) -> io::Result<()> {
        loop {
            let received = match self.monitor.receive() {
                Ok(Some(received)) => received,
                Ok(None) => return Ok(()),
                Err(_) => return self.let_nobody_in(),
            };
            match (Reader::new(&received.message), received.descriptor) {
                (Ok((monitor::WIRE, _)), Some(descriptor)) => {
                    let wire = Wire::of(descriptor);
                    watch(&self.epoll, &wire, AUTH)?;
                    self.auth = Some(wire);
                }
                (Ok((monitor::CERTIFICATE, _)), Some(descriptor)) => self.certificate = Some(descriptor),
                (Ok((monitor::KEY, _)), Some(descriptor)) => self.know_key(descriptor)?,
                (Ok((monitor::LISTENER, mut fields)), Some(descriptor)) => {
                    let implicit_tls = fields.flag().map_err(io::Error::other)?;
                    self.listen(Listener { socket: descriptor.into(), implicit_tls })?;
                }
                _ => match Admission::decode(&received.message) {
                    Ok((connection, admission)) => self.admitted(connection, admission),
                    Err(malformed) => return Err(io::Error::other(malformed)),
                },
            }
        }
    }

    /// The monitor has gone, and whoever is not logged in.
    fn let_nobody_in(&mut self) -> io::Result<()> {
        self.closing = true;
        epoll::delete(&self.epoll, &self.monitor)?;
        // Others have these sockets too, so that closing ours does not end the watch.
        for listener in self.listeners.drain(..) {
            // While we rest it is not watched.
            let _it_was_not_watched = epoll::delete(&self.epoll, &listener.socket);
        }
        self.clients.tokens().into_iter().for_each(|token| self.close(token));
        Ok(())
    }

    /// The key has come, to the certificate that came before.
    fn know_key(&mut self, key: OwnedFd) -> io::Result<()> {
        let certificate = self.certificate.take().ok_or_else(|| io::Error::other("a key alone"))?;
        let server = (self.make_server)(&read(certificate)?, &read(key)?);
        self.tls = Some(server.map_err(io::Error::other)?);
        Ok(())
    }

    /// Other fronts listen at the same socket.
    fn listen(&mut self, listener: Listener) -> io::Result<()> {
        let token = FIRST_LISTENER + self.listeners.len() as u64;
        if token >= FIRST_CLIENT {
            return Err(io::Error::other("too many listening sockets"));
        }
        watch_listener(&self.epoll, &listener, token)?;
        self.listeners.push(listener);
        Ok(())
    }

    fn accept(&mut self, token: u64, now: Instant) {
        for _ in 0..AT_ONCE {
            let index = usize::try_from(token - FIRST_LISTENER).unwrap_or(usize::MAX);
            let Some(listener) = self.listeners.get(index) else { return };
            match listener.socket.accept() {
                Ok((socket, address)) => {
                    // Small replies leave at once; on a socket that has been reset it fails.
                    let _ = socket.set_nodelay(true);
                    let local = socket.local_addr().ok();
                    let stls = self.tls.is_some() && settings::stls_is_wanted();
                    let implicit_tls = listener.implicit_tls;
                    let client = Client::new(Stream::of(socket.into()), address, local, stls, now);
                    self.welcome(client, implicit_tls);
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error)
                    if matches!(
                        error.kind(),
                        io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted
                    ) => {}
                Err(error) => return self.cannot_accept(&error, now),
            }
        }
    }

    /// Makes room, and lets new clients wait in the kernel for a moment: nobody
    /// spins when the machine is short already (as ledger 514).
    fn cannot_accept(&mut self, error: &io::Error, now: Instant) {
        log::error(&format_args!("accept: {}", reason(error)));
        if let Some(oldest) = self.clients.oldest_stranger() {
            self.close(oldest);
        }
        for listener in &self.listeners {
            let _it_was_not_watched = epoll::delete(&self.epoll, &listener.socket);
        }
        self.resting_until = Some(now + REST);
    }

    /// Listens again after a rest.
    fn end_rest(&mut self, now: Instant) -> io::Result<()> {
        if self.closing || self.resting_until.is_none_or(|until| now < until) {
            return Ok(());
        }
        self.resting_until = None;
        for (index, listener) in self.listeners.iter().enumerate() {
            watch_listener(&self.epoll, listener, FIRST_LISTENER + index as u64)?;
        }
        Ok(())
    }

    fn welcome(&mut self, mut client: Client, implicit_tls: bool) {
        if self.is_full() {
            // One who speaks TLS leaves two descriptors more in a moment.
            match self.clients.oldest_stranger() {
                Some(oldest) => self.close(oldest),
                None => return client.close(),
            }
        }
        self.last_client += 1;
        let token = self.last_client;
        match implicit_tls {
            true => client.begin_tls(self.new_session()),
            false => client.greet(),
        }
        let added = epoll::add(&self.epoll, &client.stream, EventData::new_u64(token), EventFlags::empty());
        if let Err(error) = added {
            return log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
        }
        self.clients.add(token, client);
        self.go_on(token);
    }

    /// Whether nobody else can come: a client has a descriptor, a tunnel two.
    fn is_full(&self) -> bool {
        self.clients.are_too_many(2 * self.tunnels.len())
    }

    /// TLS with one more client, if that can be had.
    fn new_session(&self) -> Option<Box<dyn Session>> {
        let session = self.tls.as_ref()?.session();
        session.inspect_err(|reason| log::error(&format_args!("TLS: {reason}"))).ok()
    }

    /// Goes on with a handshake.
    fn shake(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        match client.shake() {
            Ok(Some(events)) => self.wait_for(token, events),
            Ok(None) => {
                if let Err(error) = self.tls_started(token) {
                    log::error(&format_args!("TLS: {}", reason(&error)));
                    self.close(token);
                }
            }
            Err(error) => {
                let peer = client.peer();
                log::line(format_args!("DEBUG: TLS handshake failed, {peer}: {}", reason(&error)));
                self.close(token);
            }
        }
    }

    /// Lays a tunnel between a client that has shaken hands and its conversation.
    fn tls_started(&mut self, token: u64) -> io::Result<()> {
        let Some(client) = self.clients.get(token) else { return Ok(()) };
        let (inner, outer) = Stream::pair()?;
        epoll::delete(&self.epoll, &client.stream)?;
        epoll::add(&self.epoll, &outer, EventData::new_u64(token), EventFlags::empty())?;
        if let Some((session, network)) = client.tls_started(outer) {
            self.tunnels.add(token, Tunnel::new(network, inner, session));
        }
        self.go_on(token);
        self.pump(token);
        Ok(())
    }

    fn pump(&mut self, token: u64) {
        if let Err(error) = self.tunnels.pump(token, &self.epoll) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error)));
        }
    }

    fn hear_client(&mut self, token: u64, flags: EventFlags) {
        let Some(client) = self.clients.get(token) else { return };
        // While somebody else is asked nothing is read; that a client has gone is
        // heard all the same.
        let has_gone = flags.intersects(EventFlags::HUP | EventFlags::ERR);
        if (has_gone && !client.is_waited_for()) || (client.is_talking() && !client.take_arrived()) {
            return self.close(token);
        }
        self.go_on(token);
    }

    /// Lets a conversation go on until it has to wait.
    fn go_on(&mut self, token: u64) {
        loop {
            let Some(client) = self.clients.get(token) else { return };
            match client.send() {
                Ok(true) => {}
                Ok(false) => return self.wait_for(token, EventFlags::OUT),
                Err(_) => return self.close(token),
            }
            match client.state {
                State::ShakingHands => return self.shake(token),
                State::Talking => match client.next_line() {
                    Some(next) => self.obey(token, next),
                    None => {
                        client.rest();
                        return self.wait_for(token, EventFlags::IN);
                    }
                },
                State::Entering(ticket) => return self.show(token, ticket),
                State::Closing => return self.close(token),
                State::Asking | State::Failed | State::Admitting => {
                    return self.wait_for(token, EventFlags::empty());
                }
            }
        }
    }

    fn obey(&mut self, token: u64, next: Next) {
        let Some(client) = self.clients.get(token) else { return };
        match next {
            Next::Line => {}
            Next::Ask(record) => self.ask(token, Ok(record)),
            Next::AskSalt(wanted) => {
                let record = Record::salt(client.service(), &wanted);
                self.ask(token, record);
            }
            Next::Enter => client.enter(),
            Next::Wait => {
                let until = client.failed();
                self.clients.set_deadline(token, until);
            }
            Next::StartTls => {
                let session = self.new_session();
                if let Some(client) = self.clients.get(token) {
                    client.begin_tls(session);
                }
            }
            Next::Close(_) => client.state = State::Closing,
        }
    }

    fn ask(&mut self, token: u64, record: Result<Record, authlib::record::Refused>) {
        let Some(client) = self.clients.get(token) else { return };
        client.state = State::Asking;
        let sent = record.ok().zip(Asker::at(client.ip().as_bytes()).ok()).and_then(|(record, asker)| {
            let request = request::auth(&record, &asker);
            let question = Question { connection: token, request };
            Some(self.auth.as_ref()?.send(&question.encode(), None))
        });
        if !matches!(sent, Some(Ok(true))) {
            log::authentication_error(&"auth cannot be asked");
            self.answered(token, &Answer::Unavailable);
        }
    }

    fn hear_auth(&mut self) -> io::Result<()> {
        while let Some(auth) = &self.auth {
            match auth.receive() {
                Ok(Some(received)) => {
                    let (token, answer) = Answer::decode(&received.message).map_err(io::Error::other)?;
                    self.answered(token, &answer);
                    self.go_on(token);
                }
                Ok(None) => return Ok(()),
                // The monitor will start both of us anew.
                Err(_) => self.auth = None,
            }
        }
        Ok(())
    }

    fn answered(&mut self, token: u64, answer: &Answer) {
        let Some(client) = self.clients.get(token) else { return };
        if !matches!(client.state, State::Asking) {
            return log::error(&"auth has answered what nobody has asked");
        }
        client.state = State::Talking;
        let next = match answer {
            Answer::Accepted { ticket, signature } => client.accepted(*ticket, signature.as_deref()),
            Answer::Rejected => client.rejected(),
            Answer::Unavailable => client.cannot_tell(),
            Answer::Salt(None) => client.salt(None),
            Answer::Salt(Some(text)) => match Salt::decode(text) {
                Some(salt) => client.salt(Some(&salt)),
                None => client.cannot_tell(),
            },
        };
        self.obey(token, next);
    }

    /// Shows the monitor a ticket, and the client's descriptor with it.
    fn show(&mut self, token: u64, ticket: super::ticket::Number) {
        let Some(client) = self.clients.get(token) else { return };
        client.state = State::Admitting;
        let shown = Shown {
            connection: token,
            ticket,
            origin: client.origin(),
            utf8: client.utf8(),
            arrived: client.take_rest(),
        };
        if epoll::delete(&self.epoll, &client.stream).is_err()
            || !matches!(self.monitor.send(&shown.encode(), Some(client.stream.as_fd())), Ok(true))
        {
            log::error(&"the monitor does not take a ticket");
            self.admitted(token, Admission::Unavailable);
        }
    }

    fn admitted(&mut self, token: u64, admission: Admission) {
        match admission {
            // The mailbox process has the descriptor now.
            Admission::Granted => drop(self.clients.remove(token)),
            Admission::Unavailable => {
                if let Some(client) = self.clients.get(token) {
                    client.cannot_tell();
                    client.state = State::Closing;
                    // Not watched any more, so this is the only try.
                    let _ = client.send();
                }
                self.close(token);
            }
        }
    }

    fn wait_for(&mut self, token: u64, events: EventFlags) {
        let Some(client) = self.clients.get(token) else { return };
        if let Err(error) = epoll::modify(&self.epoll, &client.stream, EventData::new_u64(token), events) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error.into())));
            self.close(token);
        }
    }

    /// A client's penalty is over, or its time.
    fn time_is_up(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        if client.told() {
            let end = client.login_ends();
            self.clients.set_deadline(token, end);
            self.go_on(token);
        } else {
            self.close(token);
        }
    }

    fn close(&mut self, token: u64) {
        if let Some(client) = self.clients.remove(token) {
            client.close();
        }
    }
}

/// All of a file, which is not long.
fn read(file: OwnedFd) -> io::Result<Zeroizing<Vec<u8>>> {
    let mut octets = Zeroizing::new(Vec::with_capacity(16 * 1024));
    File::from(file).take(PEM).read_to_end(&mut octets)?;
    Ok(octets)
}

/// The kernel wakes one of those who listen at the same socket.
fn watch_listener(epoll: &OwnedFd, listener: &Listener, token: u64) -> io::Result<()> {
    let flags = EventFlags::IN | EventFlags::EXCLUSIVE;
    Ok(epoll::add(epoll, &listener.socket, EventData::new_u64(token), flags)?)
}

fn watch(epoll: &OwnedFd, source: impl AsFd, token: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, source, EventData::new_u64(token), EventFlags::IN)?)
}

/// How long it is until `deadline`, at most a tick.
fn until(deadline: Instant) -> Timespec {
    let left = deadline.saturating_duration_since(Instant::now());
    // Rounded up, so that it has passed when we look.
    let nanoseconds = left.as_nanos().saturating_add(1_000_000).min(1_000_000_000);
    Timespec {
        tv_sec: i64::from(nanoseconds == 1_000_000_000),
        tv_nsec: (nanoseconds % 1_000_000_000) as i64,
    }
}

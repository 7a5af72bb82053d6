//! postrider-front: sockets, TLS and the AUTHORIZATION state. It hears passwords
//! and hands them to auth; it opens no file, and never learns whose account it
//! was.
//!
//! ```text
//!   client ──lines──> │       │ ──Question──> auth
//!                     │ front │ <──Answer────
//!                     │       │ ──Shown, the client's descriptor──> monitor
//!                     │       │ <──Refused, the descriptor: only if nobody is let in
//! ```
//!
//! One thread that waits for everybody at once. A stranger costs an entry in a
//! table, and the oldest goes if there are too many.
//!
//! A client that speaks TLS is a stranger like others until it is let in. Then
//! the mailbox process gets one end of a socket pair, and a tunnel lies between
//! the other end and the client's socket for as long as the session lasts. The
//! TLS itself is another crate's ([`tls`]): this one is in the programs that
//! open mail.

mod client;
mod clients;
mod counting;
mod entrance;
mod handshake;
mod leaving;
pub(super) mod proxied;
mod talk;
pub mod tls;
mod transport;
mod tunnel;
mod tunnels;
mod whence;

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::rc::Rc;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::Timespec;
use rustix::event::epoll::{self, EventData, EventFlags};

use self::clients::Clients;
use self::counting::Counting;
use self::entrance::{AT_ONCE, Listener};
use self::leaving::Stage;
use self::proxied::Trust;
use self::talk::refused;
use self::tls::{MakeServer, Server};
use self::tunnel::Ready;
use self::tunnels::Tunnels;
use super::confinement::Confinement;
use super::limits::Limits;
use super::order::Order;
use super::report::Report;
use super::stream::Stream;
use super::wire::Wire;
use super::{birth, report};
use crate::log;
use crate::login::clock;

/// The longest wait without a look at the clock.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

const MONITOR: u64 = 0;
const AUTH: u64 = 1;
/// The first token that a listening socket may have; clients come behind
/// [`FIRST_CLIENT`].
const FIRST_LISTENER: u64 = 2;
const FIRST_CLIENT: u64 = 1 << 16;

/// Runs postrider-front, whose TLS `make_server` makes.
#[must_use]
pub fn run(make_server: MakeServer) -> ExitCode {
    match birth::as_account(&Confinement::Front).map(|wire| Rc::new(Wire::of(wire))) {
        Ok(wire) => {
            let served = Front::new(Rc::clone(&wire), make_server).and_then(Front::serve);
            report::ended("postrider-front", &wire, served.map_err(|error| reason(&error)))
        }
        Err(reason) => {
            log::error(&format_args!("postrider-front: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// The front at work.
struct Front {
    epoll: OwnedFd,
    monitor: Rc<Wire>,
    auth: Option<Wire>,
    listeners: Vec<Listener>,
    make_server: MakeServer,
    tls: Option<Box<dyn Server>>,
    clients: Clients,
    tunnels: Tunnels,
    trust: Trust,
    handshake_patience: Duration,
    counting: Counting,
    /// How long a login may take.
    login: Duration,
    last_client: u64,
    /// While the machine is short of something nobody is let in.
    resting_until: Option<Instant>,
    stage: Stage,
}

impl Front {
    fn new(monitor: Rc<Wire>, make_server: MakeServer) -> io::Result<Front> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &*monitor, MONITOR)?;
        Ok(Front {
            epoll,
            monitor,
            auth: None,
            listeners: Vec::new(),
            make_server,
            tls: None,
            clients: Clients::default(),
            tunnels: Tunnels::default(),
            trust: Trust::from_environment().map_err(io::Error::other)?,
            handshake_patience: handshake::patience(),
            counting: Counting::new(Limits::from_environment().map_err(io::Error::other)?),
            login: clock::login(),
            last_client: FIRST_CLIENT,
            resting_until: None,
            stage: Stage::Serving,
        })
    }

    /// Serves until it is to leave, or the monitor has gone; then those whose
    /// sessions need TLS.
    fn serve(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        while self.stage != Stage::Alone || self.tunnels.len() > 0 {
            events.clear();
            let timeout = self.clients.next_deadline().map_or(TICK, until);
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&timeout)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            // First of all, since it says who else counts clients.
            if events.iter().any(|event| event.data.u64() == MONITOR) {
                self.hear_monitor()?;
            }
            for event in &events {
                match event.data.u64() {
                    MONITOR => {}
                    AUTH => self.hear_auth()?,
                    token if token < FIRST_CLIENT => {
                        // Whether there is another one is asked where many are busy; else
                        // epoll_wait(2) will say so.
                        self.accept(token, now, if events.len() > 1 { AT_ONCE } else { 1 });
                    }
                    token => match tunnels::client_of(token) {
                        Some(client) => self.pump(client, Ready::inner(event.flags)),
                        None => self.hear_client(token, event.flags),
                    },
                }
            }
            self.end_rest(now)?;
            self.rest_if_full(now);
            self.tunnels.end_the_slow(now);
            for late in self.clients.overdue(now) {
                self.time_is_up(late);
            }
            self.part_from_the_others()?;
        }
        Ok(())
    }

    fn hear_monitor(&mut self) -> io::Result<()> {
        loop {
            match Order::next(&self.monitor) {
                Ok(Some(order)) => self.obey_monitor(order)?,
                Ok(None) => return Ok(()),
                // One that talks nonsense is as good as gone.
                Err(_) => return self.monitor_has_gone(),
            }
        }
    }

    fn obey_monitor(&mut self, order: Order) -> io::Result<()> {
        match order {
            Order::Wire(_, wire) => {
                let wire = Wire::of(wire);
                watch(&self.epoll, &wire, AUTH)?;
                self.auth = Some(wire);
            }
            Order::Tls(material) => self.know_tls(material)?,
            Order::TicketKeys(keys) => self.know_ticket_keys(&keys),
            Order::Listener { manner, socket } => self.listen(Listener { socket, manner })?,
            Order::Count(secret, table) => self.counting.begin(secret, &table)?,
            Order::Counted(whose, table) => self.counting.know(whose, table.as_ref())?,
            Order::Refused(refusal, origin, stream) => refused(refusal, &origin, stream.map(Stream::of)),
            // Without an answer the monitor will do what is to be done.
            Order::Ping(number) => drop(Report::Alive(number).send(&self.monitor)),
            Order::Leave(strangers) => self.leave(strangers),
            Order::Proxy(..) | Order::Master(_) => return Err(io::Error::other("an order for auth")),
        }
        Ok(())
    }
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

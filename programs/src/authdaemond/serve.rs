//! The main process: one loop that waits for everybody at once.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::Path;
use std::time::Instant;

use authlib::Client;
use authlib::printable::reason;
use authlib::protocol::answer::FAIL;
use authlib::protocol::request::{self, Question, Request};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use rustix::event::{Timespec, epoll};
use zeroize::Zeroizing;

use super::clients;
use super::listener;
use super::office::Office;
use super::settings::Settings;
use crate::{descriptors, log};

/// Most connections at once.
const MOST_CLIENTS: usize = 16_384;
/// Descriptors for everything but clients and workers.
const OTHER_DESCRIPTORS: u64 = 32;

/// While somebody has a deadline the loop looks at the clock so often.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };

const LISTENER: u64 = 0;
const SIGNALS: u64 = 1;
/// Set in the tokens of workers, not in those of clients.
const WORKER: u64 = 1 << 63;

/// authdaemond, ready to serve.
pub(super) struct Server {
    epoll: OwnedFd,
    listener: UnixListener,
    is_listening: bool,
    signals: SignalFd,
    office: Office<UnixStream>,
    last_client: clients::Id,
    swept: Instant,
}

impl Server {
    /// Starts the workers and listens on `socket`.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn new(settings: Settings, socket: &Path) -> io::Result<Self> {
        let room = room(settings.workers);
        let mask: SigSet =
            [Signal::SIGHUP, Signal::SIGTERM, Signal::SIGINT, Signal::SIGCHLD].into_iter().collect();
        mask.thread_block()?;
        let signals = SignalFd::with_flags(&mask, SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK)?;
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        watch(&epoll, &signals, SIGNALS)?;
        settings.announce();
        let office = Office::new(settings, room, |id, socket| watch(&epoll, socket, id | WORKER))?;
        let listener = listener::listen(socket)?;
        watch(&epoll, &listener, LISTENER)?;
        Ok(Server {
            epoll,
            listener,
            is_listening: true,
            signals,
            office,
            last_client: SIGNALS,
            swept: Instant::now(),
        })
    }

    /// Serves until SIGTERM or SIGINT.
    ///
    /// # Errors
    /// If the loop itself cannot go on.
    pub(super) fn run(mut self) -> io::Result<()> {
        let mut events = Vec::with_capacity(256);
        loop {
            let has_deadlines =
                self.office.clients.len() > 0 || self.office.pool().needs_time() || !self.is_listening;
            events.clear();
            let ready = rustix::buffer::spare_capacity(&mut events);
            match epoll::wait(&self.epoll, ready, has_deadlines.then_some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
            let now = Instant::now();
            for event in &events {
                match event.data.u64() {
                    LISTENER => self.accept(now),
                    SIGNALS => {
                        if self.take_signals(now)? {
                            return Ok(());
                        }
                    }
                    token if token & WORKER != 0 => self.office.hear_worker(token & !WORKER, now),
                    id => self.hear(id, now),
                }
            }
            if now.saturating_duration_since(self.swept).as_millis() >= 500 {
                self.sweep(now);
            }
            let epoll = &self.epoll;
            self.office.dispatch(now, |id, socket| watch(epoll, socket, id | WORKER));
        }
    }

    fn accept(&mut self, now: Instant) {
        loop {
            if self.office.clients.len() >= self.office.room && !self.office.clients.evict() {
                // All of them wait for a worker already.
                self.pause_listening();
                return;
            }
            match self.listener.accept() {
                Ok((socket, _)) => {
                    self.last_client += 1;
                    let id = self.last_client;
                    if socket.set_nonblocking(true).is_ok() && watch(&self.epoll, &socket, id).is_ok() {
                        self.office.clients.add(id, socket, now);
                    }
                }
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return,
                Err(error) if is_about_one(&error) => {}
                Err(error) => {
                    log::error(&format_args!("accept: {}", reason(&error)));
                    self.office.clients.evict();
                    self.pause_listening();
                    return;
                }
            }
        }
    }

    /// Connections wait in the kernel until there is room.
    fn pause_listening(&mut self) {
        if self.is_listening && epoll::delete(&self.epoll, &self.listener).is_ok() {
            self.is_listening = false;
        }
    }

    fn listen_again(&mut self) -> io::Result<()> {
        if !self.is_listening {
            watch(&self.epoll, &self.listener, LISTENER)?;
            self.is_listening = true;
        }
        Ok(())
    }

    fn hear(&mut self, id: clients::Id, now: Instant) {
        let clients::Heard::Question(question) = self.office.clients.hear(id) else { return };
        // It has said what it may; from here on only its leaving is of interest.
        if let Some(socket) = self.office.clients.socket(id) {
            let none = epoll::EventFlags::empty();
            let _ = epoll::modify(&self.epoll, socket, epoll::EventData::new_u64(id), none);
        }
        let Question { client, request, is_ours } = question;
        match request {
            Request::Auth(record) => self.office.take_login(id, record, client, is_ours, now),
            Request::Enumerate => self.list(id),
            other => match for_worker(&other, &client) {
                Some(request) => self.office.take(id, request, now),
                None => self.office.clients.answer(id, FAIL),
            },
        }
    }

    fn list(&mut self, id: clients::Id) {
        if let Some(socket) = self.office.clients.release(id)
            && let Err(error) = self.office.pool().list(socket)
        {
            log::error(&reason(&error));
        }
    }

    fn sweep(&mut self, now: Instant) {
        self.swept = now;
        self.office.sweep(now);
        if let Err(error) = self.listen_again() {
            log::error(&reason(&error));
        }
    }

    /// Whether it is time to end.
    fn take_signals(&mut self, now: Instant) -> io::Result<bool> {
        while let Some(signal) = self.signals.read_signal()? {
            match i32::try_from(signal.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok()) {
                Some(Signal::SIGCHLD) => self.office.pool().reap(),
                Some(Signal::SIGHUP) => self.reload(now),
                _ => return Ok(true),
            }
        }
        Ok(false)
    }

    /// Requests go on meanwhile. What cannot be read is not put in force.
    fn reload(&mut self, now: Instant) {
        let in_force = Settings::read().and_then(|settings| {
            log::line(format_args!("INFO: stopping authdaemond children"));
            settings.announce();
            self.office.room = room(settings.workers);
            self.office.configure(settings).map_err(|error| reason(&error))
        });
        match in_force {
            Ok(()) => log::line(format_args!("INFO: restarting authdaemond children")),
            Err(reason) => log::error(&format_args!("{reason}; the settings stay as they were")),
        }
        self.swept = now;
    }
}

/// What a worker is to read of a question that is no login; `None` if it is not
/// for one, or if nobody can have such a name.
fn for_worker(request: &Request, client: &Client) -> Option<Zeroizing<Vec<u8>>> {
    match request {
        Request::Pre { module, service, user } => request::look_up(module.as_deref(), service, user, client),
        Request::Passwd(change) => Some(request::change_password(change)),
        Request::Auth(_) | Request::Hopeless | Request::Enumerate => None,
    }
}

fn watch(epoll: &OwnedFd, source: impl AsFd, token: u64) -> io::Result<()> {
    Ok(epoll::add(epoll, source, epoll::EventData::new_u64(token), epoll::EventFlags::IN)?)
}

/// Whether accept(2) failed because of the one connection it was about.
fn is_about_one(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::ConnectionAborted | io::ErrorKind::Interrupted)
}

/// How many clients there is room for, with as many descriptors as we may
/// have.
fn room(workers: usize) -> usize {
    let for_clients = descriptors::most().saturating_sub(OTHER_DESCRIPTORS + workers as u64);
    usize::try_from(for_clients).unwrap_or(MOST_CLIENTS).clamp(1, MOST_CLIENTS)
}

//! postrider-mailbox: the sessions of the accounts of one uid, as that uid.
//!
//! It is born with one descriptor, its wire to the monitor, over which clients
//! come that are logged in already. It has seen neither a password nor a key.
//!
//! ```text
//!   monitor ──guest, descriptor──> threads, all waiting at one epoll(7):
//!                                    a guest: the maildrop is opened, the session begins
//!                                    a client: its session goes on until it has to wait again
//! ```
//!
//! A session that waits costs an entry there and no thread. One that reads the
//! disk keeps one of a bounded number of threads for as long, and no other
//! session waits for that. A client that has just been answered mostly says more
//! at once: some threads wait for that for a moment, one client each, which
//! spares the way through the epoll.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use maildir::Listings;
use pop3::reply::{self, Reply};
use rustix::event::epoll::{self, EventData, EventFlags};
use rustix::event::{PollFd, PollFlags, Timespec, poll};

use super::birth;
use super::confinement::Confinement;
use super::dismissal::Dismissal;
use super::guest::{self, Guest};
use super::stream::Stream;
use super::wire::{Received, Wire};
use crate::mailbox::{
    Client, Over, Refusal, Session, Settings, Wait, loginexec_is_allowed, open, release_buffers,
};
use crate::{descriptors, environment, log};

/// Sessions that are at work at once.
const THREADS: usize = 16;

/// Threads that may wait for one client each; the others are for all who are
/// here.
const LINGERING: usize = THREADS / 2;

/// How long one of them does: many times what a client needs that is near.
const MOMENT: Timespec = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };

/// How often a thread that has nothing to do looks whether all is over, and one of
/// them whose time is up. Deadlines are minutes away.
const TICK: Timespec = Timespec { tv_sec: 1, tv_nsec: 0 };
/// A little less than a tick.
const LOOK: Duration = Duration::from_millis(900);

/// MiB of memory for listings that are kept: some 400,000 messages.
const LISTINGS: usize = 64;

/// Names the wire among the events; the others are numbers of sessions.
const MONITOR: u64 = u64::MAX;

/// Runs postrider-mailbox with the words of its command line: the ids to
/// become, `UID GID GROUP…`, and a variable that names the Maildir if it is one's
/// alone.
#[must_use]
pub fn run() -> ExitCode {
    let confinement = match environment::non_empty(birth::MAILDIR) {
        Some(maildir) => Confinement::Account(maildir.into()),
        None if loginexec_is_allowed() => Confinement::MailboxWithPrograms,
        None => Confinement::Mailbox,
    };
    let wire = birth::as_account(&confinement).map(Wire::of);
    match wire.and_then(|wire| House::new(wire).map_err(|error| reason(&error))) {
        Ok(house) => house.serve(),
        Err(reason) => {
            log::error(&format_args!("postrider-mailbox: {reason}"));
            ExitCode::FAILURE
        }
    }
}

/// The process: its wire, its sessions, and where everybody waits.
struct House {
    wire: Wire,
    epoll: OwnedFd,
    seats: Mutex<HashMap<u64, Arc<Mutex<Seat>>>>,
    /// Messages of the monitor that threads are at: a guest whose maildrop is being
    /// opened has no seat yet.
    arriving: AtomicUsize,
    /// Threads that wait for one client each.
    lingering: AtomicUsize,
    listings: Listings,
    /// Sessions that have ended, and the monitor has not been told.
    untold: Mutex<VecDeque<u64>>,
    /// When it was last seen to who has been silent for too long.
    last_look: Mutex<Instant>,
    /// The monitor has gone, or wants no more of us. Who is here may stay.
    closed: AtomicBool,
    /// Who waits here may not stay.
    ending: AtomicBool,
}

/// A client, and its session as long as it lasts.
struct Seat {
    stream: Stream,
    session: Option<Session>,
    waits_for: Wait,
    /// Whether the epoll has it.
    is_watched: bool,
    /// Whether it is waited for by a thread: it has been quick as yet.
    is_quick: bool,
}

impl House {
    fn new(wire: Wire) -> io::Result<House> {
        let epoll = epoll::create(epoll::CreateFlags::CLOEXEC)?;
        let house = House {
            wire,
            epoll,
            seats: Mutex::default(),
            arriving: AtomicUsize::new(0),
            lingering: AtomicUsize::new(0),
            listings: listings(),
            untold: Mutex::default(),
            last_look: Mutex::new(Instant::now()),
            closed: AtomicBool::new(false),
            ending: AtomicBool::new(false),
        };
        house.watch_first(&house.wire, MONITOR, EventFlags::IN)?;
        Ok(house)
    }

    fn serve(&self) -> ExitCode {
        // What the kernel lets us have is how many sessions there is room for.
        let _ = descriptors::most();
        thread::scope(|scope| {
            for _ in 1..THREADS {
                // With fewer threads fewer sessions are at work at once.
                let started = thread::Builder::new().spawn_scoped(scope, || self.work());
                if let Err(error) = started {
                    log::error(&format_args!("a thread could not be started: {}", reason(&error)));
                }
            }
            self.work();
        });
        ExitCode::SUCCESS
    }

    /// What each thread does, until all is over.
    fn work(&self) {
        let mut events = Vec::with_capacity(1);
        while !self.is_over() {
            events.clear();
            match epoll::wait(&self.epoll, rustix::buffer::spare_capacity(&mut events), Some(&TICK)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return log::error(&format_args!("epoll_wait: {}", reason(&error.into()))),
            }
            if events.is_empty() {
                release_buffers();
            }
            for event in &events {
                match event.data.u64() {
                    MONITOR => self.hear_monitor(),
                    number => self.resume(number),
                }
            }
            self.look();
        }
    }

    /// Does what time asks for, once a tick, whichever thread comes by: any of them
    /// may have a client that keeps it for as long as it likes.
    fn look(&self) {
        let Ok(mut last) = self.last_look.try_lock() else { return };
        if last.elapsed() < LOOK {
            return;
        }
        *last = Instant::now();
        drop(last);
        self.end_the_silent();
        self.listings.rest();
        self.tell_all_ended();
    }

    /// Nobody is here, and nobody will come.
    fn is_over(&self) -> bool {
        // In this order: who no longer arrives has a seat.
        self.closed.load(Ordering::SeqCst)
            && self.arriving.load(Ordering::SeqCst) == 0
            && self.seats().is_empty()
    }

    fn hear_monitor(&self) {
        let received = match self.wire.receive() {
            Ok(received) => received,
            Err(_) => return self.closed.store(true, Ordering::SeqCst),
        };
        // Before another thread can hear that nobody else comes.
        self.arriving.fetch_add(1, Ordering::SeqCst);
        // Another thread may take the next guest while we open this one's maildrop.
        if let Err(error) = self.watch(&self.wire, MONITOR, EventFlags::IN) {
            log::error(&format_args!("epoll_ctl: {}", reason(&error)));
        }
        if let Some(received) = received {
            self.understand(received);
        }
        self.arriving.fetch_sub(1, Ordering::SeqCst);
    }

    fn understand(&self, Received { message, descriptor }: Received) {
        if let Some(dismissal) = Dismissal::decode(&message) {
            return self.obey(dismissal);
        }
        match (Guest::decode(&message), descriptor) {
            (Ok(guest), Some(descriptor)) => self.receive(guest, Stream::of(descriptor)),
            (Ok(guest), None) => {
                log::error(&"a client was sent away: there is no descriptor left");
                self.tell_ended(guest.number);
            }
            (Err(malformed), _) => log::error(&malformed),
        }
    }

    /// Whoever is at work when all end sees it when that is done.
    fn obey(&self, dismissal: Dismissal) {
        if dismissal == Dismissal::Now {
            self.ending.store(true, Ordering::Release);
            self.end_the_silent();
        }
        self.closed.store(true, Ordering::SeqCst);
    }

    fn is_ending(&self) -> bool {
        self.ending.load(Ordering::Acquire)
    }

    /// Opens a guest's maildrop and begins the session.
    fn receive(&self, mut guest: Guest, stream: Stream) {
        let started = Instant::now();
        let (number, arrived) = (guest.number, std::mem::take(&mut guest.arrived));
        let session = match open(Settings::of(guest), started, Some(stream.as_fd()), Some(&self.listings)) {
            Ok(session) => session.with_arrived(arrived),
            Err(refusal) => {
                if let Refusal::Spoken(reply, _) = refusal {
                    refuse(&stream, reply);
                }
                return self.tell_ended(number);
            }
        };
        let session = Some(session);
        let seat = Seat { stream, session, waits_for: Wait::ForRoom, is_watched: false, is_quick: true };
        let seat = Arc::new(Mutex::new(seat));
        // Locked before anybody can find it: its first event waits for us.
        let mut occupied = lock(&seat);
        self.seats().insert(number, Arc::clone(&seat));
        self.go_on(number, &mut occupied);
    }

    /// What a session has waited for seems to be there.
    fn resume(&self, number: u64) {
        let seat = self.seats().get(&number).cloned();
        if let Some(seat) = seat {
            self.go_on(number, &mut lock(&seat));
        }
    }

    /// Lets a session go on until it has to wait for longer than a moment, or is
    /// over.
    fn go_on(&self, number: u64, seat: &mut Seat) {
        loop {
            let Seat { stream, session, waits_for, .. } = seat;
            let Some(session) = session else { return };
            let next = match waits_for {
                Wait::ForLine => session.line_may_have_come(stream),
                Wait::ForRoom => session.go_on(stream),
            };
            match next {
                Ok(_) if self.is_ending() => return self.end(number, seat, Session::time_is_up),
                Ok(wait) => *waits_for = wait,
                Err(over) => return self.end(number, seat, |_| over),
            }
            if !self.linger(seat) {
                return self.watch_seat(number, seat);
            }
        }
    }

    /// Waits for a line of a client that is quick, if a thread can be spared;
    /// whether one seems to have come.
    fn linger(&self, seat: &mut Seat) -> bool {
        if seat.waits_for != Wait::ForLine || !seat.is_quick {
            return false;
        }
        let is_spared = self.lingering.fetch_add(1, Ordering::Relaxed) < LINGERING;
        if is_spared {
            let mut client = [PollFd::new(&seat.stream, PollFlags::IN)];
            seat.is_quick = poll(&mut client, Some(&MOMENT)).is_ok_and(|ready| ready > 0);
        }
        self.lingering.fetch_sub(1, Ordering::Relaxed);
        is_spared && seat.is_quick
    }

    /// Has one thread woken when a session may go on.
    fn watch_seat(&self, number: u64, seat: &mut Seat) {
        let events = match seat.waits_for {
            Wait::ForLine => EventFlags::IN,
            Wait::ForRoom => EventFlags::OUT,
        };
        let watched = match std::mem::replace(&mut seat.is_watched, true) {
            true => self.watch(&seat.stream, number, events),
            false => self.watch_first(&seat.stream, number, events),
        };
        if let Err(error) = watched {
            log::error(&format_args!("epoll_ctl: {}", reason(&error)));
            self.end(number, seat, Session::gone);
        }
    }

    /// Tells the kernel for what to wake one thread, once.
    fn watch(&self, source: impl AsFd, number: u64, events: EventFlags) -> io::Result<()> {
        let events = events | EventFlags::ONESHOT;
        Ok(epoll::modify(&self.epoll, source, EventData::new_u64(number), events)?)
    }

    /// The same for what was not watched before.
    fn watch_first(&self, source: impl AsFd, number: u64, events: EventFlags) -> io::Result<()> {
        let events = events | EventFlags::ONESHOT;
        Ok(epoll::add(&self.epoll, source, EventData::new_u64(number), events)?)
    }

    /// Ends the sessions whose clients have been silent for too long, or all that
    /// wait if it is time to end.
    fn end_the_silent(&self) {
        let now = Instant::now();
        let seats: Vec<_> = self.seats().iter().map(|(number, seat)| (*number, Arc::clone(seat))).collect();
        for (number, seat) in seats {
            // One that is locked is at work.
            if let Ok(mut seat) = seat.try_lock()
                && seat.session.as_ref().is_some_and(|session| self.is_ending() || session.deadline() <= now)
            {
                self.end(number, &mut seat, Session::time_is_up);
            }
        }
    }

    fn end(&self, number: u64, seat: &mut Seat, over: impl FnOnce(&Session) -> Over) {
        if let Some(session) = seat.session.take() {
            let over = over(&session);
            session.end(over);
            seat.stream.close();
        }
        self.seats().remove(&number);
        self.tell_ended(number);
    }

    fn tell_ended(&self, number: u64) {
        lock(&self.untold).push_back(number);
        self.tell_all_ended();
    }

    /// Tells the monitor of those of whom it has not heard. If there is no room it
    /// hears of them later; if it has gone there is nobody to tell.
    fn tell_all_ended(&self) {
        let mut untold = lock(&self.untold);
        while let Some(number) = untold.front()
            && !matches!(self.wire.send(&guest::ended(*number), None), Ok(false))
        {
            untold.pop_front();
        }
    }

    fn seats(&self) -> MutexGuard<'_, HashMap<u64, Arc<Mutex<Seat>>>> {
        lock(&self.seats)
    }
}

/// Room for POSTRIDER_LISTINGS MiB of listings, or for [`LISTINGS`].
fn listings() -> Listings {
    let asked =
        environment::non_empty("POSTRIDER_LISTINGS").map(|_| environment::number("POSTRIDER_LISTINGS"));
    let mebibytes = asked.map_or(LISTINGS, |asked| usize::try_from(asked).unwrap_or(0));
    Listings::new(mebibytes.saturating_mul(1 << 20))
}

/// Says why there is no session.
fn refuse(stream: &Stream, sentence: Reply) {
    let mut out = Vec::new();
    reply::put(sentence, &mut out);
    // A client that has no room for one line has not been waiting for it.
    let _ = stream.give(&out);
    stream.forget_arrived();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

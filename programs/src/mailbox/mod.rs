//! courierpop3d: TRANSACTION and UPDATE on standard input and output, as the
//! account's user, in the account's home directory.
//!
//! It has seen neither a password nor a key. It is started by a login program
//! (or a module of the chain) that has validated somebody, or by hand, and then
//! serves with the caller's own rights. As root it refuses to.
//!
//! ```text
//!   start: validated? root? locked? ──> Maildir ──> loginexec, options ──> maildrop ──> session ──> UPDATE
//! ```

mod adapter;
mod buffers;
mod client;
mod loginexec;
mod retrieve;
mod session;
mod settings;
mod text;
mod unseen;
mod update;
mod validated;

use std::cell::RefCell;
use std::os::fd::BorrowedFd;
use std::process::ExitCode;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use authlib::printable::reason;
use maildir::{Listings, Maildir};
use pop3::reply::{self, Reply};
use pop3::{Transaction, Wrapper};
use system::random::Supply;

use crate::connection::Connection;
use crate::log;
use adapter::Listing;
pub(crate) use buffers::release as release_buffers;
pub(crate) use client::{Client, Replies};
pub(crate) use loginexec::is_allowed as loginexec_is_allowed;
pub(crate) use session::{Over, Session, Wait};
pub(crate) use settings::Settings;

/// How long a client may be silent (RFC 1939 section 3: at least ten minutes;
/// ledger 211), or take nothing of what it asked for (ledger 212), if
/// POSTRIDER_AUTOLOGOUT says nothing else.
const AUTOLOGOUT: Duration = Duration::from_secs(600);

/// Why no session came to be.
pub(crate) enum Refusal {
    /// The client hears this, and this is the exit status.
    Spoken(Reply, u8),
    /// Nothing is said; the exit status.
    Silent(ExitCode),
}

/// Runs courierpop3d with the arguments and environment of this process.
#[must_use]
pub fn run() -> ExitCode {
    let started = Instant::now();
    let connection = Connection::inherited();
    match start(started) {
        Ok(session) => serve(session, &connection),
        Err(Refusal::Silent(status)) => status,
        Err(Refusal::Spoken(reply, status)) => {
            let mut out = Vec::new();
            reply::put(reply, &mut out);
            connection.say_farewell(&mut out, AUTOLOGOUT);
            ExitCode::from(status)
        }
    }
}

/// Serves the client until the session ends.
fn serve(mut session: Session, connection: &Connection) -> ExitCode {
    let mut next = session.go_on(connection);
    let over = loop {
        let wait = match next {
            Ok(wait) => wait,
            Err(over) => break over,
        };
        next = match (connection.wait_for(wait, session.deadline()), wait) {
            (Ok(true), Wait::ForLine) => session.line_may_have_come(connection),
            (Ok(true), Wait::ForRoom) => session.go_on(connection),
            (Ok(false), _) => break session.time_is_up(),
            (Err(error), _) => {
                log::error(&format_args!("waiting for the client: {}", reason(&error)));
                break session.gone();
            }
        };
    };
    if session.end(over) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Everything up to `+OK logged in.` that is about a process of its own.
fn start(started: Instant) -> Result<Session, Refusal> {
    // First of all: a chain that has rejected somebody comes here as root.
    validated::or_start_over()?;
    if system::user::is_root() {
        log::error(&"refusing to serve mail as root");
        return Err(Refusal::Spoken(reply::NO_ROOT, 1));
    }
    open(Settings::from_environment(), started, None, None)
}

/// Everything up to `+OK logged in.` that is about an account (reference wire.md
/// 8), whose login began at `started`. `client` is where the client is, if not
/// on descriptors 0 and 1; `listings` are those of the process, if it has many
/// sessions.
pub(crate) fn open(
    settings: Settings,
    started: Instant,
    client: Option<BorrowedFd<'_>>,
    listings: Option<&Listings>,
) -> Result<Session, Refusal> {
    refuse_if_locked(&settings)?;
    let maildir = Maildir::open(&settings.maildir).map_err(|error| {
        log::path_error("chdir", &settings.maildir, &error);
        Refusal::Spoken(reply::NO_MAILDIR, 1)
    })?;
    loginexec::run_once(&maildir, &settings.maildir, client).map_err(|reply| Refusal::Spoken(reply, 1))?;
    refuse_if_disabled(&settings)?;
    settings.session.login();
    let wrapper = wrapper(&settings)?;
    let maildrop = open_maildrop(&maildir, &settings, listings)?;
    let transaction = Transaction::new(Listing(maildrop), settings.utf8, wrapper);
    Ok(Session::new(transaction, settings, started))
}

/// The administrator's lock: the sticky bit on the home directory.
fn refuse_if_locked(settings: &Settings) -> Result<(), Refusal> {
    const STICKY: u32 = 0o1000;
    match rustix::fs::stat(&settings.home) {
        Ok(stat) if stat.st_mode & STICKY == 0 => Ok(()),
        Ok(_) => {
            settings.session.locked();
            Err(Refusal::Spoken(reply::LOCKED, 0))
        }
        Err(error) => {
            log::path_error("chdir", &settings.home, &reason(&error.into()));
            Err(Refusal::Spoken(reply::TEMPORARY_PROBLEM, 1))
        }
    }
}

fn refuse_if_disabled(settings: &Settings) -> Result<(), Refusal> {
    if settings.options.is_on("disablepop3") {
        return Err(Refusal::Spoken(reply::DISABLED, 1));
    }
    if settings.options.is_on("disableinsecurepop3") && !settings.tls {
        return Err(Refusal::Spoken(reply::DISABLED_INSECURE, 1));
    }
    Ok(())
}

thread_local! {
    static BOUNDARIES: RefCell<Supply> = RefCell::default();
}

/// The wrapper of this session, with a boundary that nobody can foresee.
fn wrapper(settings: &Settings) -> Result<Wrapper, Refusal> {
    let random: [u8; 16] = BOUNDARIES.with_borrow_mut(Supply::octets).map_err(|error| {
        log::error(&format_args!("no randomness: {}", reason(&error)));
        Refusal::Spoken(reply::TEMPORARY_PROBLEM, 1)
    })?;
    let boundary = format!("=_{:032x}", u128::from_ne_bytes(random));
    Ok(Wrapper::new(&boundary, &settings.unicode_message_type))
}

fn open_maildrop(
    maildir: &Maildir,
    settings: &Settings,
    listings: Option<&Listings>,
) -> Result<maildir::Maildrop, Refusal> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_secs());
    let mut notices = |notice: maildir::Notice| settings.notice(&notice);
    let opened = match listings {
        Some(listings) => maildir.open_maildrop_known(listings, now, &mut notices),
        None => maildir.open_maildrop(now, &mut notices),
    };
    opened.map_err(|error| {
        let (reply, status) = match &error {
            maildir::Error::NoCur(_) => (reply::NO_CUR, 0),
            maildir::Error::Busy => (reply::IN_USE, 1),
            _ => (reply::TEMPORARY_PROBLEM, 1),
        };
        log::error(&error);
        Refusal::Spoken(reply, status)
    })
}

//! The service manager that has started us, if it wants to hear how we are:
//! sd_notify(3), one datagram for each thing to tell.

use std::env;
use std::ffi::OsStr;
use std::os::linux::net::SocketAddrExt;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::net::{SocketAddr, UnixDatagram};
use std::time::Duration;

use authlib::printable::{printable, reason};
use rustix::time::{ClockId, clock_gettime};

use crate::log;

/// Where it listens, and how often it wants to hear of us.
#[derive(Debug, Default)]
pub(super) struct Manager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    /// Half of what it waits for a sign of life.
    pub(super) beat: Option<Duration>,
}

/// What it is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum State<'s> {
    /// Clients are let in; what there is to say of that.
    Ready(&'s str),
    /// The settings are read again.
    Reloading,
    /// Nobody else is let in.
    Stopping,
    /// All processes have answered.
    Alive,
    /// The process of that id has taken our place.
    Followed(u32),
}

impl Manager {
    /// NOTIFY_SOCKET, WATCHDOG_USEC and WATCHDOG_PID.
    pub(super) fn from_environment() -> Manager {
        let Some(path) = env::var_os("NOTIFY_SOCKET").filter(|path| !path.is_empty()) else {
            return Manager::default();
        };
        let socket = open(&path).inspect_err(|error| {
            log::warning(&format_args!("NOTIFY_SOCKET: {}", reason(error)));
        });
        let number = |name| env::var(name).ok().and_then(|text| text.parse::<u64>().ok());
        let is_ours = number("WATCHDOG_PID").is_none_or(|pid| pid == u64::from(std::process::id()));
        let period = number("WATCHDOG_USEC").filter(|period| is_ours && *period > 0);
        Manager { socket: socket.ok(), beat: period.map(|period| Duration::from_micros(period) / 2) }
    }

    /// Tells it. Where it does not listen, that is its own affair.
    pub(super) fn tell(&self, state: State<'_>) {
        let Some((socket, there)) = &self.socket else { return };
        let _it_may_not_listen = socket.send_to_addr(words(state).as_bytes(), there);
    }
}

fn open(path: &OsStr) -> std::io::Result<(UnixDatagram, SocketAddr)> {
    let there = match path.as_bytes() {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        _ => SocketAddr::from_pathname(path)?,
    };
    let socket = UnixDatagram::unbound()?;
    socket.set_nonblocking(true)?;
    Ok((socket, there))
}

fn words(state: State<'_>) -> String {
    match state {
        State::Ready(status) => format!("READY=1\nSTATUS={}\n", printable(status.as_bytes())),
        State::Reloading => {
            let now = clock_gettime(ClockId::Monotonic);
            let now = now.tv_sec.saturating_mul(1_000_000).saturating_add(now.tv_nsec / 1000);
            format!("RELOADING=1\nMONOTONIC_USEC={now}\nSTATUS=reading the settings again\n")
        }
        State::Stopping => "STOPPING=1\nSTATUS=shutting down\n".to_owned(),
        State::Alive => "WATCHDOG=1\n".to_owned(),
        State::Followed(pid) => format!("MAINPID={pid}\nREADY=1\nSTATUS=serving\n"),
    }
}

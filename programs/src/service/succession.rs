//! How one monitor follows another: the old one starts the new one with a wire
//! at descriptor 3 and hands it its sockets; when the new one serves, the old
//! one lets nobody else in.
//!
//! ```text
//!   old ──Listener…, Door, All──> new
//!   old <──────────────── Alive ── new   it serves
//!   old <─────────────── Cannot ── new   why it does not; the old one goes on
//!   old <──────── Dismissal::Now ── new   it ends, and what is left of the old one is to end too
//! ```
//!
//! The old one's side is `monitor/succession.rs`.

use std::env;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::process::parent_id;
use std::path::PathBuf;
use std::rc::Rc;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use super::birth;
use super::dismissal::Dismissal;
use super::fields::{Malformed, Reader, Writer};
use super::listen::{self, Listener};
use super::report::Report;
use super::sockets::Sockets;
use super::wire::{Received, Wire};

/// Names the process that has started this one to follow it. Not a setting: the
/// monitor sets it.
pub(super) const OF: &str = "POSTRIDER_SUCCESSOR_OF";
/// How long the old monitor may take to hand over what it has.
const PATIENCE: Duration = Duration::from_secs(10);

/// What the old monitor hands over.
pub(super) enum Legacy {
    /// A listening socket.
    Listener(Listener),
    /// The control socket, and its path.
    Door(PathBuf, OwnedFd),
    /// That was all.
    All,
}

const LISTENER: u8 = b'L';
const DOOR: u8 = b'D';
const ALL: u8 = b'A';

impl Legacy {
    /// The message, and the descriptor that goes with it.
    pub(super) fn encode(self) -> (Zeroizing<Vec<u8>>, Option<OwnedFd>) {
        match self {
            Legacy::Listener(listener) => {
                let (fields, socket) = listener.hand_over(Writer::new(LISTENER));
                (fields.message(), Some(socket))
            }
            Legacy::Door(path, socket) => (Writer::new(DOOR).path(&path).message(), Some(socket)),
            Legacy::All => (Writer::new(ALL).message(), None),
        }
    }

    fn decode(Received { message, descriptor }: Received) -> Result<Legacy, Malformed> {
        let (kind, mut fields) = Reader::new(&message)?;
        let legacy = match (kind, descriptor) {
            (LISTENER, Some(socket)) => Legacy::Listener(Listener::handed_over(&mut fields, socket)?),
            (DOOR, Some(socket)) => Legacy::Door(fields.path()?, socket),
            (ALL, None) => Legacy::All,
            _ => return Err(Malformed),
        };
        fields.end()?;
        Ok(legacy)
    }
}

/// What a monitor finds at its start.
#[derive(Default)]
pub(crate) struct Inheritance {
    /// Whom it follows, if it does.
    pub(crate) predecessor: Option<Predecessor>,
    /// Sockets that systemd has opened, for this monitor or the first one before
    /// it.
    pub(crate) passed: Vec<Listener>,
    /// Sockets that the old monitor has opened.
    pub(crate) open: Sockets,
    /// The control socket.
    pub(crate) door: Option<(PathBuf, OwnedFd)>,
}

/// Takes it. To be called before this process opens a descriptor.
///
/// # Errors
/// A line for the log.
pub(crate) fn inheritance() -> Result<Inheritance, String> {
    let follows = env::var(OF).is_ok_and(|pid| pid == parent_id().to_string());
    // Where nobody is followed, that descriptor may be a socket of systemd's.
    let wire = follows.then(|| system::descriptor::inherited(birth::WIRE)).flatten();
    let Some(wire) = wire else {
        return Ok(Inheritance { passed: listen::passed()?, ..Inheritance::default() });
    };
    let predecessor = Predecessor { wire: Rc::new(Wire::of(wire)) };
    let mut inheritance = Inheritance::default();
    let until = Instant::now() + PATIENCE;
    loop {
        match predecessor.hands_over(until).map_err(|error| reason(&error))? {
            Legacy::Listener(listener) if listener.passed => inheritance.passed.push(listener),
            Legacy::Listener(listener) => inheritance.open.add(listener),
            Legacy::Door(path, socket) => inheritance.door = Some((path, socket)),
            Legacy::All => break,
        }
    }
    inheritance.predecessor = Some(predecessor);
    Ok(inheritance)
}

/// The monitor that this one follows.
#[derive(Clone)]
pub(crate) struct Predecessor {
    wire: Rc<Wire>,
}

impl Predecessor {
    fn hands_over(&self, until: Instant) -> io::Result<Legacy> {
        loop {
            if let Some(received) = self.wire.receive()? {
                return Legacy::decode(received).map_err(io::Error::other);
            }
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(io::ErrorKind::TimedOut.into());
            }
            let left = Timespec { tv_sec: 1 + left.as_secs().cast_signed(), tv_nsec: 0 };
            match poll(&mut [PollFd::new(&*self.wire, PollFlags::IN)], Some(&left)) {
                Ok(_) | Err(rustix::io::Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// This monitor serves. What the other one does not hear it sees: it goes on
    /// until it has heard.
    pub(super) fn is_followed(&self) {
        let _it_may_have_gone = Report::Alive(0).send(&self.wire);
    }

    /// This monitor will not serve, for this reason.
    pub(super) fn is_not_followed(&self, reason: &str) {
        let _it_may_have_gone = Report::Cannot(reason.to_owned()).send(&self.wire);
    }

    /// The sessions that the other one still has are to end in their time.
    pub(super) fn dismiss(&self) {
        let _it_may_have_gone = self.wire.send(&Dismissal::Now.encode(), None);
    }

    /// Whether it has gone.
    pub(super) fn has_gone(&self) -> bool {
        self.wire.receive().is_err()
    }
}

impl AsFd for Predecessor {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wire.as_fd()
    }
}

#[cfg(test)]
mod tests {
    use super::{Legacy, Wire};
    use crate::service::listen::{Address, Listener, Manner};
    use crate::service::sockets::Sockets;
    use std::os::fd::AsFd;

    fn handed_over(legacy: Legacy) -> Legacy {
        let (one, other) = Wire::pair().unwrap();
        let (message, descriptor) = legacy.encode();
        assert!(one.send(&message, descriptor.as_ref().map(AsFd::as_fd)).unwrap());
        Legacy::decode(other.receive().unwrap().unwrap()).unwrap()
    }

    #[test]
    fn a_listener_is_the_same_place_for_who_gets_it() {
        let directory = tempfile::tempdir().unwrap();
        let unix = format!("unix:0600:{}", directory.path().join("s").display());
        for place in ["127.0.0.1:0", "[::1]:0", &unix] {
            let address: Address = place.parse().unwrap();
            let manner = Manner { implicit_tls: true, proxied: false };
            let opened = Listener::open(address.clone(), manner, &mut Sockets::default()).unwrap();
            let shown = opened.to_string();
            let Legacy::Listener(got) = handed_over(Legacy::Listener(opened)) else { unreachable!() };
            assert_eq!((&got.address, got.manner, got.passed), (&address, manner, false));
            assert_eq!(got.to_string(), shown);
            let mut open = Sockets::default();
            open.add(got);
            assert!(open.take(&address).is_some());
        }
    }

    #[test]
    fn what_is_no_legacy_is_none() {
        let (one, other) = Wire::pair().unwrap();
        for nonsense in [&b"L"[..], b"D", b"x", b"Axxxxxxxx"] {
            assert!(one.send(nonsense, None).unwrap());
            assert!(Legacy::decode(other.receive().unwrap().unwrap()).is_err());
        }
        assert!(matches!(handed_over(Legacy::All), Legacy::All));
    }
}

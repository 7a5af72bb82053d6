//! The keys of tickets: made when it is time, given to all fronts of all
//! generations, and kept for the next start.

use std::ffi::OsStr;
use std::fmt;
use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use authlib::printable::reason;
use zeroize::Zeroizing;

use super::super::fields::{Reader, Writer};
use super::super::order::Order;
use super::super::settings::Settings;
use super::super::ticket_keys::TicketKeys;
use super::Monitor;
use super::process::{Role, Token};
use crate::log;

/// The file in the directory of the service.
const NAME: &str = "ticketkeys";
/// What a file of them begins with.
const KIND: u8 = b'1';

/// Where they are kept.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) enum Keeping {
    /// There are none: no session can be resumed.
    #[default]
    Nowhere,
    /// Here; they end with the service.
    Memory,
    /// In this file too.
    File(PathBuf),
}

impl Keeping {
    /// What POSTRIDER_TLS_TICKETS says; else what `TLS_CACHEFILE` says with
    /// Courier's files, without them in the directory of the service.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn of(settings: &Settings, directory: &Path) -> Result<Keeping, String> {
        let said = settings.get("POSTRIDER_TLS_TICKETS").map(OsStr::as_encoded_bytes);
        match (said, settings.get("TLS_CACHEFILE")) {
            (Some(b"off"), _) => Ok(Keeping::Nowhere),
            (Some(b"memory"), _) => Ok(Keeping::Memory),
            (Some(b"file"), _) => Ok(Keeping::File(directory.join(NAME))),
            (Some(_), _) => Err("POSTRIDER_TLS_TICKETS: it is file, memory or off".to_owned()),
            (None, _) if !settings.are_couriers() => Ok(Keeping::File(directory.join(NAME))),
            (None, None) => Ok(Keeping::Memory),
            // The file itself is for sessions, and may be in use by couriertls.
            (None, Some(cache)) => Ok(Keeping::File(beside(Path::new(cache), NAME))),
        }
    }
}

impl fmt::Display for Keeping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Keeping::Nowhere => f.write_str("no session of TLS is resumed"),
            Keeping::Memory => f.write_str("their keys are kept until the service ends"),
            Keeping::File(path) => write!(f, "their keys are kept in {}", path.display()),
        }
    }
}

/// The keys, and where they are kept.
#[derive(Default)]
pub(super) struct Keyring {
    keeping: Keeping,
    keys: TicketKeys,
    /// They are not in their file.
    is_unsaved: bool,
}

impl Keyring {
    /// Keeps them there from now on.
    fn follow(&mut self, keeping: &Keeping) {
        if self.keeping == *keeping {
            return;
        }
        self.keeping = keeping.clone();
        self.is_unsaved = true;
        match keeping {
            Keeping::Nowhere => self.keys = TicketKeys::default(),
            Keeping::File(path) if self.keys.newest_first().is_empty() => match load(path) {
                Ok(keys) => (self.keys, self.is_unsaved) = (keys, false),
                Err(error) if error.kind() == ErrorKind::NotFound => {}
                Err(error) => log::warning(&format!("{}: {}", path.display(), reason(&error))),
            },
            Keeping::Memory | Keeping::File(_) => {}
        }
    }

    /// Does what it is time for; whether there are other keys now.
    fn turn(&mut self) -> bool {
        if self.keeping == Keeping::Nowhere {
            return false;
        }
        let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs());
        let turned = self.keys.turn(now).unwrap_or_else(|error| {
            log::error(&format_args!("getrandom: {}", reason(&error)));
            false
        });
        if let Keeping::File(path) = &self.keeping
            && (turned || self.is_unsaved)
            && let Err(error) = save(&self.keys, path)
        {
            let path = path.display();
            log::warning(&format!("{path}: {}: no session of TLS outlives a restart", reason(&error)));
        }
        self.is_unsaved = false;
        turned
    }
}

impl Monitor {
    /// Settings that are in force now say where keys are kept.
    pub(super) fn keep_ticket_keys(&mut self, keeping: &Keeping) {
        self.keyring.follow(keeping);
        let _all_are_told = self.keyring.turn();
        self.tell_ticket_keys();
    }

    /// Gives new ones to all fronts, if it is time.
    pub(super) fn turn_ticket_keys(&mut self) {
        if self.keyring.turn() {
            self.tell_ticket_keys();
        }
    }

    /// Gives them to all fronts.
    pub(super) fn tell_ticket_keys(&mut self) {
        for front in self.parts.all_of(&Role::Front) {
            self.give_ticket_keys(front);
        }
    }

    /// Gives them to a front.
    pub(super) fn give_ticket_keys(&mut self, front: Token) {
        self.parts.order(front, Order::TicketKeys(self.keyring.keys.clone()));
    }
}

/// What is in a file that nobody else could have read or written.
fn load(path: &Path) -> io::Result<TicketKeys> {
    let metadata = fs::symlink_metadata(path)?;
    let is_ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if !metadata.is_file() || !is_ours || metadata.mode() & 0o077 != 0 {
        return Err(io::Error::other("it is not for its owner alone, so these keys are not used"));
    }
    let octets = Zeroizing::new(fs::read(path)?);
    let read = || {
        let (KIND, mut fields) = Reader::new(&octets).ok()? else { return None };
        let keys = TicketKeys::read(&mut fields).ok()?;
        fields.end().ok().map(|()| keys)
    };
    read().ok_or_else(|| io::Error::other("there are no keys in it; it is made anew"))
}

/// Puts them into a file of their owner alone, as a whole.
fn save(keys: &TicketKeys, path: &Path) -> io::Result<()> {
    let new = beside(path, "new");
    let _it_was_left_behind = fs::remove_file(&new);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
    file.write_all(&keys.write(Writer::new(KIND)).message())?;
    fs::rename(&new, path)
}

/// The path with another ending.
fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(".");
    path.push(ending);
    path.into()
}

#[cfg(test)]
mod tests {
    use super::{Keeping, Keyring, load};
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn what_is_kept_in_a_file_is_there_again_and_what_others_can_read_is_not_used() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("ticketkeys");
        let keyring = || {
            let mut keyring = Keyring::default();
            keyring.follow(&Keeping::File(path.clone()));
            keyring
        };
        let mut first = keyring();
        assert!(first.turn() && !first.turn());
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o7777, 0o600);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        let mut second = keyring();
        assert!(!second.turn() && second.keys == first.keys);

        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(load(&path).is_err() && keyring().turn());
        fs::write(&path, "1x").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert!(load(&path).is_err() && keyring().turn());
        assert!(load(&path).is_ok());
    }

    #[test]
    fn without_a_place_there_are_none() {
        let mut keyring = Keyring::default();
        assert!(!keyring.turn());
        keyring.follow(&Keeping::Memory);
        assert!(keyring.turn());
        keyring.follow(&Keeping::Nowhere);
        assert!(!keyring.turn() && keyring.keys.newest_first().is_empty());
    }
}

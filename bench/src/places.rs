//! Who is measured: five servers with the same accounts and the same mail, each
//! in a directory and a control group of its own, on loopback.

mod courier;
mod dovecot;
mod limit;
mod postrider;
mod super_server;

use std::any::Any;
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::os::unix::fs::{OpenOptionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use anyhow::{Context, Result, anyhow, ensure};
use rustls::ClientConfig;
use testbed::Fault;
use testbed::certificates::Certificates;

use crate::group::Group;
use crate::load::Door;
use crate::mail::{Account, Mail, OWNER, Pool};

/// A server, or the same one with another client.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Who {
    /// `postrider serve`.
    Service,
    /// Our couriertcpd, courierpop3login, authdaemond and courierpop3d.
    Classic,
    /// Courier, as Debian packages it.
    Courier,
    /// Courier, whose client acknowledges at once.
    CourierAtOnce,
    /// Dovecot, as Debian packages it.
    Dovecot,
    /// What answers from memory.
    Limit,
}

impl Who {
    /// All, as they stand in tables.
    pub(crate) const ALL: [Who; 6] =
        [Who::Service, Who::Classic, Who::Courier, Who::CourierAtOnce, Who::Dovecot, Who::Limit];

    /// What people call it.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Who::Service => "postrider serve",
            Who::Classic => "classic chain",
            Who::Courier => "Courier",
            Who::CourierAtOnce => "Courier (\\*)",
            Who::Dovecot => "Dovecot",
            Who::Limit => "limit",
        }
    }

    /// Whose place it is measured at.
    pub(crate) fn place(self) -> Who {
        if self == Who::CourierAtOnce { Who::Courier } else { self }
    }

    /// Whether a failure of it is a failure of ours.
    pub(crate) fn is_ours(self) -> bool {
        matches!(self, Who::Service | Who::Classic)
    }
}

/// What all places are made of.
pub(crate) struct Ground {
    /// Where all of it lies; others can reach it.
    pub(crate) directory: PathBuf,
    /// Our programs, where others can reach them.
    pub(crate) programs: PathBuf,
    /// Where Debian's dovecot-pop3d is unpacked, which cannot be installed beside
    /// Courier's.
    pub(crate) dovecot: PathBuf,
    pub(crate) certificates: Certificates,
    pub(crate) client_tls: Arc<ClientConfig>,
    pub(crate) accounts: Vec<Account>,
    pub(crate) pool: Pool,
}

/// A running server. Dropping it ends all its processes.
pub(crate) struct Place {
    clear: SocketAddr,
    tls: Option<SocketAddr>,
    client_tls: Arc<ClientConfig>,
    homes: Option<PathBuf>,
    _running: Vec<Box<dyn Any>>,
    // Behind what runs in it.
    pub(crate) group: Group,
}

impl Place {
    /// Starts it. The same server started again has the same homes.
    ///
    /// # Errors
    /// It is not installed, or does not start.
    pub(crate) fn start(who: Who, ground: &Ground) -> Result<Place> {
        let start = match who {
            Who::Service => postrider::service,
            Who::Classic => postrider::classic,
            Who::Courier | Who::CourierAtOnce => courier::start,
            Who::Dovecot => dovecot::start,
            Who::Limit => limit::start,
        };
        Place::start_by(who, ground, start)
    }

    /// Starts a service of ours that has room for so many connections.
    ///
    /// # Errors
    /// It does not start.
    pub(crate) fn start_with_room(ground: &Ground, room: usize) -> Result<Place> {
        Place::start_by(Who::Service, ground, |ground, directory, homes| {
            postrider::service_with_room(ground, directory, homes, room)
        })
    }

    fn start_by(
        who: Who,
        ground: &Ground,
        start: impl FnOnce(&Ground, &Path, &Path) -> Result<Place>,
    ) -> Result<Place> {
        static STARTED: AtomicUsize = AtomicUsize::new(0);
        let number = STARTED.fetch_add(1, Ordering::Relaxed);
        let directory = ground.directory.join(format!("{who:?}-{number}"));
        testbed::stand::make_public(&directory).map_err(readable)?;
        let homes = make_homes(ground, who)?;
        start(ground, &directory, &homes).with_context(|| who.name())
    }

    /// Where clients enter, inside TLS if `tls`; `None` if it does not speak
    /// that.
    pub(crate) fn door(&self, tls: bool) -> Option<Door> {
        let (address, tls) =
            if tls { (self.tls?, Some(Arc::clone(&self.client_tls))) } else { (self.clear, None) };
        Some(Door { address, tls, acknowledge_at_once: false })
    }

    /// The Maildir of an account; `None` if this place has none.
    pub(crate) fn maildir(&self, user: &str) -> Option<PathBuf> {
        self.homes.as_ref().map(|homes| homes.join(user).join("Maildir"))
    }

    /// Lays out `mail` for an account, if this place has Maildirs.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn lay_out(&self, pool: &Pool, user: &str, mail: Mail) -> Result<()> {
        self.maildir(user).map_or(Ok(()), |maildir| pool.lay_out(&maildir, mail))
    }
}

/// Everybody's place, or why there is none.
pub(crate) struct Places(BTreeMap<Who, Result<Place, String>>);

impl Places {
    /// Starts everybody.
    pub(crate) fn start(ground: &Ground) -> Places {
        let mut places = Places(BTreeMap::new());
        for who in Who::ALL.into_iter().filter(|who| who.place() == *who) {
            places.start_again(who, ground);
        }
        places
    }

    /// Starts this one alone.
    pub(crate) fn start_only(who: Who, ground: &Ground) -> Places {
        let mut places = Places(BTreeMap::new());
        places.start_again(who, ground);
        places
    }

    /// Starts one of them, in place of what was there.
    pub(crate) fn start_again(&mut self, who: Who, ground: &Ground) {
        let who = who.place();
        drop(self.0.remove(&who));
        let place = Place::start(who, ground).map_err(|error| format!("{error:#}"));
        if let Err(fault) = &place {
            eprintln!("{fault}");
        }
        self.0.insert(who, place);
    }

    /// Where this one is measured.
    ///
    /// # Errors
    /// Why it is not there.
    pub(crate) fn at(&self, who: Who) -> Result<&Place, &str> {
        self.0.get(&who.place()).ok_or("nobody has started it")?.as_ref().map_err(String::as_str)
    }

    /// All that are there.
    pub(crate) fn standing(&self) -> impl Iterator<Item = &Place> {
        self.0.values().filter_map(|place| place.as_ref().ok())
    }
}

/// The home directories of all accounts at one kind of server.
fn make_homes(ground: &Ground, who: Who) -> Result<PathBuf> {
    let homes = ground.directory.join("homes").join(format!("{who:?}"));
    testbed::stand::make_public(&homes).map_err(readable)?;
    for account in &ground.accounts {
        let home = homes.join(&account.name);
        fs::create_dir_all(&home)?;
        chown(&home, Some(OWNER.0), Some(OWNER.1))?;
    }
    Ok(homes)
}

/// Makes the userdb of all accounts in `directory`.
fn make_userdb(ground: &Ground, homes: &Path, directory: &Path, makeuserdb: &Path) -> Result<()> {
    let path = directory.join("userdb");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&path)?;
    for Account { name, hash, .. } in &ground.accounts {
        let (home, (uid, gid)) = (homes.join(name), OWNER);
        writeln!(file, "{name}\tuid={uid}|gid={gid}|home={}|systempw={hash}", home.display())?;
    }
    let made = Command::new(makeuserdb).arg("-f").arg(&path).output().context("makeuserdb")?;
    ensure!(made.status.success(), "makeuserdb: {}", String::from_utf8_lossy(&made.stderr));
    Ok(())
}

/// One of ours for the other's kind of error.
pub(crate) fn readable(fault: Fault) -> anyhow::Error {
    anyhow!("{fault}")
}

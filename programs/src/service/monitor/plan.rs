//! What the service is to be.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use super::files::Certificate;
use super::keyring::Keeping;
use super::proxies::Proxy;
use crate::environment;
use crate::mailbox::loginexec_is_allowed;
use crate::service::confinement;
use crate::service::limits::Limits;
use crate::service::listen::Listener;
use crate::service::sockets::Sockets;

/// What the service is to be.
pub(crate) struct Plan {
    /// Where the programs are.
    pub(crate) programs: PathBuf,
    /// How many fronts.
    pub(crate) fronts: usize,
    /// Who shares a mailbox process.
    pub(crate) isolation: Isolation,
    /// Over how many processes the accounts of a uid are spread, if they share.
    pub(crate) shards: u64,
    /// The listening sockets.
    pub(crate) listeners: Vec<Listener>,
    /// The certificate of TLS, if it is spoken.
    pub(crate) certificate: Option<Certificate>,
    /// The same, if it is the service's own to make.
    pub(crate) own_certificate: Option<PathBuf>,
    /// How often its files are looked at; never if that is zero.
    pub(crate) looks_every: Duration,
    /// Where the keys of its tickets are kept.
    pub(crate) tickets: Keeping,
    /// What is needed for accounts whose mail is elsewhere.
    pub(crate) proxy: Option<Proxy>,
    /// The Maildir of accounts that have none of their own.
    pub(crate) maildir: PathBuf,
    /// What the processes find in their environment.
    pub(crate) environments: Environments,
    /// What this process goes by, once it serves.
    pub(crate) variables: BTreeMap<String, OsString>,
    /// How long a process may take until it can serve.
    pub(crate) patience: Duration,
    /// How long sessions may go on after SIGTERM.
    pub(crate) farewell: Duration,
    /// How many connections there may be, and how many sessions of an account.
    pub(crate) limits: Limits,
    /// What to type next, for who is new here.
    pub(crate) hint: Option<String>,
}

impl Plan {
    /// Copies of its listening sockets.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(crate) fn sockets(&self) -> io::Result<Sockets> {
        let mut sockets = Sockets::default();
        for listener in &self.listeners {
            sockets.add(listener.try_clone()?);
        }
        Ok(sockets)
    }

    /// Whether mailbox processes of the one serve as those of the other would.
    pub(crate) fn has_the_same_mailboxes(&self, other: &Plan) -> bool {
        (self.shards, self.isolation) == (other.shards, other.isolation)
            && self.environments.mailbox == other.environments.mailbox
    }
}

/// Who shares a mailbox process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Isolation {
    /// Accounts of one uid.
    Uid,
    /// Nobody: each account has its own, which can touch its Maildir alone.
    Account,
}

impl Isolation {
    /// POSTRIDER_ISOLATION.
    ///
    /// # Errors
    /// A line for the log: it is neither, or cannot be had here.
    pub(crate) fn from_environment() -> Result<Isolation, String> {
        match environment::octets("POSTRIDER_ISOLATION").as_slice() {
            b"" | b"uid" => Ok(Isolation::Uid),
            b"account" if loginexec_is_allowed() => {
                Err("POSTRIDER_ISOLATION=account: not together with POSTRIDER_LOGINEXEC".to_owned())
            }
            b"account" if !confinement::can_keep_accounts_apart()? => {
                Err("POSTRIDER_ISOLATION=account: it needs Landlock (Linux 5.19)".to_owned())
            }
            b"account" => Ok(Isolation::Account),
            _ => Err("POSTRIDER_ISOLATION: it is uid or account".to_owned()),
        }
    }
}
/// What the processes find in their environment: each what concerns it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Environments {
    /// postrider-front.
    pub(crate) front: Variables,
    /// postrider-auth.
    pub(crate) auth: Variables,
    /// postrider-mailbox.
    pub(crate) mailbox: Variables,
    /// postrider-proxy.
    pub(crate) proxy: Variables,
    /// The directory of the service, absolute.
    pub(crate) directory: PathBuf,
}

/// Names and values.
pub(crate) type Variables = Vec<(OsString, OsString)>;

//! What somebody has tried, kept in the environment while a chain runs, so
//! that a rejection is answered and logged as it is when authdaemond is asked
//! (ledger 151).
//!
//! authlib(7) lets a chain come back to the login program without a word. The
//! user name is no secret; the password is never here.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use authlib::sasl::Mechanism;
use pop3::reply::{self, Reply};

use crate::chain::Handover;
use crate::environment;
use crate::log::{self, Peer};

const USER: &str = "POSTRIDER_ATTEMPT_USER";
const MECHANISM: &str = "POSTRIDER_ATTEMPT_MECHANISM";

/// Stands where a mechanism would, if the command was APOP.
const APOP: &str = "APOP";

/// By what command somebody tried to log in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Attempt {
    /// USER and PASS, with this name.
    Pass(Vec<u8>),
    /// APOP, with this name.
    Apop(Vec<u8>),
    /// AUTH, with this mechanism.
    Auth(String),
}

impl Attempt {
    /// Leaves this for the login program that a chain may run again.
    pub(super) fn note(&self, handover: &mut Handover) {
        match self {
            Attempt::Pass(user) => {
                handover.set(USER, OsStr::from_bytes(user));
                handover.remove(MECHANISM);
            }
            Attempt::Apop(user) => {
                handover.set(USER, OsStr::from_bytes(user));
                handover.set(MECHANISM, APOP);
            }
            Attempt::Auth(mechanism) => {
                handover.set(MECHANISM, mechanism);
                handover.remove(USER);
            }
        }
    }

    /// What the login program before this one has left.
    pub(super) fn noted() -> Option<Attempt> {
        let mechanism = || environment::non_empty(MECHANISM).map(|name| name.to_string_lossy().into_owned());
        let user = environment::non_empty(USER).map(OsString::into_vec);
        match (user, mechanism()) {
            (Some(user), None) => Some(Attempt::Pass(user)),
            (Some(user), Some(_)) => Some(Attempt::Apop(user)),
            (None, mechanism) => mechanism.map(Attempt::Auth),
        }
    }

    /// The mechanism, if it is one that we know.
    pub(super) fn mechanism(&self) -> Option<Mechanism> {
        match self {
            Attempt::Pass(_) | Attempt::Apop(_) => None,
            Attempt::Auth(name) => Mechanism::from_name(name.as_bytes()),
        }
    }

    /// Logs that it was rejected, and gives what its client hears.
    pub(super) fn rejected(&self, peer: &Peer) -> Reply {
        match self {
            Attempt::Pass(user) | Attempt::Apop(user) => {
                log::user_failed(user, peer);
                reply::LOGIN_FAILED
            }
            Attempt::Auth(mechanism) => {
                log::method_failed(mechanism, peer);
                reply::AUTHENTICATION_FAILED
            }
        }
    }
}

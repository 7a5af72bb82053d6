//! What the tests stand on: sessions as text, maildrops to play them on, and
//! the programs to play them against, ours and Courier's.
//!
//! For development only; nothing that is installed links this crate. It knows
//! the outside of POP3 servers (octets, files, processes) and none of our
//! crates, so that it judges Courier's programs and ours with one measure.
//! The format of the sessions is described in `dialogues/README.md`.

pub mod answer;
pub mod authdaemond;
pub mod cells;
pub mod certificates;
pub mod chain;
pub mod client;
pub mod courier;
pub mod cram;
pub mod dialogue;
pub mod dovecot;
pub mod ledger;
pub mod logins;
pub mod machine;
pub mod maildrop;
pub mod mariadb;
pub mod oauth;
pub mod ordinary;
pub mod pattern;
pub mod pgbouncer;
pub mod pipe_program;
pub mod play;
pub mod postgres;
pub mod process;
pub mod scram;
pub mod service;
pub mod slapd;
pub mod sql;
pub mod stand;
pub mod stopwatch;
pub mod tls;
pub mod wire;

use std::path::PathBuf;
use std::time::Duration;

/// Why something could not be done or did not come out as written: a text
/// for the person who runs the tests.
pub type Fault = Box<dyn std::error::Error + Send + Sync>;

/// Success or a text for the person who runs the tests.
pub type Outcome<T = ()> = Result<T, Fault>;

/// How long anything may be silent before the run calls it hung. Not a
/// measure of speed: what takes longest, a failed login at Courier's, is five
/// seconds.
pub const PATIENCE: Duration = Duration::from_secs(120);

/// The project's root directory.
#[must_use]
pub fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("..")
}

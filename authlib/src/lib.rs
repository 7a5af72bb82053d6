//! Who somebody is: accounts, verdicts, credentials and the places that know
//! about them.
//!
//! This is the only crate that compares passwords, and it never touches a
//! maildrop. Everything here blocks; a caller that has a loop to serve keeps
//! it elsewhere.
//!
//! A question goes in as a [`Record`] (service, authtype, authdata, the three
//! things that authlib(7) passes along) and comes out as a [`Verdict`]: accept,
//! reject or unavailable. Who answers is a [`Module`]: [`userdb`] looks into
//! Courier's data bases itself, [`daemon`] asks an authdaemond. [`Modules`] asks
//! several in their order, and [`protocol`] is the language in which another
//! process asks.
//!
//! "Reference" in this crate means the project's notes on Courier's
//! authentication; "ledger" is `docs/courier-ledger.md`.

pub mod abuse;
pub mod account;
pub mod apop;
pub mod authdaemonrc;
pub mod bearer;
pub mod checkpassword;
pub mod cram;
pub mod custom;
pub mod daemon;
pub mod domain;
pub mod exclusive;
pub mod helper;
pub mod hmac_state;
pub mod module;
pub mod modules;
pub mod options;
pub mod passwd;
pub mod password;
pub mod pipe;
pub mod printable;
pub mod protocol;
pub mod rcfile;
pub mod record;
pub mod renewal;
pub mod sasl;
pub mod scram;
pub mod scram_keys;
pub mod secret;
pub mod sql;
mod trace;
pub mod userdb;

pub use account::{Account, Ids, Unavailable, Verdict};
pub use module::{Changed, Client, Entry, Module, PasswordChange};
pub use modules::Modules;
pub use options::Options;
pub use record::Record;
pub use secret::Secret;

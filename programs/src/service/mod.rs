//! `postrider`: the integrated service, and its accounts.
//!
//! Processes that do not trust each other. Each is a program of its own, born
//! with one wire to the process that started it, and as nobody who is root.

pub mod assay;
pub mod auth;
pub mod birth;
pub mod certificate;
mod check;
pub mod client_certificates;
pub mod command;
pub mod confinement;
mod control;
mod counts;
mod demo;
mod desk;
mod directory;
mod dismissal;
mod errand;
mod fields;
pub mod front;
#[cfg(feature = "fuzzing")]
pub mod fuzzing;
mod guest;
mod limits;
mod listen;
pub mod mailbox;
mod manager;
pub mod material;
mod monitor;
mod options;
mod order;
mod part;
pub mod proxy;
mod question;
mod referrals;
mod report;
mod sealed;
mod serve;
mod settings;
mod side;
mod sockets;
mod stream;
mod succession;
mod ticket;
pub mod ticket_keys;
mod tickets;
mod trial;
mod user;
pub(crate) mod wire;

pub(crate) use guest::Guest;
pub(crate) use settings::stands_above_authdaemonrc;

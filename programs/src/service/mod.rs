//! `postrider serve`: the integrated service.
//!
//! Processes that do not trust each other. Each is a program of its own, born
//! with one wire to the process that started it, and as nobody who is root.

pub mod auth;
mod birth;
mod desk;
mod fields;
pub mod front;
mod guest;
pub mod mailbox;
mod monitor;
mod part;
mod question;
pub mod serve;
mod stream;
mod ticket;
mod tickets;
mod wire;

pub(crate) use guest::Guest;

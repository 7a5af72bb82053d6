//! TLS of the integrated service by rustls, and what makes and checks its
//! certificates: for postrider-front, postrider-cert and
//! postrider-proxy.
//!
//! A package of its own, so that no program that opens mail links TLS.

mod binding;
pub mod cert;
mod choice;
mod clients;
mod connector;
mod server;
mod session;
mod subject;
mod tickets;
mod versions;

pub use connector::make_connector;
pub use server::{make_server, make_server_for_clients};

//! TLS of the integrated service by rustls, and what makes and checks its
//! certificates: for postrider-front and postrider-cert.
//!
//! A package of its own, so that no program that opens mail links TLS.

mod binding;
pub mod cert;
mod server;
mod session;

pub use server::make_server;

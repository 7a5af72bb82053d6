//! The POP3 proxy: sessions of accounts whose mail is on another server
//! (reference: wire 15). What is here waits for nothing and opens nothing; the
//! integrated service runs it in `postrider-proxy`.
//!
//! ```text
//!   account ──Route──> here, or a back-end: Dialogue logs in there, octets go both ways
//! ```

mod dialogue;
mod failure;
mod forward;
mod route;
mod settings;

pub(crate) use dialogue::{Dialogue, Next, Wishes};
pub(crate) use failure::Failure;
pub(crate) use forward::{ClientAt, header, xclient};
pub(crate) use route::{Login, Master, Route, disabled, login, route};
pub(crate) use settings::{Files, Forward, Settings, Tls};

//! authoauth2: who somebody is, by a bearer token (OAUTHBEARER, XOAUTH2).
//!
//! ```text
//! token ──┬─ a JWT: signed with a key of the issuer's (RFC 7519; jwt, key_set, key_source)
//!         └─ anything: the issuer is asked about it (RFC 7662; introspection)
//!              │ claims: what is said of it
//!              └─ rules: for us, of now, of whom ── account: ids and directories
//! ```
//!
//! It hears tokens, and asks one server over HTTPS. It hears no password and
//! opens no mail. A token is in no log line; why one was not accepted is, and
//! the name in a good one.
//!
//! Whether a token is wrong or cannot be judged now is never mixed up: see
//! [`No`].

pub mod account;
pub mod claims;
mod introspection;
pub mod jwt;
pub mod key_set;
mod key_source;
mod module;
pub mod rules;
mod settings;
mod web;

use authlib::Unavailable;

pub use module::Oauth2;

/// Why nobody is let in with a token.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum No {
    /// It is not good: why, in words for the log, with nothing of its content.
    Rejected(&'static str),
    /// It cannot be told now.
    CannotTell(Unavailable),
}

impl From<&'static str> for No {
    fn from(why: &'static str) -> Self {
        No::Rejected(why)
    }
}

impl From<Unavailable> for No {
    fn from(reason: Unavailable) -> Self {
        No::CannotTell(reason)
    }
}

//! An LDAP client (RFC 4511), as far as a back-end needs one: bind, search,
//! modify, StartTLS.
//!
//! It blocks, and every wait has an end. What a server sends is never trusted:
//! an answer has at most [`connection::LIMIT`] octets, is taken apart without
//! recursion, and what is out of form ends the connection.

pub(crate) mod ber;
pub(crate) mod connection;
pub(crate) mod entry;
pub(crate) mod filter;
pub(crate) mod message;
pub(crate) mod socket;
pub(crate) mod tls;
pub(crate) mod uri;

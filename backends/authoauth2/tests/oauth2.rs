//! authoauth2 with a real issuer: keys made and tokens signed by openssl(1), a
//! server on loopback, our programs around it, and clients that nobody here
//! wrote.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "oauth2/cells.rs"]
mod cells;
#[path = "oauth2/issuer.rs"]
mod issuer;

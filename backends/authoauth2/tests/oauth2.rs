//! authoauth2 with a real issuer: keys made and tokens signed by openssl(1), a
//! server on loopback, our programs around it, and clients that nobody here
//! wrote.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "oauth2/cells.rs"]
mod cells;
#[path = "oauth2/clients.rs"]
mod clients;
#[path = "oauth2/issuer.rs"]
mod issuer;
#[path = "oauth2/program.rs"]
mod program;
#[path = "oauth2/servers.rs"]
mod servers;
#[path = "oauth2/together.rs"]
mod together;
#[path = "oauth2/tokens.rs"]
mod tokens;

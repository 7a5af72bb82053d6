//! authldap with a real OpenLDAP server, beside Courier's, and with servers
//! that are none.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod bind;
mod cells;
mod changes;
mod courier;
mod daemon;
mod failures;
mod house;
mod impostor;
mod list;
mod logins;
mod same_time;
mod settings;
mod tls;

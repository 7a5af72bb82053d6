//! The load: clients that wait for nothing but the server, and believe nothing
//! that they have not compared.

mod client;
mod fetch;

pub(crate) use client::{Client, Door, tls};
pub(crate) use fetch::{Messages, fetch_all, fetch_for};

//! postrider-front: sockets, TLS and the conversation before login (see
//! [`programs::service::front`]).
//!
//! A package of its own, so that no program that opens mail links TLS.

mod server;
mod session;

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::front::run(server::make_server)
}

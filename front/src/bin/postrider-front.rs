//! postrider-front: sockets, TLS and the conversation before login (see
//! [`programs::service::front`]).

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::front::run(front::make_server_for_clients)
}

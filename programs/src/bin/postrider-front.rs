//! postrider-front: sockets and the conversation before login. See [`programs::service::front`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::front::run()
}

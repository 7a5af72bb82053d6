//! courierpop3login: the AUTHORIZATION state. See [`programs::login`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::login::run()
}

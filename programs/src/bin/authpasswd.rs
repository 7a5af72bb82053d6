//! authpasswd. See [`programs::authpasswd`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::authpasswd::run()
}

//! authcheckpassword: programs with the checkpassword interface, in a chain. See [`programs::checkpassword`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::checkpassword::run()
}

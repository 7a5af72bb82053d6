//! authenumerate. See [`programs::authtest`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::authtest::authenumerate()
}

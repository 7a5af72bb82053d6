//! userdbpw. See [`programs::userdbpw`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::userdbpw::run()
}

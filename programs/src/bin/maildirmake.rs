//! maildirmake. See [`programs::maildirmake`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::maildirmake::run()
}

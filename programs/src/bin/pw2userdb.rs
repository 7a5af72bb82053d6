//! pw2userdb. See [`programs::pw2userdb`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::pw2userdb::run()
}

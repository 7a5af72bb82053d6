//! authuserdb. See [`programs::authuserdb`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::authuserdb::run()
}

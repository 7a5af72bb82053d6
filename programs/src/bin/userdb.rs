//! userdb. See [`programs::userdb_tool`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::userdb_tool::run()
}

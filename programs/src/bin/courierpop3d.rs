//! courierpop3d: the TRANSACTION and UPDATE states. See [`programs::mailbox`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::mailbox::run()
}

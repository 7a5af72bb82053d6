//! postrider: the integrated service. See [`programs::service::command`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::command::run()
}

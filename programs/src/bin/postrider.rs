//! postrider: the integrated service. See [`programs::service::serve`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::serve::run()
}

//! authdaemond. See [`programs::authdaemond`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::authdaemond::run()
}

//! postrider-cert: makes a certificate, and checks those that there are (see
//! [`front::cert`]).

use std::process::ExitCode;

fn main() -> ExitCode {
    front::cert::run()
}

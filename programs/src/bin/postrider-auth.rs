//! postrider-auth: passwords and accounts. See [`programs::service::auth`].

use std::process::ExitCode;

fn main() -> ExitCode {
    programs::service::auth::run()
}

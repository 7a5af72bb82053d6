//! The program authcheckpassword, which has two parts: the module in a chain,
//! and what a checkpassword program is given to run (`-report`).

use std::env;
use std::process::ExitCode;

use authlib::checkpassword::{REPORT, report};
use authlib::printable::reason;

use crate::{chain_module, log};

/// With this status a part of checkpassword says that it cannot tell.
const CANNOT_TELL: u8 = 111;

/// Runs the part that was called for.
#[must_use]
pub fn run() -> ExitCode {
    // Whatever follows: status 1 would be taken for a wrong password.
    if env::args_os().nth(1).is_none_or(|word| word != REPORT) {
        return chain_module::run("authcheckpassword");
    }
    match report() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&format_args!("authcheckpassword: {}", reason(&error)));
            ExitCode::from(CANNOT_TELL)
        }
    }
}

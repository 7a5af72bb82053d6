//! The part that asks PAM: once, and then this process is over.

use std::io;
use std::process::ExitCode;

use authlib::helper;
use programs::log;
use system::pam::{Failed, authenticate};

use crate::codes::is_no;
use crate::words::{Answer, login};

/// The word that makes authpam this part.
pub(crate) const WORD: &str = "-check";

/// Most octets of a question.
const LIMIT: usize = 16 * 1024;

/// Answers the question that this process was started for.
#[must_use]
pub(crate) fn run() -> ExitCode {
    match answer() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            log::error(&format_args!("authpam {WORD}: {error}"));
            ExitCode::FAILURE
        }
    }
}

fn answer() -> io::Result<()> {
    // Before any module could write there.
    let to = helper::Answer::take()?;
    system::process::standard_signals()?;
    let octets = helper::question(LIMIT)?;
    let login = login(&octets).ok_or(io::ErrorKind::InvalidData)?;
    match authenticate(&login) {
        Ok(user) => to.give(&Answer::Accepted(user.as_bytes()).fields()),
        Err(Failed::Asked { code, .. }) if is_no(code) => to.give(&Answer::Rejected.fields()),
        Err(Failed::Asked { call, code, text }) => {
            to.give(&Answer::Unavailable(format!("{call}: {text} ({code})").as_bytes()).fields())
        }
        Err(Failed::Library(text)) => to.give(&Answer::Unavailable(text.as_bytes()).fields()),
    }
}

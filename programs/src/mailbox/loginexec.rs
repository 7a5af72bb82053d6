//! `loginexec`: a program that the administrator has put into the Maildir, to
//! be run at the next login (reference maildir.md 10).

use authlib::printable::reason;
use std::path::Path;
use std::process::Command;

use maildir::Maildir;

use crate::log;

/// Runs it if it is there, and removes it if it succeeded. Whatever it does,
/// the login goes on.
///
/// It has the client on descriptors 0 and 1 and the log on 2, and is waited for
/// without limit, as its authors expect.
pub(super) fn run_once(maildir: &Maildir, path: &Path) {
    match maildir.loginexec() {
        Ok(true) => {}
        Ok(false) => return,
        Err(error) => return log::error(&error),
    }
    let status = Command::new("./loginexec").current_dir(path).status();
    match status {
        Ok(status) if status.success() => {
            if let Err(error) = maildir.remove_loginexec() {
                log::error(&format_args!("loginexec cannot be removed: {}", reason(&error)));
            }
        }
        Ok(_) => {}
        Err(error) => log::error(&format_args!("Failed to exec loginexec: {}", reason(&error))),
    }
}

//! `loginexec`: a program that the administrator has put into the Maildir, to
//! be run at the next login (reference maildir.md 10).

use std::io;
use std::os::fd::BorrowedFd;
use std::path::Path;
use std::process::Command;

use authlib::printable::reason;
use maildir::Maildir;
use pop3::reply::{self, Reply};

use crate::environment;
use crate::log;

/// POSTRIDER_LOGINEXEC: whether the service runs it. Mailbox processes that do
/// may start programs, and so may whoever has taken one over.
pub(crate) fn is_allowed() -> bool {
    environment::number("POSTRIDER_LOGINEXEC") > 0
}

/// Runs it if it is there, and removes it if it succeeded. Whatever it does,
/// the login goes on.
///
/// It has the client on descriptors 0 and 1 (those of `client`, if they are not
/// ours) and the log on 2, and is waited for without limit, as its authors
/// expect.
///
/// # Errors
/// It is there, and the service may not run it (ledger 850): it was to be run
/// before the mail is seen, so there is no login without it.
pub(super) fn run_once(maildir: &Maildir, path: &Path, client: Option<BorrowedFd<'_>>) -> Result<(), Reply> {
    match maildir.loginexec() {
        Ok(true) if client.is_some() && !is_allowed() => {
            log::path_error("loginexec", path, &"not run without POSTRIDER_LOGINEXEC=1");
            return Err(reply::LOGINEXEC);
        }
        Ok(true) => run(maildir, path, client),
        Ok(false) => {}
        Err(error) => log::error(&error),
    }
    Ok(())
}

fn run(maildir: &Maildir, path: &Path, client: Option<BorrowedFd<'_>>) {
    let mut command = Command::new("./loginexec");
    command.current_dir(path);
    match with(&mut command, client).and_then(Command::status) {
        Ok(status) if status.success() => {
            if let Err(error) = maildir.remove_loginexec() {
                log::error(&format_args!("loginexec cannot be removed: {}", reason(&error)));
            }
        }
        Ok(_) => {}
        Err(error) => log::error(&format_args!("Failed to exec loginexec: {}", reason(&error))),
    }
}

fn with<'c>(command: &'c mut Command, client: Option<BorrowedFd<'_>>) -> io::Result<&'c mut Command> {
    if let Some(client) = client {
        command.stdin(client.try_clone_to_owned()?).stdout(client.try_clone_to_owned()?);
    }
    Ok(command)
}

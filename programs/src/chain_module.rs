//! A module as a program of a chain: asks about the login on descriptor 3, and
//! becomes the account's user if it is right (reference: authlib 1.4).
//!
//! It runs as root, has heard one password and opens no mail. Whom it accepts
//! it turns into an environment and into ids; the password ends here.

use std::env;
use std::ffi::OsString;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::process::ExitCode;

use authlib::printable::reason;
use authlib::record::Malformed;
use authlib::{Account, Client, Ids, Module, Options, Record, Unavailable, Verdict};

use crate::chain::{self, Handover, NoRecord};
use crate::log::{self, Harmless};
use crate::{environment, modules};

/// Runs the module called `name`, one of [`modules`]. Returns, with the status
/// to end with, only if it cannot become another program.
#[must_use]
pub fn run(name: &'static str) -> ExitCode {
    run_as(name, || modules::in_chain(name).map_err(|missing| Unavailable::new(missing.to_string())))
}

/// Runs what `make` makes as the module called `name`. As [`run`].
#[must_use]
pub fn run_as(name: &'static str, make: impl FnOnce() -> Result<Box<dyn Module>, Unavailable>) -> ExitCode {
    let next: Vec<OsString> = env::args_os().skip(1).collect();
    let program = Program { name, next };
    if chain::authenticated().is_some() {
        return program.become_next(&Handover::new());
    }
    let record = match chain::take_record() {
        Ok(record) => record,
        Err(NoRecord::Closed | NoRecord::Malformed(Malformed::Empty)) => {
            log::line(format_args!("AUTHFAILURE"));
            return ExitCode::FAILURE;
        }
        Err(error) => return program.unavailable(&error, None),
    };
    chain::reap_children();
    if record.has_control() {
        return program.reject(&record);
    }
    match ask(make, &record) {
        Verdict::Accept(account) => program.accept(&account, &record),
        Verdict::Reject => program.reject(&record),
        Verdict::Unavailable(reason) => program.unavailable(&reason, Some(&record)),
    }
}

/// The module's name, and the program behind it.
struct Program {
    name: &'static str,
    next: Vec<OsString>,
}

impl Program {
    /// Hands the very same record to the next module.
    fn reject(&self, record: &Record) -> ExitCode {
        match chain::offer(record) {
            Ok(()) => self.become_next(&Handover::new()),
            Err(error) => self.unavailable(&reason(&error), Some(record)),
        }
    }

    /// Nothing can be said now: the login program tells its client.
    fn unavailable(&self, reason: &dyn std::fmt::Display, record: Option<&Record>) -> ExitCode {
        let name = self.name;
        match record.and_then(Record::claim) {
            Some(claim) => log::line(format_args!("ERR: {name}: {reason}, user={}", Harmless(claim.user()))),
            None => log::line(format_args!("ERR: {name}: {reason}")),
        }
        chain::rerun_login_unable_to_tell()
    }

    /// Becomes the account's user, in its home, and then the next program.
    fn accept(&self, account: &Account, record: &Record) -> ExitCode {
        if let Err(reason) = can_become(&account.ids).and_then(|()| can_be_entered(&account.home)) {
            return self.unavailable(&reason, Some(record));
        }
        if let Err(reason) = become_for_good(&account.ids).and_then(|()| enter(&account.home)) {
            // The login program needs rights that are gone now.
            log::line(format_args!("ERR: {}: {reason}, user={}", self.name, Harmless(&account.address)));
            return ExitCode::FAILURE;
        }
        self.become_next(&handover(account))
    }

    fn become_next(&self, handover: &Handover) -> ExitCode {
        let error = handover.exec_next(&self.next);
        let program = self.next.first().cloned().unwrap_or_default();
        let program = Harmless(program.as_encoded_bytes());
        log::line(format_args!("ERR: {}: {program}: {}", self.name, reason(&error)));
        ExitCode::FAILURE
    }
}

/// The module is gone when its verdict is there: nothing of it reaches the
/// next program. Whom the channel vouches for need only exist (ledger 166):
/// descriptor 3 is the login program's, and nobody else's, to write to.
fn ask(make: impl FnOnce() -> Result<Box<dyn Module>, Unavailable>, record: &Record) -> Verdict {
    let made = Client::at(&environment::octets("TCPREMOTEIP")).and_then(|client| Ok((client, make()?)));
    match made {
        Ok((client, mut module)) => match record.vouched() {
            Some(user) => module.look_up(record.service(), user, &client),
            None => module.authenticate(record, &client),
        },
        Err(reason) => reason.into(),
    }
}

/// An ordinary user can only be himself.
fn can_become(ids: &Ids) -> Result<(), String> {
    if system::user::is_root() || system::user::own_ids() == (ids.uid(), ids.gid()) {
        return Ok(());
    }
    Err(format!("only root can become uid {}, gid {}", ids.uid(), ids.gid()))
}

/// Whether there is such a directory. Asked while the login program can still
/// be run again, since this is what is wrong most often.
fn can_be_entered(home: &Path) -> Result<(), String> {
    match home.metadata() {
        Ok(kind) if !kind.is_dir() => Err(chdir_failed(home, &io::ErrorKind::NotADirectory.into())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Err(chdir_failed(home, &error)),
        // Root may be refused where the user is not (NFS).
        _ => Ok(()),
    }
}

fn become_for_good(ids: &Ids) -> Result<(), String> {
    let groups = ids.groups().map_err(|error| reason(&error))?;
    system::user::become_for_good(ids.uid(), ids.gid(), &groups).map_err(|refused| refused.to_string())
}

fn enter(home: &Path) -> Result<(), String> {
    env::set_current_dir(home).map_err(|error| chdir_failed(home, &error))
}

fn chdir_failed(home: &Path, error: &io::Error) -> String {
    format!("chdir {}: {}", Harmless(home.as_os_str().as_encoded_bytes()), reason(error))
}

/// What the following programs are told of the account. HOME is set too, for
/// `loginexec` (ledger 405).
fn handover(account: &Account) -> Handover {
    let text = |octets: &[u8]| OsString::from_vec(octets.to_vec());
    let defaults = Options::parse(&environment::octets("DEFAULTOPTIONS"));
    let mut handover = Handover::new();
    match &account.maildir {
        Some(maildir) => handover.set("MAILDIR", maildir),
        None => handover.remove("MAILDIR"),
    }
    handover.set("OPTIONS", text(account.options.with_defaults(&defaults).as_bytes()));
    handover.set("AUTHADDR", text(&account.address));
    handover.set("AUTHFULLNAME", text(without_commas(account.full_name.as_deref().unwrap_or_default())));
    handover.set("HOME", &account.home);
    handover.set("AUTHENTICATED", text(&account.address));
    handover
}

/// The full name without the empty fields that a gecos field ends with.
fn without_commas(name: &[u8]) -> &[u8] {
    let end = name.iter().rposition(|&octet| octet != b',').map_or(0, |last| last + 1);
    &name[..end]
}

#[cfg(test)]
mod tests {
    use super::without_commas;

    #[test]
    fn a_full_name_ends_before_its_last_commas() {
        assert_eq!(without_commas(b"Bob Builder,,,"), b"Bob Builder");
        assert_eq!(without_commas(b"Bob,Office"), b"Bob,Office");
        assert_eq!(without_commas(b",,"), b"");
        assert_eq!(without_commas(b""), b"");
    }
}

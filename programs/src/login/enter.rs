//! From credentials to the next program.

use authlib::printable::reason;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStringExt;

use authlib::daemon::Daemon;
use authlib::scram::{Salt, Wanted};
use authlib::{Account, Client, Module, Record, Unavailable, Verdict};

use crate::chain::{self, Handover};
use crate::environment;
use crate::log::{self, Harmless, Peer};
use crate::places;
use crate::skeleton;

/// What authdaemond, or a chain that could not begin, has said.
pub(super) enum Asked {
    /// The credentials are this account's.
    Accepted(Box<Account>),
    /// The credentials are not good.
    Rejected,
    /// Nobody has looked at them: too many others from there were not good.
    TooManyFailures,
    /// Nobody can tell; why is in the log.
    CannotTell,
}

/// Becomes the first of the modules that check the credentials. Returns if that
/// cannot be, which is in the log then.
pub(super) fn begin_chain(words: &[OsString], handover: &Handover, record: &Record) {
    let error = match chain::offer(record) {
        Ok(()) => handover.exec_next(words),
        Err(error) => error,
    };
    chain::drop_record();
    cannot_run(words.first().map(OsString::as_os_str), &error);
}

/// Asks authdaemond about these credentials.
pub(super) fn ask(record: &Record, peer: &Peer) -> Asked {
    let verdict = authdaemond(peer).map(|(mut daemon, client)| match record.vouched() {
        Some(user) => daemon.look_up(record.service(), user, &client),
        None => daemon.authenticate(record, &client),
    });
    match verdict {
        Ok(Verdict::Accept(account)) => Asked::Accepted(Box::new(account)),
        Ok(Verdict::Reject) => Asked::Rejected,
        Ok(Verdict::Unavailable(reason)) if reason.is_after_too_many_failures() => Asked::TooManyFailures,
        Ok(Verdict::Unavailable(reason)) | Err(reason) => {
            log::authentication_error(&reason);
            Asked::CannotTell
        }
    }
}

/// Asks authdaemond for a salt; `None` if it knows nothing of such things.
///
/// # Errors
/// It cannot tell.
pub(super) fn ask_for_salt(
    service: &[u8],
    wanted: &Wanted,
    peer: &Peer,
) -> Result<Option<Salt>, Unavailable> {
    authdaemond(peer).and_then(|(mut daemon, client)| daemon.salt(service, wanted, &client))
}

fn authdaemond(peer: &Peer) -> Result<(Daemon, Client), Unavailable> {
    let daemon = Daemon::on(places::authdaemon_socket(), environment::daemon_timeouts());
    Ok((daemon, Client::at(peer.ip().as_bytes())?))
}

/// Becomes the account's user, in its home directory, and then the mail program
/// (reference wire.md 8). Returns if that cannot be, which is in the log then.
pub(super) fn enter(account: &Account, program: &OsStr, maildir: &OsStr, handover: &mut Handover) {
    chain::reap_children();
    let address = Harmless(&account.address);
    let groups = match account.ids.groups() {
        Ok(groups) => groups,
        Err(error) => {
            log::warning(&format_args!("{address}: groups: {}", reason(&error)));
            return;
        }
    };
    make_home(account);
    if let Err(error) = system::user::become_for_good(account.ids.uid(), account.ids.gid(), &groups) {
        log::warning(&format_args!("{address}: {error}"));
        return;
    }
    if let Err(error) = std::env::set_current_dir(&account.home) {
        let home = Harmless(account.home.as_os_str().as_encoded_bytes());
        log::warning(&format_args!("{address}: chdir({home}) failed!!"));
        log::warning(&format_args!("error: {}", reason(&error)));
        return;
    }
    handover.set("AUTHENTICATED", OsString::from_vec(account.address.clone()));
    handover.set("OPTIONS", OsString::from_vec(account.options.as_bytes().to_vec()));
    let maildir = account.maildir.as_ref().map_or(maildir, |own| own.as_os_str());
    let error = handover.exec_next(&[program.to_owned(), maildir.to_owned()]);
    cannot_run(Some(program), &error);
}

/// Makes the home directory if that is asked for and there is none; that it
/// could not be made shows when it cannot be entered.
fn make_home(account: &Account) {
    let Some(skeleton) = environment::non_empty("AUTH_MKHOMEDIR_SKEL") else { return };
    let (home, ids) = (&account.home, &account.ids);
    if let Err(error) = skeleton::make_home(skeleton.as_ref(), home, ids.uid(), ids.gid()) {
        let home = Harmless(home.as_os_str().as_encoded_bytes());
        log::warning(&format_args!("{home}: {}!!", reason(&error)));
    }
}

fn cannot_run(program: Option<&OsStr>, error: &std::io::Error) {
    let program = Harmless(program.map_or(b"", OsStr::as_encoded_bytes));
    log::error(&format_args!("{program}: {}", reason(error)));
}

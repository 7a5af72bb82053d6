//! How the processes of the service are born: with one descriptor, as somebody
//! who is not root, and without what they will not need.
//!
//! ```text
//!   the wire ──> an empty root (front) ──> groups, gid, uid ──> confinement ──> the loop
//! ```
//!
//! All of it while the process has one thread.

use std::env;
use std::io;
use std::os::fd::{OwnedFd, RawFd};
use std::process::ExitCode;

use nix::sys::signal::{SigSet, Signal};

use super::confinement::{self, Confinement};
use super::report;
use super::wire::Wire;
use crate::{environment, log};

/// The descriptor of the wire to the process that has started us.
pub(super) const WIRE: RawFd = 3;

/// Names the Maildir of a process that is for one account alone. Not a setting:
/// the monitor sets it.
pub(super) const MAILDIR: &str = "POSTRIDER_ONLY_MAILDIR";

/// Becomes the account that the command line names by `UID GID GROUP…`, for
/// good, keeps what `confinement` lets it keep, and gives the wire to the monitor.
///
/// # Errors
/// A line for the log.
pub fn as_account(confinement: &Confinement) -> Result<OwnedFd, String> {
    let mut ids = Vec::new();
    for word in env::args().skip(1) {
        ids.push(word.parse::<u32>().map_err(|_| format!("{word:?} is no id"))?);
    }
    let [uid, gid, groups @ ..] = ids.as_slice() else {
        return Err("which uid and gid? (it is started by postrider serve)".to_owned());
    };
    let wire = wire()?;
    // At its first use the kernel's page with the clock is looked for, which a
    // process that is confined may not; later looks would be system calls.
    let _now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    if system::user::is_root() {
        confinement::leave_files(confinement)?;
        system::user::become_for_good(*uid, *gid, groups).map_err(|refused| refused.to_string())?;
    }
    if system::user::own_ids() != (*uid, *gid) || *uid == 0 {
        return Err(format!("cannot become uid {uid}, gid {gid}"));
    }
    confinement::confine(confinement)?;
    Ok(wire)
}

/// Becomes POSTRIDER_AUTH_USER, for good, if there is one, keeps what
/// `confinement` lets it keep, and gives the wire to the monitor.
///
/// # Errors
/// A line for the log.
pub fn as_auth(confinement: &Confinement) -> Result<OwnedFd, String> {
    let wire = wire()?;
    if let Some(name) = environment::non_empty("POSTRIDER_AUTH_USER") {
        let name = name.to_string_lossy().into_owned();
        become_user(&name).map_err(|reason| format!("POSTRIDER_AUTH_USER={name}: {reason}"))?;
    }
    confinement::confine(confinement)?;
    Ok(wire)
}

/// Tells the monitor why the process called `name` cannot even be born.
pub(super) fn refused(name: &str, reason: String) -> ExitCode {
    match wire() {
        Ok(wire) => report::ended(name, &Wire::of(wire), Err(reason)),
        Err(wrong) => {
            log::error(&format_args!("{name}: {reason}; {wrong}"));
            ExitCode::FAILURE
        }
    }
}

fn become_user(name: &str) -> Result<(), String> {
    let said = |error: io::Error| authlib::printable::reason(&error);
    let (uid, gid) = system::user::by_name(name).map_err(said)?.ok_or("there is no such user")?;
    let groups = system::user::groups_of(name, gid).map_err(said)?;
    system::user::become_for_good(uid, gid, &groups).map_err(|refused| refused.to_string())
}

fn wire() -> Result<OwnedFd, String> {
    signals().map_err(|error| error.to_string())?;
    let wire = system::descriptor::inherited(WIRE);
    wire.ok_or_else(|| "descriptor 3 is not open (see postrider serve)".to_owned())
}

/// What ends the service is often sent to all its processes at once, by a
/// terminal or systemd. The monitor alone goes by it, and lets everybody finish.
fn signals() -> io::Result<()> {
    system::process::standard_signals()?;
    let monitors: SigSet = [Signal::SIGHUP, Signal::SIGINT, Signal::SIGTERM].into_iter().collect();
    Ok(monitors.thread_block()?)
}

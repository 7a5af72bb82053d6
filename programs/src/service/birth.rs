//! How the processes of the service are born: with one descriptor, and as
//! somebody who is not root.

use std::env;
use std::os::fd::RawFd;

use super::wire::Wire;

/// The descriptor of the wire to the process that has started us.
pub(super) const WIRE: RawFd = 3;

/// Gives the wire to the monitor, to a process that stays who it is.
///
/// # Errors
/// A line for the log.
pub(super) fn as_we_are() -> Result<Wire, String> {
    system::process::standard_signals().map_err(|error| error.to_string())?;
    let wire = system::descriptor::inherited(WIRE).ok_or("descriptor 3 is not open (see postrider serve)")?;
    Ok(Wire::of(wire))
}

/// Becomes the account that the command line names by `UID GID GROUP…`, for
/// good, and gives the wire to the monitor.
///
/// # Errors
/// A line for the log.
pub(super) fn as_account() -> Result<Wire, String> {
    let mut ids = Vec::new();
    for word in env::args().skip(1) {
        ids.push(word.parse::<u32>().map_err(|_| format!("{word:?} is no id"))?);
    }
    let [uid, gid, groups @ ..] = ids.as_slice() else {
        return Err("which uid and gid? (it is started by postrider serve)".to_owned());
    };
    system::process::standard_signals().map_err(|error| error.to_string())?;
    let wire = system::descriptor::inherited(WIRE).ok_or("descriptor 3 is not open")?;
    if system::user::is_root() {
        system::user::become_for_good(*uid, *gid, groups).map_err(|refused| refused.to_string())?;
    }
    if system::user::own_ids() != (*uid, *gid) || *uid == 0 {
        return Err(format!("cannot become uid {uid}, gid {gid}"));
    }
    Ok(Wire::of(wire))
}

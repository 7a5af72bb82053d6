//! Servers that refuse to be root's: they run as nobody, in directories that
//! are nobody's. Where we are not root they are simply ours.

use std::ffi::OsStr;
use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::Command;

use nix::unistd::{User, geteuid};

use crate::Outcome;
use crate::process::daemon;

/// A [`daemon`] that is not root's.
///
/// # Errors
/// There is no user `nobody`.
pub fn command(program: impl AsRef<OsStr>) -> Outcome<Command> {
    let mut command = daemon(program);
    if let Some((uid, gid)) = ids()? {
        command.uid(uid).gid(gid);
    }
    Ok(command)
}

/// Makes `path`, a directory that only such a server may enter.
///
/// # Errors
/// It cannot be made.
pub fn directory(path: &Path) -> Outcome {
    fs::create_dir_all(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))?;
    give(path)
}

/// Gives `path` to such a server.
///
/// # Errors
/// There is no user `nobody`, or no such file.
pub fn give(path: &Path) -> Outcome {
    if let Some((uid, gid)) = ids()? {
        chown(path, Some(uid), Some(gid))?;
    }
    Ok(())
}

/// Whose they are, if we have to choose.
fn ids() -> Outcome<Option<(u32, u32)>> {
    if !geteuid().is_root() {
        return Ok(None);
    }
    let nobody = User::from_name("nobody")?.ok_or("there is no user nobody")?;
    Ok(Some((nobody.uid.as_raw(), nobody.gid.as_raw())))
}

//! An empty root directory (chroot(2)).

use std::io;
use std::path::Path;

use authlib::printable::reason;
use rustix::fs::{AtFlags, CWD, Mode, OFlags};

/// Where a directory can be made for a moment.
const PLACES: [&str; 2] = ["/run", "/tmp"];

/// Makes the root of this process a directory that is empty and stays so: it is
/// removed, and in one that is removed nobody makes anything.
///
/// # Errors
/// A line for the log.
pub(super) fn leave() -> Result<(), String> {
    let mut last = String::new();
    for place in PLACES {
        match leave_through(Path::new(place)) {
            Ok(()) => return Ok(()),
            Err(error) => last = format!("{place}: {}", reason(&error)),
        }
    }
    Err(last)
}

fn leave_through(place: &Path) -> io::Result<()> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let place = rustix::fs::openat(CWD, place, flags, Mode::empty())?;
    let name = format!(".postrider-{:016x}", u64::from_ne_bytes(system::random::octets()?));
    rustix::fs::mkdirat(&place, &name, Mode::empty())?;
    let left = rustix::fs::openat(&place, &name, flags, Mode::empty()).and_then(|empty| {
        rustix::process::fchdir(&empty)?;
        rustix::process::chroot(".")
    });
    let removed = rustix::fs::unlinkat(&place, &name, AtFlags::REMOVEDIR);
    Ok(left.and(removed)?)
}

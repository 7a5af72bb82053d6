//! New mail: `new/` to `cur/` (maildir.md 2).

use std::io;
use std::os::fd::BorrowedFd;

use rustix::io::Errno;
use system::stamp::Stamp;

use crate::beneath;
use crate::name;
use crate::notice::Notice;
use crate::watch::Watch;

/// Other names that are tried for a message whose name is taken.
const ATTEMPTS: u32 = 100;

/// Moves every message in `new` to `cur`. What cannot be moved stays where it
/// is and is told to `notices`; nothing is ever overwritten (ledger 309). Gives
/// the stamp of `new`, if there was nothing to move.
pub(crate) fn move_all(
    new: BorrowedFd<'_>,
    cur: BorrowedFd<'_>,
    notices: &mut dyn FnMut(Notice),
) -> io::Result<Option<Stamp>> {
    let mut names = Vec::new();
    let watch = Watch::begin(new)?;
    beneath::list_messages(new, |name| names.push(name.to_vec()))?;
    if names.is_empty() {
        return watch.quiet(new);
    }
    for from in names {
        let to = name::in_cur(&from);
        match move_one(new, &from, cur, &to) {
            Ok(given) if given == to || given == from => {}
            Ok(given) => notices(Notice::Renumbered { from, to: given }),
            // Another session was quicker.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => notices(Notice::NotMoved { from, to, error }),
        }
    }
    Ok(None)
}

/// Moves one message, and gives the name that it has now.
fn move_one(new: BorrowedFd<'_>, from: &[u8], cur: BorrowedFd<'_>, to: &[u8]) -> io::Result<Vec<u8>> {
    match beneath::rename(new, from, cur, to) {
        Ok(()) => Ok(to.to_vec()),
        // No room for `:2,`: a message without flags is still a message.
        Err(error) if is(&error, Errno::NAMETOOLONG) && from.len() < to.len() => {
            move_one(new, from, cur, from)
        }
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => give_way(new, from, cur, to),
        Err(error) => Err(error),
    }
}

/// Moves a message whose name is taken: by itself, if an earlier move was cut
/// short, or by another one.
fn give_way(new: BorrowedFd<'_>, from: &[u8], cur: BorrowedFd<'_>, to: &[u8]) -> io::Result<Vec<u8>> {
    let (arrived, there) = (beneath::stat(new, from)?, beneath::stat(cur, to)?);
    if arrived.st_nlink > 1 && (arrived.st_dev, arrived.st_ino) == (there.st_dev, there.st_ino) {
        beneath::unlink(new, from)?;
        return Ok(to.to_vec());
    }
    for attempt in 1..=ATTEMPTS {
        let other = name::renumbered(to, attempt);
        match beneath::rename(new, from, cur, &other) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
            Ok(()) => return Ok(other),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn is(error: &io::Error, errno: Errno) -> bool {
    error.raw_os_error() == Some(errno.raw_os_error())
}

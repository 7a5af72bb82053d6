//! The two files, open from one question to the next for as long as they are what
//! their names lead to.
//!
//! What is open is believed if the name leads to a file with the same stamp
//! ([`system::stamp`]), and opened anew if not. Why no change is missed:
//!
//! * Who builds a file beside and renames it, as all of ours and Courier's do,
//!   gives the name another inode. That of the old file is nobody else's as long
//!   as we hold it. Owner, mode and links change ctime as contents do.
//! * Who writes in place changes ctime first. A stamp counts only if it was
//!   [`SETTLED`] when the file was opened, so a later change has another one; and only if
//!   the clock was not set back since, and no other machine can write there.
//! * Who writes through a mapping, as GDBM does, changes ctime only by the first
//!   touch of a page. GDBM's writers hold a lock for as long as they have the file
//!   open: what is opened meanwhile is used once and not believed.

use std::fs::File;
use std::io;
use std::path::Path;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock, fstat, stat};
use system::stamp::{self, Lead, Stamp, is_local};

use super::gdbm::Reader;
use super::{Unavailable, reason};

/// How old a stamp must be: two seconds are a step of the coarsest clock, and
/// longer than a write takes from the file's new time to its last octet.
const SETTLED: Duration = Duration::from_secs(2);

/// Both files, as they were when they were needed last.
#[derive(Debug)]
pub(super) struct Files {
    public: Option<Open>,
    shadow: Option<Open>,
    /// How old a stamp must be; `None`: there will be no other question.
    settled: Option<Duration>,
}

/// A file that was opened.
#[derive(Debug)]
struct Open {
    reader: Reader,
    /// Where the clock stood then, if the stamp tells whether it is still the
    /// same.
    believed_since: Option<Lead>,
}

impl Files {
    /// None is open, and none will be for longer than a question takes.
    pub(super) fn once() -> Files {
        Files { public: None, shadow: None, settled: None }
    }

    /// Questions will follow.
    pub(super) fn keep(&mut self) {
        self.settled = Some(SETTLED);
    }

    /// Closes both.
    pub(super) fn close(&mut self) {
        (self.public, self.shadow) = (None, None);
    }

    /// Both files as they are now, or `None` if there is no public one.
    pub(super) fn open(
        &mut self,
        public: &Path,
        shadow: &Path,
    ) -> Result<Option<(&mut Reader, &mut Reader)>, Unavailable> {
        let failed = |path: &Path, error: &io::Error| {
            Unavailable::new(format!("{}: {}", path.display(), reason(error)))
        };
        match current(&mut self.public, public, self.settled) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(failed(public, &error)),
            Ok(public) => {
                let shadow = current(&mut self.shadow, shadow, self.settled)
                    .map_err(|error| failed(shadow, &error))?;
                Ok(Some((public, shadow)))
            }
        }
    }
}

/// The file at `path`: the one that is `open`, or another one then.
fn current<'a>(
    open: &'a mut Option<Open>,
    path: &Path,
    settled: Option<Duration>,
) -> io::Result<&'a mut Reader> {
    let current = match open.take() {
        Some(open) if open.is_still_at(path)? => open,
        _ => Open::at(path, settled)?,
    };
    Ok(&mut open.insert(current).reader)
}

impl Open {
    fn at(path: &Path, settled: Option<Duration>) -> io::Result<Open> {
        let (lead, now) = (Lead::now(), stamp::now());
        let is_settled = |stamp: Stamp| settled.is_some_and(|age| stamp.changed() + age <= now);
        let file = File::open(path)?;
        // Who writes is not kept out by those who would not believe him anyway.
        let is_quiet = settled.is_some()
            && is_settled(Stamp::of(&fstat(&file)?))
            && is_local(&file)
            && flock(&file, FlockOperation::NonBlockingLockShared).is_ok();
        let reader = Reader::new(file)?;
        let is_believed =
            is_quiet && is_settled(reader.stamp()) && flock(&reader, FlockOperation::Unlock).is_ok();
        Ok(Open { reader, believed_since: is_believed.then_some(lead) })
    }

    /// Whether `path` leads to this file, and nothing has changed.
    fn is_still_at(&self, path: &Path) -> io::Result<bool> {
        let Some(since) = self.believed_since else { return Ok(false) };
        Ok(!Lead::now().fell_behind(since) && Stamp::of(&stat(path)?) == self.reader.stamp())
    }
}

#[cfg(test)]
mod tests;

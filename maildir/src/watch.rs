//! Whether a directory stayed as it was while it was read.
//!
//! readdir gives no snapshot: a file that is renamed meanwhile may be shown
//! twice or not at all. What was not seen may be taken for gone only if nothing
//! can have been renamed (ledger 311).

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Readings of one directory, until one of them was quiet or it is given up.
pub(crate) const READINGS: u32 = 4;

/// The kernel's clock for files goes in steps, of 10 ms at the most where it
/// tells fractions of a second. A change within a reading has another time
/// than one that is older than two steps when the reading begins.
const STEP: Duration = Duration::from_millis(20);

/// The same on file systems that tell seconds only.
const COARSE_STEP: Duration = Duration::from_secs(2);

/// A directory's time of change before it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    /// Since 1970, as is `begun`.
    changed: Duration,
    begun: Duration,
}

impl Watch {
    /// Before `directory` is read.
    pub(crate) fn begin(directory: impl AsFd) -> io::Result<Watch> {
        Ok(Watch { changed: last_change(directory)?, begun: now() })
    }

    /// The same before another reading of a directory that was not quiet: waits
    /// the moment, if it is a short one, that makes a quiet reading possible.
    pub(crate) fn begin_again(directory: impl AsFd) -> io::Result<Watch> {
        let directory = directory.as_fd();
        let changed = last_change(directory)?;
        let step = step_of(changed);
        if step == STEP {
            thread::sleep((changed + step).saturating_sub(now()).min(step));
        }
        Watch::begin(directory)
    }

    /// After it was read: whether nothing can have changed meanwhile.
    pub(crate) fn was_quiet(&self, directory: impl AsFd) -> io::Result<bool> {
        Ok(self.is_same(directory)? && self.changed + step_of(self.changed) <= self.begun)
    }

    /// After it was read: whether its time of change is the same.
    pub(crate) fn is_same(&self, directory: impl AsFd) -> io::Result<bool> {
        Ok(last_change(directory)? == self.changed)
    }
}

/// The step of the clock that has given this time.
fn step_of(time: Duration) -> Duration {
    if time.subsec_nanos() == 0 { COARSE_STEP } else { STEP }
}

fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

fn last_change(directory: impl AsFd) -> io::Result<Duration> {
    let stat = rustix::fs::fstat(directory)?;
    let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
    let nanoseconds = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
    Ok(Duration::new(seconds, nanoseconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::File;

    #[test]
    fn a_file_that_came_meanwhile_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let watch = Watch::begin_again(&held).unwrap();
        assert!(watch.was_quiet(&held).unwrap());
        std::fs::write(directory.path().join("x"), "").unwrap();
        assert!(!watch.was_quiet(&held).unwrap());
    }

    #[test]
    fn a_directory_that_changed_just_now_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let mut watch = Watch::begin(&held).unwrap();
        watch.begun = watch.changed + Duration::from_millis(1);
        assert!(watch.is_same(&held).unwrap());
        assert!(!watch.was_quiet(&held).unwrap());
        watch.begun = watch.changed + STEP;
        assert!(watch.was_quiet(&held).unwrap());
    }

    #[test]
    fn where_only_seconds_are_told_two_of_them_must_have_passed() {
        assert_eq!(step_of(Duration::new(1_000, 0)), COARSE_STEP);
        assert_eq!(step_of(Duration::new(1_000, 1)), STEP);
    }
}

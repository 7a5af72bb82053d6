//! Whether a directory stayed as it was while it was read.
//!
//! readdir gives no snapshot: a file that is renamed meanwhile may be shown
//! twice or not at all. What was not seen may be taken for gone only if nothing
//! can have been renamed (ledger 311).

use std::io;
use std::os::fd::AsFd;
use std::time::{SystemTime, UNIX_EPOCH};

/// A directory's times of change before it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch {
    changed: (i64, i64),
    /// Unix seconds.
    begun: i64,
}

impl Watch {
    /// Before `directory` is read.
    pub(crate) fn begin(directory: impl AsFd) -> io::Result<Watch> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let begun = i64::try_from(now.as_secs()).unwrap_or(i64::MAX);
        Ok(Watch { changed: last_change(directory)?, begun })
    }

    /// After it was read: whether nothing changed.
    ///
    /// The kernel's clock for files is coarse, so times that are the same mean
    /// something only if they were two seconds old when the reading began.
    pub(crate) fn was_quiet(&self, directory: impl AsFd) -> io::Result<bool> {
        let (seconds, _) = self.changed;
        Ok(self.is_same(directory)? && seconds.saturating_add(2) <= self.begun)
    }

    /// After it was read: whether its times are the same.
    pub(crate) fn is_same(&self, directory: impl AsFd) -> io::Result<bool> {
        Ok(last_change(directory)? == self.changed)
    }
}

fn last_change(directory: impl AsFd) -> io::Result<(i64, i64)> {
    let stat = rustix::fs::fstat(directory)?;
    // The types of these fields differ between machines.
    #[allow(clippy::useless_conversion, clippy::unnecessary_fallible_conversions)]
    let time = (
        i64::try_from(stat.st_ctime).unwrap_or(i64::MAX),
        i64::try_from(stat.st_ctime_nsec).unwrap_or(i64::MAX),
    );
    Ok(time)
}

#[cfg(test)]
mod tests {
    use super::Watch;
    use std::fs::File;

    #[test]
    fn a_file_that_came_meanwhile_is_noticed() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let watch = Watch { changed: (0, 0), ..Watch::begin(&held).unwrap() };
        assert!(!watch.is_same(&held).unwrap());
    }

    #[test]
    fn a_directory_that_changed_just_now_is_not_trusted() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let mut watch = Watch::begin(&held).unwrap();
        assert!(watch.is_same(&held).unwrap());
        watch.begun = watch.changed.0;
        assert!(!watch.was_quiet(&held).unwrap());
        watch.begun = watch.changed.0 + 2;
        assert!(watch.was_quiet(&held).unwrap());
    }
}

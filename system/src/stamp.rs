//! What tells one state of a file or directory from another without reading it.
//!
//! The kernel gives each change the time of its clock as ctime, which nobody can
//! set. That clock goes in steps, so two changes may have one time. A stamp is
//! therefore settled only when it is older than such a step: whatever happens
//! from then on has another time.

use std::os::fd::AsFd;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::fs::{FsWord, Stat, fstatfs};
use rustix::time::{ClockId, Timespec};

/// The kernel's clock for files goes in steps, of 10 ms at the most where it
/// tells fractions of a second. A change that is made now has another time than
/// one that is older than two steps.
pub const STEP: Duration = Duration::from_millis(20);

/// The same on file systems that tell seconds only.
pub const COARSE_STEP: Duration = Duration::from_secs(2);

/// One state of a file or directory: as long as a settled stamp stays the same
/// nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stamp {
    device: u64,
    inode: u64,
    size: i64,
    /// Since 1970.
    changed: Duration,
}

impl Stamp {
    /// That of the file or directory that `stat` is about.
    #[must_use]
    pub fn of(stat: &Stat) -> Stamp {
        let seconds = u64::try_from(stat.st_ctime).unwrap_or_default();
        let nanoseconds = u32::try_from(stat.st_ctime_nsec).unwrap_or_default();
        Stamp {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: stat.st_size,
            changed: Duration::new(seconds, nanoseconds),
        }
    }

    /// The time of the last change, since 1970.
    #[must_use]
    pub fn changed(&self) -> Duration {
        self.changed
    }

    /// Whether a change at `now`, in time since 1970, would show.
    #[must_use]
    pub fn is_settled(&self, now: Duration) -> bool {
        self.changed + step_of(self.changed) <= now
    }

    /// Whether both are of one file, however it has changed.
    #[must_use]
    pub fn is_of_same_file(&self, other: &Stamp) -> bool {
        (self.device, self.inode) == (other.device, other.inode)
    }
}

/// The step of the clock that has given this time.
#[must_use]
pub fn step_of(time: Duration) -> Duration {
    if time.subsec_nanos() == 0 { COARSE_STEP } else { STEP }
}

/// The time since 1970.
#[must_use]
pub fn now() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// The clock that stamps files, where it stands now: it goes in steps.
#[must_use]
pub fn ticked() -> Duration {
    let time = rustix::time::clock_gettime(ClockId::RealtimeCoarse);
    let seconds = u64::try_from(time.tv_sec).unwrap_or_default();
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or_default())
}

/// How far the clock that stamps files is ahead of one that nobody can set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Lead(i128);

/// Two readings of clocks one after the other are not at one instant. A step
/// back that is no larger stays within what [`STEP`] allows for.
const READING: i128 = 5_000_000;

impl Lead {
    /// Where both stand now.
    #[must_use]
    pub fn now() -> Lead {
        let nanoseconds = |time: Timespec| i128::from(time.tv_sec) * 1_000_000_000 + i128::from(time.tv_nsec);
        let real = rustix::time::clock_gettime(ClockId::Realtime);
        Lead(nanoseconds(real) - nanoseconds(rustix::time::clock_gettime(ClockId::Boottime)))
    }

    /// Whether the clock was set back since `earlier`: what has changed after
    /// that may have a time that was there before.
    #[must_use]
    pub fn fell_behind(self, earlier: Lead) -> bool {
        self.0 + READING < earlier.0
    }
}

/// File systems of this machine alone, whose stamps are the kernel's and at
/// hand at once: not those that another machine may change, nor those that a
/// program makes up.
const LOCAL: [FsWord; 8] = [
    0xEF53,      // ext2, ext3, ext4
    0x5846_5342, // XFS
    0x9123_683E, // Btrfs
    0x0102_1994, // tmpfs
    0xF2F5_2010, // F2FS
    0x3153_464A, // JFS
    ZFS,
    BCACHEFS,
];

const ZFS: FsWord = 0x2FC1_2FC1;
const BCACHEFS: FsWord = 0xCA45_1A4E;

/// Whether the file system of `file`, or of a directory, is changed through this
/// kernel only.
#[must_use]
pub fn is_local(file: impl AsFd) -> bool {
    fstatfs(file).is_ok_and(|stat| LOCAL.contains(&stat.f_type))
}

/// Whether the kernel tells of all that is done in `directory`: also not where a
/// snapshot may take the place of what is mounted.
#[must_use]
pub fn is_witnessed(directory: impl AsFd) -> bool {
    fstatfs(directory)
        .is_ok_and(|stat| LOCAL.contains(&stat.f_type) && ![ZFS, BCACHEFS].contains(&stat.f_type))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn where_only_seconds_are_told_two_of_them_must_have_passed() {
        assert_eq!(step_of(Duration::new(1_000, 0)), COARSE_STEP);
        assert_eq!(step_of(Duration::new(1_000, 1)), STEP);
    }

    #[test]
    fn a_clock_that_is_set_back_is_noticed() {
        let lead = Lead::now();
        assert!(!Lead::now().fell_behind(lead));
        assert!(Lead(lead.0 - 1_000_000_000).fell_behind(lead));
        assert!(!Lead(lead.0 + 1_000_000_000).fell_behind(lead));
    }
}

//! Whether a directory stayed as it was while it was read.
//!
//! readdir gives no snapshot: a file that is renamed meanwhile may be shown
//! twice or not at all. What was not seen may be taken for gone only if nothing
//! can have been renamed (ledger 311).

use std::io;
use std::os::fd::AsFd;
use std::thread;
use std::time::{Duration, Instant};

use system::stamp::{self, STEP, Stamp, is_local, step_of};

use crate::beneath;
use crate::witness::Witness;

/// Readings of one directory, until one of them was quiet or it is given up.
pub(crate) const READINGS: u32 = 4;

/// A directory's state before it was read.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Watch<'a> {
    /// Who sees whether it changes, and what he had seen.
    witness: Option<(&'a Witness, u64)>,
    before: Stamp,
    /// Since 1970.
    begun: Duration,
    /// The time that the kernel would have given to a change then.
    ticked: Duration,
}

/// Between two looks at the kernel's clock for files.
const PAUSE: Duration = Duration::from_millis(1);

impl<'a> Watch<'a> {
    /// Before `directory` is read.
    pub(crate) fn begin(directory: impl AsFd) -> io::Result<Watch<'a>> {
        let (before, begun, ticked) = (stamp_of(directory)?, stamp::now(), stamp::ticked());
        Ok(Watch { witness: None, before, begun, ticked })
    }

    /// The same with a witness.
    pub(crate) fn with(self, witness: Option<&'a Witness>) -> Watch<'a> {
        Watch { witness: witness.and_then(|witness| Some((witness, witness.events()?))), ..self }
    }

    /// The same before another reading of a directory that was not quiet: waits
    /// the moment, if it is a short one, that makes a quiet reading possible.
    pub(crate) fn begin_again(directory: impl AsFd) -> io::Result<Watch<'a>> {
        let directory = directory.as_fd();
        let changed = stamp_of(directory)?.changed();
        if step_of(changed) == STEP {
            let most = (changed + STEP).saturating_sub(stamp::now()).min(STEP);
            // One tick is enough where the clock is this kernel's.
            let local = is_local(directory);
            let begun = Instant::now();
            while begun.elapsed() < most && !(local && changed < stamp::ticked()) {
                thread::sleep(PAUSE);
            }
        }
        Watch::begin(directory)
    }

    /// After it was read: whether nothing can have changed meanwhile.
    ///
    /// Where this kernel's clock alone gives the times, it is enough that it had
    /// ticked when the reading began. A witness needs no clock.
    pub(crate) fn was_quiet(&self, directory: impl AsFd) -> io::Result<bool> {
        let directory = directory.as_fd();
        if let Some((witness, before)) = self.witness {
            beneath::wait_for_changes(directory)?;
            return Ok(witness.events() == Some(before));
        }
        let ticked = || {
            let changed = self.before.changed();
            step_of(changed) == STEP && changed < self.ticked && is_local(directory)
        };
        Ok(self.is_same(directory)? && (self.before.is_settled(self.begun) || ticked()))
    }

    /// After it was read: its stamp, if nothing can have changed meanwhile, and
    /// whatever changes from now on will have another one.
    pub(crate) fn quiet(&self, directory: impl AsFd) -> io::Result<Option<Stamp>> {
        let quiet = self.is_same(directory)? && self.before.is_settled(self.begun);
        Ok(quiet.then_some(self.before))
    }

    /// After it was read: whether its time of change is the same.
    pub(crate) fn is_same(&self, directory: impl AsFd) -> io::Result<bool> {
        Ok(stamp_of(directory)? == self.before)
    }
}

fn stamp_of(directory: impl AsFd) -> io::Result<Stamp> {
    Ok(Stamp::of(&rustix::fs::fstat(directory)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::Witnesses;
    use std::fs::File;
    use std::sync::Arc;

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
        watch.begun = watch.before.changed() + Duration::from_millis(1);
        assert!(watch.is_same(&held).unwrap());
        assert!(watch.quiet(&held).unwrap().is_none());
        watch.begun = watch.before.changed() + STEP;
        assert!(watch.quiet(&held).unwrap().is_some());
    }

    #[test]
    fn nothing_is_missed_when_the_clock_has_ticked_since_the_last_change() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let mut watch = Watch::begin_again(&held).unwrap();
        assert!(watch.was_quiet(&held).unwrap());
        (watch.begun, watch.ticked) = (watch.before.changed(), watch.before.changed());
        assert!(!watch.was_quiet(&held).unwrap());
    }

    #[test]
    fn a_witness_needs_no_clock() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let witnesses = Arc::new(Witnesses::default());
        let witness = witnesses.watch(&held).unwrap();
        for number in 0..100 {
            std::fs::write(directory.path().join("x"), "").unwrap();
            let watch = Watch::begin(&held).unwrap().with(Some(&witness));
            assert!(watch.was_quiet(&held).unwrap(), "{number}");
            std::fs::remove_file(directory.path().join("x")).unwrap();
            assert!(!watch.was_quiet(&held).unwrap(), "{number}");
        }
    }
}

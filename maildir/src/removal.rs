//! UPDATE: the messages that are to go, and the truth about each of them
//! (maildir.md 7, ledger 312).

use std::io;
use std::os::fd::AsFd;

use crate::beneath;
use crate::maildrop::{ATTEMPTS, Maildrop, Place, unclear};
use crate::notice::Notice;
use crate::quota::{self, Usage};
use crate::whereabouts::{Whereabouts, look_for};

/// What became of the messages that were to be removed.
#[derive(Debug, Default)]
#[must_use]
pub struct Removal {
    /// Removed now, under the name that [`Maildrop::name`] gives.
    pub removed: Vec<Place>,
    /// Removed by another program before.
    pub gone: Vec<Place>,
    /// Still there.
    pub failed: Vec<(Place, io::Error)>,
}

impl Removal {
    /// Whether no message that was to be removed is left.
    #[must_use]
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty()
    }
}

impl Maildrop {
    /// Removes the messages at `places`, under whatever flags they have by now,
    /// and tells the quota. `notices` hears of trouble with the quota.
    pub fn remove(
        &mut self,
        places: impl IntoIterator<Item = Place>,
        notices: &mut dyn FnMut(Notice),
    ) -> Removal {
        let mut places = places.into_iter().peekable();
        if places.peek().is_none() {
            return Removal::default();
        }
        let mut removal = Removal::default();
        let mut usage = (!self.is_trash && quota::exists(&self.directories)).then(Usage::default);
        let mut missing = Vec::new();
        for place in places {
            let cur = self.directories.cur_dir();
            let result = cur.and_then(|cur| unlink(cur, self.name(place), usage.as_mut()));
            removal.sort(place, result, &mut missing);
        }
        for _ in 0..ATTEMPTS {
            missing = self.remove_renamed(missing, &mut removal, usage.as_mut());
        }
        let kept_moving = |place| (place, io::Error::other("the file is being renamed all the time"));
        removal.failed.extend(missing.into_iter().map(kept_moving));
        if let Some(removed) = usage {
            quota::subtract(&self.directories, removed, notices);
        }
        removal
    }

    /// Removes those of `missing` that are there under another name; gives
    /// those that were renamed yet again.
    fn remove_renamed(
        &mut self,
        missing: Vec<Place>,
        removal: &mut Removal,
        mut usage: Option<&mut Usage>,
    ) -> Vec<Place> {
        let mut again = Vec::new();
        if missing.is_empty() {
            return again;
        }
        let found = match look_for(self, &missing) {
            Ok(found) => found,
            Err(error) => {
                let same = |place| (place, io::Error::new(error.kind(), error.to_string()));
                removal.failed.extend(missing.into_iter().map(same));
                return again;
            }
        };
        for (place, whereabouts) in missing.into_iter().zip(found) {
            let usage = usage.as_deref_mut();
            let result = match whereabouts {
                Whereabouts::Gone => {
                    removal.gone.push(place);
                    continue;
                }
                Whereabouts::Unclear => Err(unclear()),
                Whereabouts::InCur(name) => {
                    self.rename(place, &name);
                    self.directories.cur_dir().and_then(|cur| unlink(cur, &name, usage))
                }
                Whereabouts::InNew(name) => {
                    self.directories.new_dir().and_then(|new| unlink(new, &name, usage))
                }
            };
            removal.sort(place, result, &mut again);
        }
        again
    }
}

impl Removal {
    /// Puts `place` where `result` says, or to the `missing` ones.
    fn sort(&mut self, place: Place, result: io::Result<()>, missing: &mut Vec<Place>) {
        match result {
            Ok(()) => self.removed.push(place),
            Err(error) if error.kind() == io::ErrorKind::NotFound => missing.push(place),
            Err(error) => self.failed.push((place, error)),
        }
    }
}

/// Removes a file, and adds it to `usage` once it is gone.
fn unlink(directory: impl AsFd, name: &[u8], usage: Option<&mut Usage>) -> io::Result<()> {
    let directory = directory.as_fd();
    let one = match usage {
        Some(_) => Usage::of(directory, name)?,
        None => Usage::default(),
    };
    beneath::unlink(directory, name)?;
    if let Some(usage) = usage {
        usage.add(one);
    }
    Ok(())
}

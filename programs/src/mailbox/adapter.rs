//! Where the crates `pop3` and `maildir` meet: a Maildir's listing as the
//! TRANSACTION state sees it.

use std::io::Write;

use maildir::{Maildrop, Place};
use pop3::{About, Total};

/// A maildrop of the crate `maildir` for the crate `pop3`.
pub(super) struct Listing(pub Maildrop);

impl Listing {
    /// `answer` about the message at `place`. The crate `pop3` never asks about
    /// a place beyond the count; if it did, there would be nothing there.
    fn at<T: Default>(&self, place: usize, answer: impl FnOnce(&Maildrop, Place) -> T) -> T {
        self.0.place(place).map_or_else(T::default, |place| answer(&self.0, place))
    }
}

impl pop3::Maildrop for Listing {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn octets(&self, place: usize) -> u64 {
        self.at(place, Maildrop::octets)
    }

    fn is_utf8(&self, place: usize) -> bool {
        self.at(place, Maildrop::is_utf8)
    }

    fn total(&self) -> Total {
        let (octets, utf8) = self.0.total();
        Total { octets, utf8 }
    }

    fn lines(&self, about: About) -> Option<&[u8]> {
        match about {
            About::Octets => self.0.octets_lines(),
            About::UniqueIds => self.0.unique_id_lines(),
        }
    }

    fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
        // Writing into a vector cannot fail.
        let _ = self.at(place, |maildrop, place| write!(out, "{}", maildrop.unique_id(place)).ok());
    }
}

//! Where the crates `pop3` and `maildir` meet: a Maildir's listing as the
//! TRANSACTION state sees it.

use maildir::Place;

/// A maildrop of the crate `maildir` for the crate `pop3`.
pub(super) struct Listing(pub maildir::Maildrop);

impl pop3::Maildrop for Listing {
    fn count(&self) -> usize {
        self.0.len()
    }

    fn octets(&self, place: usize) -> u64 {
        self.0.octets(Place(place))
    }

    fn is_utf8(&self, place: usize) -> bool {
        self.0.is_utf8(Place(place))
    }

    fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
        self.0.put_unique_id(Place(place), out);
    }
}

//! How many connections there are, in all and from where, counted by several
//! processes.
//!
//! Each front has a table of its strangers, the monitor one of the sessions.
//! Each is written by that process alone and read by the fronts, who add them
//! up: nobody is asked, woken or waited for, and what a process has counted
//! goes with it. Two fronts that look at the same moment may both let somebody in,
//! so that a limit may be passed by as many as there are other fronts.
//!
//! A table is buckets of eight words; a word is a number of connections, and of
//! whom, as a part of a keyed hash. What finds no room in two buckets is not
//! counted.

use std::collections::hash_map::DefaultHasher;
use std::hash::Hasher;
use std::io;
use std::net::IpAddr;
use std::os::fd::OwnedFd;
use std::rc::Rc;

use authlib::abuse::leading_bits;
use system::shared::{self, Descriptors, OwnWords, Words};

/// Words of a bucket: what a processor fetches at once.
const BUCKET: usize = 8;
/// Buckets, of which the first one is none: it has the sum.
const BUCKETS: usize = 16 * 1024;
const WORDS: usize = BUCKET * BUCKETS;
/// Bits of a word that are the number.
const NUMBER_BITS: u32 = 24;
const NUMBER: u64 = (1 << NUMBER_BITS) - 1;

/// What makes hashes that nobody else can foresee.
pub(super) type Secret = [u8; 16];

/// Memory for a table.
///
/// # Errors
/// What the system reports.
pub(super) fn memory() -> io::Result<Descriptors> {
    shared::create(WORDS)
}

/// Whoever is counted together: an address, or a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Key(u64);

impl Key {
    /// All whose addresses begin with the same `bits` as `address`.
    pub(super) fn new(secret: &Secret, address: IpAddr, bits: u8) -> Key {
        let mut hasher = DefaultHasher::new();
        hasher.write(secret);
        hasher.write(&leading_bits(address.to_canonical(), bits));
        Key(hasher.finish())
    }

    /// The words in which it may be.
    fn words(self) -> impl Iterator<Item = usize> {
        // All but the first two buckets, which are each other's second choice.
        let bucket = 2 + (self.0 as usize) % (BUCKETS - 2);
        [bucket, bucket ^ 1].into_iter().flat_map(|bucket| bucket * BUCKET..(bucket + 1) * BUCKET)
    }

    fn tag(self) -> u64 {
        self.0 & !NUMBER
    }

    /// How many `word` counts of it.
    fn count(self, word: u64) -> u64 {
        if word & !NUMBER == self.tag() { word & NUMBER } else { 0 }
    }
}

/// Another process's table.
#[derive(Debug)]
pub(super) struct View(Words);

impl View {
    /// The one that `descriptor` is for.
    ///
    /// # Errors
    /// It is for none.
    pub(super) fn of(descriptor: &OwnedFd) -> io::Result<View> {
        Words::of(descriptor, WORDS).map(View)
    }

    /// All connections.
    pub(super) fn total(&self) -> u64 {
        self.0.get(0)
    }

    /// Those of `key`.
    pub(super) fn count(&self, key: Key) -> u64 {
        key.words().map(|index| key.count(self.0.get(index))).find(|count| *count > 0).unwrap_or(0)
    }
}

/// This process's table.
#[derive(Debug)]
pub(super) struct Table(OwnWords);

impl Table {
    /// The one that `descriptor` is for.
    ///
    /// # Errors
    /// It is for none.
    pub(super) fn of(descriptor: &OwnedFd) -> io::Result<Rc<Table>> {
        OwnWords::of(descriptor, WORDS).map(|words| Rc::new(Table(words)))
    }

    /// All connections.
    pub(super) fn total(&self) -> u64 {
        self.0.get(0)
    }

    /// Those of `key`.
    pub(super) fn count(&self, key: Key) -> u64 {
        self.find(key).map_or(0, |(_, count)| count)
    }

    /// Counts one more connection, of all `keys`, for as long as the place lives.
    pub(super) fn take(self: &Rc<Table>, keys: impl IntoIterator<Item = Key>) -> Place {
        self.0.set(0, self.total() + 1);
        let keys = keys.into_iter().filter(|key| self.add(*key)).collect();
        Place { table: Rc::clone(self), keys }
    }

    fn find(&self, key: Key) -> Option<(usize, u64)> {
        key.words().map(|index| (index, key.count(self.0.get(index)))).find(|(_, count)| *count > 0)
    }

    /// Whether there was room for it.
    fn add(&self, key: Key) -> bool {
        let free = || key.words().find(|index| self.0.get(*index) == 0).map(|index| (index, 0));
        let Some((index, count)) = self.find(key).or_else(free) else { return false };
        if count < NUMBER {
            self.0.set(index, key.tag() | (count + 1));
        }
        count < NUMBER
    }

    fn subtract(&self, key: Key) {
        match self.find(key) {
            Some((index, 1)) => self.0.set(index, 0),
            Some((index, count)) => self.0.set(index, key.tag() | (count - 1)),
            None => {}
        }
    }
}

/// A connection that is counted.
#[derive(Debug)]
pub(super) struct Place {
    table: Rc<Table>,
    keys: Vec<Key>,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.keys.iter().for_each(|key| self.table.subtract(*key));
        self.table.0.set(0, self.table.total().saturating_sub(1));
    }
}

#[cfg(test)]
mod tests {
    use super::{BUCKETS, Key, Table, View, memory};

    const SECRET: super::Secret = [7; 16];

    fn key(address: &str, bits: u8) -> Key {
        Key::new(&SECRET, address.parse().unwrap(), bits)
    }

    #[test]
    fn a_connection_counts_for_everybody_who_looks_until_it_is_over() {
        let memory = memory().unwrap();
        let (table, view) = (Table::of(&memory.writer).unwrap(), View::of(&memory.reader).unwrap());
        let (one, network, other) = (key("192.0.2.1", 32), key("192.0.2.9", 24), key("192.0.2.2", 32));
        let first = table.take([one, network]);
        let second = table.take([one, network]);
        let third = table.take([other, network]);
        assert_eq!((view.count(one), view.count(other), view.count(network), view.total()), (2, 1, 3, 3));
        drop((first, third));
        assert_eq!(
            (table.count(one), view.count(other), view.count(network), view.total()),
            (1, 0, 2 - 1, 1)
        );
        drop(second);
        assert_eq!((view.count(one), view.total()), (0, 0));
        assert!((0..super::WORDS).all(|word| view.0.get(word) == 0));
    }

    #[test]
    fn addresses_are_the_same_in_both_ways_to_write_them() {
        assert_eq!(key("::ffff:192.0.2.1", 32), key("192.0.2.1", 32));
        assert_eq!(key("2001:db8::1", 64), key("2001:db8::2", 64));
        assert_ne!(key("2001:db8::1", 64), key("2001:db8::1", 48));
        assert_ne!(Key::new(&[8; 16], "::1".parse().unwrap(), 64), key("::1", 64));
    }

    #[test]
    fn many_addresses_are_told_apart_and_what_finds_no_room_is_given_up_as_it_came() {
        let memory = memory().unwrap();
        let table = Table::of(&memory.writer).unwrap();
        let keys: Vec<Key> = (0..40_000u32)
            .map(|ip| Key::new(&SECRET, std::net::Ipv4Addr::from_bits(ip).into(), 32))
            .collect();
        let places: Vec<_> = keys.iter().map(|key| table.take([*key])).collect();
        assert!(keys.iter().all(|key| table.count(*key) == 1));
        assert_eq!(table.total(), 40_000);
        drop(places);
        // More than two buckets hold.
        let same = |number: u64| Key(12 + ((number * (BUCKETS as u64 - 2)) << 24));
        assert!(same(1).words().all(|word| (2..BUCKETS * 8).contains(&word)));
        let places: Vec<_> = (1..=20).map(|number| table.take([same(number)])).collect();
        assert_eq!((1..=20).filter(|number| table.count(same(*number)) == 1).count(), 16);
        drop(places);
        assert!((0..super::WORDS).all(|word| table.0.get(word) == 0));
    }
}

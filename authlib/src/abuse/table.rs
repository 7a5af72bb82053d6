//! Tags and how long each is remembered, in a table that never grows.
//!
//! A count of failures is kept as the time until all of them are forgiven: one
//! number says how many there are, and that they decay. An entry whose time is
//! over is free; nothing has to be swept.
//!
//! An entry lives in one of the eight places of its set. Where all are taken
//! the one whose time ends first makes room.

/// Places of a set.
const WAYS: usize = 8;

/// The table. Times are milliseconds since a beginning that its owner knows.
pub(super) struct Table {
    sets: Box<[[Entry; WAYS]]>,
}

#[derive(Clone, Copy, Default)]
struct Entry {
    tag: u64,
    end: u64,
}

impl Table {
    /// With room for `entries`, at least one set of them.
    pub(super) fn new(entries: usize) -> Self {
        let sets = entries.div_ceil(WAYS).max(1);
        Table { sets: vec![[Entry::default(); WAYS]; sets].into_boxed_slice() }
    }

    /// For how long `tag` is still remembered; 0 if it is not.
    pub(super) fn left(&self, tag: u64, now: u64) -> u64 {
        let found = self.sets[self.set_of(tag)].iter().find(|entry| entry.tag == tag && entry.end > now);
        found.map_or(0, |entry| entry.end - now)
    }

    /// Remembers `tag` for `left` from now; with 0, forgets it.
    pub(super) fn keep(&mut self, tag: u64, left: u64, now: u64) {
        let set = self.set_of(tag);
        let entry = Entry { tag, end: now.saturating_add(left) };
        let places = &mut self.sets[set];
        let own = places.iter_mut().position(|place| place.tag == tag && place.end > now);
        // Free places have ended, so they end before all others.
        let first = || (0..WAYS).min_by_key(|&place| places[place].end).unwrap_or_default();
        match own {
            Some(own) => places[own] = entry,
            None if left == 0 => {}
            None => {
                let place = first();
                places[place] = entry;
            }
        }
    }

    /// Makes the time of `tag` shorter by `less`.
    pub(super) fn take(&mut self, tag: u64, less: u64, now: u64) {
        let left = self.left(tag, now).saturating_sub(less);
        self.keep(tag, left, now);
    }

    fn set_of(&self, tag: u64) -> usize {
        usize::try_from(tag % self.sets.len() as u64).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::{Table, WAYS};
    use proptest::prelude::*;
    use std::collections::HashMap;

    #[test]
    fn an_entry_lasts_for_its_time() {
        let mut table = Table::new(64);
        table.keep(7, 100, 1000);
        assert_eq!((table.left(7, 1000), table.left(7, 1099), table.left(7, 1100)), (100, 1, 0));
        table.take(7, 30, 1000);
        assert_eq!(table.left(7, 1000), 70);
        table.take(7, 1000, 1000);
        assert_eq!((table.left(7, 1000), table.left(8, 1000)), (0, 0));
    }

    #[test]
    fn in_a_full_set_the_one_that_ends_first_makes_room() {
        let mut table = Table::new(WAYS);
        for tag in 1..=WAYS as u64 {
            table.keep(tag, 100 + tag, 0);
        }
        table.keep(100, 50, 0);
        assert_eq!((table.left(1, 0), table.left(2, 0), table.left(100, 0)), (0, 102, 50));
        table.keep(101, 50, 60);
        assert_eq!((table.left(100, 60), table.left(101, 60), table.left(2, 60)), (0, 50, 42));
    }

    proptest! {
        #[test]
        fn with_room_enough_it_is_a_map(
            steps in prop::collection::vec((0u64..WAYS as u64, 0u64..50, 0u64..20), 0..200),
        ) {
            let (mut table, mut map, mut now) = (Table::new(WAYS), HashMap::new(), 0);
            for (tag, left, pause) in steps {
                now += pause;
                table.keep(tag, left, now);
                map.insert(tag, now + left);
                for (tag, end) in &map {
                    prop_assert_eq!(table.left(*tag, now), u64::saturating_sub(*end, now));
                }
            }
        }
    }
}

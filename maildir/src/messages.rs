//! The messages of a maildrop, in order: what any number of sessions may look
//! at, since it never changes.

use std::io::Write;
use std::mem::size_of;
use std::ops::Range;
use std::sync::OnceLock;

use crate::listing::Listing;
use crate::name;
use crate::order::{self, InOrder};
use crate::size::Size;
use crate::unique_id::{Id, UniqueId};

/// Changes that are made in place, each at the cost of what is behind it.
const FEW: usize = 16;

/// Octets of a line of UIDL and one of LIST together, as they are mostly.
const LINES: usize = 56;

/// All messages of one maildrop.
#[derive(Debug, Clone, Default)]
pub(crate) struct Messages {
    /// All names, one behind the other.
    names: Vec<u8>,
    messages: Vec<Message>,
    octets: u64,
    utf8: u64,
    /// Lines of listings, where several sessions may want them.
    lines: Option<Lines>,
}

#[derive(Debug, Clone)]
struct Message {
    /// Where its name ends; it begins where the one before ends.
    end: usize,
    id: Id,
    size: Size,
}

/// What LIST and UIDL say, once somebody has asked.
#[derive(Debug, Clone, Default)]
struct Lines {
    octets: OnceLock<Vec<u8>>,
    unique_ids: OnceLock<Vec<u8>>,
}

/// A message that comes to others.
#[derive(Debug, Clone)]
pub(crate) struct Newcomer {
    pub(crate) name: Vec<u8>,
    pub(crate) id: Id,
    pub(crate) size: Size,
}

impl Messages {
    /// What the listing shows; for several sessions if it is `shared`.
    pub(crate) fn of(listing: &Listing, shared: bool) -> Messages {
        let shown = || listing.names.iter().zip(&listing.drafts).filter(|(_, draft)| !draft.is_hidden);
        let mut messages = Messages {
            names: Vec::with_capacity(shown().map(|(name, _)| name.len()).sum()),
            messages: Vec::with_capacity(shown().count()),
            lines: shared.then(Lines::default),
            ..Messages::default()
        };
        for (name, draft) in shown() {
            if let (Some(id), Some(size)) = (draft.id, draft.size) {
                messages.push(name, id, size);
            }
        }
        messages
    }

    fn push(&mut self, name: &[u8], id: Id, size: Size) {
        self.names.extend_from_slice(name);
        self.messages.push(Message { end: self.names.len(), id, size });
        self.octets = self.octets.saturating_add(size.octets);
        self.utf8 += u64::from(size.utf8);
    }

    /// Takes away those at the places `gone`, which are in order, gives those at the
    /// places `renamed` their new names, and puts `newcomers` where they belong.
    pub(crate) fn change(
        &mut self,
        mut gone: Vec<usize>,
        renamed: Vec<(usize, Vec<u8>)>,
        mut newcomers: Vec<Newcomer>,
    ) {
        let few = renamed.len() <= FEW;
        for (place, name) in renamed {
            // Flags have no part in the order.
            if few && has_flags(self.name(place)) && has_flags(&name) {
                self.rename(place, &name);
            } else {
                newcomers.push(Newcomer { name, id: self.messages[place].id, size: self.size(place) });
                gone.push(place);
            }
        }
        gone.sort_unstable();
        newcomers.sort_unstable_by(|one, other| order::compare(&one.name, &other.name));
        if gone.len() + newcomers.len() > FEW {
            return self.merge(&gone, &newcomers);
        }
        gone.into_iter().rev().for_each(|place| self.remove(place));
        for newcomer in &newcomers {
            match self.first_from(name::leading_number(&newcomer.name), &newcomer.name) {
                Ok(place) => self.insert(place, newcomer),
                Err(_) => self.push_last(newcomer),
            }
        }
    }

    fn rename(&mut self, place: usize, name: &[u8]) {
        self.replace_name(place..place + 1, name);
    }

    fn remove(&mut self, place: usize) {
        self.replace_name(place..place + 1, b"");
        let Message { size, .. } = self.messages.remove(place);
        self.octets = self.octets.saturating_sub(size.octets);
        self.utf8 -= u64::from(size.utf8);
        self.forget_lines();
    }

    fn insert(&mut self, place: usize, Newcomer { name, id, size }: &Newcomer) {
        let end = self.start(place);
        self.messages.insert(place, Message { end, id: *id, size: *size });
        self.replace_name(place..place + 1, name);
        self.octets = self.octets.saturating_add(size.octets);
        self.utf8 += u64::from(size.utf8);
        self.forget_lines();
    }

    /// Puts `name` in the place of the names of the messages at `places`.
    fn replace_name(&mut self, places: Range<usize>, name: &[u8]) {
        let (start, end) = (self.start(places.start), self.start(places.end));
        self.names.splice(start..end, name.iter().copied());
        for message in &mut self.messages[places.start..] {
            message.end = message.end + name.len() - (end - start);
        }
    }

    /// Where the name at `index` begins, or the last one ends.
    fn start(&self, index: usize) -> usize {
        index.checked_sub(1).map_or(0, |before| self.messages[before].end)
    }

    fn forget_lines(&mut self) {
        self.lines = self.lines.take().map(|_| Lines::default());
    }

    /// [`Messages::change`] for many.
    fn merge(&mut self, gone: &[usize], newcomers: &[Newcomer]) {
        let more: usize = newcomers.iter().map(|newcomer| newcomer.name.len()).sum();
        let mut merged = Messages {
            names: Vec::with_capacity(self.names.len() + more),
            messages: Vec::with_capacity(self.len() + newcomers.len()),
            lines: self.lines.take().map(|_| Lines::default()),
            ..Messages::default()
        };
        let mut newcomers = newcomers.iter().peekable();
        let mut gone = gone.iter().peekable();
        for index in 0..self.len() {
            let before = |newcomer: &&Newcomer| order::compare(&newcomer.name, self.name(index)).is_lt();
            while let Some(Newcomer { name, id, size }) = newcomers.next_if(before) {
                merged.push(name, *id, *size);
            }
            if gone.next_if_eq(&&index).is_none() {
                merged.push(self.name(index), self.messages[index].id, self.size(index));
            }
        }
        newcomers.for_each(|Newcomer { name, id, size }| merged.push(name, *id, *size));
        *self = merged;
    }

    /// Adds what belongs behind all others, to the lines as well.
    fn push_last(&mut self, Newcomer { name, id, size }: &Newcomer) {
        self.push(name, *id, *size);
        let (number, unique) = (self.len(), name::unique(name));
        let Some(Lines { octets, unique_ids }) = &mut self.lines else { return };
        if let Some(octets) = octets.get_mut() {
            put_line(octets, number, |out| put_number(out, size.octets));
        }
        if let Some(unique_ids) = unique_ids.get_mut() {
            put_line(unique_ids, number, |out| put_unique_id(out, UniqueId { id: *id, unique }));
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.messages.len()
    }

    /// Bytes of memory that this takes, with the lines.
    pub(crate) fn memory(&self) -> usize {
        size_of::<Messages>() + self.names.len() + self.messages.len() * (size_of::<Message>() + LINES)
    }

    /// The name of the message at `index`.
    ///
    /// # Panics
    /// This and what follows, if there are not that many.
    pub(crate) fn name(&self, index: usize) -> &[u8] {
        &self.names[self.start(index)..self.messages[index].end]
    }

    pub(crate) fn size(&self, index: usize) -> Size {
        self.messages[index].size
    }

    pub(crate) fn unique_id(&self, index: usize) -> UniqueId<'_> {
        UniqueId { id: self.messages[index].id, unique: name::unique(self.name(index)) }
    }

    /// Octets of all, and how many have headers with 8-bit bytes.
    pub(crate) fn total(&self) -> (u64, u64) {
        (self.octets, self.utf8)
    }

    /// `1 120 CRLF 2 200 CRLF …`, if it is shared.
    pub(crate) fn octets_lines(&self) -> Option<&[u8]> {
        let lines = &self.lines.as_ref()?.octets;
        Some(lines.get_or_init(|| self.lines_of(|index, out| put_number(out, self.size(index).octets))))
    }

    /// `1 UID1-17 CRLF 2 UID2-17 CRLF …`, if it is shared.
    pub(crate) fn unique_id_lines(&self) -> Option<&[u8]> {
        let lines = &self.lines.as_ref()?.unique_ids;
        Some(lines.get_or_init(|| self.lines_of(|index, out| put_unique_id(out, self.unique_id(index)))))
    }

    fn lines_of(&self, put: impl Fn(usize, &mut Vec<u8>)) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * LINES / 2);
        (0..self.len()).for_each(|index| put_line(&mut out, index + 1, |out| put(index, out)));
        out.shrink_to_fit();
        out
    }
}

/// Whether the name has an info, and so a place in the order that flags do not change.
fn has_flags(name: &[u8]) -> bool {
    name::unique(name).len() < name.len()
}

fn put_line(out: &mut Vec<u8>, number: usize, put: impl FnOnce(&mut Vec<u8>)) {
    put_number(out, number as u64);
    out.push(b' ');
    put(out);
    out.extend_from_slice(b"\r\n");
}

/// What Display writes, in a tenth of the time: a listing has two for each message.
fn put_number(out: &mut Vec<u8>, mut number: u64) {
    let mut digits = [b'0'; 20];
    let mut start = digits.len() - 1;
    for (at, digit) in digits.iter_mut().enumerate().rev() {
        *digit += u8::try_from(number % 10).unwrap_or_default();
        number /= 10;
        start = at;
        if number == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[start..]);
}

fn put_unique_id(out: &mut Vec<u8>, unique_id: UniqueId<'_>) {
    match unique_id.id {
        Id::Numbered { uid, validity } if validity > 0 => {
            out.extend_from_slice(b"UID");
            put_number(out, uid);
            out.push(b'-');
            put_number(out, validity);
        }
        // Writing into a vector cannot fail.
        _ => drop(write!(out, "{unique_id}")),
    }
}

impl InOrder for Messages {
    fn count(&self) -> usize {
        self.len()
    }

    fn name_at(&self, index: usize) -> &[u8] {
        self.name(index)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn newcomer((unique, flags, uid): &(u8, Option<bool>, u64)) -> Newcomer {
        let info = flags.map_or("", |seen| if seen { ":2,S" } else { ":2," });
        let name = format!("{}.{}{info}", unique % 10, char::from(b'!' + unique)).into_bytes();
        let size = Size { octets: *uid * 1000, utf8: uid % 2 == 1 };
        Newcomer { name, id: Id::Numbered { uid: *uid, validity: uid % 3 }, size }
    }

    /// Those of `all`, put one behind the other.
    fn of(all: &BTreeMap<u8, (Option<bool>, u64)>) -> Messages {
        let mut newcomers: Vec<Newcomer> =
            all.iter().map(|(unique, (flags, uid))| newcomer(&(*unique, *flags, *uid))).collect();
        newcomers.sort_unstable_by(|one, other| order::compare(&one.name, &other.name));
        let mut messages = Messages { lines: Some(Lines::default()), ..Messages::default() };
        newcomers.iter().for_each(|Newcomer { name, id, size }| messages.push(name, *id, *size));
        messages
    }

    /// Names, lines, totals.
    type Told<'a> = (Vec<&'a [u8]>, [&'a [u8]; 2], (u64, u64));

    fn all_of(messages: &Messages) -> Told<'_> {
        let names = (0..messages.len()).map(|index| messages.name(index)).collect();
        let lines = [messages.octets_lines().unwrap(), messages.unique_id_lines().unwrap()];
        (names, lines, messages.total())
    }

    type All = BTreeMap<u8, (Option<bool>, u64)>;

    fn all(most: usize) -> impl Strategy<Value = All> {
        proptest::collection::btree_map(
            0..90_u8,
            (any::<Option<bool>>(), any::<u32>().prop_map(u64::from)),
            0..most,
        )
    }

    proptest! {
        #[test]
        fn what_has_changed_is_as_if_it_had_always_been_so(
            before in all(30), after in all(30), asked: bool, most in prop_oneof![Just(3_usize), Just(90)],
        ) {
            // Who stays keeps what is known of him, and not all changes happen at once.
            let mut left = most;
            let mut expected = before.clone();
            let mut changed = of(&before);
            if asked {
                all_of(&changed);
            }
            let (mut gone, mut renamed, mut newcomers) = (Vec::new(), Vec::new(), Vec::new());
            for unique in 0..90 {
                let place = |flags, uid| changed.look_for(&newcomer(&(unique, flags, uid)).name).unwrap();
                match (before.get(&unique), after.get(&unique)) {
                    _ if left == 0 => break,
                    (Some((flags, uid)), None) => {
                        gone.push(place(*flags, *uid));
                        expected.remove(&unique);
                    }
                    (None, Some((flags, uid))) => {
                        newcomers.push(newcomer(&(unique, *flags, *uid)));
                        expected.insert(unique, (*flags, *uid));
                    }
                    (Some((flags, uid)), Some((other, _))) if flags != other => {
                        renamed.push((place(*flags, *uid), newcomer(&(unique, *other, *uid)).name));
                        expected.insert(unique, (*other, *uid));
                    }
                    _ => continue,
                }
                left -= 1;
            }
            changed.change(gone, renamed, newcomers);
            let expected = of(&expected);
            prop_assert_eq!(all_of(&changed), all_of(&expected));
        }

        #[test]
        fn numbers_and_unique_ids_are_written_as_display_does(number: u64, uid: u64, validity in 0..3_u64) {
            let unique_id = UniqueId { id: Id::Numbered { uid, validity }, unique: b"x" };
            let mut out = Vec::new();
            put_number(&mut out, number);
            put_unique_id(&mut out, unique_id);
            prop_assert_eq!(String::from_utf8(out).unwrap(), format!("{number}{unique_id}"));
        }
    }
}

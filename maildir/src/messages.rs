//! The messages of a maildrop, in order: what any number of sessions may look
//! at, since it never changes.

use std::io::Write;
use std::mem::size_of;
use std::sync::OnceLock;

use crate::listing::Listing;
use crate::name;
use crate::order::{self, InOrder};
use crate::size::Size;
use crate::unique_id::{Id, UniqueId};

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

    /// The message at `index` under another `name`.
    pub(crate) fn under(&self, index: usize, name: Vec<u8>) -> Newcomer {
        Newcomer { name, id: self.messages[index].id, size: self.size(index) }
    }

    /// Takes away those at the places `gone`, which are in order, and puts
    /// `newcomers` where they belong.
    pub(crate) fn change(&mut self, gone: &[usize], mut newcomers: Vec<Newcomer>) {
        newcomers.sort_unstable_by(|one, other| order::compare(&one.name, &other.name));
        let is_last =
            |first: &Newcomer| self.first_from(name::leading_number(&first.name), &first.name).is_err();
        if gone.is_empty() && newcomers.first().is_none_or(is_last) {
            return newcomers.iter().for_each(|newcomer| self.push_last(newcomer));
        }
        let mut changed = Messages {
            names: Vec::with_capacity(
                self.names.len() + newcomers.iter().map(|one| one.name.len()).sum::<usize>(),
            ),
            messages: Vec::with_capacity(self.len() + newcomers.len()),
            ..Messages::default()
        };
        let mut newcomers = newcomers.iter().peekable();
        let mut gone = gone.iter().peekable();
        for index in 0..self.len() {
            let before = |newcomer: &&Newcomer| order::compare(&newcomer.name, self.name(index)).is_lt();
            while let Some(Newcomer { name, id, size }) = newcomers.next_if(before) {
                changed.push(name, *id, *size);
            }
            if gone.next_if_eq(&&index).is_none() {
                changed.push(self.name(index), self.messages[index].id, self.size(index));
            }
        }
        newcomers.for_each(|Newcomer { name, id, size }| changed.push(name, *id, *size));
        // Flags are not listed.
        let shown = |message: &Message| (message.id, message.size);
        let is_same = self.messages.iter().map(shown).eq(changed.messages.iter().map(shown));
        changed.lines = self.lines.take().map(|lines| if is_same { lines } else { Lines::default() });
        *self = changed;
    }

    /// Adds what belongs behind all others, to the lines as well.
    fn push_last(&mut self, Newcomer { name, id, size }: &Newcomer) {
        self.push(name, *id, *size);
        let (number, unique) = (self.len(), name::unique(name));
        let Some(Lines { octets, unique_ids }) = &mut self.lines else { return };
        // Writing into a vector cannot fail.
        if let Some(octets) = octets.get_mut() {
            let _ = write!(octets, "{number} {}\r\n", size.octets);
        }
        if let Some(unique_ids) = unique_ids.get_mut() {
            let _ = write!(unique_ids, "{number} {}\r\n", UniqueId { id: *id, unique });
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
        let start = index.checked_sub(1).map_or(0, |before| self.messages[before].end);
        &self.names[start..self.messages[index].end]
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
        Some(lines.get_or_init(|| self.lines_of(|index, out| write!(out, "{}", self.size(index).octets))))
    }

    /// `1 UID1-17 CRLF 2 UID2-17 CRLF …`, if it is shared.
    pub(crate) fn unique_id_lines(&self) -> Option<&[u8]> {
        let lines = &self.lines.as_ref()?.unique_ids;
        Some(lines.get_or_init(|| self.lines_of(|index, out| write!(out, "{}", self.unique_id(index)))))
    }

    fn lines_of(&self, put: impl Fn(usize, &mut Vec<u8>) -> std::io::Result<()>) -> Vec<u8> {
        let mut out = Vec::with_capacity(self.len() * LINES / 2);
        for index in 0..self.len() {
            // Writing into a vector cannot fail.
            let _ = write!(out, "{} ", index + 1);
            let _ = put(index, &mut out);
            out.extend_from_slice(b"\r\n");
        }
        out.shrink_to_fit();
        out
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

//! The messages of a maildrop, in order: what any number of sessions may look
//! at, since it never changes.

use std::io::Write;
use std::mem::size_of;
use std::sync::OnceLock;

use crate::listing::Listing;
use crate::name;
use crate::size::Size;
use crate::unique_id::{Id, UniqueId};

/// Octets of a line of UIDL and one of LIST together, as they are mostly.
const LINES: usize = 56;

/// All messages of one maildrop.
#[derive(Debug)]
pub(crate) struct Messages {
    /// All names, one behind the other.
    names: Vec<u8>,
    messages: Vec<Message>,
    octets: u64,
    utf8: u64,
    /// Lines of listings, where several sessions may want them.
    lines: Option<Lines>,
}

#[derive(Debug)]
struct Message {
    /// Where its name ends; it begins where the one before ends.
    end: usize,
    id: Id,
    size: Size,
}

/// What LIST and UIDL say, once somebody has asked.
#[derive(Debug, Default)]
struct Lines {
    octets: OnceLock<Vec<u8>>,
    unique_ids: OnceLock<Vec<u8>>,
}

impl Messages {
    /// What the listing shows; for several sessions if it is `shared`.
    pub(crate) fn of(listing: &Listing, shared: bool) -> Messages {
        let shown = || listing.names.iter().zip(&listing.drafts).filter(|(_, draft)| !draft.is_hidden);
        let mut messages = Messages {
            names: Vec::with_capacity(shown().map(|(name, _)| name.len()).sum()),
            messages: Vec::with_capacity(shown().count()),
            octets: 0,
            utf8: 0,
            lines: shared.then(Lines::default),
        };
        for (name, draft) in shown() {
            if let (Some(id), Some(size)) = (draft.id, draft.size) {
                messages.names.extend_from_slice(name);
                messages.messages.push(Message { end: messages.names.len(), id, size });
                messages.octets = messages.octets.saturating_add(size.octets);
                messages.utf8 += u64::from(size.utf8);
            }
        }
        messages
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

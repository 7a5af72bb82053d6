//! An opened maildrop: fixed places, whatever happens on disk meanwhile.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::OFlags;

use crate::beneath;
use crate::directories::Directories;
use crate::listing::Listing;
use crate::name;
use crate::notice::Reason;
use crate::size::Size;
use crate::unique_id::{Id, UniqueId};
use crate::whereabouts::{Whereabouts, look_for};

/// Attempts to get hold of a file that others keep renaming.
pub(crate) const ATTEMPTS: usize = 3;

/// The place of a message in its maildrop, counted from 0; the message-number
/// is one more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Place(usize);

impl Place {
    /// As an index.
    #[must_use]
    pub fn index(self) -> usize {
        self.0
    }
}

/// The messages of a Maildir as they were when it was opened.
#[derive(Debug)]
pub struct Maildrop {
    pub(crate) directories: Directories,
    pub(crate) is_trash: bool,
    /// All names, one behind the other.
    names: Vec<u8>,
    messages: Vec<Message>,
}

#[derive(Debug)]
struct Message {
    name: Range<usize>,
    id: Id,
    size: Size,
}

/// Why a message cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// Another program removed it.
    #[error("the message file is gone")]
    Gone,
    /// It is there and cannot be opened.
    #[error("{}", Reason(.0))]
    Io(#[from] io::Error),
}

impl Maildrop {
    /// What the listing shows.
    pub(crate) fn new(directories: Directories, is_trash: bool, listing: &Listing) -> Maildrop {
        let mut maildrop = Maildrop { directories, is_trash, names: Vec::new(), messages: Vec::new() };
        maildrop.messages.reserve_exact(listing.names.len());
        for (name, draft) in listing.names.iter().zip(&listing.drafts) {
            if let (Some(id), Some(size), false) = (draft.id, draft.size, draft.is_hidden) {
                let name = maildrop.keep(name);
                maildrop.messages.push(Message { name, id, size });
            }
        }
        maildrop
    }

    fn keep(&mut self, name: &[u8]) -> Range<usize> {
        let start = self.names.len();
        self.names.extend_from_slice(name);
        start..self.names.len()
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.messages.is_empty()
    }

    /// The place at `index`, if there are that many messages.
    #[must_use]
    pub fn place(&self, index: usize) -> Option<Place> {
        (index < self.len()).then_some(Place(index))
    }

    /// All places in order.
    pub fn places(&self) -> impl ExactSizeIterator<Item = Place> + use<> {
        (0..self.len()).map(Place)
    }

    /// The octets that RETR sends, without byte-stuffing and termination.
    ///
    /// # Panics
    /// This and what follows, if `place` is another maildrop's.
    #[must_use]
    pub fn octets(&self, place: Place) -> u64 {
        self.messages[place.0].size.octets
    }

    /// The unique-id.
    #[must_use]
    pub fn unique_id(&self, place: Place) -> UniqueId<'_> {
        UniqueId { id: self.messages[place.0].id, unique: name::unique(self.name(place)) }
    }

    /// Whether a header of the message has 8-bit bytes, so that it is sent as it
    /// is only after the UTF8 command (RFC 6856).
    #[must_use]
    pub fn is_utf8(&self, place: Place) -> bool {
        self.messages[place.0].size.utf8
    }

    /// The name in `cur/` under which the file was last seen.
    #[must_use]
    pub fn name(&self, place: Place) -> &[u8] {
        &self.names[self.messages[place.0].name.clone()]
    }

    /// Remembers that another program gave the file another name.
    pub(crate) fn rename(&mut self, place: Place, name: &[u8]) {
        self.messages[place.0].name = self.keep(name);
    }

    /// Opens the message's file for reading, under its present name if its
    /// flags were changed by another program.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_message(&mut self, place: Place) -> Result<File, OpenError> {
        for _ in 0..ATTEMPTS {
            match beneath::regular_file(&self.directories.cur, self.name(place), OFlags::RDONLY) {
                Ok((file, _)) => return Ok(file),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) => {}
            }
            match look_for(self, &[place])?.pop() {
                Some(Whereabouts::InCur(name)) => self.rename(place, &name),
                Some(Whereabouts::InNew(name)) => {
                    return Ok(beneath::regular_file(self.directories.open_new()?, &name, OFlags::RDONLY)?.0);
                }
                Some(Whereabouts::Unclear) => return Err(unclear().into()),
                Some(Whereabouts::Gone) | None => return Err(OpenError::Gone),
            }
        }
        Err(OpenError::Gone)
    }

    /// Sets the S flag, as is done after a complete RETR (maildir.md 6).
    ///
    /// # Errors
    /// What rename(2) reports; the message keeps its name then, and nothing
    /// else depends on the flag.
    pub fn mark_seen(&mut self, place: Place) -> io::Result<()> {
        for _ in 0..ATTEMPTS {
            let Some(seen) = name::seen(self.name(place)) else { return Ok(()) };
            let cur = &self.directories.cur;
            match beneath::rename(cur, self.name(place), cur, &seen) {
                Ok(()) => {
                    self.rename(place, &seen);
                    return Ok(());
                }
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
                Err(_) => {}
            }
            match look_for(self, &[place])?.pop() {
                Some(Whereabouts::InCur(name)) => self.rename(place, &name),
                _ => return Err(io::ErrorKind::NotFound.into()),
            }
        }
        Err(io::ErrorKind::NotFound.into())
    }
}

/// The error for a file that may be one of several.
pub(crate) fn unclear() -> io::Error {
    io::Error::other("several files share this unique name")
}

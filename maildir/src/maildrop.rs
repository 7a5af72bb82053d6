//! An opened maildrop: fixed places, whatever happens on disk meanwhile.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::sync::Arc;

use rustix::fs::{OFlags, Stat};

use crate::beneath;
use crate::directories::Directories;
use crate::messages::Messages;
use crate::name;
use crate::notice::Reason;
use crate::unique_id::UniqueId;
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
    messages: Arc<Messages>,
    /// Names that files have got since.
    renamed: HashMap<Place, Vec<u8>>,
}

/// A message's file, opened for reading.
#[derive(Debug)]
pub struct MessageFile {
    /// The file, at its beginning.
    pub file: File,
    /// Its bytes on disk when it was opened.
    pub bytes: u64,
}

impl MessageFile {
    fn of((file, stat): (File, Stat)) -> MessageFile {
        MessageFile { file, bytes: u64::try_from(stat.st_size).unwrap_or_default() }
    }
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
    pub(crate) fn new(directories: Directories, is_trash: bool, messages: Arc<Messages>) -> Maildrop {
        Maildrop { directories, is_trash, messages, renamed: HashMap::new() }
    }

    /// The number of messages.
    #[must_use]
    pub fn len(&self) -> usize {
        self.messages.len()
    }

    /// Whether there are no messages.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
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
        self.messages.size(place.0).octets
    }

    /// The octets of all messages together, and how many of them have a header
    /// with 8-bit bytes.
    #[must_use]
    pub fn total(&self) -> (u64, u64) {
        self.messages.total()
    }

    /// The lines of an answer to LIST about all messages, if other sessions may
    /// want them too.
    #[must_use]
    pub fn octets_lines(&self) -> Option<&[u8]> {
        self.messages.octets_lines()
    }

    /// The same for UIDL.
    #[must_use]
    pub fn unique_id_lines(&self) -> Option<&[u8]> {
        self.messages.unique_id_lines()
    }

    /// The unique-id.
    #[must_use]
    pub fn unique_id(&self, place: Place) -> UniqueId<'_> {
        self.messages.unique_id(place.0)
    }

    /// Whether a header of the message has 8-bit bytes, so that it is sent as it
    /// is only after the UTF8 command (RFC 6856).
    #[must_use]
    pub fn is_utf8(&self, place: Place) -> bool {
        self.messages.size(place.0).utf8
    }

    /// The name in `cur/` under which the file was last seen.
    #[must_use]
    pub fn name(&self, place: Place) -> &[u8] {
        self.renamed.get(&place).map_or_else(|| self.messages.name(place.0), Vec::as_slice)
    }

    /// Remembers that another program gave the file another name.
    pub(crate) fn rename(&mut self, place: Place, name: &[u8]) {
        self.renamed.insert(place, name.to_vec());
    }

    /// Opens the message's file for reading, under its present name if its
    /// flags were changed by another program.
    ///
    /// # Errors
    /// See [`OpenError`].
    pub fn open_message(&mut self, place: Place) -> Result<MessageFile, OpenError> {
        for _ in 0..ATTEMPTS {
            let cur = self.directories.cur_dir()?;
            match beneath::regular_file(cur, self.name(place), OFlags::RDONLY) {
                Ok(opened) => return Ok(MessageFile::of(opened)),
                Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
                Err(_) => {}
            }
            match look_for(self, &[place])?.pop() {
                Some(Whereabouts::InCur(name)) => self.rename(place, &name),
                Some(Whereabouts::InNew(name)) => {
                    let new = self.directories.new_dir()?;
                    return Ok(MessageFile::of(beneath::regular_file(new, &name, OFlags::RDONLY)?));
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
            let cur = self.directories.cur_dir()?;
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

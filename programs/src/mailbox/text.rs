//! A message file, read in chunks.

use authlib::printable::reason;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};

use maildir::{Maildrop, Octets, OpenError};
use pop3::reply::{self, Reply};

use crate::log::{self, Harmless};

/// Octets read at once. A message that is not longer is read only once.
const CHUNK: usize = 64 * 1024;

/// The message cannot be had: what to tell the client.
pub(super) struct NotOpen(pub Reply);

/// The file could not be read to its end, or is not what it was a moment ago.
pub(super) struct Broken;

/// An open message file and its next chunk.
pub(super) struct Text {
    file: File,
    name: Vec<u8>,
    chunk: Vec<u8>,
    /// Octets of the file on disk, once they have been counted.
    length: Option<u64>,
    /// Octets read, those of `chunk` among them.
    read: u64,
}

impl Text {
    /// Opens the message at `place` and reads its first chunk.
    pub(super) fn open(maildrop: &mut Maildrop, place: usize) -> Result<Self, NotOpen> {
        let place = maildrop.place(place).ok_or(NotOpen(reply::MESSAGE_GONE))?;
        let file = maildrop.open_message(place).map_err(|error| match error {
            OpenError::Gone => NotOpen(reply::MESSAGE_GONE),
            OpenError::Io(error) => {
                unreadable(maildrop.name(place), &error);
                NotOpen(reply::MESSAGE_UNREADABLE)
            }
        })?;
        let name = maildrop.name(place).to_vec();
        let mut text = Text { file, name, chunk: Vec::new(), length: None, read: 0 };
        text.read().map_err(|Broken| NotOpen(reply::MESSAGE_UNREADABLE))?;
        Ok(text)
    }

    /// Octets of the whole message as RETR sends it. A message longer than one
    /// chunk is read for it to the end, and then read again.
    pub(super) fn octets(&mut self) -> Result<u64, NotOpen> {
        let mut octets = Octets::new();
        octets.feed(&self.chunk);
        let mut length = self.chunk.len() as u64;
        if self.chunk.len() == CHUNK {
            length += self.count_rest(&mut octets).map_err(|error| {
                unreadable(&self.name, &error);
                NotOpen(reply::MESSAGE_UNREADABLE)
            })?;
        }
        self.length = Some(length);
        Ok(octets.total())
    }

    fn count_rest(&mut self, octets: &mut Octets) -> io::Result<u64> {
        let mut buffer = vec![0; CHUNK];
        let mut length = 0;
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => break,
                Ok(read) => {
                    octets.feed(&buffer[..read]);
                    length += read as u64;
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.file.seek(SeekFrom::Start(CHUNK as u64))?;
        Ok(length)
    }

    /// The present chunk.
    pub(super) fn chunk(&self) -> &[u8] {
        &self.chunk
    }

    /// Reads the next chunk; whether there is one.
    pub(super) fn read_next(&mut self) -> Result<bool, Broken> {
        self.read()?;
        let ended = self.chunk.is_empty();
        if self.length.is_some_and(|length| self.read > length || (ended && self.read < length)) {
            let name = Harmless(&self.name);
            log::error(&format_args!("message file cur/{name} has changed while it was being sent"));
            return Err(Broken);
        }
        Ok(!ended)
    }

    /// Reads a whole chunk, or what there is before the end.
    fn read(&mut self) -> Result<(), Broken> {
        self.chunk.clear();
        let mut part = (&self.file).take(CHUNK as u64);
        match part.read_to_end(&mut self.chunk) {
            Ok(octets) => {
                self.read += octets as u64;
                Ok(())
            }
            Err(error) => {
                unreadable(&self.name, &error);
                Err(Broken)
            }
        }
    }
}

fn unreadable(name: &[u8], error: &io::Error) {
    log::error(&format_args!(
        "I/O error while reading message file cur/{}: {}",
        Harmless(name),
        reason(error)
    ));
}

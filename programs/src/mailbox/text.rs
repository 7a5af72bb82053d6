//! A message file, read in chunks.

use std::io;

use maildir::MessageFile;
use rustix::buffer::spare_capacity;
use rustix::io::{Errno, pread};

/// An open message file, and how far it has been read.
pub(super) struct Text {
    file: MessageFile,
    read: u64,
    /// Whether it has been read to its end before, so that its length is what was
    /// counted, and no other will do.
    counted: bool,
}

impl Text {
    /// Of which nothing has been read.
    pub(super) fn of(file: MessageFile) -> Text {
        Text { file, read: 0, counted: false }
    }

    /// Reads what `chunk` has room for, or what there is before the end; whether
    /// that was the end.
    ///
    /// At first no more is asked for where as much has come as the file should
    /// have. An empty one is asked: there are file systems that do not know.
    ///
    /// # Errors
    /// What pread(2) reports.
    pub(super) fn fill(&mut self, chunk: &mut Vec<u8>) -> io::Result<bool> {
        loop {
            if self.read == self.file.bytes && self.read > 0 {
                if !self.counted {
                    return Ok(true);
                }
                // So that the end is seen in time to be sent with what is before it.
                chunk.reserve(1);
            }
            if chunk.len() == chunk.capacity() {
                return Ok(false);
            }
            match pread(&self.file.file, spare_capacity(chunk), self.read) {
                Ok(0) => return Ok(true),
                Ok(octets) => self.read += octets as u64,
                Err(Errno::INTR) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }

    /// It has been read to its end, and is to be read again from behind the first
    /// `octets` on.
    pub(super) fn go_back_to(&mut self, octets: usize) {
        (self.file.bytes, self.counted) = (self.read, true);
        self.read = octets as u64;
    }
}

//! What has to be known of a message and takes reading it once.

use std::fs::File;
use std::io::{self, Read};

use crate::octets::Octets;
use crate::utf8::Headers;

/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;

/// What a reading of the whole file gives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    /// Octets that RETR sends.
    pub(crate) octets: u64,
    /// Whether a header has 8-bit bytes.
    pub(crate) utf8: bool,
}

/// Reads files through one buffer.
pub(crate) struct Reader {
    buffer: Vec<u8>,
}

impl Reader {
    pub(crate) fn new() -> Reader {
        Reader { buffer: Vec::new() }
    }

    /// Reads `file` from where it is to its end.
    pub(crate) fn measure(&mut self, mut file: File) -> io::Result<Size> {
        self.buffer.resize(PIECE, 0);
        let mut octets = Octets::new();
        let mut headers = Headers::new();
        loop {
            match file.read(&mut self.buffer) {
                Ok(0) => return Ok(Size { octets: octets.total(), utf8: headers.are_utf8() }),
                Ok(length) => {
                    octets.feed(&self.buffer[..length]);
                    headers.feed(&self.buffer[..length]);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }
}

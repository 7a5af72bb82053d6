//! What has to be known of a message and takes reading it once.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::thread;

use rustix::fs::OFlags;

use crate::beneath;
use crate::octets::Octets;
use crate::utf8::Headers;

/// Bytes that are read at once.
const PIECE: usize = 128 * 1024;

/// Files for which it is worth to start a thread.
pub(crate) const MANY: usize = 200;

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

    /// Reads the message `name` in `directory`.
    pub(crate) fn measure(&mut self, directory: impl AsFd, name: &[u8]) -> io::Result<Size> {
        let (mut file, stat) = beneath::regular_file(directory, name, OFlags::RDONLY)?;
        self.buffer.resize(PIECE, 0);
        let mut octets = Octets::new();
        let mut headers = Headers::new();
        let mut expected = usize::try_from(stat.st_size).unwrap_or(usize::MAX);
        loop {
            match file.read(&mut self.buffer) {
                Ok(0) => break,
                Ok(length) => {
                    octets.feed(&self.buffer[..length]);
                    headers.feed(&self.buffer[..length]);
                    // Less than was asked for, and all that there is: it ends here.
                    if length == expected && length < PIECE {
                        break;
                    }
                    expected = expected.saturating_sub(length);
                }
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(Size { octets: octets.total(), utf8: headers.are_utf8() })
    }
}

/// Reads the messages `names` in `directory`, with so many threads beside this one
/// if there are many; answers in the same order.
pub(crate) fn measure_all(
    directory: BorrowedFd<'_>,
    names: &[&[u8]],
    helpers: usize,
) -> Vec<io::Result<Size>> {
    let one_by_one = |names: &[&[u8]]| {
        let mut reader = Reader::new();
        names.iter().map(|name| reader.measure(directory, name)).collect::<Vec<_>>()
    };
    let threads = (names.len() / MANY).min(helpers) + 1;
    let mut parts = names.chunks(names.len().div_ceil(threads).max(1));
    let own = parts.next().unwrap_or_default();
    thread::scope(|scope| {
        let start = |part| (part, thread::Builder::new().spawn_scoped(scope, move || one_by_one(part)));
        let others: Vec<_> = parts.map(start).collect();
        let mut sizes = one_by_one(own);
        for (part, started) in others {
            // What could not be done beside is done now.
            let done = started.ok().and_then(|thread| thread.join().ok());
            sizes.extend(done.unwrap_or_else(|| one_by_one(part)));
        }
        sizes
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::{self, File};

    #[test]
    fn files_of_every_length_are_read_to_their_ends() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let mut reader = Reader::new();
        for length in [0, 1, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 2 * PIECE + 7] {
            fs::write(directory.path().join("x"), vec![b'x'; length]).unwrap();
            let expected = if length == 0 { 0 } else { length as u64 + 2 };
            assert_eq!(reader.measure(&held, b"x").unwrap().octets, expected);
        }
    }

    #[test]
    fn many_files_are_read_by_several_threads_and_answered_in_order() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        let names: Vec<String> = (0..3 * MANY).map(|number| number.to_string()).collect();
        for (number, name) in names.iter().enumerate().filter(|(number, _)| number % 7 != 0) {
            fs::write(directory.path().join(name), vec![b'\n'; number]).unwrap();
        }
        let names: Vec<&[u8]> = names.iter().map(String::as_bytes).collect();
        for helpers in [0, 1, 2, 9] {
            let sizes = measure_all(held.as_fd(), &names, helpers);
            assert_eq!(sizes.len(), names.len());
            for (number, size) in sizes.into_iter().enumerate() {
                let octets = size.ok().map(|size| size.octets);
                assert_eq!(octets, (number % 7 != 0).then_some(2 * number as u64), "{number}");
            }
        }
        assert!(measure_all(held.as_fd(), &[], 3).is_empty());
    }
}

//! Memory that a thread keeps for the sessions that it serves, one after the
//! other: to get it and to give it back costs more than many a reply. A session
//! that waits has none of it.

use std::cell::Cell;

/// Octets of a message file that are read at once. One that is not longer is
/// read only once.
pub(super) const CHUNK: usize = 128 * 1024;

/// Most octets of a buffer that is kept.
const LARGEST: usize = 4 * CHUNK;

thread_local! {
    static CHUNKS: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static REPLIES: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
    static ARRIVED: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

/// What a buffer is for.
#[derive(Clone, Copy, Debug)]
pub(super) enum For {
    /// A part of a message file; room for a [`CHUNK`].
    Chunk,
    /// Replies on their way.
    Replies,
    /// What has arrived.
    Arrived,
}

/// An empty buffer.
pub(super) fn take(what: For) -> Vec<u8> {
    let mut buffer = kept(what, Vec::new());
    if matches!(what, For::Chunk) {
        buffer.reserve_exact(CHUNK);
    }
    buffer
}

/// Keeps a buffer whose octets nobody needs any more.
pub(super) fn keep(what: For, mut buffer: Vec<u8>) {
    if (1..=LARGEST).contains(&buffer.capacity()) {
        buffer.clear();
        kept(what, buffer);
    }
}

/// Gives back what this thread keeps.
pub(crate) fn release() {
    for what in [For::Chunk, For::Replies, For::Arrived] {
        kept(what, Vec::new());
    }
}

/// Keeps `buffer` in the place of what was kept.
fn kept(what: For, buffer: Vec<u8>) -> Vec<u8> {
    let cell = match what {
        For::Chunk => &CHUNKS,
        For::Replies => &REPLIES,
        For::Arrived => &ARRIVED,
    };
    cell.replace(buffer)
}

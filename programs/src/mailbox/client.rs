//! The client as a session sees it: octets that are there, and room for octets,
//! without waiting for either.

use std::io;
use std::mem;

use pop3::{Line, LineReader};

use super::buffers::{self, For};

/// Octets asked for in one read.
const READ: usize = 4096;

/// A client that is never waited for.
pub(crate) trait Client {
    /// Takes what has arrived, as much as `buffer` has room for; `None` if
    /// nothing has, 0 at the end.
    ///
    /// # Errors
    /// What the system calls report.
    fn take(&self, buffer: &mut [u8]) -> io::Result<Option<usize>>;

    /// Gives octets, as many as there is room for; `None` if there is none.
    ///
    /// # Errors
    /// The client has gone.
    fn give(&self, octets: &[u8]) -> io::Result<Option<usize>>;

    /// Throws away what has arrived: closing a socket with octets in it makes
    /// the kernel reset the connection, and the client might lose what it has
    /// just been told.
    fn forget_arrived(&self);
}

/// Octets that have arrived, of which some have been read.
#[derive(Default)]
pub(super) struct Arrived {
    octets: Vec<u8>,
    read: usize,
}

impl From<Vec<u8>> for Arrived {
    fn from(octets: Vec<u8>) -> Self {
        Arrived { octets, read: 0 }
    }
}

impl Arrived {
    /// Takes more from `client`; `None` if nothing has come, 0 at the end.
    ///
    /// # Errors
    /// As [`Client::take`].
    pub(super) fn take(&mut self, client: &impl Client) -> io::Result<Option<usize>> {
        if self.octets.is_empty() {
            self.octets = buffers::take(For::Arrived);
        }
        self.octets.drain(..self.read);
        self.read = 0;
        let kept = self.octets.len();
        self.octets.resize(kept + READ, 0);
        let taken = client.take(&mut self.octets[kept..]);
        let octets = taken.as_ref().map_or(0, |taken| taken.unwrap_or(0));
        self.octets.truncate(kept + octets);
        taken
    }

    /// Gives back what a client that says nothing does not need.
    pub(super) fn rest(&mut self) {
        if self.read == self.octets.len() {
            buffers::keep(For::Arrived, mem::take(&mut self.octets));
            self.read = 0;
        }
    }

    /// The next line, if it is whole, and how many octets have gone into lines.
    pub(super) fn line<'l>(&mut self, reader: &'l mut LineReader) -> (Option<Line<'l>>, usize) {
        let mut rest = &self.octets[self.read..];
        let available = rest.len();
        let line = reader.take(&mut rest);
        let used = available - rest.len();
        self.read += used;
        (line, used)
    }
}

/// Replies on their way to the client.
#[derive(Default)]
pub(crate) struct Replies {
    /// Those that have not gone, behind some that have.
    pub(crate) out: Vec<u8>,
    gone: usize,
    sent: u64,
}

impl Replies {
    /// Takes what a client that is to be told something needs.
    pub(super) fn begin(&mut self) {
        if self.out.capacity() == 0 {
            self.out = buffers::take(For::Replies);
        }
    }

    /// Octets that wait to be sent.
    pub(super) fn waiting(&self) -> usize {
        self.out.len() - self.gone
    }

    /// Octets sent in the whole session.
    pub(super) fn sent(&self) -> u64 {
        self.sent
    }

    /// Gives back what a client that is told nothing does not need.
    pub(crate) fn rest(&mut self) {
        if self.waiting() == 0 {
            buffers::keep(For::Replies, mem::take(&mut self.out));
            self.gone = 0;
        }
    }

    /// Sends as much as there is room for, and tells whether that was all.
    ///
    /// # Errors
    /// The client has gone.
    pub(crate) fn send(&mut self, client: &impl Client) -> io::Result<bool> {
        while self.waiting() > 0 {
            let Some(octets) = client.give(&self.out[self.gone..])? else { return Ok(false) };
            self.gone += octets;
            self.sent += octets as u64;
        }
        self.out.clear();
        self.gone = 0;
        Ok(true)
    }
}

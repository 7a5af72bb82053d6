//! One of two sockets between which octets are passed on.

use std::io;
use std::os::fd::OwnedFd;

use rustix::event::epoll::{self, EventData, EventFlags};

use super::stream::Stream;

/// A socket, and for what it is watched.
pub(super) struct Side {
    pub(super) stream: Stream,
    watched_for: EventFlags,
}

impl Side {
    /// One that is not watched.
    pub(super) fn new(stream: Stream) -> Side {
        Side { stream, watched_for: EventFlags::empty() }
    }

    /// One that is watched for `events`.
    pub(super) fn watched(stream: Stream, events: EventFlags) -> Side {
        Side { stream, watched_for: events }
    }

    /// Has `epoll` watch it as `token` for `events`. One for which nothing is
    /// wanted is not watched at all, else its end would wake us again and again.
    ///
    /// # Errors
    /// What epoll_ctl(2) reports.
    pub(super) fn watch(&mut self, events: EventFlags, token: u64, epoll: &OwnedFd) -> io::Result<()> {
        let data = EventData::new_u64(token);
        match (self.watched_for.is_empty(), events.is_empty()) {
            _ if self.watched_for == events => {}
            (true, _) => epoll::add(epoll, &self.stream, data, events)?,
            (false, true) => epoll::delete(epoll, &self.stream)?,
            (false, false) => epoll::modify(epoll, &self.stream, data, events)?,
        }
        self.watched_for = events;
        Ok(())
    }
}

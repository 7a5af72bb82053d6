//! Listening sockets that are open already when the settings are read: a new
//! reading keeps those that it names again, so that no client is refused.

use std::os::fd::OwnedFd;

use super::listen::{Address, Listener};

/// The sockets, each there once.
#[derive(Debug, Default)]
pub(crate) struct Sockets(Vec<Listener>);

impl Sockets {
    /// Adds one.
    pub(crate) fn add(&mut self, listener: Listener) {
        self.0.push(listener);
    }

    /// The one that was opened as `address`, or is bound there, if there is one.
    pub(crate) fn take(&mut self, address: &Address) -> Option<OwnedFd> {
        let opened_as = self.0.iter().position(|listener| listener.address == *address);
        let index = opened_as.or_else(|| self.0.iter().position(|listener| listener.bound == *address))?;
        Some(self.0.swap_remove(index).socket)
    }
}

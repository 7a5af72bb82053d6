//! A process of the service, as the monitor holds it: the child, the wire to
//! it, and what waits for room there.

use std::collections::VecDeque;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use zeroize::Zeroizing;

use super::birth;
use super::wire::{Received, Wire};

/// Most messages that wait for one process.
const MOST_WAITING: usize = 1024;

/// A process that was started.
pub(super) struct Part {
    child: Child,
    wire: Wire,
    waiting: VecDeque<(Zeroizing<Vec<u8>>, Option<OwnedFd>)>,
}

/// A process has too much to do: it has not taken what it was sent before.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Overwhelmed;

impl Part {
    /// Starts `program` with `words`; its environment is `environment` and
    /// nothing else, its log is ours.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start(
        program: &Path,
        words: &[impl AsRef<OsStr>],
        environment: &[(OsString, OsString)],
    ) -> io::Result<Part> {
        let (ours, theirs) = Wire::pair()?;
        let mut command = Command::new(program);
        command.args(words).env_clear().envs(environment.iter().cloned());
        command.stdin(Stdio::null()).stdout(Stdio::null());
        system::descriptor::pass(&mut command, theirs.into_descriptor(), birth::WIRE)?;
        Ok(Part { child: command.spawn()?, wire: ours, waiting: VecDeque::new() })
    }

    /// Its process id.
    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Where its messages come from.
    pub(super) fn wire(&self) -> impl AsFd + '_ {
        self.wire.as_fd()
    }

    /// Its next message.
    ///
    /// # Errors
    /// It has gone, or talks nonsense.
    pub(super) fn receive(&self) -> io::Result<Option<Received>> {
        self.wire.receive()
    }

    /// Whether it takes another message, now or when there is room.
    pub(super) fn takes_more(&self) -> bool {
        self.waiting.len() < MOST_WAITING
    }

    /// Sends a message, now or when there is room; whether that was now.
    ///
    /// # Errors
    /// See [`Overwhelmed`].
    pub(super) fn send(
        &mut self,
        message: Zeroizing<Vec<u8>>,
        descriptor: Option<OwnedFd>,
    ) -> Result<bool, Overwhelmed> {
        if !self.takes_more() {
            return Err(Overwhelmed);
        }
        self.waiting.push_back((message, descriptor));
        Ok(self.flush())
    }

    /// Sends what waits; whether nothing waits any more. Whoever has gone needs
    /// nothing: that it has is seen when it is listened to.
    pub(super) fn flush(&mut self) -> bool {
        while let Some((message, descriptor)) = self.waiting.front() {
            let sent = self.wire.send(message, descriptor.as_ref().map(AsFd::as_fd));
            if matches!(sent, Ok(false)) {
                return false;
            }
            self.waiting.pop_front();
        }
        true
    }

    /// Closes the wire: the process ends when it has nothing left to do.
    pub(super) fn dismiss(self) -> Child {
        self.child
    }

    /// Ends it at once.
    pub(super) fn end(mut self) -> Child {
        let _it_has_ended = self.child.kill();
        self.child
    }
}

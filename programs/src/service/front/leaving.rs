//! How a front leaves: nobody else comes in, and it ends when nobody is left.
//!
//! ```text
//!   Serving ──Leave──> Leaving ──nobody is before login──> Alone ──no tunnel──> (end)
//!      └──────────the monitor has gone───────────────────────┘
//! ```

use std::io;
use std::time::Instant;

use rustix::event::epoll;

use super::client::State;
use super::entrance::AT_ONCE;
use super::{FIRST_LISTENER, Front};
use crate::service::order::Strangers;
use crate::service::ticket_keys::TicketKeys;

/// How often, at most, somebody is taken from the queue of a listening socket that
/// is left, with many each time.
const LAST_LOOKS: usize = 64;

/// What a front still does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// It lets clients in.
    Serving,
    /// It lets nobody in; some are before login.
    Leaving,
    /// It needs neither auth nor the monitor: there are only sessions inside TLS.
    Alone,
}

impl Front {
    /// Nobody else comes in, and `strangers` are treated so. Who has connected
    /// already is one of them, and if it was this front alone that the kernel
    /// has woken for that, nobody else would look.
    pub(super) fn leave(&mut self, strangers: Strangers) {
        self.stop_waking();
        let now = Instant::now();
        for index in 0..self.listeners.len() {
            for _ in 0..LAST_LOOKS {
                if self.resting_until.is_some() || !self.accept(FIRST_LISTENER + index as u64, now, AT_ONCE) {
                    break;
                }
            }
        }
        self.listeners.clear();
        if strangers == Strangers::AreSentAway {
            self.clients.tokens().into_iter().for_each(|token| self.send_away(token));
        }
        if self.stage == Stage::Serving {
            self.stage = Stage::Leaving;
        }
    }

    /// Lets go of monitor and auth as soon as nobody needs them. That the wire
    /// has ended tells the monitor so.
    pub(super) fn part_from_the_others(&mut self) -> io::Result<()> {
        if self.stage != Stage::Leaving || !self.clients.is_empty() {
            return Ok(());
        }
        self.stage = Stage::Alone;
        self.auth = None;
        self.forget_ticket_keys();
        epoll::delete(&self.epoll, &*self.monitor)?;
        self.monitor.shut();
        Ok(())
    }

    /// Whoever is not logged in goes with it.
    pub(super) fn monitor_has_gone(&mut self) -> io::Result<()> {
        if self.stage == Stage::Alone {
            return Ok(());
        }
        self.stage = Stage::Alone;
        self.forget_ticket_keys();
        epoll::delete(&self.epoll, &*self.monitor)?;
        self.stop_waking();
        self.listeners.clear();
        self.clients.tokens().into_iter().for_each(|token| self.close(token));
        Ok(())
    }

    /// Nobody would renew them any more, and nobody else shakes hands.
    fn forget_ticket_keys(&mut self) {
        self.know_ticket_keys(&TicketKeys::default());
    }

    /// Others have the listening sockets too, so that closing ours does not end
    /// the watch.
    fn stop_waking(&mut self) {
        for listener in &self.listeners {
            // While we rest it is not watched.
            let _it_was_not_watched = epoll::delete(&self.epoll, &listener.socket);
        }
    }

    /// A -ERR answers whatever the client waits for, if it waits for an answer.
    fn send_away(&mut self, token: u64) {
        let Some(client) = self.clients.get(token) else { return };
        match client.state {
            State::Talking | State::Asking | State::Failed => {
                client.send_away();
                self.go_on(token);
            }
            State::Announced { .. } | State::ShakingHands => self.close(token),
            // The first has logged in.
            State::Entering(_) | State::Closing => {}
        }
    }
}

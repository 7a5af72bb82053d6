//! How the service ends: nobody comes in any more, and who is here has some
//! time.
//!
//! ```text
//!   another monitor serves: strangers may log in; sessions go on, until the last one ends
//!   SIGTERM: strangers are sent away; sessions go on
//!   POSTRIDER_FAREWELL seconds later: sessions end when the command that they are at is done
//!   LAST_COMMANDS later, or with a second SIGTERM: whoever is left is killed
//! ```

use std::time::{Duration, Instant};

use super::super::manager::State;
use super::super::order::Strangers;
use super::Monitor;
use super::process::Role;
use super::requests::SHUTTING_DOWN;
use crate::log;

/// How long the last commands may take: an UPDATE may have much to delete.
const LAST_COMMANDS: Duration = Duration::from_secs(30);

/// How far the end is.
#[derive(Clone, Copy, Debug)]
pub(super) enum Farewell {
    /// Sessions go on as long as they like: another monitor serves.
    Succeeded,
    /// Until then sessions go on.
    Sessions(Instant),
    /// Until then commands go on.
    Commands(Instant),
}

impl Monitor {
    /// Nobody else comes in.
    pub(super) fn begin_farewell(&mut self) {
        self.end_trial();
        if self.farewell.is_none() {
            self.fail_succession(SHUTTING_DOWN);
        }
        if let Some(predecessor) = &self.predecessor {
            predecessor.dismiss();
        }
        self.office.no_more_trials(&Err(SHUTTING_DOWN.to_owned()));
        self.manager.tell(State::Stopping);
        self.let_nobody_in(Strangers::AreSentAway);
        let patience = self.serving.as_ref().map_or(Duration::ZERO, |serving| serving.plan.farewell);
        log::line(format_args!("INFO: {SHUTTING_DOWN}"));
        self.farewell = Some(Farewell::Sessions(Instant::now() + patience));
    }

    /// Goes on with it; whether nobody is left.
    pub(super) fn go_on_leaving(&mut self, farewell: Farewell) -> bool {
        self.hear_auths();
        self.parts.dismiss_unneeded(&[]);
        if self.parts.all_of(&Role::Front).is_empty() {
            // Whoever is logging in needs one of them.
            self.parts.retire_mailboxes();
        }
        let now = Instant::now();
        match farewell {
            Farewell::Sessions(until) if until <= now => {
                self.parts.end_sessions();
                for front in self.parts.all_of(&Role::Front) {
                    self.parts.dismiss(front);
                }
                self.farewell = Some(Farewell::Commands(now + LAST_COMMANDS));
            }
            Farewell::Commands(until) if until <= now => self.parts.end_all(),
            _ => {}
        }
        self.parts.reap()
    }
}

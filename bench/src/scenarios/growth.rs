//! Curves: how a poll and an idle session grow with how many there are.

use std::thread::sleep;

use anyhow::Result;

use super::{ALL, SETTLES, Scenario, Turn, idle, polls};
use crate::figures::{Sample, Unit};
use crate::mail;
use crate::places::Who;
use crate::scale::{Scale, grown};

/// Names of the curves.
pub(crate) const MESSAGES: &str = "growth-messages";
pub(crate) const SESSIONS: &str = "growth-sessions";

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let messages = scale.growth.iter().map(|&count| Scenario {
        name: MESSAGES,
        title: format!("poll, {count} messages, nothing new"),
        unit: Unit::Milliseconds,
        who: ALL,
        goals: &[],
        run: |turn| grown_maildrop(turn, turn.at),
        curve: Some((MESSAGES, count)),
    });
    let sessions = scale.idle_growth.iter().map(|&count| Scenario {
        name: SESSIONS,
        title: format!("memory per idle session of {count}, clear"),
        unit: Unit::Kilobytes,
        who: &[Who::Service, Who::Dovecot, Who::Limit],
        goals: &[],
        run: |turn| idle::memory(turn, false, turn.at),
        curve: Some((SESSIONS, count)),
    });
    messages.chain(sessions).collect()
}

/// Polls of a maildrop that is there for this alone.
fn grown_maildrop(turn: &Turn<'_>, count: usize) -> Result<Sample> {
    let user = grown(count);
    turn.place.lay_out(&turn.ground.pool, &user, turn.scale.grown(count))?;
    sleep(SETTLES);
    let door = turn.door(false)?;
    // Once for all that is done only once; and once more when that has settled.
    polls::poll(&door, &user, count)?;
    sleep(SETTLES);
    let sample = polls::unchanged(turn, &user, count);
    if let Some(maildir) = turn.place.maildir(&user) {
        mail::remove(&maildir)?;
    }
    sample
}

//! Curves: how a poll and an idle session grow with how many there are.

use anyhow::Result;

use super::{Scenario, TWICE, Turn, idle, polls};
use crate::figures::{Sample, Unit};
use crate::mail;
use crate::places::Who;
use crate::scale::{Scale, grown};

/// Names of the curves.
pub(crate) const MESSAGES: &str = "growth-messages";
pub(crate) const SESSIONS: &str = "growth-sessions";

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let messages = scale.growth.iter().map(|&count| {
        // Minutes for each poll say no more than the point before.
        let who = if count > MOST_ELSEWHERE { &[Who::Service, Who::Limit] } else { TWICE };
        Scenario::new(
            MESSAGES,
            format!("poll, {count} messages, nothing new"),
            Unit::Milliseconds,
            who,
            grown_up,
        )
        .prepared(&[fill, first_poll])
        .on_curve(MESSAGES, count)
        .once()
    });
    let sessions = scale.idle_growth.iter().map(|&count| {
        let title = format!("memory per idle session of {count}, clear");
        let who: &[Who] = if count > scale.idle_dovecot() {
            &[Who::Service, Who::Limit]
        } else {
            &[Who::Service, Who::Dovecot, Who::Limit]
        };
        Scenario::new(SESSIONS, title, Unit::Kilobytes, who, |turn| idle::memory(turn, false, turn.at))
            .on_curve(SESSIONS, count)
            .once()
    });
    messages.chain(sessions).collect()
}

/// Beyond so many messages only we are asked.
const MOST_ELSEWHERE: usize = 100_000;

/// A maildrop that is there for this alone.
fn fill(turn: &Turn<'_>) -> Result<()> {
    turn.place.lay_out(&turn.ground.pool, &grown(turn.at), turn.scale.grown(turn.at))
}

/// For all that is done only once.
fn first_poll(turn: &Turn<'_>) -> Result<()> {
    polls::poll(&turn.door(false)?, &grown(turn.at), turn.at).map(drop)
}

fn grown_up(turn: &Turn<'_>) -> Result<Sample> {
    let user = grown(turn.at);
    let sample = polls::unchanged(turn, &user, turn.at);
    // Who comes after Courier is Courier again.
    if let Some(maildir) = turn.place.maildir(&user).filter(|_| turn.who != Who::Courier) {
        mail::remove(&maildir)?;
    }
    sample
}

//! Short sessions: login, STAT, QUIT.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{ALL, INSIDE_TLS, Scenario, Turn};
use crate::figures::{Goal, Sample, Unit};
use crate::load::{Client, Door};
use crate::places::Who;
use crate::scale::{SHORT, short};

pub(super) fn scenarios() -> Vec<Scenario> {
    let per_second = Unit::PerSecond;
    vec![
        Scenario::new(
            "short",
            "short session (login, STAT, QUIT), 16 at once, clear",
            per_second,
            ALL,
            |turn| run(turn, false, 16),
        )
        .goals(&[
            Goal::Share(Who::Service, Who::Limit, 0.5),
            Goal::Cpu(200.0),
            Goal::Share(Who::Classic, Who::Courier, 2.0),
        ]),
        Scenario::new(
            "short-tls",
            "the same over TLS (full handshakes), 4 at once",
            per_second,
            INSIDE_TLS,
            |turn| run(turn, true, 4),
        )
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.7), Goal::Cpu(480.0)]),
    ]
}

fn run(turn: &Turn<'_>, tls: bool, at_once: usize) -> Result<Sample> {
    let door = turn.door(tls)?;
    // Everybody once: what is done only at the first login is another scenario.
    (0..SHORT).try_for_each(|number| session(&door, &short(number)))?;
    let (sessions, time, cpu) = turn.measured(|| sessions(&door, at_once, turn.scale.time))?;
    let sessions = sessions as f64;
    Ok(Sample::new(sessions / time.as_secs_f64()).cpu(cpu.as_secs_f64() * 1e6 / sessions))
}

/// Sessions one behind the other in `at_once` threads until `time` is over; how
/// many.
pub(super) fn sessions(door: &Door, at_once: usize, time: Duration) -> Result<usize> {
    let count = AtomicUsize::new(0);
    let end = Instant::now() + time;
    thread::scope(|scope| {
        let work = || -> Result<()> {
            while Instant::now() < end {
                session(door, &short(count.fetch_add(1, Ordering::Relaxed)))?;
            }
            Ok(())
        };
        let threads: Vec<_> = (0..at_once).map(|_| scope.spawn(work)).collect();
        threads.into_iter().try_for_each(|thread| thread.join().ok().context("a client has stopped")?)
    })?;
    Ok(count.into_inner())
}

/// One session.
pub(super) fn session(door: &Door, user: &str) -> Result<()> {
    let mut client = Client::logged_in(door, user)?;
    client.command("STAT")?;
    client.quit()
}

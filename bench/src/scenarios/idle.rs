//! Those who say nothing: sessions, and strangers who have not logged in.

use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::{ALL, INSIDE_TLS, Scenario, Turn, median, milliseconds};
use crate::figures::{Goal, Sample, Unit};
use crate::load::Client;
use crate::places::{Place, Who};
use crate::scale::{SHORT, Scale, short};

/// How long everybody has to come to rest.
pub(super) const REST: Duration = Duration::from_millis(1500);

/// Logins that are timed.
const LOGINS: usize = 300;

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let (idle, processes, strangers) = (scale.idle, scale.idle_processes, scale.strangers);
    let dovecot = scale.idle_dovecot();
    let memory_of = |name, title: String, who, run| Scenario::new(name, title, Unit::Kilobytes, who, run);
    vec![
        memory_of(
            "idle",
            format!(
                "memory per idle session of {idle} (Dovecot: {dovecot}, Courier and chain: {processes}), clear"
            ),
            ALL,
            |turn| memory(turn, false, sessions(turn)),
        )
        .goals(&[Goal::AtMost(6.0)]),
        memory_of(
            "idle-tls",
            format!("memory per idle session of {idle} (Dovecot: {dovecot}, Courier: {processes}), TLS"),
            INSIDE_TLS,
            |turn| memory(turn, true, sessions(turn)),
        )
        .goals(&[Goal::AtMost(18.0)]),
        Scenario::new(
            "strangers",
            format!(
                "login while {strangers} strangers (Courier and chain: {processes}) sit silent, as a multiple of \
                 a calm one"
            ),
            Unit::Times,
            ALL,
            |turn| crowded(turn, strangers_at(turn)),
        )
        .goals(&[Goal::AtMost(1.2)]),
        Scenario::new(
            "strangers-too-many",
            format!("the same with room for {} connections only", scale.room),
            Unit::Times,
            &[Who::Service],
            |turn| {
                let place = Place::start_with_room(turn.ground, turn.scale.room)?;
                crowded(&Turn { place: &place, ..*turn }, turn.scale.strangers)
            },
        )
        .goals(&[Goal::AtMost(1.2)]),
    ]
}

/// Those with a process for each stranger have fewer.
fn strangers_at(turn: &Turn<'_>) -> usize {
    match turn.who {
        Who::Service | Who::Limit | Who::Dovecot => turn.scale.strangers,
        Who::Classic | Who::Courier | Who::CourierAtOnce => turn.scale.idle_processes,
    }
}

/// As many as this server is asked to hold.
fn sessions(turn: &Turn<'_>) -> usize {
    match turn.who {
        Who::Service | Who::Limit => turn.scale.idle,
        Who::Dovecot => turn.scale.idle_dovecot(),
        Who::Classic | Who::Courier | Who::CourierAtOnce => turn.scale.idle_processes,
    }
}

/// By how many kB `count` sessions make it larger, each: a server that has just
/// been started, since one that has served many keeps what it needed for them.
pub(super) fn memory(turn: &Turn<'_>, tls: bool, count: usize) -> Result<Sample> {
    let place = Place::start(turn.who, turn.ground)?;
    let turn = &Turn { place: &place, ..*turn };
    let door = turn.door(tls)?;
    // What it needs for its first session it keeps.
    (0..SHORT).try_for_each(|number| super::sessions::session(&door, &short(number)))?;
    sleep(REST);
    let before = turn.place.group.memory()?;
    let mut clients = Vec::with_capacity(count);
    for number in 0..count {
        let mut client = Client::logged_in(&door, &short(number))
            .with_context(|| format!("session {number} of {count}"))?;
        client.rests();
        clients.push(client);
    }
    sleep(REST);
    let after = turn.place.group.memory()?;
    // They are sessions still.
    for client in clients.iter_mut().step_by(count / 10 + 1) {
        client.command("STAT")?;
    }
    drop(clients);
    sleep(REST);
    let kilobytes = (after as f64 - before as f64) / 1000.0 / count as f64;
    Ok(Sample::new(kilobytes))
}

/// How much longer a login takes where strangers sit silent.
fn crowded(turn: &Turn<'_>, strangers: usize) -> Result<Sample> {
    let door = turn.door(false)?;
    logins(turn)?;
    let calm = logins(turn)?;
    let mut crowd = Vec::with_capacity(strangers);
    for _ in 0..strangers {
        // They do not even hear the greeting. Whoever cannot connect is no burden.
        crowd.extend(Client::connect(&door).ok());
    }
    sleep(REST);
    let crowded = logins(turn);
    let count = crowd.len();
    drop(crowd);
    sleep(REST);
    let crowded = crowded.with_context(|| format!("no login among {count} strangers"))?;
    let sample = Sample::new(crowded / calm).also("calm", Unit::Milliseconds, calm);
    Ok(sample.also("crowded", Unit::Milliseconds, crowded))
}

/// The median of logins, in milliseconds; all have to succeed, in ten seconds
/// each.
fn logins(turn: &Turn<'_>) -> Result<f64> {
    let door = turn.door(false)?;
    let mut times = Vec::new();
    for number in 0..LOGINS {
        let begin = Instant::now();
        let mut client = Client::impatient(&door, Duration::from_secs(10))?;
        client.log_in(&short(number))?;
        times.push(milliseconds(begin.elapsed()));
        client.quit()?;
    }
    ensure!(times.len() == LOGINS);
    Ok(median(times))
}

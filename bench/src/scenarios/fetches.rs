//! Messages to the client: RETR in all sizes, and RETR with DELE.

use std::fs;
use std::thread::sleep;

use anyhow::{Result, ensure};

use super::{ALL, INSIDE_TLS, ON_DISK_TWICE, SETTLES, Scenario, TWICE, Turn};
use crate::figures::{Goal, Sample, Unit};
use crate::load::{Client, Messages, fetch_all, fetch_for};
use crate::mail::Mail;
use crate::places::Who;
use crate::scale::{Scale, emptied};

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let megabytes = Unit::MegabytesPerSecond;
    let emptied = format!("RETR and DELE of {} × 4 kB, QUIT, 16 pipelined", scale.small.count);
    vec![
        Scenario::new("retr-4k", "RETR 4 kB, one by one, clear", Unit::PerSecond, TWICE, |turn| {
            one_by_one(turn, "small", turn.scale.small)
        })
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.85), AT_ONCE, AS_FAST]),
        Scenario::new("retr-4k-pipelined", "RETR 4 kB, 16 pipelined, clear", megabytes, TWICE, |turn| {
            pipelined(turn, "small", turn.scale.small, false, 16)
        })
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.5), Goal::Cpu(4.5), AT_ONCE, AS_FAST]),
        Scenario::new("retr-75k-pipelined", "RETR 75 kB, 16 pipelined, clear", megabytes, TWICE, |turn| {
            pipelined(turn, "large", turn.scale.large, false, 16)
        })
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.33), Goal::Cpu(0.9), AT_ONCE, AS_FAST]),
        Scenario::new("retr-10m", "RETR 10 MB, clear", megabytes, ALL, |turn| {
            pipelined(turn, "huge", turn.scale.huge, false, 1)
        })
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.45), AS_FAST]),
        Scenario::new("retr-10m-tls", "RETR 10 MB, TLS", megabytes, INSIDE_TLS, |turn| {
            pipelined(turn, "huge", turn.scale.huge, true, 1)
        })
        .goals(&[Goal::Share(Who::Service, Who::Limit, 0.5)]),
        Scenario::new("retr-dele", emptied, Unit::PerSecond, ON_DISK_TWICE, retrieved_and_deleted)
            .goals(&[Goal::Share(Who::Service, Who::Dovecot, 2.0)])
            .prepared(&[fill]),
    ]
}

/// Ahead of Courier also where its client does not keep it waiting.
const AT_ONCE: Goal = Goal::Share(Who::Service, Who::CourierAtOnce, 1.0);
/// The chain sends as fast as the service; a tenth is what two runs differ by.
const AS_FAST: Goal = Goal::Share(Who::Classic, Who::Service, 0.9);

fn one_by_one(turn: &Turn<'_>, user: &str, mail: Mail) -> Result<Sample> {
    let (messages, _, seconds, cpu) = fetched(turn, user, mail, false, 1)?;
    Ok(Sample::new(messages / seconds).cpu(cpu * 1e6 / messages))
}

fn pipelined(turn: &Turn<'_>, user: &str, mail: Mail, tls: bool, ahead: usize) -> Result<Sample> {
    let (_, octets, seconds, cpu) = fetched(turn, user, mail, tls, ahead)?;
    Ok(Sample::new(octets / 1e6 / seconds).cpu(cpu * 1e9 / octets))
}

/// Messages, octets, seconds, and seconds of processor time.
fn fetched(turn: &Turn<'_>, user: &str, mail: Mail, tls: bool, ahead: usize) -> Result<(f64, f64, f64, f64)> {
    let messages = Messages::of(mail);
    let mut client = Client::logged_in(&turn.door(tls)?, user)?;
    let (fetched, _, cpu) = turn.measured(|| fetch_for(&mut client, &messages, ahead, turn.scale.time))?;
    client.quit()?;
    Ok((fetched.messages as f64, fetched.octets as f64, fetched.time.as_secs_f64(), cpu.as_secs_f64()))
}

fn fill(turn: &Turn<'_>) -> Result<()> {
    let user = emptied(turn.round);
    turn.place.lay_out(&turn.ground.pool, &user, turn.scale.small)
}

/// A maildrop is emptied: each message has come once and as it was, and after
/// QUIT none is there.
fn retrieved_and_deleted(turn: &Turn<'_>) -> Result<Sample> {
    let (user, mail) = (emptied(turn.round), turn.scale.small);
    if turn.who == Who::CourierAtOnce {
        // The same place has emptied it just now.
        fill(turn)?;
        sleep(SETTLES);
    }
    let door = turn.door(false)?;
    // Somebody has looked already: this is about fetching.
    super::sessions::session(&door, &user)?;
    let messages = Messages::of(mail);
    let (fetched, time, cpu) = turn.measured(|| {
        let mut client = Client::logged_in(&door, &user)?;
        let fetched = fetch_all(&mut client, &messages, 16)?;
        client.quit()?;
        Ok(fetched)
    })?;
    if let Some(maildir) = turn.place.maildir(&user) {
        let left = fs::read_dir(maildir.join("cur"))?.count() + fs::read_dir(maildir.join("new"))?.count();
        ensure!(left == 0, "{left} messages are still there after QUIT");
    }
    let count = fetched.messages as f64;
    Ok(Sample::new(count / time.as_secs_f64()).cpu(cpu.as_secs_f64() * 1e6 / count))
}

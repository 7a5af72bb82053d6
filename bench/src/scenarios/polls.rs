//! Polls: a client that looks whether there is new mail.

use std::thread::sleep;
use std::time::Instant;

use anyhow::{Result, ensure};

use super::{ALL, ON_DISK, SETTLES, Scenario, Turn, median, milliseconds};
use crate::figures::{Goal, Sample, Unit};
use crate::load::{Client, Door};
use crate::mail;
use crate::places::Who;
use crate::scale::{SMALL, Scale, first, short};

/// Most polls of one sample.
const MOST: usize = 500;

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let many = scale.many.count;
    let scenario = |name, title: String, who, goals, run| Scenario {
        name,
        title,
        unit: Unit::Milliseconds,
        who,
        goals,
        run,
        curve: None,
    };
    vec![
        scenario(
            "poll",
            "poll (CAPA, login, STAT, UIDL, LIST), 10 messages".to_owned(),
            ALL,
            &[Goal::AtMost(0.8)],
            |turn| unchanged(turn, &short(0), SMALL.count),
        ),
        scenario(
            "poll-many",
            format!("poll, {many} messages, nothing new"),
            ALL,
            &[Goal::AtMost(10.0)],
            |turn| unchanged(turn, "many", turn.scale.many.count),
        ),
        scenario("poll-stat", format!("login and STAT alone, {many} messages"), ALL, &[], stat),
        scenario(
            "poll-new",
            format!("poll, {many} messages and 3 new ones"),
            ON_DISK,
            &[Goal::AtMost(20.0)],
            with_new,
        ),
        scenario(
            "first-login",
            format!("first poll ever, {many} messages"),
            ON_DISK,
            &[Goal::AtMost(500.0)],
            first_ever,
        ),
    ]
}

/// One poll of `count` messages; how long it has taken, in milliseconds.
pub(super) fn poll(door: &Door, user: &str, count: usize) -> Result<f64> {
    let begin = Instant::now();
    let mut client = Client::greeted(door)?;
    client.list("CAPA")?;
    client.log_in(user)?;
    client.command("STAT")?;
    let (unique_ids, sizes) = (client.list("UIDL")?, client.list("LIST")?);
    client.quit()?;
    let time = milliseconds(begin.elapsed());
    ensure!((unique_ids, sizes) == (count, count), "{unique_ids} unique-ids, {sizes} sizes of {count}");
    Ok(time)
}

/// Polls of `user` until the time is over, three at least.
pub(super) fn unchanged(turn: &Turn<'_>, user: &str, count: usize) -> Result<Sample> {
    let door = turn.door(false)?;
    repeated(turn, || poll(&door, user, count))
}

fn stat(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    repeated(turn, || {
        let begin = Instant::now();
        super::sessions::session(&door, "many")?;
        Ok(milliseconds(begin.elapsed()))
    })
}

fn repeated(turn: &Turn<'_>, run: impl Fn() -> Result<f64>) -> Result<Sample> {
    run()?;
    let (times, _, cpu) = turn.measured(|| {
        let begin = Instant::now();
        let mut times = Vec::new();
        while times.len() < 3 || (begin.elapsed() < turn.scale.time && times.len() < MOST) {
            times.push(run()?);
        }
        Ok(times)
    })?;
    let cpu = milliseconds(cpu) / times.len() as f64;
    Ok(Sample::new(median(times)).cpu(cpu))
}

/// Three messages come before each poll, to a maildrop that has been quiet.
fn with_new(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    let (maildir, mail) = (turn.place.maildir("many"), turn.scale.many);
    let Some(maildir) = maildir else { anyhow::bail!("there is no Maildir") };
    let (mut times, mut cpu) = (Vec::new(), 0.0);
    for poll_number in 0..3 {
        sleep(SETTLES);
        let came = turn.round * 9 + poll_number * 3;
        for number in 0..3 {
            turn.ground.pool.deliver(&maildir, mail.count + came + number, mail.octets)?;
        }
        let count = mail.count + came + 3;
        let (time, _, cpu_of_one) = turn.measured(|| poll(&door, "many", count))?;
        times.push(time);
        cpu += milliseconds(cpu_of_one) / 3.0;
    }
    Ok(Sample::new(median(times)).cpu(cpu))
}

/// Nobody has looked into this maildrop before.
fn first_ever(turn: &Turn<'_>) -> Result<Sample> {
    let (user, mail) = (first(turn.round), turn.scale.many);
    turn.place.lay_out(&turn.ground.pool, &user, mail)?;
    sleep(SETTLES);
    let door = turn.door(false)?;
    let ((login, all), _, cpu) = turn.measured(|| {
        let begin = Instant::now();
        let mut client = Client::logged_in(&door, &user)?;
        let login = milliseconds(begin.elapsed());
        client.command("STAT")?;
        let unique_ids = client.list("UIDL")?;
        let sizes = client.list("LIST")?;
        client.quit()?;
        ensure!((unique_ids, sizes) == (mail.count, mail.count), "not all messages are listed");
        Ok((login, milliseconds(begin.elapsed())))
    })?;
    if let Some(maildir) = turn.place.maildir(&user) {
        mail::remove(&maildir)?;
    }
    let who = if turn.who == Who::Service { "PASS answered after" } else { "PASS after" };
    Ok(Sample::new(all).cpu(milliseconds(cpu)).note(format!("{who} {login:.1} ms")))
}

//! Polls: a client that looks whether there is new mail.

use std::time::Instant;

use anyhow::{Context, Result, ensure};

use super::{ALL, ON_DISK, Scenario, TWICE, Turn, median, milliseconds};
use crate::figures::{Goal, Sample, Unit};
use crate::load::{Client, Door};
use crate::mail;
use crate::scale::{GROWING, SMALL, Scale, first, short};

/// Most polls of one sample.
const MOST: usize = 500;

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    let many = scale.many.count;
    let scenario = |name, title: String, who, run| Scenario::new(name, title, Unit::Milliseconds, who, run);
    vec![
        scenario("poll", "poll (CAPA, login, STAT, UIDL, LIST), 10 messages".to_owned(), TWICE, |turn| {
            unchanged(turn, &short(0), SMALL.count)
        })
        .goals(&[Goal::AtMost(0.8)]),
        scenario("poll-many", format!("poll, {many} messages, nothing new"), ALL, |turn| {
            unchanged(turn, "many", turn.scale.many.count)
        })
        .goals(&[Goal::AtMost(10.0)]),
        scenario("poll-stat", format!("login and STAT alone, {many} messages"), ALL, stat)
            .goals(&[Goal::AlsoAtMost(OF_TEN, Unit::Times, 1.25)]),
        scenario("poll-new", format!("poll, {many} messages and 3 new ones"), ON_DISK, with_new)
            .goals(&[Goal::AtMost(20.0)])
            .prepared(&[deliver])
            .repeated(3),
        scenario("first-login", format!("first login ever and poll, {many} messages"), ON_DISK, first_ever)
            .goals(&[Goal::AtMost(500.0), Goal::AlsoAtMost(PASS, Unit::Milliseconds, 5.0)])
            .prepared(&[fill, warm]),
    ]
}

/// Names of second figures.
const OF_TEN: &str = "as a multiple of one with 10 messages";
const PASS: &str = "PASS answered after";

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

/// Sessions that ask for nothing that is in proportion to the maildrop, beside
/// the same with a small one.
fn stat(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    let session = |user: &str| {
        let begin = Instant::now();
        super::sessions::session(&door, user)?;
        Ok(milliseconds(begin.elapsed()))
    };
    let small = repeated(turn, || session(&short(0)))?.value;
    let sample = repeated(turn, || session("many"))?;
    let multiple = sample.value / small;
    Ok(sample.also(OF_TEN, Unit::Times, multiple))
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

/// So many come before each poll.
const NEW: usize = 3;

fn deliver(turn: &Turn<'_>) -> Result<()> {
    let mail = turn.scale.many;
    if turn.times == 0 {
        // What is done only at the first login is another scenario.
        poll(&turn.door(false)?, GROWING, mail.count)?;
    }
    let maildir = turn.place.maildir(GROWING).context("there is no Maildir")?;
    let came = mail.count + turn.times * NEW;
    (came..came + NEW).try_for_each(|number| turn.ground.pool.deliver(&maildir, number, mail.octets))
}

/// A poll of a maildrop that has been quiet since three messages have come.
fn with_new(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    let count = turn.scale.many.count + (turn.times + 1) * NEW;
    let (time, _, cpu) = turn.measured(|| poll(&door, GROWING, count))?;
    Ok(Sample::new(time).cpu(milliseconds(cpu)))
}

fn fill(turn: &Turn<'_>) -> Result<()> {
    turn.place.lay_out(&turn.ground.pool, &first(turn.round), turn.scale.many)
}

/// The maildrops of all are links to the same files: the first would read them
/// from the disk, and the others find them in memory.
fn warm(turn: &Turn<'_>) -> Result<()> {
    turn.ground.pool.warm(turn.scale.many)
}

/// Nobody has looked into this maildrop before.
fn first_ever(turn: &Turn<'_>) -> Result<Sample> {
    let (user, mail) = (first(turn.round), turn.scale.many);
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
    Ok(Sample::new(all).cpu(milliseconds(cpu)).also(PASS, Unit::Milliseconds, login))
}

//! System calls, counted by strace(1).

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};

use super::{ALL, Scenario, Turn, interrupt};
use crate::figures::{Goal, Sample, Unit};
use crate::load::{Client, Messages, fetch_for};
use crate::mail::Mail;
use crate::scale::{SHORT, short};

/// Sessions in which they are counted, and how long messages are fetched.
const SESSIONS: usize = 50;
const FETCHING: Duration = Duration::from_millis(500);
/// Calls that are named, those that are made most.
const NAMED: usize = 12;

pub(super) fn scenarios() -> Vec<Scenario> {
    let calls = |name, title, run| Scenario::new(name, title, Unit::Calls, ALL, run).once();
    vec![
        calls("calls", "system calls of a short session, all processes", sessions)
            .goals(&[Goal::AtMost(40.0)]),
        calls("calls-retr", "system calls of RETR 4 kB, one by one", |turn| {
            fetched(turn, "small", turn.scale.small, 1)
        }),
        calls("calls-retr-pipelined", "system calls of RETR 75 kB, 16 pipelined", |turn| {
            fetched(turn, "large", turn.scale.large, 16)
        }),
    ]
}

fn sessions(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    let session = |number| super::sessions::session(&door, &short(number));
    (0..SHORT).try_for_each(session)?;
    counted(turn, || (0..SESSIONS).try_for_each(session).map(|()| SESSIONS))
}

fn fetched(turn: &Turn<'_>, user: &str, mail: Mail, ahead: usize) -> Result<Sample> {
    let messages = Messages::of(mail);
    let mut client = Client::logged_in(&turn.door(false)?, user)?;
    let fetch = || Ok(fetch_for(&mut client, &messages, ahead, FETCHING)?.messages);
    let sample = counted(turn, fetch)?;
    client.quit()?;
    Ok(sample)
}

/// Calls of all processes of the place while something runs that says how often
/// it has done what is counted; per each of these.
fn counted(turn: &Turn<'_>, run: impl FnOnce() -> Result<usize>) -> Result<Sample> {
    let table = turn.ground.directory.join(format!("{:?}.calls", turn.who));
    let mut strace = Command::new("strace");
    strace.args(["-f", "-c", "-U", "calls,name", "-S", "calls", "-o"]).arg(&table);
    for process in turn.place.group.processes()? {
        strace.arg("-p").arg(process.to_string());
    }
    strace.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut strace = strace.spawn().context("strace")?;
    // It says nothing when it is ready.
    sleep(Duration::from_millis(700));
    let result = run();
    sleep(Duration::from_millis(100));
    interrupt(&strace)?;
    strace.wait()?;
    let done = result? as f64;
    let text = fs::read_to_string(&table)?;
    let calls = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse::<usize>().ok()?, words.next()?))
    });
    let (totals, calls): (Vec<_>, Vec<_>) = calls.partition(|(_, name)| *name == "total");
    let [(total, _)] = totals[..] else { bail!("strace has counted nothing:\n{text}") };
    let most = calls.iter().take(NAMED);
    let most: Vec<_> = most.map(|(count, name)| format!("{name} {:.1}", *count as f64 / done)).collect();
    Ok(Sample::new(total as f64 / done).note(most.join(", ")))
}

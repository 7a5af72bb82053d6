//! System calls, counted by strace(1).

use std::fs;
use std::process::{Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::{ALL, Scenario, Turn};
use crate::figures::{Goal, Sample, Unit};
use crate::scale::{SHORT, short};

/// Sessions in which they are counted.
const SESSIONS: usize = 50;
/// Calls that are named, those that are made most.
const NAMED: usize = 12;

pub(super) fn scenarios() -> Vec<Scenario> {
    vec![Scenario {
        name: "calls",
        title: "system calls of a short session, all processes".to_owned(),
        unit: Unit::Calls,
        who: ALL,
        goals: &[Goal::AtMost(40.0)],
        run: counted,
        curve: None,
    }]
}

fn counted(turn: &Turn<'_>) -> Result<Sample> {
    let door = turn.door(false)?;
    let session = |number| super::sessions::session(&door, &short(number));
    (0..SHORT).try_for_each(session)?;
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
    let result = (0..SESSIONS).try_for_each(session);
    sleep(Duration::from_millis(100));
    if let Some(pid) = i32::try_from(strace.id()).ok().and_then(Pid::from_raw) {
        kill_process(pid, Signal::INT)?;
    }
    strace.wait()?;
    result?;
    let text = fs::read_to_string(&table)?;
    let calls = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        Some((words.next()?.parse::<usize>().ok()?, words.next()?))
    });
    let (totals, calls): (Vec<_>, Vec<_>) = calls.partition(|(_, name)| *name == "total");
    let [(total, _)] = totals[..] else { bail!("strace has counted nothing:\n{text}") };
    let most = calls.iter().take(NAMED);
    let most: Vec<_> =
        most.map(|(count, name)| format!("{name} {:.1}", *count as f64 / SESSIONS as f64)).collect();
    Ok(Sample::new(total as f64 / SESSIONS as f64).note(most.join(", ")))
}

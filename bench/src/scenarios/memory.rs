//! What is allocated: how often, counted by the processor, and how much of it
//! stays for a message that is known.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::{Scenario, Turn, idle, interrupt, polls};
use crate::figures::{Sample, Unit};
use crate::load::{Client, Messages, fetch_for};
use crate::places::{Place, Who};
use crate::scale::{SHORT, Scale, short};

/// Sessions in which they are counted, and how long messages are fetched.
const SESSIONS: usize = 200;
const FETCHING: Duration = Duration::from_millis(500);

/// How often that is tried.
const ATTEMPTS: usize = 8;

/// Where memory is taken, all of these in the C library.
const FUNCTIONS: [&str; 3] = ["malloc", "calloc", "realloc"];

pub(super) fn scenarios(scale: &Scale) -> Vec<Scenario> {
    // Others begin a process for each session, in which nobody has looked yet.
    let ours = |name, title, unit, run| Scenario::new(name, title, unit, &[Who::Service], run).once();
    vec![
        ours(
            "allocations",
            "allocations of a short session, all processes".to_owned(),
            Unit::Calls,
            sessions,
        ),
        ours("allocations-retr", "allocations of RETR 4 kB, one by one".to_owned(), Unit::Calls, fetched),
        ours(
            "known",
            format!("memory per message that is known, of {}", scale.many.count),
            Unit::Octets,
            known,
        ),
    ]
}

fn sessions(turn: &Turn<'_>) -> Result<Sample> {
    again(turn, |turn| {
        let door = turn.door(false)?;
        let session = |number| super::sessions::session(&door, &short(number));
        (0..SHORT).try_for_each(session)?;
        counted(turn, || (0..SESSIONS).try_for_each(session).map(|()| SESSIONS))
    })
}

fn fetched(turn: &Turn<'_>) -> Result<Sample> {
    again(turn, |turn| {
        let messages = Messages::of(turn.scale.small);
        let mut client = Client::logged_in(&turn.door(false)?, "small")?;
        let sample = counted(turn, || Ok(fetch_for(&mut client, &messages, 1, FETCHING)?.messages))?;
        client.quit()?;
        Ok(sample)
    })
}

/// Runs at a service of its own, and again at another one if that fails: while
/// breakpoints are set and taken back the kernel now and then has one strike
/// that nobody counts any more, and the process is killed (`SIGTRAP`).
fn again(turn: &Turn<'_>, run: impl Fn(&Turn<'_>) -> Result<Sample>) -> Result<Sample> {
    let once = || {
        let place = Place::start(turn.who, turn.ground)?;
        run(&Turn { place: &place, ..*turn })
    };
    (1..ATTEMPTS).find_map(|_| once().ok()).map_or_else(once, Ok)
}

/// By how many octets a maildrop makes a service larger that has just been
/// started and has served others, for each of its messages.
fn known(turn: &Turn<'_>) -> Result<Sample> {
    let count = turn.scale.many.count;
    let place = Place::start(turn.who, turn.ground)?;
    let door = place.door(false).context("no door")?;
    (0..SHORT).try_for_each(|number| super::sessions::session(&door, &short(number)))?;
    sleep(idle::REST);
    let before = place.group.memory()?;
    (0..2).try_for_each(|_| polls::poll(&door, "many", count).map(drop))?;
    sleep(idle::REST);
    let octets = place.group.memory()? as f64 - before as f64;
    Ok(Sample::new(octets / count as f64))
}

/// Calls of [`FUNCTIONS`] while something runs that says how often it has done
/// what is counted; per each of these. The processor itself stops at their
/// addresses (perf-stat(1), breakpoints), so that nothing else is changed.
fn counted(turn: &Turn<'_>, run: impl FnOnce() -> Result<usize>) -> Result<Sample> {
    let tables = turn.ground.directory.join("allocations");
    fs::create_dir_all(&tables)?;
    let mut watches = Vec::new();
    for process in turn.place.group.processes()? {
        let table = tables.join(process.to_string());
        watches.push((watch(process, &table)?, table));
    }
    // They say nothing when they are ready.
    sleep(Duration::from_millis(700));
    let result = run();
    let mut total = 0;
    for (mut perf, table) in watches {
        interrupt(&perf)?;
        perf.wait()?;
        let text = fs::read_to_string(&table)?;
        // Who has not run meanwhile is not counted.
        let counts = text.lines().filter_map(|line| line.split(',').next()?.parse::<usize>().ok());
        total += counts.sum::<usize>();
    }
    ensure!(total > 0, "perf has counted nothing");
    Ok(Sample::new(total as f64 / result? as f64))
}

fn watch(process: u32, table: &std::path::Path) -> Result<Child> {
    let maps = fs::read_to_string(format!("/proc/{process}/maps"))?;
    let library = maps.lines().find(|line| line.contains("/libc.so")).context("it has no C library")?;
    let base = library.split('-').next().unwrap_or_default();
    let base = u64::from_str_radix(base, 16).context("/proc/PID/maps")?;
    let path = library.split_whitespace().last().unwrap_or_default();
    let mut perf = Command::new("perf");
    perf.args(["stat", "--field-separator", ",", "--output"]).arg(table);
    for function in FUNCTIONS {
        perf.args(["--event", &format!("mem:{:#x}:x", base + place_of(function, path)?)]);
    }
    perf.args(["--pid", &process.to_string()]);
    perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn().context("perf")
}

/// Where a function lies in a library. nm(1) is where programs can be linked.
fn place_of(function: &str, library: &str) -> Result<u64> {
    let output = Command::new("nm").args(["--dynamic", "--defined-only", library]).output().context("nm")?;
    let text = String::from_utf8(output.stdout)?;
    let line = text.lines().find(|line| {
        line.split_whitespace().last().and_then(|name| name.split('@').next()) == Some(function)
    });
    let address =
        line.and_then(|line| line.split_whitespace().next()).context("the function is not there")?;
    u64::from_str_radix(address, 16).context("nm")
}

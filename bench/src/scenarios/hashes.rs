//! Logins whose password is stored as one stores passwords today.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};

use super::{ON_DISK, Scenario, Turn, median, milliseconds};
use crate::figures::{Goal, Sample, Unit};
use crate::load::Client;
use crate::scale::short;

/// Logins that are timed one by one, and how many come at once.
const LOGINS: usize = 12;
const AT_ONCE: usize = 8;

pub(super) fn scenarios() -> Vec<Scenario> {
    let scenario = |name, kind: &str, run| {
        let title = format!("login with {kind}: what comes on top of the hash");
        Scenario::new(name, title, Unit::Milliseconds, ON_DISK, run).goals(&[
            Goal::AtMost(0.2),
            Goal::AlsoAtLeast(OF_ALL_CORES, Unit::Times, 0.9),
            Goal::AlsoAtMost(MEANWHILE, Unit::Milliseconds, 1.0),
        ])
    };
    vec![
        scenario("yescrypt", "yescrypt ($y$)", |turn| run(turn, "yescrypt")),
        scenario("bcrypt", "bcrypt ($2b$)", |turn| run(turn, "bcrypt")),
    ]
}

/// Names of second figures.
const OF_ALL_CORES: &str = "8 at once, of what all cores hash";
const MEANWHILE: &str = "STAT of another session meanwhile";

fn run(turn: &Turn<'_>, user: &str) -> Result<Sample> {
    let hash = &turn.ground.accounts.iter().find(|account| account.name == user).context("no account")?.hash;
    let door = turn.door(false)?;
    let login = || -> Result<f64> {
        let mut client = Client::greeted(&door)?;
        let begin = Instant::now();
        client.log_in(user)?;
        let time = milliseconds(begin.elapsed());
        client.quit()?;
        Ok(time)
    };
    login()?;
    // In turns, so that whatever else the machine does falls on both.
    let (mut alone, mut logins) = (Vec::new(), Vec::new());
    for _ in 0..LOGINS {
        let begin = Instant::now();
        system::crypt::hash(b"secret", hash.as_bytes())?.context("crypt(3) cannot")?;
        alone.push(milliseconds(begin.elapsed()));
        logins.push(login()?);
    }
    let (alone, single) = (median(alone), median(logins));
    let (rate, other) = stormed(turn, &login)?;
    let possible = thread::available_parallelism()?.get() as f64 * 1e3 / alone;
    Ok(Sample::new(single - alone)
        .also("the hash", Unit::Milliseconds, alone)
        .also(OF_ALL_CORES, Unit::Times, rate / possible)
        .also(MEANWHILE, Unit::Milliseconds, other))
}

/// Logins per second where as many come at once, and how long STAT takes
/// another session meanwhile, in milliseconds.
fn stormed(turn: &Turn<'_>, login: &(impl Fn() -> Result<f64> + Sync)) -> Result<(f64, f64)> {
    let mut other = Client::logged_in(&turn.door(false)?, &short(1))?;
    let over = AtomicBool::new(false);
    let (over, time) = (&over, turn.scale.time);
    thread::scope(|scope| {
        let begin = Instant::now();
        let threads: Vec<_> = (0..AT_ONCE)
            .map(|_| {
                scope.spawn(move || -> Result<usize> {
                    let mut count = 0;
                    while !over.load(Ordering::Relaxed) {
                        login()?;
                        count += 1;
                    }
                    Ok(count)
                })
            })
            .collect();
        let mut waits = Vec::new();
        while begin.elapsed() < time {
            let asked = Instant::now();
            other.command("STAT")?;
            waits.push(milliseconds(asked.elapsed()));
            thread::sleep(Duration::from_millis(5));
        }
        over.store(true, Ordering::Relaxed);
        let mut count = 0;
        for thread in threads {
            count += thread.join().ok().context("a client has stopped")??;
        }
        Ok((count as f64 / begin.elapsed().as_secs_f64(), median(waits)))
    })
}

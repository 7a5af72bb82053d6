//! A run: everybody is started, everything is measured in turns (A, B, C, A, B,
//! C…), all of it once and then all of it again, and everything is ended and
//! removed. What fails costs its own turn and no other.

use std::collections::HashSet;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::figures::{Outcome, Row};
use crate::ground;
use crate::places::{Ground, Places, Who};
use crate::profile::Profile;
use crate::report;
use crate::scale::Scale;
use crate::scenarios::{self, SETTLES, Scenario, Turn};

/// Descriptors that are enough for all clients, and for those that serve them.
const DESCRIPTORS: u64 = 200_000;

/// perf(1) says nothing when it is ready.
const PERF_BEGINS: Duration = Duration::from_millis(700);

/// A scenario and what came of it.
pub(crate) type Measured = (Scenario, Row);

/// What a run works with.
struct Bench<'b> {
    ground: &'b Ground,
    scale: &'b Scale,
    places: Places,
    begin: Instant,
}

/// Measures the scenarios with these names, or all, with the programs in the
/// directory `built`; whether nothing of ours has failed. What was wanted whole
/// is written into the documents after each round, so that a run that is ended
/// leaves what it has.
///
/// # Errors
/// Nothing could be measured.
pub(crate) fn run(built: &Path, scale: &Scale, names: &[String]) -> Result<bool> {
    let begin = Instant::now();
    let machine = report::machine();
    let scale = &scale.within(more_descriptors()?);
    let scenarios = chosen(scale, names)?;
    let directory = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
    let ground = ground::make(directory.path(), built, scale)?;
    let places = Places::start(&ground);
    let mut bench = Bench { ground: &ground, scale, places, begin };
    bench.say("laying out mail");
    ground::lay_out(&ground, scale, &scenarios, &bench.places)?;
    let mut results: Vec<Measured> = scenarios.into_iter().map(empty).collect();
    for round in 0..scale.rounds {
        for (scenario, row) in results.iter_mut().filter(|(scenario, _)| round < scenario.rounds) {
            if round > 0 && begin.elapsed() > scale.most {
                continue;
            }
            bench.measure(scenario, row, round);
            bench.say(&report::line(scenario, row));
        }
        bench.say(&format!("round {} of {} is over", round + 1, scale.rounds));
        if names.is_empty() {
            report::write(scale, &machine, &results)?;
        }
    }
    println!("{}", report::table(scale, &results));
    let failed = |row: &Row| row.iter().any(|(who, outcome)| who.is_ours() && !outcome.faults.is_empty());
    Ok(!results.iter().any(|(_, row)| failed(row)))
}

/// Draws where our processor time goes in each of the scenarios with these
/// names, into docs/flame.
///
/// # Errors
/// One of them does not work, or there is no perf(1).
pub(crate) fn profile(built: &Path, scale: &Scale, names: &[String]) -> Result<()> {
    let scenarios = chosen(scale, names)?;
    more_descriptors()?;
    let directory = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
    let ground = ground::make(directory.path(), built, scale)?;
    for who in Who::ALL {
        let drawn = |scenario: &&Scenario| scenario.curve.is_none() && scenario.picture(who).is_some();
        if !scenarios.iter().any(|scenario| drawn(&scenario)) {
            continue;
        }
        let places = Places::start_only(who, &ground);
        ground::lay_out(&ground, scale, &scenarios, &places)?;
        let bench = Bench { ground: &ground, scale, places, begin: Instant::now() };
        for scenario in scenarios.iter().filter(drawn) {
            bench.draw(scenario, who, directory.path())?;
        }
    }
    Ok(())
}

fn chosen(scale: &Scale, wanted: &[String]) -> Result<Vec<Scenario>> {
    let all = scenarios::all(scale);
    let names: HashSet<_> = all.iter().map(|scenario| scenario.name).collect();
    for name in wanted {
        let mut known: Vec<_> = names.iter().copied().collect();
        known.sort_unstable();
        ensure!(names.contains(name.as_str()), "{name} is none of {}", known.join(", "));
    }
    let is_wanted =
        |scenario: &Scenario| wanted.is_empty() || wanted.iter().any(|name| name == scenario.name);
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// As many descriptors as the clients need, or as there may be; who is started
/// has as many. How many that are.
fn more_descriptors() -> Result<u64> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(DESCRIPTORS);
    if most < DESCRIPTORS && setrlimit(Resource::Nofile, limit(DESCRIPTORS)).is_ok() {
        return Ok(DESCRIPTORS);
    }
    setrlimit(Resource::Nofile, limit(most)).context("RLIMIT_NOFILE")?;
    Ok(most)
}

impl Bench<'_> {
    /// Tells who waits, with the time since the beginning.
    fn say(&self, words: &str) {
        let seconds = self.begin.elapsed().as_secs();
        eprintln!("{:3}:{:02} {words}", seconds / 60, seconds % 60);
    }

    /// One round of a scenario.
    fn measure(&mut self, scenario: &Scenario, row: &mut Row, round: usize) {
        for repeat in 0..scenario.repeats {
            let times = round * scenario.repeats + repeat;
            // What has never worked is not waited for again.
            let mut who: Vec<Who> = row
                .iter()
                .filter(|(_, outcome)| outcome.faults.is_empty() || !outcome.samples.is_empty())
                .map(|(who, _)| *who)
                .collect();
            // Nor is anybody always the first.
            let first = round % who.len().max(1);
            who.rotate_left(first);
            let mut failed = HashSet::new();
            for prepare in scenario.prepare {
                // Courier with another client is the same place.
                for who in who.iter().copied().filter(|who| *who != Who::CourierAtOnce) {
                    let result = self.turn(scenario, who, round, times, prepare);
                    if let Err(error) = result {
                        self.fails(scenario, row, who, &error);
                        failed.insert(who);
                    }
                }
                // The first who syncs pays for all that waits to be written.
                rustix::fs::sync();
                sleep(SETTLES);
            }
            for who in who {
                if failed.contains(&who.place()) {
                    continue;
                }
                match self.turn(scenario, who, round, times, scenario.run) {
                    Ok(sample) => keep(row, who, |outcome| outcome.samples.push(sample)),
                    Err(error) => self.fails(scenario, row, who, &error),
                }
            }
        }
    }

    /// Draws where `who` spends its time in a scenario.
    fn draw(&self, scenario: &Scenario, who: Who, directory: &Path) -> Result<()> {
        let picture = scenario.picture(who).context("there is no picture of that")?;
        for prepare in scenario.prepare {
            self.turn(scenario, who, 0, 0, prepare)?;
            sleep(SETTLES);
        }
        let place = self.places.at(who).map_err(|fault| anyhow!("{fault}"))?;
        let profile = Profile::begin(&place.group, directory)?;
        sleep(PERF_BEGINS);
        self.turn(scenario, who, 0, 0, scenario.run)?;
        let file = testbed::root().join("docs").join(picture);
        profile.draw(&format!("{}: {}", who.name(), scenario.title), &file)?;
        self.say(&file.display().to_string());
        Ok(())
    }

    fn turn<T>(
        &self,
        scenario: &Scenario,
        who: Who,
        round: usize,
        times: usize,
        run: impl FnOnce(&Turn<'_>) -> Result<T>,
    ) -> Result<T> {
        let place = self.places.at(who).map_err(|fault| anyhow!("it did not start: {fault}"))?;
        let at = scenario.curve.map_or(0, |(_, at)| at);
        run(&Turn { ground: self.ground, place, who, scale: self.scale, round, times, at })
    }

    /// A turn has failed. The place is started again, so that the next scenario
    /// does not suffer from it.
    fn fails(&mut self, scenario: &Scenario, row: &mut Row, who: Who, error: &anyhow::Error) {
        self.say(&format!("{}, {}: {error:#}", scenario.name, who.name()));
        keep(row, who, |outcome| outcome.faults.push(format!("{error:#}")));
        self.places.start_again(who, self.ground);
    }
}

fn empty(scenario: Scenario) -> Measured {
    let row = scenario.who.iter().map(|who| (*who, Outcome::default())).collect();
    (scenario, row)
}

fn keep(row: &mut Row, who: Who, with: impl FnOnce(&mut Outcome)) {
    if let Some(outcome) = row.get_mut(&who) {
        with(outcome);
    }
}

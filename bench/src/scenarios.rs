//! What is measured: a scenario for each row of the table in
//! docs/performance.md. Each can be run alone by its name.

mod calls;
mod fetches;
mod growth;
mod hashes;
mod idle;
mod memory;
mod polls;
mod sessions;

use std::process::Child;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use rustix::process::{Pid, Signal, kill_process};

use crate::figures::{Goal, Sample, Unit};
use crate::load::Door;
use crate::places::{Ground, Place, Who};
use crate::scale::Scale;

/// One turn of one scenario at one place.
#[derive(Clone, Copy)]
pub(crate) struct Turn<'t> {
    pub(crate) ground: &'t Ground,
    pub(crate) place: &'t Place,
    pub(crate) who: Who,
    pub(crate) scale: &'t Scale,
    /// From 0 on.
    pub(crate) round: usize,
    /// How often this scenario has been here before.
    pub(crate) times: usize,
    /// Where on its curve, if the scenario is a point of one.
    pub(crate) at: usize,
}

/// What happens in a turn.
type Run = fn(&Turn<'_>) -> Result<Sample>;
/// What happens before it.
type Prepare = fn(&Turn<'_>) -> Result<()>;

/// A scenario.
pub(crate) struct Scenario {
    /// What it is called on the command line.
    pub(crate) name: &'static str,
    /// What it is, for people.
    pub(crate) title: String,
    pub(crate) unit: Unit,
    /// Who takes part.
    pub(crate) who: &'static [Who],
    pub(crate) goals: &'static [Goal],
    /// What is done at all places first; what each step has made settles
    /// before the next ([`SETTLES`]).
    pub(crate) prepare: &'static [Prepare],
    pub(crate) run: Run,
    /// Turns of each in a round.
    pub(crate) repeats: usize,
    /// In how many rounds it takes part.
    pub(crate) rounds: usize,
    /// A point of a curve: its name, and where on it.
    pub(crate) curve: Option<(&'static str, usize)>,
}

impl Scenario {
    /// The flame graph of `who` in it, beside the document; `None` if it is drawn
    /// of others: of the service, and of the chain where it has a goal.
    pub(crate) fn picture(&self, who: Who) -> Option<String> {
        let has_goal =
            || self.goals.iter().any(|goal| matches!(goal, Goal::Share(whose, ..) if *whose == who));
        match who {
            Who::Service => Some(format!("flame/{}.svg", self.name)),
            Who::Classic if has_goal() => Some(format!("flame/{}-chain.svg", self.name)),
            _ => None,
        }
    }

    /// A row of the table.
    fn new(
        name: &'static str,
        title: impl Into<String>,
        unit: Unit,
        who: &'static [Who],
        run: Run,
    ) -> Scenario {
        Scenario {
            name,
            title: title.into(),
            unit,
            who,
            goals: &[],
            prepare: &[],
            run,
            repeats: 1,
            rounds: usize::MAX,
            curve: None,
        }
    }

    fn goals(self, goals: &'static [Goal]) -> Scenario {
        Scenario { goals, ..self }
    }

    fn prepared(self, prepare: &'static [Prepare]) -> Scenario {
        Scenario { prepare, ..self }
    }

    fn repeated(self, repeats: usize) -> Scenario {
        Scenario { repeats, ..self }
    }

    /// What is counted, or has many points, and is the same each time.
    fn once(self) -> Scenario {
        Scenario { rounds: 1, ..self }
    }

    fn on_curve(self, curve: &'static str, at: usize) -> Scenario {
        Scenario { curve: Some((curve, at)), ..self }
    }
}

const ALL: &[Who] = &[Who::Service, Who::Classic, Who::Courier, Who::Dovecot, Who::Limit];
/// Those for whom a small segment waits for an acknowledgement are there twice.
const TWICE: &[Who] =
    &[Who::Service, Who::Classic, Who::Courier, Who::CourierAtOnce, Who::Dovecot, Who::Limit];
/// Those who speak TLS themselves.
const INSIDE_TLS: &[Who] = &[Who::Service, Who::Courier, Who::Dovecot, Who::Limit];
/// Those who have mail on a disk.
const ON_DISK: &[Who] = &[Who::Service, Who::Classic, Who::Courier, Who::Dovecot];
const ON_DISK_TWICE: &[Who] = &[Who::Service, Who::Classic, Who::Courier, Who::CourierAtOnce, Who::Dovecot];

/// All of them, in the order of the table.
pub(crate) fn all(scale: &Scale) -> Vec<Scenario> {
    let mut all = sessions::scenarios();
    all.extend(polls::scenarios(scale));
    all.extend(fetches::scenarios(scale));
    all.extend(idle::scenarios(scale));
    all.extend(hashes::scenarios());
    all.extend(calls::scenarios());
    all.extend(memory::scenarios(scale));
    all.extend(growth::scenarios(scale));
    all
}

impl Turn<'_> {
    /// Where a client of this turn enters.
    fn door(&self, tls: bool) -> Result<Door> {
        let door = self.place.door(tls).context("it does not speak TLS")?;
        Ok(Door { acknowledge_at_once: self.who == Who::CourierAtOnce, ..door })
    }

    /// Does something, and gives what it made, how long it has taken here, and
    /// how much processor time there.
    fn measured<T>(&self, run: impl FnOnce() -> Result<T>) -> Result<(T, Duration, Duration)> {
        let (cpu, begin) = (self.place.group.cpu()?, Instant::now());
        let made = run()?;
        let time = begin.elapsed();
        // What a server has to do behind a client that has gone counts too.
        sleep(Duration::from_millis(20));
        Ok((made, time, self.place.group.cpu()? - cpu))
    }
}

/// The middle one of `values`.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or(f64::NAN)
}

fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

/// Ends a program that reports when it is interrupted.
///
/// # Errors
/// It has ended already.
pub(crate) fn interrupt(child: &Child) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has a number")?;
    Ok(kill_process(pid, Signal::INT)?)
}

/// A maildrop has been laid out or changed just now: until clocks have gone on,
/// nobody can know that it has not changed again.
pub(crate) const SETTLES: Duration = Duration::from_millis(2500);

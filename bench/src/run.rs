//! A run: everybody is started, everything is measured in turns (A, B, C, A, B,
//! C…), and everything is ended and removed, also where something fails.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use testbed::certificates::Certificates;

use crate::figures::{Outcome, Row};
use crate::load;
use crate::mail::Pool;
use crate::places::{Ground, Place, Who, readable};
use crate::report;
use crate::scale::Scale;
use crate::scenarios::{self, Scenario, Turn};

/// What is to be measured.
pub(crate) struct Wanted {
    /// Names of scenarios; none means all.
    pub(crate) names: Vec<String>,
}

/// Descriptors that are enough for all clients, and for those that serve them.
const DESCRIPTORS: u64 = 200_000;

/// A scenario and what came of it.
pub(crate) type Measured = (Scenario, Row);

/// Measures with the programs in the directory `built`; whether all of ours has
/// worked. What was wanted whole is written into the documents.
///
/// # Errors
/// Nothing could be measured.
pub(crate) fn run(built: &Path, scale: &Scale, wanted: &Wanted) -> Result<bool> {
    let begin = Instant::now();
    let scenarios = chosen(scale, wanted)?;
    more_descriptors()?;
    let directory = tempfile::Builder::new().prefix("postrider-bench-").tempdir()?;
    let ground = ground(directory.path(), built, scale)?;
    let mut places = BTreeMap::new();
    for who in Who::ALL.into_iter().filter(|who| *who != Who::CourierAtOnce) {
        eprintln!("starting {}", who.name());
        places.insert(who, Place::start(who, &ground)?);
    }
    lay_out(&ground, scale, &scenarios, &places)?;
    let mut results = Vec::new();
    for scenario in scenarios {
        let row = measure(&scenario, &ground, scale, &places);
        eprintln!("{}", report::line(&scenario, &row));
        results.push((scenario, row));
    }
    drop(places);
    eprintln!("that took {} s", begin.elapsed().as_secs());
    if wanted.names.is_empty() {
        report::write(scale, &results)?;
    }
    println!("{}", report::table(&results));
    let failed = |row: &Row| row.iter().any(|(who, outcome)| who.is_ours() && outcome.fault.is_some());
    Ok(!results.iter().any(|(_, row)| failed(row)))
}

fn chosen(scale: &Scale, wanted: &Wanted) -> Result<Vec<Scenario>> {
    let all = scenarios::all(scale);
    let names: HashSet<_> = all.iter().map(|scenario| scenario.name).collect();
    for name in &wanted.names {
        let mut known: Vec<_> = names.iter().copied().collect();
        known.sort_unstable();
        ensure!(names.contains(name.as_str()), "{name} is none of {}", known.join(", "));
    }
    let is_wanted = |scenario: &Scenario| {
        wanted.names.is_empty() || wanted.names.iter().any(|name| name == scenario.name)
    };
    Ok(all.into_iter().filter(is_wanted).collect())
}

/// As many descriptors as the clients need, or as there may be; who is started
/// has as many.
fn more_descriptors() -> Result<()> {
    let limit = |most| Rlimit { current: Some(most), maximum: Some(most) };
    let most = getrlimit(Resource::Nofile).maximum.unwrap_or(DESCRIPTORS);
    if most < DESCRIPTORS && setrlimit(Resource::Nofile, limit(DESCRIPTORS)).is_ok() {
        return Ok(());
    }
    setrlimit(Resource::Nofile, limit(most)).context("RLIMIT_NOFILE")
}

fn ground(directory: &Path, built: &Path, scale: &Scale) -> Result<Ground> {
    testbed::stand::make_public(directory).map_err(readable)?;
    let programs = directory.join("bin");
    fs::create_dir(&programs)?;
    testbed::stand::make_public(&programs).map_err(readable)?;
    for entry in fs::read_dir(built)? {
        let entry = entry?;
        let (path, meta) = (entry.path(), entry.metadata()?);
        if meta.is_file() && meta.mode() & 0o111 != 0 && path.extension().is_none() {
            testbed::process::install(&path, &programs.join(entry.file_name())).map_err(readable)?;
        }
    }
    let certificates = Certificates::make(&directory.join("certificates"), [127, 0, 0, 1].into(), "client")
        .map_err(readable)?;
    let client_tls = load::tls(&certificates)?;
    let slow = [("yescrypt", c"$y$"), ("bcrypt", c"$2b$")];
    let slow: Vec<(&str, String)> = slow
        .into_iter()
        .map(|(name, prefix)| {
            let setting = system::crypt::setting(prefix, 0)?;
            let hash = system::crypt::hash(b"secret", &setting)?.context("crypt(3) cannot")?;
            Ok((name, String::from_utf8(hash)?))
        })
        .collect::<Result<_>>()?;
    Ok(Ground {
        directory: directory.to_owned(),
        programs,
        dovecot: built.join("../dovecot-pop3d"),
        certificates,
        client_tls,
        accounts: scale.accounts(&slow),
        pool: Pool::new(directory.join("pool"))?,
    })
}

/// Mail for the accounts whose maildrops last for the whole run.
fn lay_out(
    ground: &Ground,
    scale: &Scale,
    scenarios: &[Scenario],
    places: &BTreeMap<Who, Place>,
) -> Result<()> {
    let named = |names: &[&str]| scenarios.iter().any(|scenario| names.contains(&scenario.name));
    for account in &ground.accounts {
        let lasts = match account.name.as_str() {
            "many" => named(&["poll-many", "poll-stat", "poll-new"]),
            name => !["first", "emptied", "grown"].iter().any(|prefix| name.starts_with(prefix)),
        };
        for place in places.values().filter(|_| lasts) {
            place.lay_out(&ground.pool, &account.name, account.mail)?;
        }
    }
    // So that the disk is not busy with it later.
    rustix::fs::sync();
    sleep(if scale.quick { Duration::from_millis(2500) } else { Duration::from_secs(10) });
    Ok(())
}

/// All rounds of a scenario.
fn measure(scenario: &Scenario, ground: &Ground, scale: &Scale, places: &BTreeMap<Who, Place>) -> Row {
    let mut row: Row = scenario.who.iter().map(|who| (*who, Outcome::default())).collect();
    // A curve has many points, and none of them has a goal.
    let rounds = if scenario.curve.is_some() { 1 } else { scale.rounds };
    for round in 0..rounds {
        for (who, outcome) in row.iter_mut().filter(|(_, outcome)| outcome.fault.is_none()) {
            let at = if *who == Who::CourierAtOnce { Who::Courier } else { *who };
            let Some(place) = places.get(&at) else { continue };
            let curve = scenario.curve.map_or(0, |(_, at)| at);
            match (scenario.run)(&Turn { ground, place, who: *who, scale, round, at: curve }) {
                Ok(sample) => outcome.samples.push(sample),
                Err(error) => {
                    eprintln!("{}, {}: {error:#}", scenario.name, who.name());
                    outcome.fault = Some(format!("{error:#}"));
                }
            }
        }
    }
    row
}

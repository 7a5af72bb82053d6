//! Every file of `dialogues/` through every driver that suits it.
//!
//! One test per file and driver, named `DRIVER::FILE`; part of a name as
//! argument runs those that have it. Courier's drivers are left out, with a
//! line that says why, where its programs are not installed or this user may
//! not start them; with `CI=true` that is a failure.

#[path = "dialogues/memory.rs"]
mod memory;
#[path = "dialogues/stands.rs"]
mod stands;

use std::collections::BTreeSet;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Failed, Trial};
use testbed::dialogue::{Dialogue, Driver, Side};
use testbed::stand::Cast;
use testbed::{Outcome, courier, ledger};

use crate::stands::Stands;

/// Sessions at once. Most of the time of a run is spent waiting for Courier's
/// five seconds after a failed login.
const AT_ONCE: usize = 12;

fn main() -> Outcome<ExitCode> {
    let mut arguments = Arguments::from_args();
    let at_once = *arguments.test_threads.get_or_insert(AT_ONCE);
    let machine = Machine::look();
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir()?;
    let stands = Arc::new(Stands::start(directory.path(), at_once, machine.authdaemond && !arguments.list)?);

    let ledger = ledger::numbers()?;
    let mut trials: Vec<Trial> = machine.left_out.iter().map(|reason| nothing_left_out(reason)).collect();
    for (name, dialogue) in testbed::dialogue::all()? {
        let checked = dialogue.and_then(|dialogue| within(dialogue, &ledger));
        if let Ok(dialogue) = &checked {
            trials.extend(trials_of(&Arc::new(dialogue.clone()), &stands, &machine));
        }
        trials.push(Trial::test(format!("format::{name}"), || Ok(checked.map(drop)?)));
    }
    let conclusion = libtest_mimic::run(&arguments, trials);
    drop(stands);
    directory.close()?;
    Ok(conclusion.exit_code())
}

/// The dialogue, if the ledger has every number that it names.
fn within(dialogue: Dialogue, ledger: &BTreeSet<u16>) -> Outcome<Dialogue> {
    match dialogue.ledger.iter().find(|number| !ledger.contains(number)) {
        Some(number) => Err(format!("{}: the ledger has no row {number}", dialogue.name).into()),
        None => Ok(dialogue),
    }
}

/// What of Courier can be run here.
struct Machine {
    courier: bool,
    authdaemond: bool,
    left_out: Option<String>,
}

impl Machine {
    fn look() -> Machine {
        let missing = courier::missing();
        let left_out = courier::missing_authdaemond();
        Machine { courier: missing.is_none(), authdaemond: left_out.is_none(), left_out }
    }
}

/// One way to run a dialogue.
type Play = fn(&Stands, &Dialogue) -> Outcome;

/// The ways that suit `dialogue` and are open on this machine.
fn ways(dialogue: &Dialogue, machine: &Machine) -> Vec<(&'static str, Play)> {
    let pipe = dialogue.suits(Driver::Pipe);
    let courier = dialogue.suits(Driver::Courier);
    let ways: [(bool, &str, Play); 5] = [
        (dialogue.suits(Driver::Memory), "memory", |_, dialogue| memory::memory(dialogue)),
        (pipe, "pipe", |stands, dialogue| stands.pipe(dialogue, Side::Ours)),
        (dialogue.suits(Driver::Tcp), "tcp", |stands, dialogue| stands.tcp(dialogue, Side::Ours, Cast::OURS)),
        (courier && pipe && machine.courier, "courier-pipe", |stands, dialogue| {
            stands.pipe(dialogue, Side::Courier)
        }),
        (courier && machine.authdaemond, "courier-tcp", |stands, dialogue| {
            stands.tcp(dialogue, Side::Courier, Cast::COURIER)
        }),
    ];
    ways.into_iter().filter_map(|(open, name, play)| open.then_some((name, play))).collect()
}

fn trials_of(dialogue: &Arc<Dialogue>, stands: &Arc<Stands>, machine: &Machine) -> Vec<Trial> {
    let trial = |(way, play): (&str, Play)| {
        let (dialogue, stands) = (Arc::clone(dialogue), Arc::clone(stands));
        Trial::test(format!("{way}::{}", dialogue.name), move || Ok(play(&stands, &dialogue)?))
    };
    ways(dialogue, machine).into_iter().map(trial).collect()
}

/// Says what this run leaves out; where nothing may be, that is a failure.
fn nothing_left_out(reason: &str) -> Trial {
    println!("left out: {reason}");
    let reason = format!("left out although CI=true: {reason}");
    let strict = std::env::var("CI").is_ok_and(|ci| ci == "true");
    Trial::test("nothing-left-out", move || if strict { Err(Failed::from(reason)) } else { Ok(()) })
}

//! What was measured, as pages: a table in docs/performance.md, a picture beside
//! it, and what docs/growth.md makes of it.

use std::fs;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result};

use crate::figures::{Outcome, Row};
use crate::growth;
use crate::picture;
use crate::places::Who;
use crate::run::Measured;
use crate::scale::Scale;
use crate::scenarios::Scenario;

const PAGE: &str = "docs/performance.md";
const GROWTH: &str = "docs/growth.md";
const PICTURE: &str = "docs/performance.svg";

/// What is between these lines of the page is ours.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// The row on one line, for who waits.
pub(crate) fn line(scenario: &Scenario, row: &Row) -> String {
    let cells = row.iter().map(|(who, outcome)| format!("{} {}", who.name(), shown(scenario, outcome)));
    format!("{}: {}", scenario.title, cells.collect::<Vec<_>>().join(", "))
}

/// A value with the processor time behind it, and whether it failed.
fn shown(scenario: &Scenario, outcome: &Outcome) -> String {
    let (failed, turns) = (outcome.faults.len(), outcome.samples.len() + outcome.faults.len());
    let Some(value) = outcome.value() else {
        return if failed > 0 { "failed".to_owned() } else { "not measured".to_owned() };
    };
    let cpu = outcome.cpu().map_or_else(String::new, |cpu| format!(", {}", scenario.unit.show_cpu(cpu)));
    let failed = if failed > 0 { format!(" ({failed} of {turns} failed)") } else { String::new() };
    format!("{}{cpu}{failed}", scenario.unit.show(value))
}

/// All rows as a table in Markdown, and below it what else there is to say.
pub(crate) fn table(scale: &Scale, results: &[Measured]) -> String {
    let rows = || results.iter().filter(|(scenario, _)| scenario.curve.is_none());
    let who = [Who::Courier, Who::Dovecot, Who::Limit, Who::Service, Who::Classic];
    let names: String = who.iter().map(|who| format!(" {} |", who.name())).collect();
    let rule = "|---".repeat(who.len() + 3);
    let mut text = format!("| scenario |{names} × Dovecot, × limit | reach |\n{rule}|\n");
    for (scenario, row) in rows() {
        let cells: String = who.iter().map(|who| format!(" {} |", cell(scenario, row, *who))).collect();
        let (goals, _) = goals(scenario, row);
        text.push_str(&format!("| {} |{cells} {} | {goals} |\n", scenario.title, ratios(row)));
    }
    text.push('\n');
    for (scenario, row) in rows() {
        text.push_str(&words(scale, scenario, row));
    }
    text
}

/// The goals, and whether all that can be told are reached.
fn goals(scenario: &Scenario, row: &Row) -> (String, bool) {
    let judged: Vec<_> = scenario.goals.iter().map(|goal| goal.judge(scenario.unit, row)).collect();
    let sign = |reached| match reached {
        Some(true) => "✓",
        Some(false) => "✗",
        None => "?",
    };
    let texts: Vec<_> = judged.iter().map(|(text, reached)| format!("{text} {}", sign(*reached))).collect();
    (texts.join("; "), judged.iter().all(|(_, reached)| *reached != Some(false)))
}

/// What stands below the table about one of its rows: second figures, what
/// failed, how often it was measured if not as often as others, and where the
/// time went if a goal was missed.
fn words(scale: &Scale, scenario: &Scenario, row: &Row) -> String {
    let mut lines = Vec::new();
    for (who, outcome) in row {
        let also = outcome.also();
        let also = also.iter().map(|also| format!("{} {}", also.name, also.unit.show(also.value)));
        let faults = outcome.faults.iter().map(|fault| format!("failed: {}", fault.replace('\n', " ")));
        let said: Vec<_> = also.chain(outcome.note().map(str::to_owned)).chain(faults).collect();
        if !said.is_empty() {
            lines.push(format!("{}: {}", who.name(), said.join("; ")));
        }
    }
    let wanted = scale.rounds.min(scenario.rounds) * scenario.repeats;
    let least = row.values().map(|outcome| outcome.samples.len() + outcome.faults.len()).min().unwrap_or(0);
    if least < wanted && row.values().all(|outcome| outcome.faults.is_empty()) {
        lines.push(format!("measured {least} times of {wanted}, then the time was over"));
    }
    let pictures = Who::ALL.into_iter().filter_map(|who| Some((who, scenario.picture(who)?)));
    for (who, picture) in pictures.filter(|_| !goals(scenario, row).1) {
        if testbed::root().join("docs").join(&picture).exists() {
            lines.push(format!("where {} spends its time: [flame graph]({picture})", who.name()));
        }
    }
    if lines.is_empty() { String::new() } else { format!("* `{}`: {}\n", scenario.name, lines.join("; ")) }
}

fn cell(scenario: &Scenario, row: &Row, who: Who) -> String {
    let one = |who| row.get(&who).map(|outcome: &Outcome| shown(scenario, outcome));
    let text = one(who).unwrap_or_else(|| "—".to_owned());
    let at_once = (who == Who::Courier).then(|| one(Who::CourierAtOnce)).flatten();
    at_once.map_or(text.clone(), |at_once| format!("{text}; at once (\\*): {at_once}"))
}

/// The service beside Dovecot and the limit.
fn ratios(row: &Row) -> String {
    let value = |who| row.get(&who).and_then(Outcome::value);
    let ratio = |other| {
        let ratio = value(Who::Service).zip(value(other)).map(|(one, other)| one / other);
        // What comes on top of something may have been nothing.
        let ratio = ratio.filter(|ratio| *ratio > 0.0);
        ratio.map_or("—".to_owned(), |ratio| format!("{ratio:.*}", if ratio < 0.1 { 4 } else { 2 }))
    };
    format!("{}, {}", ratio(Who::Dovecot), ratio(Who::Limit))
}

/// Writes page and picture.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn write(scale: &Scale, machine: &str, results: &[Measured]) -> Result<()> {
    let root = testbed::root();
    let head = format!("{}{machine} {}", tried_out(scale), rounds(scale, results));
    put(&root.join(PAGE), &format!("{head}\n{}\n{}", table(scale, results), curves(results)))?;
    let growth =
        growth::page(results).unwrap_or_else(|| "What this page needs was not measured.\n".to_owned());
    put(&root.join(GROWTH), &format!("{head}\n{growth}"))?;
    fs::write(root.join(PICTURE), picture::draw(results))?;
    Ok(())
}

/// Puts what was measured into its place in a page.
fn put(page: &Path, measured: &str) -> Result<()> {
    let text = fs::read_to_string(page)?;
    let no_place = || format!("{}: no place to write to", page.display());
    let (before, rest) = text.split_once(BEGIN).with_context(no_place)?;
    let (_, after) = rest.split_once(END).with_context(no_place)?;
    Ok(fs::write(page, format!("{before}{BEGIN}\n{measured}\n{END}{after}"))?)
}

/// The curves in numbers.
fn curves(results: &[Measured]) -> String {
    let points = results.iter().filter(|(scenario, _)| scenario.curve.is_some());
    points.map(|(scenario, row)| format!("* {}\n", line(scenario, row))).collect()
}

/// What a page of a quick run begins with.
fn tried_out(scale: &Scale) -> &'static str {
    if scale.quick {
        "**A quick run (`--quick`): one short round with small numbers, on a machine that may have had other \
         work. It shows that everything works, and no more.**\n\n"
    } else {
        ""
    }
}

/// How often everything was measured.
fn rounds(scale: &Scale, results: &[Measured]) -> String {
    let made = |(scenario, row): &Measured| {
        let turns = row.values().map(|outcome| outcome.samples.len() + outcome.faults.len()).max();
        turns.unwrap_or(0).div_ceil(scenario.repeats)
    };
    let made = results.iter().map(made).max().unwrap_or(0);
    format!(
        "Medians of {made} rounds of {}, all measured in one run, in turns, {:.1} s each; curves and counts \
         from one round.\n",
        scale.rounds,
        scale.time.as_secs_f64(),
    )
}

/// Where and with what it is measured.
pub(crate) fn machine() -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let memory = read("/proc/meminfo");
    let memory = memory.lines().find_map(|line| line.strip_prefix("MemTotal:")).unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let (kernel, load) = (read("/proc/sys/kernel/osrelease"), read("/proc/loadavg"));
    let versions: Vec<_> = ["courier-pop", "courier-authdaemon", "dovecot-core"]
        .into_iter()
        .filter_map(|package| {
            let format = "--showformat=${Package} ${Version}";
            let output = Command::new("dpkg-query").args(["--show", format, package]).output().ok()?;
            String::from_utf8(output.stdout).ok().filter(|text| !text.trim_end().ends_with(package))
        })
        .collect();
    format!(
        "{cores} cores ({}), {} of memory, Linux {}, load before the run {}; {}.",
        cpu_kind(),
        memory.trim(),
        kernel.trim(),
        load.split(' ').next().unwrap_or_default(),
        versions.join(", "),
    )
}

/// The kind of CPU.
fn cpu_kind() -> String {
    let text = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let line = text.lines().find(|line| line.starts_with("model name"));
    line.and_then(|line| line.split_once(':')).map_or("unknown", |(_, kind)| kind.trim()).to_owned()
}

//! What was measured, as a page: a table in docs/performance.md, and a picture
//! beside it.

use std::fs;
use std::process::Command;

use anyhow::{Context, Result};

use crate::figures::{Outcome, Row};
use crate::picture;
use crate::places::Who;
use crate::run::Measured;
use crate::scale::Scale;
use crate::scenarios::Scenario;

const PAGE: &str = "docs/performance.md";
const PICTURE: &str = "docs/performance.svg";

/// What is between these lines of the page is ours.
const BEGIN: &str = "<!-- measured: begin -->\n";
const END: &str = "<!-- measured: end -->\n";

/// The row on one line, for who waits.
pub(crate) fn line(scenario: &Scenario, row: &Row) -> String {
    let cells = row.iter().map(|(who, outcome)| {
        let cpu = outcome.cpu().map_or_else(String::new, |cpu| format!(" ({})", scenario.unit.show_cpu(cpu)));
        let value = outcome.value().map_or("failed".to_owned(), |value| scenario.unit.show(value));
        format!("{} {value}{cpu}", who.name())
    });
    format!("{}: {}", scenario.title, cells.collect::<Vec<_>>().join(", "))
}

/// All rows as a table in Markdown.
pub(crate) fn table(results: &[Measured]) -> String {
    let rows = || results.iter().filter(|(scenario, _)| scenario.curve.is_none());
    let who = [Who::Courier, Who::Dovecot, Who::Limit, Who::Service, Who::Classic];
    let names: String = who.iter().map(|who| format!(" {} |", who.name())).collect();
    let rule = "|---".repeat(who.len() + 3);
    let mut text = format!("| scenario |{names} × Dovecot, × limit | reach |\n{rule}|\n");
    for (scenario, row) in rows() {
        let cells: String = who.iter().map(|who| format!(" {} |", cell(scenario, row, *who))).collect();
        let goals: Vec<_> = scenario
            .goals
            .iter()
            .map(|goal| {
                let (text, reached) = goal.judge(scenario.unit, row);
                format!("{text} {}", reached.map_or("?", |reached| if reached { "✓" } else { "✗" }))
            })
            .collect();
        text.push_str(&format!("| {} |{cells} {} | {} |\n", scenario.title, ratios(row), goals.join("; ")));
    }
    for (scenario, row) in rows() {
        for (who, outcome) in row {
            let words = outcome.fault.as_deref().or(outcome.note());
            if let Some(words) = words {
                text.push_str(&format!("\n* `{}`, {}: {words}", scenario.name, who.name()));
            }
        }
    }
    text.push('\n');
    text
}

fn cell(scenario: &Scenario, row: &Row, who: Who) -> String {
    let one = |who| {
        let outcome: &Outcome = row.get(&who)?;
        let value = outcome.value().map_or("none".to_owned(), |value| scenario.unit.show(value));
        let cpu = outcome.cpu().map(|cpu| format!(", {}", scenario.unit.show_cpu(cpu)));
        Some(value + &cpu.unwrap_or_default())
    };
    let text = one(who).unwrap_or_else(|| "—".to_owned());
    let at_once = (who == Who::Courier).then(|| one(Who::CourierAtOnce)).flatten();
    at_once.map_or(text.clone(), |at_once| format!("{text}; at once (\\*): {at_once}"))
}

/// The service beside Dovecot and the limit.
fn ratios(row: &Row) -> String {
    let value = |who| row.get(&who).and_then(Outcome::value);
    let ratio = |other| {
        let ratio = value(Who::Service).zip(value(other)).map(|(one, other)| one / other);
        ratio.map_or("—".to_owned(), |ratio| format!("{ratio:.2}"))
    };
    format!("{}, {}", ratio(Who::Dovecot), ratio(Who::Limit))
}

/// Writes page and picture.
///
/// # Errors
/// A file cannot be read or written.
pub(crate) fn write(scale: &Scale, results: &[Measured]) -> Result<()> {
    let root = testbed::root();
    let page = root.join(PAGE);
    let text = fs::read_to_string(&page)?;
    let (before, rest) = text.split_once(BEGIN).context("docs/performance.md: no place to write to")?;
    let (_, after) = rest.split_once(END).context("docs/performance.md: the place has no end")?;
    let measured = format!("{}\n{}\n{}", machine(scale), table(results), curves(results));
    fs::write(&page, format!("{before}{BEGIN}\n{measured}\n{END}{after}"))?;
    fs::write(root.join(PICTURE), picture::draw(results))?;
    Ok(())
}

/// The curves in numbers.
fn curves(results: &[Measured]) -> String {
    let points = results.iter().filter(|(scenario, _)| scenario.curve.is_some());
    points.map(|(scenario, row)| format!("* {}\n", line(scenario, row))).collect()
}

/// Where and with what it was measured.
fn machine(scale: &Scale) -> String {
    let read = |path: &str| fs::read_to_string(path).unwrap_or_default();
    let field = |text: &str, name: &str| {
        let line = text.lines().find(|line| line.starts_with(name))?;
        Some(line.split_once(':')?.1.trim().to_owned())
    };
    let cpu = cpu_kind();
    let memory = field(&read("/proc/meminfo"), "MemTotal").unwrap_or_default();
    let cores = std::thread::available_parallelism().map_or(0, usize::from);
    let kernel = read("/proc/sys/kernel/osrelease");
    let load = read("/proc/loadavg");
    let versions: Vec<_> = ["courier-pop", "courier-authdaemon", "dovecot-core"]
        .into_iter()
        .filter_map(|package| {
            let format = "--showformat=${Package} ${Version}";
            let output = Command::new("dpkg-query").args(["--show", format, package]).output().ok()?;
            String::from_utf8(output.stdout).ok().filter(|text| !text.trim_end().ends_with(package))
        })
        .collect();
    let quick = if scale.quick {
        "**A quick run (`--quick`): one short round with small numbers, on a machine that may have had other \
         work. It shows that everything works, and no more.**\n\n"
    } else {
        ""
    };
    format!(
        "{quick}Medians of {} rounds in turns, {:.1} s each. {cores} cores ({cpu}), {memory} of memory, Linux \
         {}, load at the end {}; {}.\n",
        scale.rounds,
        scale.time.as_secs_f64(),
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

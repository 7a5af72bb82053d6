//! `cargo xtask test`: everything that must hold before a change is good.
//!
//! Parts follow each other from the quick to the slow, and the first that
//! fails ends the run. At the end stands what `cargo test` said last of each
//! of its programs.

use std::io::{BufRead, BufReader};
use std::process::Stdio;

use anyhow::{Context, Result, ensure};

use crate::{debian, fuzz, project, promises};

/// How long each fuzz target runs here. For longer: `cargo xtask fuzz`.
const FUZZ_SECONDS: u32 = 4;

/// Runs it all.
pub(crate) fn run() -> Result<()> {
    part("packages to compare with", debian::install)?;
    part("format", || {
        cargo(&["fmt", "--all", "--check"])?;
        cargo(&["fmt", "--manifest-path", "fuzz/Cargo.toml", "--check"])
    })?;
    part("lints", || {
        cargo(&["clippy", "--workspace", "--all-targets", "--quiet", "--", "--deny", "warnings"])
    })?;
    part("promises", promises::run)?;
    let mut summary = part("tests", tests)?;
    summary.extend(part("fuzz targets", fuzz_for_a_while)?);
    println!("\n=== all of it");
    summary.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn part<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n=== {name}");
    run().with_context(|| format!("{name}: failed"))
}

fn cargo(words: &[&str]) -> Result<()> {
    let status = project::cargo()?.args(words).status()?;
    ensure!(status.success(), "cargo {}: {status}", words.join(" "));
    Ok(())
}

/// Runs `cargo test` and returns, of what it says, which programs it has run,
/// how they ended, and what they have left out.
fn tests() -> Result<Vec<String>> {
    let mut command = project::cargo()?;
    command.args(["test", "--workspace", "--no-fail-fast"]).stdout(Stdio::piped());
    let mut cargo = command.spawn()?;
    let output = cargo.stdout.take().context("cargo's output")?;
    let mut summary = Vec::new();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        if line.starts_with("test result:") || line.starts_with("left out:") {
            summary.push(line);
        }
    }
    let status = cargo.wait()?;
    ensure!(status.success(), "cargo test: {status}");
    Ok(summary)
}

/// Gives the line about what is left out, if it is.
fn fuzz_for_a_while() -> Result<Option<String>> {
    if fuzz::possible() {
        return fuzz::run(None, FUZZ_SECONDS).map(|()| None);
    }
    let left_out = "left out: the fuzz targets need a C++ compiler (package g++)".to_owned();
    println!("{left_out}");
    ensure!(!debian::nothing_may_be_left_out(), "{left_out}");
    Ok(Some(left_out))
}

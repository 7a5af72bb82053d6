//! `cargo xtask test`: everything that must hold before a change is good.
//!
//! Parts follow each other from the quick to the slow, and the first that
//! fails ends the run. At the end stands what `cargo test` said last of each
//! of its programs.

use std::io::{self, BufRead, BufReader};

use anyhow::{Context, Result, ensure};

use crate::{debian, fuzz, micro, project, promises};

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
    part("documentation", documentation)?;
    part("promises", promises::run)?;
    let mut summary = part("tests", tests)?;
    summary.extend(part("instructions of hot functions", || micro::run(micro::Then::Compare))?);
    summary.extend(part("fuzz targets", fuzz_for_a_while)?);
    println!("\n=== all of it");
    summary.iter().for_each(|line| println!("{line}"));
    Ok(())
}

fn part<T>(name: &str, run: impl FnOnce() -> Result<T>) -> Result<T> {
    println!("\n=== {name}");
    run().with_context(|| format!("{name}: failed"))
}

/// Every link in a comment leads somewhere.
fn documentation() -> Result<()> {
    let mut cargo = project::cargo()?;
    cargo.env("RUSTDOCFLAGS", "--deny warnings").args(["doc", "--workspace", "--no-deps", "--quiet"]);
    let status = cargo.status()?;
    ensure!(status.success(), "cargo doc: {status}");
    Ok(())
}

fn cargo(words: &[&str]) -> Result<()> {
    let status = project::cargo()?.args(words).status()?;
    ensure!(status.success(), "cargo {}: {status}", words.join(" "));
    Ok(())
}

/// Runs `cargo test`, and returns how each of its programs has ended, and what
/// it has left out.
fn tests() -> Result<Vec<String>> {
    let (output, input) = io::pipe()?;
    let mut command = project::cargo()?;
    command.args(["test", "--color=never", "--workspace", "--no-fail-fast"]);
    // Both in one pipe, so that each program's name comes before its results.
    let mut cargo = command.stdout(input.try_clone()?).stderr(input).spawn()?;
    drop(command);
    let mut summary = Summary::default();
    for line in BufReader::new(output).lines() {
        let line = line?;
        println!("{line}");
        summary.add(&line);
    }
    let status = cargo.wait()?;
    ensure!(status.success(), "cargo test: {status}");
    Ok(summary.lines)
}

/// What is worth to be said once more at the end.
#[derive(Default)]
struct Summary {
    /// The program whose tests run now.
    running: String,
    lines: Vec<String>,
}

impl Summary {
    /// Takes a line of what `cargo test` says.
    fn add(&mut self, line: &str) {
        if let Some(program) = line.trim_start().strip_prefix("Running ") {
            // `tests/x.rs (target/debug/deps/x-0123456789abcdef)`
            let file = program.rsplit('/').next().unwrap_or(program);
            let name = file.rsplit_once('-').map_or(file, |(name, _)| name);
            self.running = name.to_owned();
        } else if let Some(package) = line.trim_start().strip_prefix("Doc-tests ") {
            self.running = format!("{package} (documentation)");
        } else if line.starts_with("left out:") {
            self.lines.push(line.to_owned());
        } else if line.starts_with("test result:") && !line.contains(" 0 passed; 0 failed;") {
            self.lines.push(format!("{line}  {}", self.running));
        }
    }
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

#[cfg(test)]
mod tests {
    use super::Summary;

    #[test]
    fn the_summary_names_each_program_that_has_tested_something() {
        let mut summary = Summary::default();
        for line in [
            "     Running unittests src/lib.rs (/target/debug/deps/pop3-0123456789abcdef)",
            "test result: ok. 35 passed; 0 failed; 0 ignored",
            "     Running tests/joints.rs (/target/debug/deps/joints-0123456789abcdef)",
            "left out: this",
            "test a ... ok",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored",
            "   Doc-tests pop3",
            "test result: ok. 0 passed; 0 failed; 0 ignored",
        ] {
            summary.add(line);
        }
        let wanted = [
            "test result: ok. 35 passed; 0 failed; 0 ignored  pop3",
            "left out: this",
            "test result: FAILED. 0 passed; 1 failed; 0 ignored  joints",
        ];
        assert_eq!(summary.lines, wanted);
    }
}

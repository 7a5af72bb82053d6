//! `cargo xtask micro`: instructions of hot functions, counted by callgrind
//! (valgrind(1)), beside those that were counted before on the same kind of CPU.
//!
//! A processor that can do more at once takes another way through the same
//! code, so each kind has its own numbers in `micro/baseline.tsv`; where it has
//! none there is nothing to compare. `cargo xtask micro keep` writes them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::{debian, project};

/// What more may be than before.
const LOSS: f64 = 0.1;

/// What to do with what was counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Then {
    /// Fail if it is too many.
    Compare,
    /// Keep it as what is compared with.
    Keep,
}

/// Instructions, by kind of CPU and name of the function.
type Baseline = BTreeMap<(String, String), u64>;

/// Counts, and prints. Gives a line about what is left out, if it is.
pub(crate) fn run(then: Then) -> Result<Option<String>> {
    debian::install_these(&["valgrind"])?;
    if !Path::new("/usr/bin/valgrind").exists() {
        let left_out = "left out: counting instructions needs valgrind".to_owned();
        println!("{left_out}");
        ensure!(!debian::nothing_may_be_left_out(), "{left_out}");
        return Ok(Some(left_out));
    }
    let program = build()?;
    let names = String::from_utf8(Command::new(&program).output().context("micro")?.stdout)?;
    let (kind, mut baseline) = (cpu()?, read()?);
    let mut lost = Vec::new();
    for name in names.lines() {
        let (is, at) = (count(&program, name)?, (kind.clone(), name.to_owned()));
        let was = baseline.insert(at, is);
        let change = was.map(|was| is as f64 / was as f64 - 1.0);
        let beside = change.map_or("nothing to compare on this kind of CPU".to_owned(), |change| {
            format!("{:+.1} % beside {}", 100.0 * change, was.unwrap_or_default())
        });
        println!("{name:<12} {is:>10} instructions, {beside}");
        lost.extend(change.filter(|change| *change > LOSS).map(|_| name));
    }
    if then == Then::Keep {
        return write(&baseline).map(|()| None);
    }
    ensure!(lost.is_empty(), "more than a tenth slower than micro/baseline.tsv: {}", lost.join(", "));
    Ok(None)
}

/// Builds what is counted, in a directory of its own: its rustix asks the C
/// library for the time, since valgrind hides the kernel's own page for that
/// (vdso(7)), and rustix would look for it.
fn build() -> Result<PathBuf> {
    let directory = project::target_directory()?.join("micro");
    let mut cargo = project::cargo()?;
    cargo.args(["build", "--quiet", "--release", "--package", "micro", "--target-dir"]).arg(&directory);
    ensure!(cargo.env("RUSTFLAGS", "--cfg=rustix_use_libc").status()?.success(), "micro could not be built");
    Ok(directory.join("release/micro"))
}

/// The instructions inside `measured` of `program name`.
fn count(program: &Path, name: &str) -> Result<u64> {
    let mut valgrind = Command::new("valgrind");
    valgrind.args([
        "--tool=callgrind",
        "--callgrind-out-file=/dev/null",
        "--toggle-collect=micro::measured*",
    ]);
    let output = valgrind.arg(program).arg(name).output().context("valgrind")?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "valgrind micro {name}: {said}");
    collected(&said).filter(|count| *count > 0).with_context(|| format!("nothing was counted:\n{said}"))
}

/// The number in `==PID== Collected : NUMBER`.
fn collected(said: &str) -> Option<u64> {
    let line = said.lines().find_map(|line| line.split_once("Collected :"));
    line?.1.trim().parse().ok()
}

/// The kind of this machine's CPU.
fn cpu() -> Result<String> {
    let text = fs::read_to_string("/proc/cpuinfo")?;
    let field = |name| {
        let mut fields = text.lines().filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.trim() == name).map_or("?", |(_, value)| value.trim())
    };
    Ok(["vendor_id", "cpu family", "model"].map(field).join(" "))
}

fn path() -> Result<PathBuf> {
    Ok(project::root()?.join("micro/baseline.tsv"))
}

fn read() -> Result<Baseline> {
    let text = fs::read_to_string(path()?)?;
    let lines = text.lines().map(|line| {
        let fields: Vec<&str> = line.split('\t').collect();
        let [kind, name, count] = fields[..] else { anyhow::bail!("micro/baseline.tsv: {line}") };
        Ok(((kind.to_owned(), name.to_owned()), count.parse()?))
    });
    lines.collect()
}

fn write(baseline: &Baseline) -> Result<()> {
    let lines = baseline.iter().map(|((kind, name), count)| format!("{kind}\t{name}\t{count}\n"));
    Ok(fs::write(path()?, lines.collect::<String>())?)
}

#[cfg(test)]
mod tests {
    use super::collected;

    #[test]
    fn the_sum_is_found_in_what_valgrind_says() {
        assert_eq!(collected("==7== Events    : Ir\n==7== Collected : 12345\n==7==\n"), Some(12345));
        assert_eq!(collected("==7== nothing\n"), None);
    }
}

//! A server's processes as the kernel counts them: one control group
//! (cgroups(7), version 2) for all of them, whatever they fork.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use testbed::process::command_behind;

/// Runs what follows the file `$1` after putting itself into that group.
const ENTER: &str = "echo $$ >\"$1\" && shift && exec \"$@\"";

/// A control group. Dropping it ends every process in it.
#[derive(Debug)]
pub(crate) struct Group(PathBuf);

impl Group {
    /// Makes an empty one for the server called `name`.
    ///
    /// # Errors
    /// This machine has none, or we are not root.
    pub(crate) fn new(name: &str) -> Result<Group> {
        let mounts = fs::read_to_string("/proc/self/mounts")?;
        let fields = mounts.lines().map(|line| line.split(' ').collect::<Vec<_>>());
        let root = fields.into_iter().find(|fields| fields.get(2) == Some(&"cgroup2"));
        let root = root.and_then(|fields| fields.get(1).map(PathBuf::from)).context("no cgroup2 here")?;
        static MADE: AtomicUsize = AtomicUsize::new(0);
        let number = MADE.fetch_add(1, Ordering::Relaxed);
        let path = root.join(format!("postrider-bench-{}-{number}-{name}", std::process::id()));
        fs::create_dir(&path).with_context(|| format!("{}: it takes root", path.display()))?;
        Ok(Group(path))
    }

    /// The words that run the program that follows them in this group.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let words = ["sh", "-c", ENTER, "sh"].map(OsString::from);
        words.into_iter().chain([self.0.join("cgroup.procs").into()]).collect()
    }

    /// A command for `program` in this group; it ends with us.
    pub(crate) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        command_behind(&self.words(), Path::new(program.as_ref()))
    }

    /// The same for a command that somebody else has made; its environment is
    /// ours.
    pub(crate) fn around(&self, command: &Command) -> Command {
        let mut around = self.command(command.get_program());
        around.args(command.get_args());
        around
    }

    /// What perf(1) calls it.
    pub(crate) fn name(&self) -> Option<&OsStr> {
        self.0.file_name()
    }

    /// Processor time of all that have ever been in it.
    ///
    /// # Errors
    /// The kernel does not count it.
    pub(crate) fn cpu(&self) -> Result<Duration> {
        let stat = fs::read_to_string(self.0.join("cpu.stat"))?;
        let usage = stat.lines().find_map(|line| line.strip_prefix("usage_usec "));
        Ok(Duration::from_micros(usage.context("cpu.stat has no usage_usec")?.parse()?))
    }

    /// Who is in it now.
    ///
    /// # Errors
    /// What the kernel reports.
    pub(crate) fn processes(&self) -> Result<Vec<u32>> {
        let text = fs::read_to_string(self.0.join("cgroup.procs"))?;
        Ok(text.lines().filter_map(|line| line.parse().ok()).collect())
    }

    /// Memory of all of them in octets: what is theirs alone, and their share of
    /// what they have in common (PSS).
    ///
    /// # Errors
    /// None of them could be looked at.
    pub(crate) fn memory(&self) -> Result<u64> {
        let mut kilobytes = 0;
        for process in self.processes()? {
            // It may have ended just now.
            let text = fs::read_to_string(format!("/proc/{process}/smaps_rollup")).unwrap_or_default();
            let pss = text.lines().find_map(|line| line.strip_prefix("Pss:"));
            kilobytes += pss.and_then(|pss| pss.split_whitespace().next()?.parse().ok()).unwrap_or(0);
        }
        ensure!(kilobytes > 0, "no process in {}", self.0.display());
        Ok(kilobytes * 1024)
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        let _too_old_a_kernel = fs::write(self.0.join("cgroup.kill"), "1");
        for _ in 0..500 {
            if fs::remove_dir(&self.0).is_ok() {
                return;
            }
            sleep(Duration::from_millis(10));
        }
        eprintln!("{} is left over", self.0.display());
    }
}

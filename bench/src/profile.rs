//! Where a server's processor time goes in a scenario: perf(1) looks a
//! thousand times each second at what its processes do.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use crate::flame::Stacks;
use crate::group::Group;
use crate::scenarios::interrupt;

/// Looks at each second; none that other clocks of a machine share.
const FREQUENCY: &str = "997";

/// A look that goes on until it is drawn.
pub(crate) struct Profile {
    perf: Child,
    data: PathBuf,
}

impl Profile {
    /// Begins to look at all processes of `group`.
    ///
    /// # Errors
    /// There is no perf(1).
    pub(crate) fn begin(group: &Group, directory: &Path) -> Result<Profile> {
        let data = directory.join("perf.data");
        let mut perf = Command::new("perf");
        perf.args(["record", "--freq", FREQUENCY, "--event", "cpu-clock", "-g", "--all-cpus", "--cgroup"]);
        perf.arg(group.name().context("a group has a name")?).arg("--output").arg(&data);
        perf.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Ok(Profile { perf: perf.spawn().context("perf (Debian: linux-perf)")?, data })
    }

    /// Ends looking and draws what was seen into `file`.
    ///
    /// # Errors
    /// Nothing was seen.
    pub(crate) fn draw(mut self, title: &str, file: &Path) -> Result<()> {
        interrupt(&self.perf)?;
        self.perf.wait()?;
        let mut script = Command::new("perf");
        script.args(["script", "--no-inline", "--fields", "comm,ip,sym,dso", "--input"]).arg(&self.data);
        let output = script.stderr(Stdio::null()).output().context("perf script")?;
        let stacks = Stacks::read(&String::from_utf8_lossy(&output.stdout));
        ensure!(stacks.samples() > 0, "perf has seen nothing of {title}");
        if let Some(directory) = file.parent() {
            fs::create_dir_all(directory)?;
        }
        Ok(fs::write(file, stacks.draw(title))?)
    }
}

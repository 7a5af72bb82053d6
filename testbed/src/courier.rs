//! Courier's own programs, as Debian packages them.
//!
//! Their paths are compiled in: `authdaemond` reads `/etc/courier` and
//! listens below `/run/courier`. Each [`Authdaemond`] therefore lives in a mount
//! namespace of its own, where directories of ours lie over those two, and
//! nothing on the machine is touched. That takes root.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::authdaemond::ask;
use crate::machine;
use crate::process::{Running, command_behind, daemon};

/// Courier's super-server.
pub const COURIERTCPD: &str = "/usr/sbin/couriertcpd";
/// Courier's login program.
pub const COURIERPOP3LOGIN: &str = "/usr/lib/courier/courier/courierpop3login";
/// Courier's mail program.
pub const COURIERPOP3D: &str = "/usr/lib/courier/courier/courierpop3d";
const AUTHDAEMOND: &str = "/usr/lib/courier/courier-authlib/authdaemond";
/// Courier's compiler of userdb.
pub const MAKEUSERDB: &str = "/usr/sbin/makeuserdb";

/// Why Courier's mail program cannot run here, if so.
#[must_use]
pub fn missing() -> Option<String> {
    let absent = [COURIERTCPD, COURIERPOP3LOGIN, COURIERPOP3D, AUTHDAEMOND, MAKEUSERDB];
    let absent = absent.into_iter().find(|program| !Path::new(program).exists())?;
    Some(format!("{absent} is not there (Debian: courier-pop, courier-authdaemon, courier-authlib-userdb)"))
}

/// Why Courier's `authdaemond` cannot run here, if so.
#[must_use]
pub fn missing_authdaemond() -> Option<String> {
    missing().or_else(|| {
        let words = "Courier's authdaemond needs root and a mount namespace of its own";
        machine::missing().map(|_| words.to_owned())
    })
}

/// Courier's `authdaemond`, in its own namespace.
#[derive(Debug)]
pub struct Authdaemond {
    directory: PathBuf,
    daemon: Running,
}

impl Authdaemond {
    /// Starts it for accounts in userdb; its files are in `directory`, which is
    /// made.
    ///
    /// # Errors
    /// A file cannot be written or a program cannot be started.
    pub fn start(directory: &Path) -> Outcome<Authdaemond> {
        Authdaemond::start_with(directory, "authuserdb", &[])
    }

    /// The same with these `modules`, and `files` (name, text) in its
    /// configuration.
    ///
    /// # Errors
    /// As [`start`](Authdaemond::start).
    pub fn start_with(directory: &Path, modules: &str, files: &[(&str, &str)]) -> Outcome<Authdaemond> {
        Authdaemond::start_behind(&[], directory, modules, files)
    }

    /// The same run by `words`, which run the program that follows them.
    ///
    /// # Errors
    /// As [`start`](Authdaemond::start).
    pub fn start_behind(
        words: &[OsString],
        directory: &Path,
        modules: &str,
        files: &[(&str, &str)],
    ) -> Outcome<Authdaemond> {
        let (etc, run) = (directory.join("etc"), directory.join("run"));
        fs::create_dir_all(&etc)?;
        fs::create_dir_all(run.join("authdaemon"))?;
        fs::write(etc.join("authdaemonrc"), format!("authmodulelist=\"{modules}\"\ndaemons=2\n"))?;
        for (name, text) in files {
            fs::write(etc.join(name), text)?;
        }
        let script = "mount --bind \"$1\" /etc/courier && mount --bind \"$2\" /run/courier && exec \"$3\"";
        let mut command = command_behind(words, Path::new("unshare"));
        command.args(["--mount", "sh", "-c", script, "sh"]).args([&etc, &run]).arg(AUTHDAEMOND);
        let log = fs::File::create(directory.join("authdaemond.log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let daemon = Running::start(&mut command)?;
        Ok(Authdaemond { directory: directory.to_owned(), daemon })
    }

    /// What it answers to the octets of `request`, until it closes.
    ///
    /// # Errors
    /// It does not listen, or what the socket reports.
    pub fn ask(&mut self, request: &[u8]) -> Outcome<Vec<u8>> {
        self.await_socket()?;
        ask(&self.socket(), request)
    }

    fn socket(&self) -> PathBuf {
        self.directory.join("run/authdaemon/socket")
    }

    /// The directory that it takes for `/etc/courier`.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// A command for `program` that sees this `authdaemond`, as soon as it
    /// listens.
    ///
    /// # Errors
    /// It does not listen.
    pub fn command(&mut self, program: impl AsRef<OsStr>) -> Outcome<Command> {
        self.await_socket()?;
        let mut command = daemon("nsenter");
        let process = format!("/proc/{}", self.daemon.child().id());
        command.arg(format!("--mount={process}/ns/mnt")).arg(format!("--root={process}/root"));
        command.arg("--").arg(program);
        Ok(command)
    }

    fn await_socket(&mut self) -> Outcome {
        let (socket, log) = (self.socket(), self.directory.join("authdaemond.log"));
        self.daemon.await_answer("Courier's authdaemond", &log, || Ok(socket.exists().then_some(())))
    }
}

/// Says what a run leaves out. Where nothing may be left out (`CI=true`) that
/// is a failure.
///
/// # Errors
/// Nothing may be left out here.
pub fn leave_out(reason: &str) -> Outcome {
    say_left_out(reason);
    let strict = std::env::var("CI").is_ok_and(|ci| ci == "true");
    if strict { Err(format!("left out although CI=true: {reason}").into()) } else { Ok(()) }
}

/// Says what a run leaves out because this machine is not made for it.
pub fn say_left_out(reason: &str) {
    // Not println, which a passing test keeps to itself.
    let _ = writeln!(std::io::stdout(), "left out: {reason}");
}

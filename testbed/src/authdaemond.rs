//! Our own `authdaemond`, in a directory of its own, for our programs and for
//! Courier's.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::process::{Running, command_behind, daemon};
use crate::stopwatch::look_alike;
use crate::{Outcome, PATIENCE};

/// A running `authdaemond` of ours.
#[derive(Debug)]
pub struct OurAuthdaemond {
    directory: PathBuf,
    program: PathBuf,
    daemon: Option<Running>,
}

impl OurAuthdaemond {
    /// A place for `program`; its files are in `directory`, which is made. It
    /// runs with [`OurAuthdaemond::start`].
    ///
    /// # Errors
    /// A directory cannot be made.
    pub fn new(program: &Path, directory: &Path) -> Outcome<OurAuthdaemond> {
        fs::create_dir_all(directory.join("etc"))?;
        fs::create_dir_all(directory.join("run"))?;
        Ok(OurAuthdaemond { directory: directory.to_owned(), program: program.to_owned(), daemon: None })
    }

    /// Starts it with `rc` as its authdaemonrc, and waits until it listens.
    ///
    /// # Errors
    /// It ends, or does not listen.
    pub fn start(&mut self, rc: &str) -> Outcome {
        self.start_behind(&[], rc)
    }

    /// The same, run by `words`, which run the program that follows them.
    ///
    /// # Errors
    /// As [`start`](OurAuthdaemond::start).
    pub fn start_behind(&mut self, words: &[OsString], rc: &str) -> Outcome {
        self.configure(rc)?;
        let mut command = command_behind(words, &self.program);
        self.at_home(&mut command);
        let log = self.directory.join("log");
        let running = self.daemon.insert(Running::start_logging(&mut command, &log)?);
        let socket = self.directory.join("run/authdaemon/socket");
        running.await_answer("our authdaemond", &log, || Ok(UnixStream::connect(&socket).ok())).map(drop)
    }

    /// Puts `command` into its environment.
    pub fn at_home(&self, command: &mut Command) {
        command.env("POSTRIDER_SYSCONFDIR", self.configuration());
        command.env("POSTRIDER_AUTHDAEMON_SOCKET", self.socket());
    }

    /// A command for one of Courier's programs that finds this authdaemond
    /// where it looks for its own. That takes root.
    #[must_use]
    pub fn command_of_courier(&self, program: impl AsRef<OsStr>) -> Command {
        let script = "mount --bind \"$1\" /run/courier && shift && exec \"$@\"";
        let mut command = daemon("unshare");
        command.args(["--mount", "sh", "-c", script, "sh"]).arg(self.directory.join("run")).arg(program);
        command
    }

    /// Writes its authdaemonrc.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn configure(&self, rc: &str) -> Outcome {
        Ok(fs::write(self.configuration().join("authdaemonrc"), rc)?)
    }

    /// Makes `text` its userdb, with `makeuserdb`.
    ///
    /// # Errors
    /// It cannot be written or compiled.
    pub fn install(&self, text: &str, makeuserdb: &Path) -> Outcome {
        let userdb = self.configuration().join("userdb");
        let mut options = fs::OpenOptions::new();
        options.write(true).create(true).truncate(true).mode(0o600);
        options.open(&userdb)?.write_all(text.as_bytes())?;
        let mut command = Command::new(makeuserdb);
        self.at_home(&mut command);
        let made = command.output()?;
        if !made.status.success() {
            return Err(format!("makeuserdb: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        Ok(())
    }

    /// What it answers to the octets of `request`, until it closes.
    ///
    /// # Errors
    /// What the socket reports.
    pub fn ask(&self, request: &[u8]) -> Outcome<Vec<u8>> {
        ask(&self.socket(), request)
    }

    /// Finds that it rejects a wrong password of all `users` after the same time,
    /// whether or not they exist or are locked. Failed logins must cost nothing:
    /// `POSTRIDER_FAILURES=0`.
    ///
    /// # Errors
    /// One can tell two of them apart, or one is not rejected.
    pub fn rejects_alike(&self, users: &[&str]) -> Outcome {
        let ask = |user: &str| -> Outcome {
            let body = format!("pop3\nlogin\n{user}\nwrong\n");
            let answer = self.ask(format!("AUTH {}\n{body}", body.len()).as_bytes())?;
            let said = String::from_utf8_lossy(&answer);
            if said == "FAIL\n" { Ok(()) } else { Err(format!("{user}: {said}").into()) }
        };
        let mut runs: Vec<_> = users.iter().map(|user| (*user, move || ask(user))).collect();
        look_alike(&mut runs.iter_mut().map(|(user, run)| (*user, run as _)).collect::<Vec<_>>())
    }

    /// The directory of its configuration.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.directory.join("etc")
    }

    /// Its socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.join("run/authdaemon/socket")
    }

    /// Its process id, while it runs.
    #[must_use]
    pub fn pid(&mut self) -> Option<u32> {
        self.daemon.as_mut().map(|daemon| daemon.child().id())
    }

    /// What it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.directory.join("log"))?)
    }

    /// Waits until a line of the log holds `words`.
    ///
    /// # Errors
    /// None does.
    pub fn await_log(&self, words: &str) -> Outcome {
        let end = Instant::now() + PATIENCE;
        while !self.log()?.contains(words) {
            if Instant::now() > end {
                return Err(format!("nothing like {words:?} in the log\n{}", self.log()?).into());
            }
            sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// Ends it.
    pub fn stop(&mut self) {
        self.daemon = None;
    }
}

/// What an authdaemond at `socket` answers to `request`, until it closes.
pub(crate) fn ask(socket: &Path, request: &[u8]) -> Outcome<Vec<u8>> {
    let mut stream = UnixStream::connect(socket)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.write_all(request)?;
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer)?;
    Ok(answer)
}

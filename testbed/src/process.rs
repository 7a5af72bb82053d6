//! Programs that end with the test that started them, also when it fails or
//! panics.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::{self, ErrorKind, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::{Outcome, PATIENCE};

/// A running program. Dropping it sends SIGTERM and waits; if that does not
/// help, SIGKILL.
#[derive(Debug)]
pub struct Running {
    child: Child,
}

/// How long a program may take to end after SIGTERM before it gets SIGKILL.
const FAREWELL: Duration = Duration::from_secs(10);

/// A command for a program that serves many sessions. Where setpriv(1) is at
/// hand the kernel ends the program also when the tests are killed.
#[must_use]
pub fn daemon(program: impl AsRef<OsStr>) -> Command {
    let setpriv = Path::new("/usr/bin/setpriv");
    if !setpriv.exists() {
        return Command::new(program);
    }
    let mut command = Command::new(setpriv);
    command.args(["--pdeathsig", "TERM", "--"]).arg(program);
    command
}

/// The same for a `program` that is run by `words`, which run what follows
/// them.
#[must_use]
pub fn command_behind(words: &[OsString], program: &Path) -> Command {
    let Some((first, rest)) = words.split_first() else {
        return daemon(program);
    };
    let mut command = daemon(first);
    command.args(rest).arg(program);
    command
}

/// Has cargo build the programs of `packages`.
///
/// # Errors
/// They cannot be built.
pub fn build(packages: &[&str]) -> Outcome {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.args(["build", "--quiet", "--bins"]).current_dir(crate::root());
    for package in packages {
        command.args(["--package", package]);
    }
    let status = command.status()?;
    if status.success() { Ok(()) } else { Err(format!("cargo build: {status}").into()) }
}

/// Puts the program `from` at `to`, where others can reach it.
///
/// By a link, else by another process: a file that this process has open for
/// writing while a test beside this one forks cannot be executed until that
/// child has gone.
///
/// # Errors
/// It cannot be copied.
pub fn install(from: &Path, to: &Path) -> Outcome {
    if fs::hard_link(from, to).is_ok() {
        return Ok(());
    }
    let status = Command::new("cp").arg(from).arg(to).status()?;
    if status.success() { Ok(()) } else { Err(format!("{}: cp: {status}", from.display()).into()) }
}

/// Runs `command` with `input`, to its end; what it has printed.
///
/// # Errors
/// What it has said of its failure.
pub fn said(command: &mut Command, input: &str) -> Outcome<String> {
    let name = command.get_program().display().to_string();
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    child.stdin.take().ok_or("no standard input")?.write_all(input.as_bytes())?;
    let output = child.wait_with_output()?;
    if !output.status.success() {
        return Err(format!("{name}: {}", String::from_utf8_lossy(&output.stderr)).into());
    }
    Ok(String::from_utf8(output.stdout)?)
}

impl Running {
    /// Starts `command`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(command: &mut Command) -> io::Result<Running> {
        command.spawn().map(|child| Running { child })
    }

    /// Starts `command`, which reads nothing, and whose words go behind what is
    /// in the file `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_logging(command: &mut Command, log: &Path) -> io::Result<Running> {
        let log = fs::OpenOptions::new().append(true).create(true).open(log)?;
        Running::start(command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log))
    }

    /// What `attempt` has, as soon as it has something.
    ///
    /// # Errors
    /// The program, which people call `name`, has ended or stays silent, with
    /// its `log`; or what `attempt` says.
    pub fn await_answer<T>(
        &mut self,
        name: &str,
        log: &Path,
        mut attempt: impl FnMut() -> Outcome<Option<T>>,
    ) -> Outcome<T> {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(answer) = attempt()? {
                return Ok(answer);
            }
            let ended = self.ended()?;
            if ended.is_some() || Instant::now() > end {
                let state =
                    ended.map_or("does not answer".to_owned(), |status| format!("has ended, {status}"));
                return Err(format!("{name} {state}\n{}", fs::read_to_string(log).unwrap_or_default()).into());
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// A connection to `address`, as soon as the program listens there.
    ///
    /// # Errors
    /// As [`await_answer`](Running::await_answer), or what connect(2) reports.
    pub fn connect(&mut self, name: &str, log: &Path, address: SocketAddr) -> Outcome<TcpStream> {
        self.await_answer(name, log, || match TcpStream::connect(address) {
            Err(error) if error.kind() == ErrorKind::ConnectionRefused => Ok(None),
            result => Ok(Some(result?)),
        })
    }

    /// The program's pipes and its process id.
    pub fn child(&mut self) -> &mut Child {
        &mut self.child
    }

    /// How it ended, if it has ended.
    ///
    /// # Errors
    /// What waitpid(2) reports.
    pub fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    /// Waits until it ends, at most `patience`; `None` if it still runs.
    ///
    /// # Errors
    /// What waitpid(2) reports.
    pub fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let end = Instant::now() + patience;
        loop {
            let status = self.ended()?;
            if status.is_some() || Instant::now() > end {
                return Ok(status);
            }
            sleep(Duration::from_millis(5));
        }
    }

    /// Ends it by `signal`, for programs that take SIGTERM for something else.
    pub fn end_by(mut self, signal: Signal) {
        self.signal(signal);
        // Dropping it goes on to harder means.
        let _ended = self.wait(FAREWELL);
    }

    fn signal(&self, signal: Signal) {
        if let Ok(pid) = i32::try_from(self.child.id()) {
            let _already_gone = kill(Pid::from_raw(pid), signal);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !matches!(self.ended(), Ok(None)) {
            return;
        }
        self.signal(Signal::SIGTERM);
        if matches!(self.wait(FAREWELL), Ok(None)) {
            self.signal(Signal::SIGKILL);
            let _reaped = self.child.wait();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Running, daemon};
    use std::process::Stdio;

    #[test]
    fn a_program_ends_with_its_owner() {
        let mut running = Running::start(daemon("/bin/cat").stdin(Stdio::piped())).unwrap();
        let pid = running.child().id();
        assert_eq!(running.ended().unwrap(), None);
        drop(running);
        assert!(!std::path::Path::new(&format!("/proc/{pid}")).exists());
    }
}

//! couriertcpd: waits for clients and starts one program for each, with the
//! connection as its descriptors 0 and 1 (reference couriertcpd.md 1 to 6,
//! 11, 12).
//!
//! It runs as root as long as nobody says `-user`, and therefore reads not one
//! octet that a client sends (but to throw it away) and knows no protocol.

mod forks;
pub(crate) mod limits;
pub(crate) mod listeners;
mod logger;
pub(crate) mod notices;
mod options;
pub(crate) mod ports;
mod program;
mod rights;
mod serve;
mod spawn;

use std::fmt;
use std::fs::OpenOptions;
use std::io::{self, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::Instant;

use authlib::printable::reason;
use system::process::{Background, Daemon};

use self::logger::Logger;
use self::options::{LogTo, Request, Settings};
use self::program::{Program, Stderr};
use self::rights::Rights;
use self::serve::Server;
use crate::pidfile::{self, PathError, PidFile};

/// Runs couriertcpd with the command line of this process.
#[must_use]
pub fn main() -> ExitCode {
    let outcome = match options::parse(std::env::args_os()) {
        Ok(Request::Serve(settings)) => return start(&settings),
        Ok(Request::Stop(file)) => pidfile::stop(&file).map_err(text),
        Ok(Request::Restart(file)) => pidfile::restart(&file).map_err(text),
        Err(wrong) => Err(wrong.to_string()),
    };
    status(outcome)
}

/// Serves here, or, with `-pid`, in the background.
fn start(settings: &Settings) -> ExitCode {
    if settings.pid_file.is_none() {
        return status(serve(settings, None));
    }
    match system::process::background() {
        Ok(Background::Caller(caller)) => caller.wait(),
        Ok(Background::Daemon(daemon)) => status(serve(settings, Some(daemon))),
        Err(error) => status(Err(reason(&error))),
    }
}

/// Serves until told to end. `daemon` is whom to tell that the start went
/// well, if we are in the background. An error is a line for the caller.
fn serve(settings: &Settings, daemon: Option<Daemon>) -> Result<(), String> {
    settle().map_err(|error| reason(&error))?;
    let places = ports::parse(&settings.ports, settings.address.as_deref()).map_err(text)?;
    let rights = Rights::look_up(settings.user.as_deref(), settings.group.as_deref()).map_err(text)?;

    // The lock lives longer than the sockets, so that -stop returns when the
    // ports are free.
    let lock = settings.pid_file.as_deref().map(PidFile::claim).transpose().map_err(text)?;
    if let Some(None) = lock {
        // It is running already; that is what was wanted.
        if let Some(daemon) = daemon {
            daemon.started();
        }
        return Ok(());
    }
    let listeners = listeners::open(&places, settings.backlog)?;
    if let Some(Some(pid_file)) = &lock {
        pid_file.write_pid().map_err(text)?;
    }
    let file = open_log(&settings.log).map_err(text)?;
    rights.apply().map_err(text)?;

    // No access rights are needed from here on.
    let signals = serve::signals().map_err(|error| reason(&error))?;
    let (logger, pipe) = start_logger(&settings.log)?.unzip();
    let program = program(settings).map_err(|error| reason(&error))?;
    leave_caller(daemon, file.or(pipe)).map_err(|error| reason(&error))?;
    if settings.wants_host_names {
        notices::no_host_names();
    }
    Server::new(listeners, signals, program, logger, settings.limits).run().map_err(|error| reason(&error))
}

/// What the caller may have left behind, made harmless.
fn settle() -> io::Result<()> {
    system::process::seal_descriptors()?;
    system::process::standard_signals()?;
    system::process::own_group()
}

/// The file of `-stderr`, opened while we may still open it (ledger 509).
fn open_log(log: &LogTo) -> Result<Option<OwnedFd>, PathError> {
    let LogTo::File(path) = log else { return Ok(None) };
    let mut options = OpenOptions::new();
    options.append(true).create(true).mode(0o660).custom_flags(nix::libc::O_NOCTTY);
    match options.open(path) {
        Ok(file) => Ok(Some(file.into())),
        Err(error) => Err(PathError::new(path, error)),
    }
}

/// The program of `-stderrlogger`, and the descriptor it is fed by. That it
/// cannot be started is worth not starting at all (ledger 508).
fn start_logger(log: &LogTo) -> Result<Option<(Logger, OwnedFd)>, String> {
    let LogTo::Logger { program, name } = log else { return Ok(None) };
    let started = program::environment()
        .and_then(|environment| Logger::start(program, name, environment, Instant::now()))
        .map_err(|error| PathError::new(Path::new(program), error).to_string())?;
    Ok(Some(started))
}

fn program(settings: &Settings) -> io::Result<Program> {
    let stderr = if settings.log == LogTo::Client { Stderr::Client } else { Stderr::Log };
    Program::new(&settings.program, &settings.arguments, program::environment()?, stderr)
}

/// Lets the caller go: in the background the three descriptors that we share
/// with it lead nowhere from now on. Descriptor 2 becomes `log`, if there is
/// one.
fn leave_caller(daemon: Option<Daemon>, log: Option<OwnedFd>) -> io::Result<()> {
    if let Some(daemon) = daemon {
        for number in 0..=2 {
            let null = OpenOptions::new().read(true).write(true).open("/dev/null")?;
            system::descriptor::place(null.into(), number)?;
        }
        daemon.started();
    }
    log.map_or(Ok(()), |log| system::descriptor::place(log, 2))
}

/// Exit status 0, or one line on descriptor 2 and exit status 1.
fn status(outcome: Result<(), String>) -> ExitCode {
    match outcome {
        Ok(()) => ExitCode::SUCCESS,
        Err(line) => {
            let _ = writeln!(io::stderr(), "{line}");
            ExitCode::FAILURE
        }
    }
}

fn text(error: impl fmt::Display) -> String {
    error.to_string()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::reason;

    #[test]
    fn errors_are_worded_as_the_c_library_does() {
        assert_eq!(reason(&io::Error::from_raw_os_error(11)), "Resource temporarily unavailable");
        assert_eq!(reason(&io::Error::other("ours")), "ours");
    }
}

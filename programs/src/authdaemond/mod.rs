//! authdaemond: answers whether somebody is who they say, for every program
//! that asks its socket (reference: authlib 2 and 3).
//!
//! ```text
//! clients ──socket──> main process: collects requests, counts failed logins, runs no module
//!                        │ one whole request at a time
//!                        └ workers (`daemons` processes): run the modules
//! ```
//!
//! Modules run in processes of their own, so that one that hangs can be
//! killed and one that crashes takes nobody along. The main process waits for
//! everybody at once and for nobody in particular: a client that says nothing
//! costs a descriptor for ten seconds.

mod clients;
mod gate;
mod listener;
mod office;
mod pool;
mod serve;
mod settings;
mod worker;

use std::env;
use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use system::process::{Background, Daemon};

use crate::log;
use crate::pidfile::{self, PidFile};
use crate::places;
pub(crate) use clients::Caller;
pub(crate) use office::Office;
use serve::Server;
pub(crate) use settings::Settings;

const USAGE: &str = "\
Usage: authdaemond              run, with the log on descriptor 2
       authdaemond -start       the same in the background, with a pid file
       authdaemond -stop        end the one that -start has started
       authdaemond -restart     let it read authdaemonrc again
";

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        [] => serve(None),
        ["-start"] => start(),
        ["-stop"] => done(pidfile::stop(&pid_file())),
        ["-restart"] => done(pidfile::restart(&pid_file())),
        [worker::WORD, modules @ ..] => worker::run(modules),
        [worker::LIST, modules @ ..] => worker::list(modules),
        _ => {
            let _ = io::stderr().write_all(USAGE.as_bytes());
            ExitCode::FAILURE
        }
    }
}

/// Does a worker's work, if the command line asks for that.
pub(crate) fn run_as_worker() -> Option<ExitCode> {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let words: Vec<&str> = words.iter().map(|word| word.to_str().unwrap_or_default()).collect();
    match words.as_slice() {
        [worker::WORD, modules @ ..] => Some(worker::run(modules)),
        _ => None,
    }
}

/// Beside the socket.
fn pid_file() -> PathBuf {
    places::authdaemon_socket().with_file_name("pid")
}

fn done(result: Result<(), impl std::fmt::Display>) -> ExitCode {
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => failed(&error),
    }
}

fn failed(reason: &dyn std::fmt::Display) -> ExitCode {
    log::error(reason);
    ExitCode::FAILURE
}

fn start() -> ExitCode {
    if let Err(error) = listener::make_directory(&places::authdaemon_socket()) {
        return failed(&error);
    }
    match system::process::background() {
        Ok(Background::Caller(caller)) => caller.wait(),
        Ok(Background::Daemon(daemon)) => match claim() {
            Ok(Some(file)) => serve(Some((daemon, file))),
            // It runs already, as was wished.
            Ok(None) => {
                daemon.started();
                ExitCode::SUCCESS
            }
            Err(reason) => failed(&reason),
        },
        Err(error) => failed(&error),
    }
}

/// The pid file, unless another one runs. Whoever waits for the end of our
/// standard output does not wait for the end of the service.
fn claim() -> Result<Option<PidFile>, String> {
    let null = || File::options().read(true).write(true).open("/dev/null");
    for standard in [0, 1] {
        let placed = null().and_then(|null| system::descriptor::place(null.into(), standard));
        placed.map_err(|error| error.to_string())?;
    }
    let file = PidFile::claim(&pid_file()).map_err(|error| error.to_string())?;
    file.as_ref().map_or(Ok(()), PidFile::write_pid).map_err(|error| error.to_string())?;
    Ok(file)
}

/// Serves until SIGTERM. `background` is told when everything is ready.
fn serve(background: Option<(Daemon, PidFile)>) -> ExitCode {
    let server = || {
        system::process::standard_signals().map_err(|error| error.to_string())?;
        let settings = Settings::read()?;
        Server::new(settings, &places::authdaemon_socket()).map_err(|error| error.to_string())
    };
    let server = match server() {
        Ok(server) => server,
        Err(reason) => return failed(&reason),
    };
    let _pid_file = background.map(|(daemon, file)| {
        daemon.started();
        file
    });
    done(server.run())
}

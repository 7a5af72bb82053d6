//! The other side of the pool: a process that runs modules.

use std::io;
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::Duration;

use authlib::protocol::request::{ENUMERATE, Reader};
use authlib::scram::decoys::Decoys;
use authlib::{Modules, Options};
use rustix::net::sockopt::{Timeout, set_socket_timeout};

use crate::environment;
use crate::log;
use crate::modules;
use crate::pipe_face;
use crate::places;

/// The word that makes authdaemond a worker; the modules' names follow.
pub(super) const WORD: &str = "-worker";
/// The word that makes it write one list of accounts to standard output.
pub(super) const LIST: &str = "-list";

/// How long somebody who wanted a list may not read.
const PATIENCE: Duration = Duration::from_secs(30);

/// Answers on standard input and output.
pub(super) fn run(names: &[&str]) -> ExitCode {
    match make(names) {
        Some(mut modules) => pipe_face::serve(&mut modules),
        None => ExitCode::FAILURE,
    }
}

/// Writes a list of all accounts to standard output, a socket.
pub(super) fn list(names: &[&str]) -> ExitCode {
    let Some(mut modules) = make(names) else { return ExitCode::FAILURE };
    let stdout = io::stdout();
    if let Err(error) = set_socket_timeout(stdout.as_fd(), Timeout::Send, Some(PATIENCE)) {
        log::error(&error);
        return ExitCode::FAILURE;
    }
    let mut reader = Reader::new();
    match reader.push(ENUMERATE).and_then(|()| reader.next_question()) {
        Ok(Some(question)) => pipe_face::answer(&mut modules, &question),
        Ok(None) | Err(_) => ExitCode::FAILURE,
    }
}

fn make(names: &[&str]) -> Option<Modules> {
    let list = names.iter().map(|name| modules::called(name)).collect::<Result<_, _>>();
    let list = list.inspect_err(|missing| log::error(missing)).ok()?;
    let modules = Modules::new(list, Options::parse(&environment::octets("DEFAULTOPTIONS")));
    let modules = modules.with_decoys(decoys());
    let renews = environment::number("POSTRIDER_UPGRADE_HASHES") > 0;
    let modules = if renews { modules.renewing() } else { modules };
    let is_traced = environment::number("DEBUG_LOGIN") > 0;
    Some(if is_traced { modules.traced(|line| log::line(format_args!("{line}"))) } else { modules })
}

/// Salts for users who have none. Their key is made at the first question for
/// one, beside the settings; where that is not allowed, beside the socket,
/// which on most machines lasts until it is started anew (ledger 428).
fn decoys() -> Decoys {
    let iterations = u32::try_from(environment::number("SCRAM_ITERATIONS")).ok().filter(|&number| number > 0);
    Decoys::new(places::scramkey().map(|place| place.join("scramkey")).into(), iterations)
}

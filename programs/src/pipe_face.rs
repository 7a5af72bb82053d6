//! Modules on standard input and output: question after question in the
//! language of authdaemond, until the input ends (reference: authlib 13).
//!
//! A worker of our authdaemond is such a program, and so is a module program
//! that is kept alive.

use std::env;
use std::io;
use std::process::ExitCode;

use authlib::Unavailable;
use authlib::modules::{Answer, Modules};
use authlib::protocol::answer::{PIPE, UNAVAILABLE};
use authlib::protocol::request::{Question, Reader, Request};
use authlib::renewal::Renewed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use zeroize::Zeroizing;

use crate::log::{self, Harmless};

/// After so many seconds without a question modules let go of what they hold.
const IDLE: Timespec = Timespec { tv_sec: 300, tv_nsec: 0 };

/// Answers until the input ends; a failure is a request that is none, or an
/// answer that cannot be given to a caller who does not know how to hear it.
#[must_use]
pub fn serve(modules: &mut Modules) -> ExitCode {
    let knows_unavailable = env::var_os(PIPE).is_some();
    modules.prepare().iter().for_each(|trouble| log::error(trouble));
    let mut reader = Reader::new();
    let mut buffer = Zeroizing::new([0; 4096]);
    loop {
        match reader.next_question() {
            Ok(Some(question)) => {
                let answer = modules.answer(&question, &mut |octets| write(octets).is_ok());
                if !say(&question, &answer, knows_unavailable) {
                    return ExitCode::FAILURE;
                }
                modules.catch_up().iter().for_each(log_renewed);
                continue;
            }
            Ok(None) => {}
            Err(malformed) => {
                log::error(&malformed);
                return ExitCode::FAILURE;
            }
        }
        let read = read(&mut buffer[..], modules);
        match read
            .and_then(|octets| reader.push(&buffer[..octets]).map(|()| octets).map_err(io::Error::other))
        {
            Ok(0) => return ExitCode::SUCCESS,
            Ok(_) => {}
            Err(error) => {
                log::error(&error);
                return ExitCode::FAILURE;
            }
        }
    }
}

/// Answers one question alone.
#[must_use]
pub fn answer(modules: &mut Modules, question: &Question) -> ExitCode {
    let answer = modules.answer(question, &mut |octets| write(octets).is_ok());
    if say(question, &answer, false) { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Writes the rest of an answer; whether there can be another one.
fn say(question: &Question, answer: &Answer, knows_unavailable: bool) -> bool {
    if let Some(trouble) = &answer.trouble {
        log_with_user(trouble, &question.request);
    }
    let is_list = matches!(question.request, Request::Enumerate);
    match &answer.octets {
        Some(octets) => write(octets).is_ok(),
        // What was written of a list already must not seem to go on.
        None => knows_unavailable && !is_list && write(UNAVAILABLE).is_ok(),
    }
}

fn log_renewed(Renewed { module, user, outcome }: &Renewed) {
    let user = Harmless(user);
    match outcome {
        Ok(()) => log::line(format_args!("INFO: {module}: the password is stored anew, user={user}")),
        Err(reason) => {
            log::warning(&format_args!("{module}: the password is not stored anew: {reason}, user={user}"));
        }
    }
}

fn log_with_user(trouble: &Unavailable, request: &Request) {
    let of = |user| log::error(&format_args!("{trouble}, user={}", Harmless(user)));
    match request {
        Request::Auth(record) => match (record.claim(), record.wanted_salt()) {
            (Some(claim), _) => of(claim.user()),
            (None, Some(wanted)) => of(&wanted.user),
            (None, None) => log::error(trouble),
        },
        Request::Pre { user, .. } => of(user),
        Request::Passwd(change) => of(change.user()),
        Request::Hopeless | Request::Enumerate => log::error(trouble),
    }
}

fn read(buffer: &mut [u8], modules: &mut Modules) -> io::Result<usize> {
    let stdin = io::stdin();
    loop {
        match poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&IDLE)) {
            Ok(0) => modules.idle(),
            Ok(_) => match rustix::io::read(&stdin, &mut *buffer) {
                Err(rustix::io::Errno::INTR) => {}
                result => return Ok(result?),
            },
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Past the buffer of the standard library, which would keep a copy.
fn write(mut octets: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !octets.is_empty() {
        match rustix::io::write(&stdout, octets) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => octets = &octets[written..],
            Err(rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

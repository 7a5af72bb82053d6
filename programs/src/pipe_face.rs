//! Modules on standard input and output: question after question in the
//! language of authdaemond, until the input ends (reference: authlib 13).
//!
//! A worker of our authdaemond is such a program, and so is a module program
//! that is kept alive.

use std::env;
use std::io;
use std::process::ExitCode;
use std::time::Duration;

use authlib::Unavailable;
use authlib::modules::{Answer, Modules};
use authlib::protocol::answer::{PIPE, UNAVAILABLE};
use authlib::protocol::request::{Question, Reader, Request};
use authlib::renewal::Renewed;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::fs::{OFlags, fcntl_getfl};
use rustix::io::Errno;
use rustix::net::sockopt::{Timeout, set_socket_timeout};
use zeroize::Zeroizing;

use crate::log::{self, Harmless};

/// After so long without a question modules let go of what they hold.
const IDLE: Duration = Duration::from_secs(300);

/// Answers until the input ends; a failure is a request that is none, or an
/// answer that cannot be given to a caller who does not know how to hear it.
#[must_use]
pub fn serve(modules: &mut Modules) -> ExitCode {
    let knows_unavailable = env::var_os(PIPE).is_some();
    modules.prepare().iter().for_each(|trouble| log::error(trouble));
    let mut reader = Reader::new();
    let mut buffer = Zeroizing::new([0; 4096]);
    let ends_by_itself = ends_by_itself();
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
        let read = read(&mut buffer[..], modules, ends_by_itself);
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

/// Waits for the next octets; while none come for long, modules rest.
fn read(buffer: &mut [u8], modules: &mut Modules, ends_by_itself: bool) -> io::Result<usize> {
    let (stdin, idle) = (io::stdin(), Timespec::try_from(IDLE).map_err(io::Error::other)?);
    loop {
        let ready = match ends_by_itself {
            true => Ok(1),
            false => poll(&mut [PollFd::new(&stdin, PollFlags::IN)], Some(&idle)),
        };
        match ready.and_then(|ready| (ready > 0).then(|| rustix::io::read(&stdin, &mut *buffer)).transpose())
        {
            Ok(Some(octets)) => return Ok(octets),
            Ok(None) | Err(Errno::AGAIN) => modules.idle(),
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

/// Whether reading standard input ends after [`IDLE`] where nothing comes: of a
/// socket, as workers have, which spares them a poll(2) for each question.
fn ends_by_itself() -> bool {
    let stdin = io::stdin();
    fcntl_getfl(&stdin).is_ok_and(|flags| !flags.contains(OFlags::NONBLOCK))
        && set_socket_timeout(&stdin, Timeout::Recv, Some(IDLE)).is_ok()
}

/// Past the buffer of the standard library, which would keep a copy.
fn write(mut octets: &[u8]) -> io::Result<()> {
    let stdout = io::stdout();
    while !octets.is_empty() {
        match rustix::io::write(&stdout, octets) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(written) => octets = &octets[written..],
            Err(Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

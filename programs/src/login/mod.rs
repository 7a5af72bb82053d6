//! courierpop3login: the AUTHORIZATION state on standard input and output.
//!
//! It hears the password, and opens no mail: once somebody is accepted, this
//! process becomes, by exec, another program under another user.
//!
//! ```text
//!   login program ──┬─ chain form: record on descriptor 3, exec of the first module; if no module
//!                   │  accepts, this program is exec'ed again and says so    (reference authlib.md 1)
//!                   └─ two words: asks authdaemond, becomes the account's user, execs the mail program
//! ```
//!
//! It takes from the client exactly the lines that it answers. What the client
//! sent behind PASS is still in the socket when the next program starts
//! (ledger 114).

mod attempt;
mod certificate;
pub(crate) mod clock;
pub(crate) mod conversation;
mod enter;
mod referral;
mod session;
pub(crate) mod settings;
mod stls;
mod trace;

use std::env;
use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::process::ExitCode;
use std::time::Duration;

use pop3::Authorization;
use pop3::reply;

use crate::chain::{self, Handover};
use crate::connection::Connection;
use crate::environment;
use crate::forkserver;
use crate::log::{self, Peer};
use crate::proxy;
use attempt::Attempt;
use clock::{AfterFailure, Clock};
use conversation::Conversation;
use session::{Session, Stage};
use settings::Form;

/// How long a client may take none of the few octets that it is sent here.
const PATIENCE: Duration = Duration::from_secs(10);

/// Variables that only this chain may set; what was inherited is forgotten, so
/// that nobody's environment decides about an account (ledger 404).
const OURS_TO_SET: [&str; 6] =
    ["MAILDIR", "OPTIONS", "AUTHADDR", "AUTHFULLNAME", "MAILDIRQUOTA", "AUTHENTICATED"];

/// Runs courierpop3login with the arguments and environment of this process.
#[must_use]
pub fn run() -> ExitCode {
    if let Err(status) = forkserver::await_connection() {
        return status;
    }
    let connection = Connection::inherited();
    let arguments: Vec<OsString> = env::args_os().collect();
    let words = arguments.get(1..).unwrap_or_default().to_vec();
    let Some(form) = Form::from_words(words) else {
        return refuse(&connection, "-ERR pop3login requires at least two arguments.");
    };
    let proxy = match proxy(&form) {
        Ok(proxy) => proxy,
        Err(wrong) => {
            log::error(&wrong);
            return refuse(&connection, reply::TEMPORARY_PROBLEM);
        }
    };
    match handover(&form, &arguments) {
        Ok((handover, again)) => serve(&connection, form, proxy, handover, again),
        Err(error) => {
            log::line(format_args!("courierpop3login: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Whether sessions are on other servers. To log somebody in here whose mail is
/// elsewhere would be a lie.
///
/// # Errors
/// A line for the log: they are, and cannot be forwarded.
fn proxy(form: &Form) -> Result<Option<proxy::Settings>, String> {
    let Some(settings) = proxy::Settings::from_environment()? else { return Ok(None) };
    match form {
        Form::Chain(_) => {
            Err("POP3_PROXY: modules on the command line keep passwords to themselves".to_owned())
        }
        Form::Daemon { .. } if !settings.is_by_password() => {
            Err("POSTRIDER_PROXY_LOGIN: courierpop3login has the clients' passwords alone".to_owned())
        }
        Form::Daemon { .. } => Ok(Some(settings)),
    }
}

/// What the next programs are to find in their environment, and whether a
/// chain has come back to us after a failed login.
fn handover(form: &Form, arguments: &[OsString]) -> Result<(Handover, bool), chain::NotComplete> {
    let (mut handover, again) = match form {
        Form::Chain(_) => (chain::note_arguments(arguments)?, chain::is_rerun()),
        Form::Daemon { .. } => {
            let mut handover = Handover::new();
            handover.remove("AUTHARGC");
            (handover, false)
        }
    };
    for name in OURS_TO_SET {
        handover.remove(name);
    }
    if matches!(form, Form::Chain(_)) {
        handover.set("AUTHENTICATED", "");
    }
    handover.set("PROTOCOL", "POP3");
    Ok((handover, again))
}

fn serve(
    connection: &Connection,
    form: Form,
    proxy: Option<proxy::Settings>,
    mut handover: Handover,
    again: bool,
) -> ExitCode {
    chain::reap_children();
    if again && chain::could_not_tell() {
        return refuse(connection, reply::TEMPORARY_PROBLEM);
    }
    let peer = Peer::from_environment("N/A");
    let attempt = Attempt::noted().filter(|_| again);
    let greeting = match &attempt {
        Some(attempt) => Some(attempt.rejected(&peer)),
        None if again => {
            log::chain_failed(&peer);
            Some(reply::LOGIN_FAILED)
        }
        None => None,
    };
    let mut clock = if again { Clock::noted() } else { Clock::start() };
    match again.then(|| clock.penalty()) {
        None | Some(AfterFailure::Again) => {}
        Some(AfterFailure::Enough) => {
            let status = refuse(connection, reply::TOO_MANY_FAILURES);
            log::disconnected(&peer);
            return status;
        }
        Some(AfterFailure::TooLate) => return ExitCode::FAILURE,
    }
    clock.note(&mut handover);
    let couriertls = settings::couriertls();
    let utf8 = again && environment::number("UTF8") != 0;
    let certificate_name = certificate::inherited();
    let timestamp = settings::timestamp(again);
    if let Some(timestamp) = &timestamp {
        handover.set(settings::TIMESTAMP, OsStr::from_bytes(timestamp));
    }
    let offer =
        settings::offer(form.mechanisms(), couriertls.is_some(), certificate_name.is_some(), timestamp);
    let mut authorization = Authorization::new(offer).with_utf8(utf8);
    if let Some(Attempt::Pass(user)) = &attempt {
        authorization = authorization.with_user(user.clone());
    }
    let can_serve = form.mechanisms();
    let conversation = Conversation::new(authorization, can_serve, settings::service(), peer)
        .over(session::channel(certificate_name));
    let session = Session {
        connection,
        conversation,
        clock,
        form,
        handover,
        couriertls,
        proxy,
        accepted: None,
        begun: None,
        stage: Stage::Open,
        out: Vec::new(),
    };
    session.run(greeting, attempt.as_ref())
}

/// Says why there is no session, and gives the exit status.
fn refuse(connection: &Connection, sentence: &str) -> ExitCode {
    let mut out = Vec::new();
    reply::put(sentence, &mut out);
    connection.say_farewell(&mut out, PATIENCE);
    ExitCode::FAILURE
}

//! authtest(1) and authenumerate(1): ask authdaemond by hand (reference:
//! authlib 17).

use std::env;
use std::ffi::OsString;
use std::io::{self, BufWriter, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::process::ExitCode;

use authlib::daemon::Daemon;
use authlib::printable::printable;
use authlib::{Account, Changed, Client, Entry, Module, PasswordChange, Record, Unavailable, Verdict};
use zeroize::Zeroizing;

use crate::prompt::{self, Echo};
use crate::{environment, log, places};

const AUTHTEST: &str = "\
Usage: authtest [-s service] user [password [new password]]

A password that is - is asked for.
";
const AUTHENUMERATE: &str = "Usage: authenumerate [-s] [-o]\n";

/// Whose session authtest asks for, unless TCPREMOTEIP says it.
const LOCALHOST: &[u8] = b"::1";

/// Runs authtest.
#[must_use]
pub fn authtest() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let (service, words) = match words.as_slice() {
        [option, service, rest @ ..] if option == "-s" => (service.as_bytes(), rest),
        rest => (b"login".as_slice(), rest),
    };
    match words {
        [user, passwords @ ..] if !user.as_bytes().starts_with(b"-") && passwords.len() <= 2 => {
            match passwords.iter().map(password).collect::<io::Result<Vec<_>>>() {
                Ok(passwords) => test(service, user.as_bytes(), &passwords),
                Err(error) => failed(&error),
            }
        }
        _ => usage(AUTHTEST),
    }
}

/// The word itself, or what is typed for a `-`: others can see the words of a
/// command line (ledger 620).
fn password(word: &OsString) -> io::Result<Zeroizing<Vec<u8>>> {
    if word != "-" {
        return Ok(Zeroizing::new(word.clone().into_vec()));
    }
    prompt::line("Password: ", Echo::Hidden)?.ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
}

fn test(service: &[u8], user: &[u8], passwords: &[Zeroizing<Vec<u8>>]) -> ExitCode {
    let mut daemon = daemon();
    let ip = environment::non_empty("TCPREMOTEIP");
    let client = match Client::at(ip.as_ref().map_or(LOCALHOST, |ip| ip.as_bytes())) {
        Ok(client) => client,
        Err(reason) => return failed(&reason),
    };
    match passwords {
        [] => shown(&daemon.look_up(service, user, &client)),
        [password] => match Record::login(service, user, password) {
            Ok(record) => shown(&daemon.authenticate(&record, &client)),
            Err(refused) => failed(&refused),
        },
        [old, new, ..] => match PasswordChange::new(service, user, old, new) {
            Ok(change) => changed(daemon.change_password(&change)),
            Err(refused) => failed(&refused),
        },
    }
}

fn shown(verdict: &Verdict) -> ExitCode {
    match verdict {
        Verdict::Accept(account) => match io::stdout().write_all(&text(account)) {
            Ok(()) => ExitCode::SUCCESS,
            Err(error) => failed(&error),
        },
        Verdict::Reject => no(),
        Verdict::Unavailable(reason) => unavailable(reason),
    }
}

fn changed(changed: Changed) -> ExitCode {
    match changed {
        Changed::Done => {
            log::line(format_args!("Password change succeeded."));
            ExitCode::SUCCESS
        }
        Changed::Reject => no(),
        Changed::Unavailable(reason) => unavailable(&reason),
    }
}

fn no() -> ExitCode {
    log::line(format_args!("Authentication FAILED: Operation not permitted"));
    ExitCode::FAILURE
}

fn unavailable(reason: &Unavailable) -> ExitCode {
    log::line(format_args!("Authentication FAILED: Input/output error"));
    log::line(format_args!("({reason})"));
    ExitCode::FAILURE
}

fn failed(reason: &dyn std::fmt::Display) -> ExitCode {
    log::line(format_args!("Authentication FAILED: {reason}"));
    ExitCode::FAILURE
}

fn usage(text: &str) -> ExitCode {
    let _ = io::stderr().write_all(text.as_bytes());
    ExitCode::FAILURE
}

/// What Courier's authtest shows of an account.
fn text(account: &Account) -> Zeroizing<Vec<u8>> {
    let ids = format!("  (uid {}, gid {})", account.ids.uid(), account.ids.gid());
    let secret = |secret: &'_ Option<authlib::Secret>| {
        Zeroizing::new(secret.as_ref().map(|secret| secret.expose().to_vec()).unwrap_or_default())
    };
    let (stored, clear) = (secret(&account.stored_password), secret(&account.clear_password));
    let maildir = account.maildir.as_ref().map(|path| path.as_os_str().as_bytes());
    let address = [account.address.as_slice(), ids.as_bytes()].concat();
    let lines = [
        ("     Authenticated", address.as_slice()),
        ("    Home Directory", account.home.as_os_str().as_bytes()),
        ("           Maildir", maildir.unwrap_or_default()),
        ("             Quota", account.quota.as_deref().unwrap_or_default()),
        ("Encrypted Password", &stored),
        ("Cleartext Password", &clear),
        ("           Options", account.options.as_bytes()),
    ];
    let mut text = Zeroizing::new(Vec::with_capacity(16 * 1024));
    text.extend_from_slice(b"Authentication succeeded.\n\n");
    for (label, value) in lines {
        let value = if value.is_empty() { b"(none)" } else { value };
        [label.as_bytes(), b": ", value, b"\n"].iter().for_each(|part| text.extend_from_slice(part));
    }
    text
}

/// Runs authenumerate.
#[must_use]
pub fn authenumerate() -> ExitCode {
    let (mut shared_only, mut with_options) = (false, false);
    for word in env::args_os().skip(1) {
        match word.as_bytes() {
            b"-s" => shared_only = true,
            b"-o" => with_options = true,
            _ => return usage(AUTHENUMERATE),
        }
    }
    let mut output = BufWriter::new(io::stdout().lock());
    let mut each = |entry: &Entry| {
        (shared_only && entry.options.is_on("disableshared"))
            || output.write_all(&line(entry, with_options)).is_ok()
    };
    let listed = daemon().enumerate(&mut each);
    match (listed, output.flush()) {
        (Ok(()), Ok(())) => ExitCode::SUCCESS,
        (Err(reason), _) => {
            log::line(format_args!("authenumerate: {}", printable(reason.to_string().as_bytes())));
            ExitCode::FAILURE
        }
        (Ok(()), Err(error)) => failed(&error),
    }
}

fn line(entry: &Entry, with_options: bool) -> Vec<u8> {
    let (uid, gid) = (entry.uid.to_string(), entry.gid.to_string());
    let maildir = entry.maildir.as_ref().map(|path| path.as_os_str().as_bytes()).unwrap_or_default();
    let home = entry.home.as_os_str().as_bytes();
    let mut fields = vec![entry.name.as_slice(), uid.as_bytes(), gid.as_bytes(), home, maildir];
    if with_options {
        fields.push(entry.options.as_bytes());
    }
    let mut line = fields.join(&b'\t');
    line.push(b'\n');
    line
}

fn daemon() -> Daemon {
    Daemon::on(places::authdaemon_socket(), environment::daemon_timeouts())
}

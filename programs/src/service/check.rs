//! `postrider check`: every setting that was found and what becomes of it; and
//! whether the service would serve with them, tried where that harms nobody.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::Write;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use authlib::printable::{printable, reason};

use super::listen::{Listener, Manner};
use super::monitor::{self, Beside, Certificate, Isolation, Keeping, Proxy};
use super::options::{self, Options};
use super::settings::{self, Reader, Settings, Status, called, page, says_nothing};
use super::sockets::Sockets;
use super::{certificate, client_certificates, command, directory, serve, trial};
use crate::{environment, proxy};

/// How long modules may take to answer.
const PATIENCE: Duration = Duration::from_secs(60);
/// The programs that the service is made of.
const PROGRAMS: [&str; 3] = ["postrider-auth", "postrider-front", "postrider-mailbox"];
/// Settings that are never shown.
const SECRETS: [&str; 1] = ["PGPASSWORD"];

/// How it is called.
pub(super) fn usage() -> String {
    format!(
        "Usage: postrider check [OPTION]…
       postrider check --sample         a postrider.toml with every key
       postrider check --settings       every setting, as a page of Markdown

{}
It takes the options of postrider serve, shows what they and the files say, and
tries directory, certificate, modules and ports. The exit status is 1 if
something would not work.
",
        options::USAGE
    )
}

/// Runs it with the words behind `postrider check`.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    if let [word] = words {
        match word.to_str() {
            Some("--sample") => return command::say(&page::sample()),
            Some("--settings") => return command::say(&page::page()),
            _ => {}
        }
    }
    let options = match Options::parse(words) {
        Ok(options) => options,
        Err(wrong) => return command::wrong(&wrong, &usage()),
    };
    let good = match settings::read(&options) {
        Ok(settings) => {
            show(&settings);
            environment::instead(settings.variables());
            try_everything(&settings)
        }
        Err(wrong) => say("settings", Err(wrong)),
    };
    if good { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Says what was tried and how it went; whether it went well.
pub(super) fn say(what: &str, outcome: Result<String, String>) -> bool {
    let (word, text) = match &outcome {
        Ok(text) => ("ok   ", text),
        Err(text) => ("WRONG", text),
    };
    line(&format!("{word} {what}: {}", printable(text.as_bytes())));
    outcome.is_ok()
}

fn line(text: &str) {
    let _ = writeln!(std::io::stdout(), "{text}");
}

/// One line for each setting: what it is, where it comes from, what becomes of it.
fn show(settings: &Settings) {
    for (name, value) in settings.all() {
        let setting = called(name);
        let shown = match setting {
            _ if SECRETS.contains(&name) => "(not shown)".to_owned(),
            // What nobody knows may be a password.
            None => "(not shown)".to_owned(),
            Some(_) => printable(value.text.as_encoded_bytes()),
        };
        let fate = match setting.map(|setting| setting.status) {
            Some(Status::Honoured) => "honoured".to_owned(),
            Some(Status::Mapped(what)) => format!("mapped: {what}"),
            Some(Status::Needless(why)) => format!("not needed: {why}"),
            Some(Status::Unsupported(_) | Status::Refused(_))
                if setting.is_some_and(|setting| says_nothing(setting, &value.text)) =>
            {
                "it asks for nothing".to_owned()
            }
            Some(Status::Unsupported(why)) => format!("not supported: {why}"),
            Some(Status::Refused(why)) => format!("refused: {why}"),
            None => "not known".to_owned(),
        };
        let fate = fate.replace('`', "");
        line(&format!("      {}={shown} ({}): {fate}", printable(name.as_bytes()), value.source));
    }
}

/// Tries everything, whatever of it fails; whether all is well.
fn try_everything(settings: &Settings) -> bool {
    let refusals = settings.refusals();
    let mut good = refusals.is_empty();
    for refusal in refusals {
        say("settings", Err(refusal));
    }
    let certificate = serve::certificate(settings);
    good &= say("directory", usable(settings.directory()));
    for name in PROGRAMS {
        good &= say("program", installed(name));
    }
    good &= say(
        "isolation",
        Isolation::from_environment().map(|isolation| format!("{isolation:?}").to_lowercase()),
    );
    if certificate.is_some() {
        let keeping = Keeping::of(settings, settings.directory());
        good &= say("tickets", keeping.map(|keeping| keeping.to_string()));
    }
    if let Some(own) = certificate::own(settings) {
        good &= say("certificate", certificate::look(&own));
    } else if let Some(certificate) = &certificate {
        good &= say("certificate", certificate::check(&certificate.chain, &certificate.key));
        match certificate.beside() {
            Ok(others) => {
                let check = |one: Beside| say("certificate", certificate::check(&one.chain, &one.key));
                good &= others.into_iter().map(check).fold(true, |all, one| all & one);
            }
            Err(wrong) => good &= say("certificate", Err(wrong)),
        }
        good &= say("TLS", try_tls(settings, certificate));
    }
    good &= try_proxy();
    good &= try_ports(settings, certificate.is_some());
    good & try_modules(settings)
}

/// Whether the directory is there, or can be made, and is for nobody to write in
/// who could let himself in so.
fn usable(directory: &Path) -> Result<String, String> {
    let shown = directory.display();
    let metadata = match fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let above = directory.ancestors().skip(1).find(|above| above.exists());
            let can =
                above.is_some_and(|above| rustix::fs::access(above, rustix::fs::Access::WRITE_OK).is_ok());
            return if can {
                Ok(format!("{shown} will be made"))
            } else {
                Err(format!("{shown} cannot be made"))
            };
        }
        Err(error) => return Err(format!("{shown}: {}", reason(&error))),
    };
    if !metadata.is_dir() {
        return Err(format!("{shown} is no directory"));
    }
    if metadata.mode() & 0o002 != 0 {
        return Err(format!("{shown} is writable by everybody, who could make accounts there"));
    }
    let userdb = directory::userdb(directory);
    match fs::metadata(&userdb) {
        Ok(metadata) if metadata.is_file() && metadata.mode() & 0o077 != 0 => {
            Err(format!("{} can be read by others, and hashes are in it", userdb.display()))
        }
        _ => {
            let readable = fs::read_dir(directory).map_err(|error| format!("{shown}: {}", reason(&error)));
            readable.map(|_| shown.to_string())
        }
    }
}

/// Tries what fronts would be given, as they would.
fn try_tls(settings: &Settings, certificate: &Certificate) -> Result<String, String> {
    let certificate = Certificate { authorities: client_certificates::trusted()?, ..certificate.clone() };
    let programs = programs().ok_or("where are the programs?")?;
    let environment = settings.environment(Reader::Front, settings.directory());
    monitor::try_out(&certificate, &programs, &environment)?;
    Ok(match &certificate.authorities {
        None => "clients are not asked for certificates".to_owned(),
        Some(path) => format!("{} says who may sign clients' certificates", path.display()),
    })
}

fn installed(name: &str) -> Result<String, String> {
    let path = programs().map(|programs| programs.join(name)).ok_or("where are the programs?")?;
    match rustix::fs::access(&path, rustix::fs::Access::EXEC_OK) {
        Ok(()) => Ok(path.display().to_string()),
        Err(error) => Err(format!("{}: {}", path.display(), reason(&error.into()))),
    }
}

fn programs() -> Option<PathBuf> {
    env::current_exe().ok()?.parent().map(PathBuf::from)
}

/// Looks for what accounts need whose mail is on other servers, if there are any.
fn try_proxy() -> bool {
    match proxy::Settings::from_environment() {
        Ok(None) => true,
        Ok(Some(settings)) => {
            let program = say("program", installed("postrider-proxy"));
            say("proxy", Proxy::new(settings).check()) && program
        }
        Err(wrong) => say("proxy", Err(wrong)),
    }
}

/// Opens every socket, and closes it again.
fn try_ports(settings: &Settings, has_tls: bool) -> bool {
    let addresses = match serve::addresses(settings, has_tls, false) {
        Ok(addresses) => addresses,
        Err(wrong) => return say("addresses", Err(wrong)),
    };
    let mut good = true;
    for (address, implicit_tls) in addresses {
        let manner = Manner { implicit_tls, ..Manner::default() };
        let opened = Listener::open(address, manner, &mut Sockets::default());
        good &= say("address", opened.map(|listener| listener.to_string()));
    }
    good
}

/// Has postrider-auth try them, which says how that went.
fn try_modules(settings: &Settings) -> bool {
    let directory = settings.directory();
    let directory = fs::canonicalize(directory).unwrap_or_else(|_| directory.to_owned());
    let tried = programs().ok_or_else(|| "where are the programs?".to_owned()).and_then(|programs| {
        let mut command = Command::new(programs.join("postrider-auth"));
        command.arg(trial::WORD).env_clear().envs(settings.environment_of_modules(&directory));
        let mut child = command.stdin(Stdio::null()).spawn().map_err(|error| reason(&error))?;
        let end = Instant::now() + PATIENCE;
        loop {
            match child.try_wait() {
                Ok(Some(status)) => return Ok(status.success()),
                Ok(None) if Instant::now() < end => std::thread::sleep(Duration::from_millis(20)),
                Ok(None) | Err(_) => {
                    let _it_has_ended = child.kill();
                    let _it_was_killed = child.wait();
                    return Err(format!("no answer in {} s", PATIENCE.as_secs()));
                }
            }
        }
    });
    tried.unwrap_or_else(|wrong| say("modules", Err(wrong)))
}

//! `postrider serve`: reads what the service is to be, opens its sockets, and
//! becomes the monitor.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::Write;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use authlib::printable::reason;

use super::demo::{self, Demo};
use super::front::proxied::Trust;
use super::limits::Limits;
use super::listen::{self, Address, Listener, Manner};
use super::monitor::{Certificate, Environments, Heir, Isolation, Keeping, Monitor, Plan, Proxy};
use super::options::{self, Options};
use super::settings::{self, Reader, Settings};
use super::sockets::Sockets;
use super::succession::{self, Inheritance};
use super::{certificate, client_certificates, command, confinement, directory};
use crate::{environment, log, proxy};

/// How it is called.
pub(super) fn usage() -> String {
    format!(
        "Usage: postrider serve [--directory DIR | --courier DIR | --config FILE] [--listen ADDRESS]…
                       [--certificate FILE [--key FILE] [--listen-tls ADDRESS]…]
       postrider serve --demo

{}  --demo                      a throw-away account with sample mail, in a directory
                              of its own, until Ctrl-C

An ADDRESS is IP:PORT, *:PORT, unix:/PATH or unix:MODE:/PATH, or a list of such
and of what couriertcpd takes. Sockets that systemd passes are listened at too.
Without any it listens at 127.0.0.1:1110, and at 127.0.0.1:1995 for clients that
begin with TLS, with a certificate of its own if none is named; with --courier at
PORT and SSLPORT.
",
        options::USAGE
    )
}

/// Runs it with the words behind `postrider serve`.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    if matches!(words, [word] if word == demo::OPTION) {
        return match demonstrate() {
            Ok(()) => ExitCode::SUCCESS,
            Err(reason) => {
                log::error(&format_args!("postrider: {reason}"));
                ExitCode::FAILURE
            }
        };
    }
    match Options::parse(words).map(serve_with_an_heir) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(reason)) => {
            log::error(&format_args!("postrider: {reason}"));
            ExitCode::FAILURE
        }
        Err(wrong) => command::wrong(&wrong, &usage()),
    }
}

/// Serves a throw-away account.
fn demonstrate() -> Result<(), String> {
    let demo = Demo::make()?;
    let options = Options::parse(&demo.words())?;
    let _nobody_may_read_it = std::io::stdout().write_all(demo.text().as_bytes());
    serve(options, None)
}

fn serve_with_an_heir(options: Options) -> Result<(), String> {
    let heir = Heir::of_this_process().map_err(|error| reason(&error))?;
    serve(options, Some(heir))
}

/// Serves until it is told to end, or its `heir` follows it.
///
/// # Errors
/// A line for the log.
fn serve(options: Options, heir: Option<Heir>) -> Result<(), String> {
    system::process::standard_signals().map_err(|error| reason(&error))?;
    // What whoever starts us has left open is not for fronts.
    system::process::seal_descriptors().map_err(|error| reason(&error))?;
    let inheritance = succession::inheritance()?;
    let predecessor = inheritance.predecessor.clone();
    let ended = monitor(options, inheritance, heir).and_then(Monitor::run);
    if let (Err(reason), Some(predecessor)) = (&ended, predecessor) {
        predecessor.is_not_followed(reason);
    }
    ended
}

/// The monitor that serves what is there by these options.
///
/// # Errors
/// A line for the log.
fn monitor(options: Options, mut inheritance: Inheritance, heir: Option<Heir>) -> Result<Monitor, String> {
    let settings = read(&options)?;
    environment::instead(settings.variables());
    confinement::announce()?;
    let passed = std::mem::take(&mut inheritance.passed);
    let read = move |open| {
        let settings = read(&options)?;
        settings.warnings().iter().for_each(|warning| log::warning(warning));
        environment::with(settings.variables(), || plan(&settings, &passed, open))
    };
    Monitor::new(Box::new(read), inheritance, heir)
}

/// The settings as they are now. This process does not go by them yet.
///
/// # Errors
/// A line for the log.
fn read(options: &Options) -> Result<Settings, String> {
    let settings = settings::read(options)?;
    if let Some(refused) = settings.refusals().first() {
        return Err(refused.clone());
    }
    Ok(settings)
}

/// What the service is to be by these settings. Those listening sockets that are
/// `open` already are kept.
///
/// # Errors
/// A line for the log.
fn plan(settings: &Settings, passed: &[Listener], open: Sockets) -> Result<Plan, String> {
    let directory = directory::make(settings.directory())?;
    let programs = env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    let own_certificate = certificate::own(settings);
    if let Some(made) = own_certificate.as_deref().map(certificate::keep).transpose()?.flatten() {
        log::line(format_args!("INFO: a certificate was made: {made}"));
    }
    let mut certificate = certificate(settings);
    if let Some(certificate) = &mut certificate {
        certificate.authorities = client_certificates::trusted()?;
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let environment = |reader| settings.environment(reader, &directory);
    let (front, auth, mailbox) =
        (environment(Reader::Front), environment(Reader::Auth), environment(Reader::Mailbox));
    let proxy = environment(Reader::Proxy);
    let listeners = listeners(settings, certificate.is_some(), passed, open)?;
    let first = listeners.iter().filter(|listener| listener.manner == Manner::default());
    let hint = first.filter_map(|listener| listener.bound.port()).next();
    let hint = hint.and_then(|address| directory::hint(&directory, address, own_certificate.as_deref()));
    Ok(Plan {
        programs: programs.ok_or("where are the other programs?")?,
        fronts: cores,
        isolation: Isolation::from_environment()?,
        shards: cores as u64,
        listeners,
        own_certificate,
        looks_every: seconds(settings, "POSTRIDER_TLS_LOOK_EVERY")?,
        tickets: if certificate.is_some() { Keeping::of(settings, &directory)? } else { Keeping::Nowhere },
        certificate,
        proxy: proxy::Settings::from_environment()?.map(Proxy::new),
        maildir: settings.get("MAILDIRPATH").map_or_else(|| "Maildir".into(), PathBuf::from),
        environments: Environments { front, auth, mailbox, proxy, directory },
        variables: settings.variables(),
        patience: seconds(settings, "POSTRIDER_READY_WITHIN")?,
        farewell: seconds(settings, "POSTRIDER_FAREWELL")?,
        limits: Limits::from_environment()?,
        hint,
    })
}

/// The seconds that the setting `name` says.
///
/// # Errors
/// A line for the log: it says something else.
pub(super) fn seconds(settings: &Settings, name: &str) -> Result<Duration, String> {
    let text = settings.get(name).map(OsStr::to_string_lossy).unwrap_or_default();
    let seconds: u32 = text.parse().map_err(|_| format!("{name}={text} is no number of seconds"))?;
    Ok(Duration::from_secs(seconds.into()))
}

/// The certificate that TLS_CERTFILE names, else the service's own, if it has
/// one.
pub(super) fn certificate(settings: &Settings) -> Option<Certificate> {
    let named = settings.get("TLS_CERTFILE").map(PathBuf::from);
    let chain = named.or_else(|| certificate::own(settings))?;
    let key = settings.get("TLS_PRIVATE_KEYFILE").map_or_else(|| chain.clone(), PathBuf::from);
    Some(Certificate { chain, key, authorities: None })
}

/// All sockets to listen at: those that were passed and those that are named,
/// or the usual ones.
fn listeners(
    settings: &Settings,
    has_tls: bool,
    passed: &[Listener],
    mut open: Sockets,
) -> Result<Vec<Listener>, String> {
    let copies = passed.iter().map(|listener| listener.try_clone().map_err(|error| reason(&error)));
    let mut listeners: Vec<Listener> = copies.collect::<Result<_, _>>()?;
    if !has_tls && listeners.iter().any(|listener| listener.manner.implicit_tls) {
        return Err("a socket for TLS was passed, and there is no certificate (TLS_CERTFILE)".to_owned());
    }
    let proxied = listen::Proxied::from_environment()?;
    Trust::from_environment()?;
    for listener in &mut listeners {
        listener.manner.proxied |= proxied.has(&listener.address);
    }
    for (address, implicit_tls) in addresses(settings, has_tls, !listeners.is_empty())? {
        let manner = Manner { implicit_tls, proxied: proxied.has(&address) };
        listeners.push(Listener::open(address, manner, &mut open)?);
    }
    Ok(listeners)
}

/// Where it listens for clients that begin with TLS if nobody says otherwise.
const USUAL_TLS: &str = "127.0.0.1:1995";

/// Where to listen, and whether clients begin with TLS there. Sockets that were
/// `passed` are instead of the usual places.
///
/// # Errors
/// A line for the log: an address is none, or there is none at all, or TLS is
/// wanted and there is no certificate.
pub(super) fn addresses(
    settings: &Settings,
    has_tls: bool,
    passed: bool,
) -> Result<Vec<(Address, bool)>, String> {
    let named = ["POSTRIDER_LISTEN", "POSTRIDER_LISTEN_TLS"];
    let is_named = named.iter().any(|name| settings.is_set(name));
    let mut found = Vec::new();
    for (index, name) in named.into_iter().enumerate() {
        let implicit_tls = index == 1;
        let place = if is_named {
            settings.is_set(name).then_some((name, None))
        } else if settings.are_couriers() {
            couriers(settings, implicit_tls)
        } else {
            (!passed && (has_tls || !implicit_tls)).then_some((name, None))
        };
        let Some((name, address)) = place else { continue };
        let list = settings.get(name).unwrap_or_else(|| USUAL_TLS.as_ref());
        let list = Address::list(list, address.and_then(|address| settings.get(address)));
        let list = list.map_err(|wrong| format!("{name} ({}): {wrong}", settings.source(name)))?;
        if implicit_tls && !has_tls {
            return Err(format!("{name} wants a certificate (TLS_CERTFILE)"));
        }
        found.extend(list.into_iter().map(|address| (address, implicit_tls)));
    }
    if found.is_empty() && !passed {
        return Err("POP3DSTART and POP3DSSLSTART are both NO: there is nowhere to listen".to_owned());
    }
    Ok(found)
}

/// The variables that say where Courier listens, if it is to.
fn couriers(settings: &Settings, implicit_tls: bool) -> Option<(&'static str, Option<&'static str>)> {
    let (start, port, address) = match implicit_tls {
        false => ("POP3DSTART", "PORT", "ADDRESS"),
        true => ("POP3DSSLSTART", "SSLPORT", "SSLADDRESS"),
    };
    settings.is_yes(start).then_some((port, Some(address)))
}

#[cfg(test)]
mod tests {
    use super::{addresses, certificate};
    use crate::service::options::Options;
    use crate::service::settings::{self, Settings};
    use std::ffi::OsString;

    fn settings(words: &[&str]) -> Settings {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        settings::read(&Options::parse(&words).unwrap()).unwrap()
    }

    fn places(words: &[&str], has_tls: bool, passed: bool) -> Result<Vec<String>, String> {
        let settings = settings(&[&["--directory", "/nowhere"], words].concat());
        let found = addresses(&settings, has_tls, passed)?;
        Ok(found
            .into_iter()
            .map(|(address, tls)| format!("{address}{}", if tls { " TLS" } else { "" }))
            .collect())
    }

    #[test]
    fn with_a_certificate_it_listens_for_tls_too() {
        assert_eq!(places(&[], false, false).unwrap(), ["127.0.0.1:1110"]);
        assert_eq!(places(&[], true, false).unwrap(), ["127.0.0.1:1110", "127.0.0.1:1995 TLS"]);
        assert_eq!(places(&["--listen-tls", "[::1]:995"], true, false).unwrap(), ["[::1]:995 TLS"]);
        assert!(places(&[], true, true).unwrap().is_empty());
    }

    #[test]
    fn what_is_no_address_is_said_and_where_it_stands() {
        assert_eq!(
            places(&["--listen", "[::1]:110,::1.111", "--listen", "127.0.0.1:0"], false, false)
                .unwrap()
                .len(),
            3
        );
        let wrong = places(&["--listen", "host:110"], false, false).unwrap_err();
        assert_eq!(wrong, "POSTRIDER_LISTEN (--listen): Invalid port: host:110");
        let wrong = places(&["--listen-tls", "127.0.0.1:0"], false, false).unwrap_err();
        assert_eq!(wrong, "POSTRIDER_LISTEN_TLS wants a certificate (TLS_CERTFILE)");
    }

    #[test]
    fn a_certificate_of_its_own_has_who_names_none_and_is_not_told_to_do_without() {
        let of = |words: &[&str]| certificate(&settings(&[&["--directory", "/nowhere"], words].concat()));
        let own = Some("/nowhere/pop3d.pem");
        assert_eq!(of(&[]).unwrap().chain.to_str(), own);
        assert_eq!(
            of(&["--listen", "127.0.0.1:1", "--listen-tls", "127.0.0.1:2"]).unwrap().key.to_str(),
            own
        );
        assert!(of(&["--listen", "127.0.0.1:1"]).is_none());
    }

    #[test]
    fn a_key_may_be_in_the_file_of_its_certificate() {
        let words = ["--directory", "/nowhere", "--certificate", "/both.pem"];
        assert_eq!(certificate(&settings(&words)).unwrap().key.to_str(), Some("/both.pem"));
        let words = [&words[..], &["--key", "/key.pem"]].concat();
        assert_eq!(certificate(&settings(&words)).unwrap().key.to_str(), Some("/key.pem"));
    }
}

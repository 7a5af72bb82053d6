//! `postrider serve`: reads what the service is to be, opens its sockets, and
//! becomes the monitor.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use authlib::printable::reason;

use super::front::proxied::Trust;
use super::listen::{self, Address, Listener, Manner};
use super::monitor::{Certificate, Isolation, Monitor, Plan};
use super::{command, confinement, directory};
use crate::log;
use crate::tcpd::ports::Place;

pub(super) const USAGE: &str = "\
Usage: postrider serve [--directory DIR] [--listen ADDRESS]…
                       [--certificate FILE [--key FILE] [--listen-tls ADDRESS]…]

  --directory DIR             accounts (userdb) and settings; otherwise
                              $XDG_DATA_HOME/postrider or ~/.local/share/postrider
  --listen ADDRESS            where to listen; STLS is offered there if there is
                              a certificate
  --listen-tls ADDRESS        where to listen for clients that begin with TLS
  --certificate FILE          certificate chain, in PEM; otherwise TLS_CERTFILE
  --key FILE                  its private key, in PEM; otherwise
                              TLS_PRIVATE_KEYFILE, or the certificate's file

An ADDRESS is IP:PORT, *:PORT, unix:/PATH or unix:MODE:/PATH, or a list of such
and of what couriertcpd takes. Sockets that systemd passes are listened at too.
Without any it listens at 127.0.0.1:1110, and with a certificate also at
127.0.0.1:1995 for clients that begin with TLS.
";

/// Where the service listens if nobody says otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1110);
/// And where for clients that begin with TLS.
const USUAL_TLS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1995);

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: PathBuf,
    listen: Vec<Address>,
    listen_tls: Vec<Address>,
    certificate: Option<Certificate>,
}

/// Runs it with the words behind `postrider serve`.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    match Options::parse(words).map(serve) {
        Ok(Ok(())) => ExitCode::SUCCESS,
        Ok(Err(reason)) => {
            log::error(&format_args!("postrider: {reason}"));
            ExitCode::FAILURE
        }
        Err(wrong) => command::wrong(&wrong, USAGE),
    }
}

impl Options {
    /// # Errors
    /// What is wrong with them.
    fn parse(words: &[OsString]) -> Result<Options, String> {
        let (mut directory, mut listen, mut listen_tls) = (None, Vec::new(), Vec::new());
        let (mut chain, mut key) = (set("TLS_CERTFILE"), set("TLS_PRIVATE_KEYFILE"));
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| format!("{} wants a value", word.to_string_lossy()));
            match word.to_str() {
                Some("--directory") => directory = Some(PathBuf::from(value()?)),
                Some("--listen") => listen.extend(addresses(value()?)?),
                Some("--listen-tls") => listen_tls.extend(addresses(value()?)?),
                Some("--certificate") => chain = Some(PathBuf::from(value()?)),
                Some("--key") => key = Some(PathBuf::from(value()?)),
                _ => return Err(format!("what is {}?", word.to_string_lossy())),
            }
        }
        let certificate = chain.map(|chain| {
            let key = key.unwrap_or_else(|| chain.clone());
            Certificate { chain, key }
        });
        if certificate.is_none() && !listen_tls.is_empty() {
            return Err("--listen-tls wants a --certificate".to_owned());
        }
        let directory = directory.or_else(directory::usual).ok_or(directory::NOWHERE)?;
        Ok(Options { directory, listen, listen_tls, certificate })
    }
}

fn addresses(list: &OsString) -> Result<Vec<Address>, String> {
    Address::list(list, None).map_err(|wrong| wrong.to_string())
}

/// The path in a variable.
fn set(name: &str) -> Option<PathBuf> {
    env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from)
}

/// Serves until it is told to end.
///
/// # Errors
/// A line for the log.
fn serve(options: Options) -> Result<(), String> {
    system::process::standard_signals().map_err(|error| error.to_string())?;
    // What whoever starts us has left open is not for fronts.
    system::process::seal_descriptors().map_err(|error| error.to_string())?;
    let isolation = Isolation::from_environment()?;
    confinement::announce()?;
    let directory = directory::make(&options.directory)?;
    let programs = env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    if let Some(certificate) = &options.certificate {
        certificate.open()?;
    }
    let listeners = listeners(&options)?;
    let listening: Vec<String> = listeners.iter().map(ToString::to_string).collect();
    let first = listeners.iter().filter(|listener| listener.manner == Manner::default());
    let hint = first.filter_map(|listener| listener.address.port()).next();
    let hint = hint.and_then(|address| directory::hint(&directory, address));
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut environment: Vec<(OsString, OsString)> =
        env::vars_os().filter(|variable| !listen::is_about_passed(variable)).collect();
    environment.push(("POSTRIDER_SYSCONFDIR".into(), directory.clone().into()));
    let plan = Plan {
        programs: programs.ok_or("where are the other programs?")?,
        fronts: cores,
        isolation,
        shards: cores as u64,
        listeners,
        certificate: options.certificate,
        maildir: PathBuf::from("Maildir"),
        environment,
    };
    let monitor = Monitor::new(plan).map_err(|error| reason(&error))?;
    for listener in listening {
        log::line(format_args!("INFO: listening on {listener}"));
    }
    if let Some(hint) = hint {
        log::line(format_args!("INFO: {hint}"));
    }
    monitor.run().map_err(|error| reason(&error))
}

/// All sockets to listen at: those that were passed and those that are named,
/// or the usual ones.
fn listeners(options: &Options) -> Result<Vec<Listener>, String> {
    let mut listeners = listen::passed()?;
    let has_tls = options.certificate.is_some();
    if !has_tls && listeners.iter().any(|listener| listener.manner.implicit_tls) {
        return Err("a socket for TLS was passed, and there is no --certificate".to_owned());
    }
    let proxied = listen::Proxied::from_environment()?;
    Trust::from_environment()?;
    for listener in &mut listeners {
        listener.manner.proxied |= proxied.has(&listener.address);
    }
    let named = [(options.listen.clone(), false), (options.listen_tls.clone(), true)];
    let is_told = !listeners.is_empty() || named.iter().any(|(addresses, _)| !addresses.is_empty());
    let wanted = if is_told { named } else { usual(has_tls) };
    for (addresses, implicit_tls) in wanted {
        for address in addresses {
            let manner = Manner { implicit_tls, proxied: proxied.has(&address) };
            listeners.push(Listener::open(address, manner)?);
        }
    }
    Ok(listeners)
}

/// Where it listens if nobody says so, and where for clients that begin with TLS.
fn usual(has_tls: bool) -> [(Vec<Address>, bool); 2] {
    let at = |address| Address::Port(Place::At(address));
    [(vec![at(USUAL)], false), (has_tls.then(|| at(USUAL_TLS)).into_iter().collect(), true)]
}

#[cfg(test)]
mod tests {
    use super::Options;
    use std::ffi::OsString;

    fn parse(words: &[&str]) -> Result<Options, String> {
        Options::parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn with_a_certificate_it_listens_for_tls_too() {
        let options = parse(&["--directory", "/d", "--certificate", "/both.pem"]).unwrap();
        let count = |has_tls| super::usual(has_tls).map(|(addresses, _)| addresses.len());
        assert_eq!((count(false), count(true)), ([1, 0], [1, 1]));
        assert_eq!(options.certificate.unwrap().key.to_str(), Some("/both.pem"));
        let words =
            ["--directory", "/d", "--listen-tls", "[::1]:995", "--certificate", "/c.pem", "--key", "/k.pem"];
        let options = parse(&words).unwrap();
        assert_eq!((options.listen.len(), options.listen_tls.len()), (0, 1));
        assert_eq!(options.certificate.unwrap().key.to_str(), Some("/k.pem"));
    }

    #[test]
    fn options_have_values_and_others_are_refused() {
        let options =
            parse(&["--directory", "/d", "--listen", "[::1]:110,::1.111", "--listen", "127.0.0.1:0"])
                .unwrap();
        assert_eq!(options.directory.to_str(), Some("/d"));
        assert_eq!(options.listen.len(), 3);
        let tls = ["--listen-tls", "127.0.0.1:0"];
        for wrong in [&["--listen"][..], &["--listen", "host:110"], &["--dirctory", "/d"], &["x"], &tls] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! `postrider serve`: reads what the service is to be, opens its sockets, and
//! becomes the monitor.

use std::env;
use std::ffi::OsString;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use authlib::printable::reason;

use super::monitor::{Certificate, Listener, Monitor, Plan};
use super::{command, directory};
use crate::log;

pub(super) const USAGE: &str = "\
Usage: postrider serve [--directory DIR] [--listen ADDRESS:PORT]…
                       [--certificate FILE [--key FILE] [--listen-tls ADDRESS:PORT]…]

  --directory DIR             accounts (userdb) and settings; otherwise
                              $XDG_DATA_HOME/postrider or ~/.local/share/postrider
  --listen ADDRESS:PORT       where to listen; STLS is offered there if there is
                              a certificate
  --listen-tls ADDRESS:PORT   where to listen for clients that begin with TLS
  --certificate FILE          certificate chain, in PEM; otherwise TLS_CERTFILE
  --key FILE                  its private key, in PEM; otherwise
                              TLS_PRIVATE_KEYFILE, or the certificate's file

Without --listen and --listen-tls it listens at 127.0.0.1:1110, and with a
certificate also at 127.0.0.1:1995 for clients that begin with TLS.
";

/// Where the service listens if nobody says otherwise.
const USUAL: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1110);
/// And where for clients that begin with TLS.
const USUAL_TLS: SocketAddr = SocketAddr::new(IpAddr::V4(Ipv4Addr::LOCALHOST), 1995);

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: PathBuf,
    listen: Vec<SocketAddr>,
    listen_tls: Vec<SocketAddr>,
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
                Some("--listen") => listen.push(address(value()?)?),
                Some("--listen-tls") => listen_tls.push(address(value()?)?),
                Some("--certificate") => chain = Some(PathBuf::from(value()?)),
                Some("--key") => key = Some(PathBuf::from(value()?)),
                _ => return Err(format!("what is {}?", word.to_string_lossy())),
            }
        }
        let certificate = chain.map(|chain| {
            let key = key.unwrap_or_else(|| chain.clone());
            Certificate { chain, key }
        });
        if listen.is_empty() && listen_tls.is_empty() {
            listen.push(USUAL);
            listen_tls.extend(certificate.as_ref().map(|_| USUAL_TLS));
        }
        if certificate.is_none() && !listen_tls.is_empty() {
            return Err("--listen-tls wants a --certificate".to_owned());
        }
        let directory = directory.or_else(directory::usual).ok_or(directory::NOWHERE)?;
        Ok(Options { directory, listen, listen_tls, certificate })
    }
}

fn address(word: &OsString) -> Result<SocketAddr, String> {
    let text = word.to_string_lossy();
    text.parse().map_err(|_| format!("{text} is not ADDRESS:PORT"))
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
    let directory = directory::make(&options.directory)?;
    let programs = env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    if let Some(certificate) = &options.certificate {
        certificate.open()?;
    }
    let mut listeners = Vec::new();
    for (addresses, implicit_tls) in [(&options.listen, false), (&options.listen_tls, true)] {
        for address in addresses {
            let listener =
                TcpListener::bind(address).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
            let socket = listener.map_err(|error| format!("{address}: {}", reason(&error)))?;
            listeners.push(Listener { socket, implicit_tls });
        }
    }
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut environment: Vec<(OsString, OsString)> = env::vars_os().collect();
    environment.push(("POSTRIDER_SYSCONFDIR".into(), directory.clone().into()));
    let plan = Plan {
        programs: programs.ok_or("where are the other programs?")?,
        fronts: cores,
        shards: cores as u64,
        listeners,
        certificate: options.certificate,
        maildir: PathBuf::from("Maildir"),
        environment,
    };
    let monitor = Monitor::new(plan).map_err(|error| reason(&error))?;
    for address in &options.listen {
        log::line(format_args!("INFO: listening on {address}"));
    }
    for address in &options.listen_tls {
        log::line(format_args!("INFO: listening on {address}, for TLS"));
    }
    if let Some(hint) = options.listen.first().and_then(|address| directory::hint(&directory, *address)) {
        log::line(format_args!("INFO: {hint}"));
    }
    monitor.run().map_err(|error| reason(&error))
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
        assert_eq!((options.listen, options.listen_tls), (vec![super::USUAL], vec![super::USUAL_TLS]));
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
            parse(&["--directory", "/d", "--listen", "[::1]:110", "--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!(options.directory.to_str(), Some("/d"));
        assert_eq!(options.listen.len(), 2);
        assert_eq!(parse(&["--directory", "/d"]).unwrap().listen, [super::USUAL]);
        let tls = ["--listen-tls", "127.0.0.1:0"];
        for wrong in [&["--listen"][..], &["--listen", "110"], &["--dirctory", "/d"], &["x"], &tls] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! `postrider serve`: reads what the service is to be, opens its sockets, and
//! becomes the monitor.

use std::env;
use std::ffi::OsString;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;

use authlib::printable::reason;

use super::monitor::{Monitor, Plan};
use super::{command, directory};
use crate::log;

pub(super) const USAGE: &str = "\
Usage: postrider serve [--directory DIR] [--listen ADDRESS:PORT]…

  --directory DIR         accounts (userdb) and settings; otherwise
                          $XDG_DATA_HOME/postrider or ~/.local/share/postrider
  --listen ADDRESS:PORT   where to listen; otherwise 127.0.0.1:1110
";

/// Where the service listens if nobody says otherwise.
const USUAL: SocketAddr = SocketAddr::new(std::net::IpAddr::V4(Ipv4Addr::LOCALHOST), 1110);

/// What the command line says.
#[derive(Debug, PartialEq, Eq)]
struct Options {
    directory: PathBuf,
    listen: Vec<SocketAddr>,
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
        let (mut directory, mut listen) = (None, Vec::new());
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let mut value =
                || words.next().ok_or_else(|| format!("{} wants a value", word.to_string_lossy()));
            match word.to_str() {
                Some("--directory") => directory = Some(PathBuf::from(value()?)),
                Some("--listen") => {
                    let text = value()?.to_string_lossy().into_owned();
                    listen.push(text.parse().map_err(|_| format!("{text} is not ADDRESS:PORT"))?);
                }
                _ => return Err(format!("what is {}?", word.to_string_lossy())),
            }
        }
        if listen.is_empty() {
            listen.push(USUAL);
        }
        let directory = directory.or_else(directory::usual).ok_or(directory::NOWHERE)?;
        Ok(Options { directory, listen })
    }
}

/// Serves until it is told to end.
///
/// # Errors
/// A line for the log.
fn serve(options: Options) -> Result<(), String> {
    system::process::standard_signals().map_err(|error| error.to_string())?;
    let directory = directory::make(&options.directory)?;
    let programs = env::current_exe().ok().and_then(|own| own.parent().map(PathBuf::from));
    let listen = |address: &SocketAddr| {
        let listener =
            TcpListener::bind(address).and_then(|socket| socket.set_nonblocking(true).map(|()| socket));
        listener.map_err(|error| format!("{address}: {}", reason(&error)))
    };
    let listeners = options.listen.iter().map(listen).collect::<Result<Vec<_>, _>>()?;
    let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
    let mut environment: Vec<(OsString, OsString)> = env::vars_os().collect();
    environment.push(("POSTRIDER_SYSCONFDIR".into(), directory.clone().into()));
    let plan = Plan {
        programs: programs.ok_or("where are the other programs?")?,
        fronts: cores,
        shards: cores as u64,
        listeners,
        maildir: PathBuf::from("Maildir"),
        environment,
    };
    let monitor = Monitor::new(plan).map_err(|error| reason(&error))?;
    for address in &options.listen {
        log::line(format_args!("INFO: listening on {address}"));
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
    fn options_have_values_and_others_are_refused() {
        let options =
            parse(&["--directory", "/d", "--listen", "[::1]:110", "--listen", "127.0.0.1:0"]).unwrap();
        assert_eq!(options.directory.to_str(), Some("/d"));
        assert_eq!(options.listen.len(), 2);
        assert_eq!(parse(&["--directory", "/d"]).unwrap().listen, [super::USUAL]);
        for wrong in [&["--listen"][..], &["--listen", "110"], &["--dirctory", "/d"], &["x"]] {
            assert!(parse(wrong).is_err(), "{wrong:?}");
        }
    }
}

//! The process that looks names up for a proxy process. getaddrinfo(3) reads
//! files, loads libraries and talks to name servers, for which a process that
//! hears passwords is not the place; and it may wait, so a few threads ask it.
//!
//! It is started by the proxy process at its birth, and ends with it.

use std::env;
use std::io;
use std::net::{IpAddr, ToSocketAddrs};
use std::os::fd::AsFd;
use std::process::{Command, ExitCode, Stdio};
use std::thread;

use authlib::printable::{printable, reason};
use rustix::event::{PollFd, PollFlags, poll};
use zeroize::Zeroizing;

use crate::log;
use crate::service::birth;
use crate::service::confinement::{Confinement, Needs};
use crate::service::fields::{Malformed, Reader, Writer};
use crate::service::wire::Wire;

/// Names that are looked up at once.
const THREADS: usize = 4;

/// Makes postrider-proxy this process. Not a setting: it sets it itself.
const VARIABLE: &str = "POSTRIDER_NAMES";

/// The addresses of a name, or why there are none.
pub(super) type Addresses = Result<Vec<IpAddr>, String>;

const FOUND: u8 = b'+';
const NOT_FOUND: u8 = b'-';

/// Starts it, with the words of this process, and gives the wire to it.
///
/// # Errors
/// What the system reports.
pub(super) fn start() -> io::Result<Wire> {
    let (ours, theirs) = Wire::pair()?;
    let mut command = Command::new(env::current_exe()?);
    command.args(env::args_os().skip(1)).env(VARIABLE, "1").stdin(Stdio::null()).stdout(Stdio::null());
    system::descriptor::pass(&mut command, theirs.into_descriptor(), birth::WIRE)?;
    command.spawn()?;
    Ok(ours)
}

/// Does its work, if this process is it.
pub(super) fn run() -> Option<ExitCode> {
    env::var_os(VARIABLE)?;
    let needs = Confinement::Auth { directories: Vec::new(), modules: Needs::Network };
    match birth::as_account(&needs).map(Wire::of) {
        Ok(wire) => thread::scope(|scope| {
            let threads: Vec<_> = (1..THREADS)
                .filter_map(|_| thread::Builder::new().spawn_scoped(scope, || answer(&wire)).ok())
                .collect();
            answer(&wire);
            drop(threads);
        }),
        Err(reason) => {
            log::error(&format_args!("postrider-proxy: {reason}"));
            return Some(ExitCode::FAILURE);
        }
    }
    Some(ExitCode::SUCCESS)
}

/// Answers until nobody asks any more.
fn answer(wire: &Wire) {
    loop {
        // What another thread was quicker to take is not there.
        let _ = poll(&mut [PollFd::new(&wire.as_fd(), PollFlags::IN)], None);
        match wire.receive() {
            Ok(Some(received)) => {
                let host = String::from_utf8_lossy(&received.message).into_owned();
                if wire.send(&encode(&host, &look_up(&host)), None).is_err() {
                    return;
                }
            }
            Ok(None) => {}
            Err(_) => return,
        }
    }
}

/// The address that `host` is already, and no name.
pub(super) fn literal(host: &str) -> Option<IpAddr> {
    host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host).parse().ok()
}

/// Asks the system.
pub(super) fn look_up(host: &str) -> Addresses {
    match (host, 0).to_socket_addrs() {
        Ok(addresses) => Ok(addresses.map(|address| address.ip()).collect()),
        Err(error) if error.raw_os_error().is_some() => Err(reason(&error)),
        // The library's words behind its own.
        Err(error) => Err(printable(error.to_string().as_bytes()).to_string()),
    }
}

/// The message that `host` has these addresses.
fn encode(host: &str, addresses: &Addresses) -> Zeroizing<Vec<u8>> {
    let (kind, text) = match addresses {
        Ok(addresses) => {
            let all: Vec<String> = addresses.iter().map(IpAddr::to_string).collect();
            (FOUND, all.join(" "))
        }
        Err(why) => (NOT_FOUND, why.clone()),
    };
    Writer::new(kind).octets(host.as_bytes()).octets(text.as_bytes()).message()
}

/// Which addresses has whom, says `message`.
pub(super) fn decode(message: &[u8]) -> Result<(String, Addresses), Malformed> {
    let (kind, mut fields) = Reader::new(message)?;
    let (host, text) = (fields.text()?, fields.text()?);
    fields.end()?;
    let addresses = match kind {
        FOUND => {
            Ok(text.split_whitespace().map(str::parse).collect::<Result<_, _>>().map_err(|_| Malformed)?)
        }
        NOT_FOUND => Err(printable(text.as_bytes()).to_string()),
        _ => return Err(Malformed),
    };
    Ok((host, addresses))
}

/// Answers on `wire` in this process.
#[cfg(test)]
pub(super) fn serve(wire: Wire) {
    thread::spawn(move || answer(&wire));
}

//! An address to listen at, in all the ways to write one.

use std::ffi::OsStr;
use std::fmt;
use std::net::SocketAddr;
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use rustix::net::{SocketAddrAny, SocketAddrUnix, getsockname};

use crate::service::fields::{Malformed, Reader, Writer};
use crate::tcpd::ports::{self, Place};

/// The rights of a UNIX socket if nobody says otherwise: who is not its owner
/// or of its group may not connect.
const USUAL_MODE: u32 = 0o660;

const UNIX: &str = "unix:";

/// A place to listen at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// A port of one address of this machine, or of all.
    Port(Place),
    /// A UNIX socket.
    Unix {
        /// Its absolute path.
        path: PathBuf,
        /// Its rights.
        mode: u32,
    },
}

/// Text that is no address.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// Worded as Courier words it.
    #[error("{0}")]
    Port(ports::Wrong),
    /// Behind `unix:` there is no absolute path, or not the rights in octal.
    #[error("Invalid socket: {0}")]
    Unix(String),
}

impl Address {
    /// Reads a list with commas or blanks between addresses: `ADDRESS:PORT` (`*` is
    /// every address), `unix:/PATH` or `unix:MODE:/PATH`, and what couriertcpd
    /// takes (reference couriertcpd.md 3), a port or `ADDRESS.PORT`, where a port
    /// may be the name of a service. `address` is for the ports that name none;
    /// `0` is every address.
    ///
    /// # Errors
    /// The first that is wrong. A list without any is wrong too (ledger 504).
    pub(crate) fn list(list: &OsStr, address: Option<&OsStr>) -> Result<Vec<Address>, Wrong> {
        let list = list.to_string_lossy();
        let address = address.map(OsStr::to_string_lossy);
        let one = |item| Address::read(item, address.as_deref().unwrap_or("0"));
        let addresses: Vec<Address> = ports::items(&list).map(one).collect::<Result<_, _>>()?;
        if addresses.is_empty() {
            return Err(Wrong::Port(ports::Wrong::Port(list.into_owned())));
        }
        Ok(addresses)
    }

    fn read(item: &str, default_address: &str) -> Result<Address, Wrong> {
        if let Some(rest) = item.strip_prefix(UNIX) {
            return unix(rest).ok_or_else(|| Wrong::Unix(item.to_owned()));
        }
        if let Ok(address) = item.parse() {
            return Ok(Address::Port(Place::At(address)));
        }
        let (place, default_address) = match item.strip_prefix("*:") {
            Some(port) => (port, "0"),
            None => (item, default_address),
        };
        let wrong = |wrong| if item.contains(':') { ports::Wrong::Port(item.to_owned()) } else { wrong };
        ports::place(place, default_address).map(Address::Port).map_err(|error| Wrong::Port(wrong(error)))
    }

    /// Where `socket` is bound; `None` if that is neither a port nor a path.
    pub(crate) fn of(socket: &impl AsFd) -> Option<Address> {
        let bound = getsockname(socket).ok()?;
        if let Ok(address) = SocketAddr::try_from(bound.clone()) {
            let everywhere = address.is_ipv6() && address.ip().is_unspecified();
            let place = if everywhere { Place::Everywhere(address.port()) } else { Place::At(address) };
            return Some(Address::Port(place));
        }
        path(bound).map(|path| Address::Unix { path, mode: USUAL_MODE })
    }

    /// `fields`, and behind them this.
    pub(super) fn write(&self, fields: Writer) -> Writer {
        match self {
            Address::Port(_) => fields.number(0).octets(self.to_string().as_bytes()),
            Address::Unix { path, mode } => fields.number(1).path(path).number((*mode).into()),
        }
    }

    /// The one that comes next in `fields`.
    pub(super) fn read_from(fields: &mut Reader<'_>) -> Result<Address, Malformed> {
        match fields.flag()? {
            false => fields.text()?.parse().map_err(|_| Malformed),
            true => Ok(Address::Unix { path: fields.path()?, mode: fields.small()? }),
        }
    }

    /// Whether who means this means `other` too: a port of every address is that
    /// port of each.
    pub(crate) fn covers(&self, other: &Address) -> bool {
        match (self, other) {
            (Address::Port(Place::Everywhere(port)), _) => other.port().is_some_and(|at| at.port() == *port),
            (Address::Unix { path, .. }, Address::Unix { path: other, .. }) => path == other,
            _ => self == other,
        }
    }

    /// Address and port, unless it is a path.
    pub(crate) fn port(&self) -> Option<SocketAddr> {
        match self {
            Address::Port(Place::At(address)) => Some(*address),
            Address::Port(Place::Everywhere(port)) => Some((std::net::Ipv6Addr::UNSPECIFIED, *port).into()),
            Address::Unix { .. } => None,
        }
    }
}

/// Reads `/PATH` or `MODE:/PATH`.
fn unix(text: &str) -> Option<Address> {
    let (mode, path) = match text.split_once(':') {
        Some((mode, path)) if !text.starts_with('/') => (octal(mode)?, path),
        _ => (USUAL_MODE, text),
    };
    Path::new(path).is_absolute().then(|| Address::Unix { path: PathBuf::from(path), mode })
}

fn octal(text: &str) -> Option<u32> {
    let is_octal = text.bytes().all(|octet| matches!(octet, b'0'..=b'7'));
    u32::from_str_radix(text, 8).ok().filter(|mode| is_octal && *mode <= 0o777)
}

fn path(bound: SocketAddrAny) -> Option<PathBuf> {
    let bound = SocketAddrUnix::try_from(bound).ok()?;
    Some(PathBuf::from(OsStr::from_bytes(bound.path()?.to_bytes())))
}

impl FromStr for Address {
    type Err = Wrong;

    /// Reads one address.
    fn from_str(text: &str) -> Result<Self, Wrong> {
        Address::read(text, "0")
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Address::Port(Place::Everywhere(port)) => write!(f, "*:{port}"),
            Address::Port(Place::At(address)) => address.fmt(f),
            Address::Unix { path, .. } => write!(f, "{UNIX}{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Address, Place};

    fn list(text: &str, address: Option<&str>) -> Result<Vec<String>, String> {
        let read = Address::list(text.as_ref(), address.map(AsRef::as_ref));
        let shown = |address: &Address| address.to_string();
        read.map(|list| list.iter().map(shown).collect()).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn a_list_mixes_couriers_way_to_write_an_address_with_the_usual_ones() {
        assert_eq!(
            list("110,127.0.0.1.995 [::1]:110,192.0.2.1:1110\t*:pop3,::1.111", None).unwrap(),
            ["*:110", "127.0.0.1:995", "[::1]:110", "192.0.2.1:1110", "*:110", "[::1]:111"]
        );
        assert_eq!(
            list("110,0.995,*:996,unix:/run/pop3", Some("127.0.0.2")).unwrap(),
            ["127.0.0.2:110", "*:995", "*:996", "unix:/run/pop3"]
        );
    }

    #[test]
    fn a_unix_socket_has_its_path_and_perhaps_its_rights() {
        let rights = |text: &str| match text.parse() {
            Ok(Address::Unix { path, mode }) => Some((path.to_str().unwrap().to_owned(), mode)),
            Ok(Address::Port(_)) | Err(_) => None,
        };
        assert_eq!(rights("unix:/run/a:b").unwrap(), ("/run/a:b".to_owned(), 0o660));
        assert_eq!(rights("unix:0666:/run/pop3").unwrap(), ("/run/pop3".to_owned(), 0o666));
        for wrong in ["unix:", "unix:run/pop3", "unix:9:/x", "unix:01000:/x", "unix:+6:/x", "unix:666:x"] {
            assert_eq!(rights(wrong), None, "{wrong}");
            assert_eq!(list(wrong, None).unwrap_err(), format!("Invalid socket: {wrong}"));
        }
    }

    #[test]
    fn what_is_wrong_is_named() {
        for (wrong, word) in [
            ("110,127.0.0.1:x", "Invalid port: 127.0.0.1:x"),
            ("localhost.110", "Invalid IP address: localhost"),
            ("*:0", "Invalid port: *:0"),
            ("", "Invalid port: "),
            (", ,", "Invalid port: , ,"),
        ] {
            assert_eq!(list(wrong, None).unwrap_err(), word);
        }
    }

    #[test]
    fn a_port_of_every_address_covers_each() {
        let covers = |one: &str, other: &str| one.parse::<Address>().unwrap().covers(&other.parse().unwrap());
        assert!(
            covers("110", "192.0.2.1:110") && covers("*:110", "*:110") && covers("unix:0600:/x", "unix:/x")
        );
        assert!(!covers("192.0.2.1:110", "*:110") && !covers("110", "*:111") && !covers("110", "unix:/x"));
    }

    #[test]
    fn a_socket_knows_where_it_is() {
        let socket = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let expected = Address::Port(Place::At(socket.local_addr().unwrap()));
        assert_eq!(Address::of(&socket), Some(expected));
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("s");
        let socket = std::os::unix::net::UnixListener::bind(&path).unwrap();
        assert_eq!(Address::of(&socket).unwrap().to_string(), format!("unix:{}", path.display()));
    }
}

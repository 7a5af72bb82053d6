//! The port list: where to listen (reference couriertcpd.md 3).

use std::ffi::OsStr;
use std::net::{IpAddr, SocketAddr};

/// One place to listen at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    /// A port of every address of this machine, IPv6 and IPv4.
    Everywhere(u16),
    /// A port of one address.
    At(SocketAddr),
}

/// Why a port list is refused, worded as Courier words it.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Wrong {
    /// Neither a number from 1 to 65535 nor a service.
    #[error("Invalid port: {0}")]
    Port(String),
    /// Not an IP address.
    #[error("Invalid IP address: {0}")]
    Address(String),
}

/// Reads a list such as `110`, `127.0.0.1.11110,pop3s` or `::1.110`; `address`
/// is for the ports that name none, `0` stands for all addresses.
///
/// # Errors
/// See [`Wrong`]. A list without a single port is wrong too (ledger 504).
pub(crate) fn parse(list: &OsStr, address: Option<&OsStr>) -> Result<Vec<Place>, Wrong> {
    let list = list.to_string_lossy();
    let address = address.map(OsStr::to_string_lossy);
    let places: Vec<Place> =
        items(&list).map(|item| place(item, address.as_deref().unwrap_or("0"))).collect::<Result<_, _>>()?;
    if places.is_empty() { Err(Wrong::Port(list.into_owned())) } else { Ok(places) }
}

/// The items of a list.
pub(crate) fn items(list: &str) -> impl Iterator<Item = &str> {
    list.split([',', ' ', '\t', '\n']).filter(|item| !item.is_empty())
}

/// Reads one item; `default_address` is for one that is a port alone.
///
/// # Errors
/// See [`Wrong`].
pub(crate) fn place(item: &str, default_address: &str) -> Result<Place, Wrong> {
    // An IPv6 address holds no dot behind its last group unless it ends in
    // IPv4 form, so the last dot always ends the address.
    let (address, port) = item.rsplit_once('.').unwrap_or((default_address, item));
    let port = port_number(port).ok_or_else(|| Wrong::Port(port.to_owned()))?;
    if address == "0" {
        return Ok(Place::Everywhere(port));
    }
    let address: IpAddr = address.parse().map_err(|_| Wrong::Address(address.to_owned()))?;
    Ok(Place::At(SocketAddr::new(address, port)))
}

/// A number from 1 to 65535 (digits only: ledger 503), or a service's port.
fn port_number(port: &str) -> Option<u16> {
    if port.bytes().all(|octet| octet.is_ascii_digit()) {
        return port.parse().ok().filter(|&port| port > 0);
    }
    // The library would take a sign or a space before digits for a number.
    let name = port.starts_with(|first: char| first.is_ascii_alphanumeric());
    if name { system::service::tcp_port(port) } else { None }
}

#[cfg(test)]
mod tests {
    use super::{Place, parse};

    fn places(list: &str, address: Option<&str>) -> Result<Vec<Place>, String> {
        parse(list.as_ref(), address.map(AsRef::as_ref)).map_err(|wrong| wrong.to_string())
    }

    fn at(address: &str) -> Place {
        Place::At(address.parse().unwrap())
    }

    #[test]
    fn a_list_mixes_ports_with_and_without_addresses() {
        assert_eq!(
            places("127.0.0.1.11110,995,::1.110", None).unwrap(),
            [at("127.0.0.1:11110"), Place::Everywhere(995), at("[::1]:110")]
        );
        assert_eq!(
            places("110, 0.111,::1.112,", Some("127.0.0.2")).unwrap(),
            [at("127.0.0.2:110"), Place::Everywhere(111), at("[::1]:112")]
        );
        assert_eq!(places("110", Some("0")).unwrap(), [Place::Everywhere(110)]);
    }

    #[test]
    fn an_ipv6_address_may_end_in_ipv4_form() {
        assert_eq!(places("::ffff:192.0.2.1.110", None).unwrap(), [at("[::ffff:192.0.2.1]:110")]);
    }

    #[test]
    fn what_is_no_port_is_refused_by_its_name() {
        for port in ["0", "65536", "-1", "+110", "99999999999999999999", "no-such-service", "1x"] {
            assert_eq!(places(port, None).unwrap_err(), format!("Invalid port: {port}"));
        }
        assert_eq!(places("127.0.0.1.", None).unwrap_err(), "Invalid port: ");
        assert_eq!(places("", None).unwrap_err(), "Invalid port: ");
        assert_eq!(places(",", None).unwrap_err(), "Invalid port: ,");
    }

    #[test]
    fn what_is_no_address_is_refused_by_its_name() {
        assert_eq!(places("110", Some("nosuch")).unwrap_err(), "Invalid IP address: nosuch");
        assert_eq!(places("110", Some("")).unwrap_err(), "Invalid IP address: ");
        assert_eq!(places("host.110", None).unwrap_err(), "Invalid IP address: host");
        assert_eq!(places(".110", None).unwrap_err(), "Invalid IP address: ");
    }
}

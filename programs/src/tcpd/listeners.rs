//! The listening sockets.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener};
use std::os::fd::OwnedFd;

use rustix::io::Errno;
use rustix::net::{AddressFamily, SocketFlags, SocketType, sockopt};

use super::ports::Place;

/// What the kernel takes for the length of its queue if nobody says otherwise.
pub(crate) const SOMAXCONN: i32 = 4096;

/// Opens a listening socket at each of `places`, all or none.
///
/// # Errors
/// The call that failed and why, as one line.
pub(super) fn open(places: &[Place], backlog: Option<u32>) -> Result<Vec<TcpListener>, String> {
    let backlog = backlog.map_or(SOMAXCONN, |backlog| i32::try_from(backlog).unwrap_or(i32::MAX));
    places.iter().map(|place| open_one(*place, backlog)).collect()
}

/// Opens one.
///
/// # Errors
/// As [`open`].
pub(crate) fn open_one(place: Place, backlog: i32) -> Result<TcpListener, String> {
    let opened = listen(place, backlog).map(TcpListener::from);
    opened.map_err(|(call, error)| format!("{call}: {}", super::reason(&error.into())))
}

/// A failed call and its error.
type Failed = (&'static str, Errno);

fn listen(place: Place, backlog: i32) -> Result<OwnedFd, Failed> {
    match place {
        Place::At(address) => bound(address, backlog),
        Place::Everywhere(port) => match bound((Ipv6Addr::UNSPECIFIED, port).into(), backlog) {
            // This kernel has no IPv6, so IPv4 is everywhere.
            Err((_, Errno::AFNOSUPPORT | Errno::ADDRNOTAVAIL)) => {
                bound((Ipv4Addr::UNSPECIFIED, port).into(), backlog)
            }
            other => other,
        },
    }
}

fn bound(address: SocketAddr, backlog: i32) -> Result<OwnedFd, Failed> {
    let family = if address.is_ipv6() { AddressFamily::INET6 } else { AddressFamily::INET };
    // Non-blocking: a client may be gone again between poll and accept.
    let flags = SocketFlags::CLOEXEC | SocketFlags::NONBLOCK;
    let socket =
        rustix::net::socket_with(family, SocketType::STREAM, flags, None).map_err(failed("socket"))?;
    sockopt::set_socket_reuseaddr(&socket, true).map_err(failed("setsockopt"))?;
    // An address that is not configured yet can be bound; a kernel that
    // cannot do that will say so in bind.
    let _ = sockopt::set_ip_freebind(&socket, true);
    if address.is_ipv6() {
        sockopt::set_ipv6_v6only(&socket, false).map_err(failed("setsockopt"))?;
    }
    rustix::net::bind(&socket, &address).map_err(failed("bind"))?;
    rustix::net::listen(&socket, backlog).map_err(failed("listen"))?;
    Ok(socket)
}

fn failed(call: &'static str) -> impl FnOnce(Errno) -> Failed {
    move |error| (call, error)
}

#[cfg(test)]
mod tests {
    use super::{Place, open};

    #[test]
    fn a_port_that_is_taken_is_an_error_in_couriers_words() {
        let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        let place = Place::At(taken.local_addr().unwrap());
        assert_eq!(open(&[place], None).unwrap_err(), "bind: Address already in use");
    }

    #[test]
    fn an_address_that_is_not_configured_yet_can_be_bound() {
        let four = Place::At("192.0.2.1:0".parse().unwrap());
        assert_eq!(open(&[four], Some(1)).unwrap().len(), 1);
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            let six = Place::At("[2001:db8::1]:0".parse().unwrap());
            assert_eq!(open(&[six], Some(1)).unwrap().len(), 1);
        }
    }

    #[test]
    fn everywhere_is_ipv6_and_ipv4() {
        let listener = open(&[Place::Everywhere(0)], None).unwrap().remove(0);
        let port = listener.local_addr().unwrap().port();
        std::net::TcpStream::connect(("127.0.0.1", port)).unwrap();
        if std::net::TcpListener::bind("[::1]:0").is_ok() {
            std::net::TcpStream::connect(("::1", port)).unwrap();
        }
    }
}

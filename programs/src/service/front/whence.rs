//! Where a client is, and where it has come in.

use std::net::{IpAddr, SocketAddr};
use std::os::fd::AsFd;

use rustix::net::{SocketAddrAny, getsockname};

use crate::service::guest::Origin;

/// Both ends of a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Whence {
    /// Where the client is; on this machine, where it came over a UNIX socket.
    pub(super) client: Option<SocketAddr>,
    /// Where it came in, unless that is a UNIX socket.
    pub(super) local: Option<SocketAddr>,
}

impl Whence {
    /// The ends of `socket`, to which `client` has connected.
    pub(super) fn of(socket: &impl AsFd, client: Option<SocketAddrAny>) -> Whence {
        let address = |address: SocketAddrAny| SocketAddr::try_from(address).ok();
        let local = getsockname(socket).ok().and_then(address);
        Whence { client: client.and_then(address), local }
    }

    /// As logs and modules hear of it: as couriertcpd writes addresses, IPv4 as
    /// `::ffff:a.b.c.d` (ledger 517). Over a UNIX socket it is 127.0.0.1, which
    /// the chain too takes for granted where nobody says where a client is, and the port
    /// is the word `unix` (ledger 830).
    pub(super) fn origin(&self) -> Origin {
        let (ip, port) = match self.client {
            Some(client) => (shown(client.ip()), client.port().to_string()),
            None => ("127.0.0.1".to_owned(), "unix".to_owned()),
        };
        Origin { ip, port, tls: false }
    }
}

fn shown(ip: IpAddr) -> String {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped().to_string(),
        IpAddr::V6(ip) => ip.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::Whence;

    #[test]
    fn clients_are_shown_as_couriertcpd_shows_them() {
        let shown = |client: Option<&str>| {
            let client = client.map(|client| client.parse().unwrap());
            let origin = Whence { client, local: None }.origin();
            (origin.ip, origin.port)
        };
        assert_eq!(shown(Some("192.0.2.1:1100")), ("::ffff:192.0.2.1".into(), "1100".into()));
        assert_eq!(shown(Some("[2001:db8::1]:5")), ("2001:db8::1".into(), "5".into()));
        assert_eq!(shown(None), ("127.0.0.1".into(), "unix".into()));
    }
}

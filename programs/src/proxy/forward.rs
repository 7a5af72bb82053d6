//! How a back-end hears where the client is, before the first word of POP3.

use std::net::{IpAddr, Ipv6Addr, SocketAddr};

/// Where a client is, and where it has come to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ClientAt {
    /// Its own address; none if that is not an address of the network.
    pub(crate) source: Option<SocketAddr>,
    /// Whether it speaks TLS.
    pub(crate) tls: bool,
}

impl ClientAt {
    /// The client whose TCPREMOTEIP and TCPREMOTEPORT these are.
    pub(crate) fn new(ip: &str, port: &str, tls: bool) -> ClientAt {
        let source = ip
            .parse()
            .ok()
            .map(|ip: IpAddr| SocketAddr::new(ip.to_canonical(), port.parse().unwrap_or_default()));
        ClientAt { source, tls }
    }
}

/// Every header of the PROXY protocol, version 2, begins with this (its
/// specification, section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
const LOCAL: u8 = 0x20;
const PROXY: u8 = 0x21;
const TCP4: u8 = 0x11;
const TCP6: u8 = 0x21;
/// The field that says that the client speaks TLS (section 2.2.6): a bit for
/// that, and that no certificate of its was verified.
const TLS: [u8; 8] = [0x20, 0, 5, 1, 0, 0, 0, 1];

/// The header about a client that has come to `destination`.
pub(crate) fn header(client: &ClientAt, destination: SocketAddr) -> Vec<u8> {
    let mut header = SIGNATURE.to_vec();
    let Some(source) = client.source else {
        header.extend([LOCAL, 0, 0, 0]);
        return header;
    };
    let (kind, addresses) = match (source.ip(), destination.ip().to_canonical()) {
        (IpAddr::V4(source), IpAddr::V4(destination)) => {
            (TCP4, [source.octets(), destination.octets()].concat())
        }
        (source, destination) => (TCP6, [v6(source).octets(), v6(destination).octets()].concat()),
    };
    let ports = [source.port(), destination.port()].map(u16::to_be_bytes).concat();
    let tls: &[u8] = if client.tls { &TLS } else { &[] };
    let length = addresses.len() + ports.len() + tls.len();
    header.extend([PROXY, kind, 0, u8::try_from(length).unwrap_or_default()]);
    [&addresses, &ports, tls].iter().for_each(|part| header.extend_from_slice(part));
    header
}

fn v6(ip: IpAddr) -> Ipv6Addr {
    match ip {
        IpAddr::V4(ip) => ip.to_ipv6_mapped(),
        IpAddr::V6(ip) => ip,
    }
}

/// The command that says the same; `None` about a client without an address.
pub(crate) fn xclient(client: &ClientAt) -> Option<String> {
    let source = client.source?;
    Some(format!("XCLIENT ADDR={} PORT={}", source.ip(), source.port()))
}

#[cfg(test)]
mod tests {
    use super::{ClientAt, header, xclient};

    fn client(ip: &str, tls: bool) -> ClientAt {
        ClientAt::new(ip, "4321", tls)
    }

    #[test]
    fn a_header_has_both_addresses_in_one_family() {
        let at = "127.0.0.1:110".parse().unwrap();
        let four = header(&client("::ffff:192.0.2.1", false), at);
        assert_eq!(four[12..], [0x21, 0x11, 0, 12, 192, 0, 2, 1, 127, 0, 0, 1, 0x10, 0xe1, 0, 110]);
        let six = header(&client("2001:db8::1", false), at);
        assert_eq!((six[13], six[15], six.len()), (0x21, 36, 16 + 36));
        let tls = header(&client("192.0.2.1", true), at);
        assert_eq!((tls[15], &tls[28..]), (20, &[0x20, 0, 5, 1, 0, 0, 0, 1][..]));
    }

    #[test]
    fn who_has_no_address_is_no_client_of_somebody_else() {
        let nobody = ClientAt::new("unix", "", false);
        assert_eq!(header(&nobody, "127.0.0.1:110".parse().unwrap())[12..], [0x20, 0, 0, 0]);
        assert_eq!(xclient(&nobody), None);
        let words = xclient(&client("::ffff:192.0.2.1", false));
        assert_eq!(words.as_deref(), Some("XCLIENT ADDR=192.0.2.1 PORT=4321"));
    }
}

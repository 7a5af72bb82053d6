//! Addresses, and the networks that count as one.

use std::net::IpAddr;

/// Networks, each an address and the number of its leading bits that count.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<Network>);

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Network {
    address: IpAddr,
    bits: u32,
}

/// A word that is no network.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{0} is no network")]
pub struct BadNetwork(String);

impl Networks {
    /// The machine itself: 127.0.0.0/8 and ::1.
    #[must_use]
    pub fn loopback() -> Self {
        use std::net::{Ipv4Addr, Ipv6Addr};
        Networks(vec![
            Network { address: Ipv4Addr::LOCALHOST.into(), bits: 8 },
            Network { address: Ipv6Addr::LOCALHOST.into(), bits: 128 },
        ])
    }

    /// The networks of a list such as `192.0.2.0/24 2001:db8::/32 ::1`, with
    /// blanks or commas between them. An address alone is a network of one.
    ///
    /// # Errors
    /// If a word is none.
    pub fn parse(list: &[u8]) -> Result<Self, BadNetwork> {
        let words = list.split(|octet| octet.is_ascii_whitespace() || *octet == b',');
        words.filter(|word| !word.is_empty()).map(network).collect::<Result<_, _>>().map(Networks)
    }

    /// Whether one of them has `address`. An IPv4 address in the form of an
    /// IPv6 one (`::ffff:192.0.2.1`) is an IPv4 address.
    #[must_use]
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(address))
    }
}

impl Network {
    fn contains(&self, address: IpAddr) -> bool {
        self.address.is_ipv4() == address.is_ipv4()
            && leading(self.address, self.bits) == leading(address, self.bits)
    }
}

fn network(word: &[u8]) -> Result<Network, BadNetwork> {
    let bad = || BadNetwork(crate::printable::printable(word));
    let text = std::str::from_utf8(word).map_err(|_| bad())?;
    let (address, bits) = match text.split_once('/') {
        Some((address, bits)) => (address, Some(bits)),
        None => (text, None),
    };
    let address: IpAddr = address.parse().map_err(|_| bad())?;
    let all = if address.is_ipv4() { 32 } else { 128 };
    let is_number = |text: &&str| text.len() <= 3 && text.bytes().all(|octet| octet.is_ascii_digit());
    let bits: u32 = match bits {
        None => all,
        Some(bits) => Some(bits).filter(is_number).and_then(|bits| bits.parse().ok()).ok_or_else(bad)?,
    };
    if bits > all {
        return Err(bad());
    }
    // As addresses are compared: ::ffff:192.0.2.0/120 is 192.0.2.0/24.
    let canonical = address.to_canonical();
    if canonical == address {
        return Ok(Network { address, bits });
    }
    Ok(Network { address: canonical, bits: bits.checked_sub(96).ok_or_else(bad)? })
}

/// What counts as one address: an IPv4 address, or the /64 that one
/// subscriber has.
pub(super) fn subnet(address: IpAddr) -> [u8; 17] {
    leading_bits(address, if address.is_ipv4() { 32 } else { 64 })
}

/// The /48 around an IPv6 address, which one subscriber may have too.
pub(super) fn wider(address: IpAddr) -> Option<[u8; 17]> {
    address.is_ipv6().then(|| leading_bits(address, 48))
}

/// The leading `bits` of an address, and how many they are.
#[must_use]
pub fn leading_bits(address: IpAddr, bits: u8) -> [u8; 17] {
    let mut name = [0; 17];
    name[..16].copy_from_slice(&leading(address, bits.into()).to_be_bytes());
    name[16] = bits;
    name
}

/// The leading `bits` of an address, at the top of the number.
fn leading(address: IpAddr, bits: u32) -> u128 {
    let number = match address {
        IpAddr::V4(address) => u128::from(address.to_bits()) << 96,
        IpAddr::V6(address) => address.to_bits(),
    };
    if bits == 0 { 0 } else { number & (u128::MAX << (128 - bits.min(128))) }
}

#[cfg(test)]
mod tests {
    use super::{Networks, subnet, wider};
    use proptest::prelude::*;
    use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

    fn contain(list: &str, address: &str) -> bool {
        Networks::parse(list.as_bytes()).unwrap().contain(address.parse().unwrap())
    }

    #[test]
    fn a_network_has_the_addresses_that_begin_like_it() {
        let list = "192.0.2.0/24, 2001:db8::/32 198.51.100.7\t::1";
        for address in
            ["192.0.2.0", "192.0.2.255", "::ffff:192.0.2.9", "2001:db8:1::1", "198.51.100.7", "::1"]
        {
            assert!(contain(list, address), "{address}");
        }
        for address in ["192.0.3.0", "2001:db9::", "198.51.100.8", "::2", "::c000:200"] {
            assert!(!contain(list, address), "{address}");
        }
        assert!(contain("0.0.0.0/0", "203.0.113.1") && !contain("0.0.0.0/0", "::1"));
        assert!(contain("::ffff:192.0.2.0/120", "192.0.2.9") && !contain("", "::1"));
        assert!(Networks::loopback().contain("::ffff:127.1.2.3".parse().unwrap()));
    }

    #[test]
    fn what_is_no_network_is_said() {
        for word in [
            "localhost",
            "192.0.2.0/33",
            "::/129",
            "192.0.2/24",
            "::1/",
            "::1/+1",
            "::1/0x1",
            "\u{e9}",
            "::ffff:192.0.2.0/95",
        ] {
            let error = Networks::parse(format!("::1 {word}").as_bytes()).unwrap_err();
            assert!(error.to_string().ends_with(" is no network"), "{error}");
        }
    }

    #[test]
    fn a_subscriber_is_one_address() {
        let ip = |text: &str| text.parse::<IpAddr>().unwrap();
        assert_ne!(subnet(ip("192.0.2.1")), subnet(ip("192.0.2.2")));
        assert_eq!(subnet(ip("2001:db8::1")), subnet(ip("2001:db8::ffff:0:0:2")));
        assert_ne!(subnet(ip("2001:db8::1")), subnet(ip("2001:db8:0:1::1")));
        assert_eq!(wider(ip("2001:db8::1")), wider(ip("2001:db8:0:1::1")));
        assert_ne!(wider(ip("2001:db8::1")), Some(subnet(ip("2001:db8::1"))));
        assert_eq!(wider(ip("192.0.2.1")), None);
    }

    proptest! {
        #[test]
        fn no_list_does_harm(list in prop::collection::vec(any::<u8>(), 0..60), address: u128) {
            if let Ok(networks) = Networks::parse(&list) {
                let _ = networks.contain(IpAddr::V6(Ipv6Addr::from_bits(address)));
            }
        }

        #[test]
        fn an_address_is_in_every_network_that_is_named_by_it(address: u32, bits in 0u32..=32) {
            let address = Ipv4Addr::from_bits(address);
            let networks = Networks::parse(format!("{address}/{bits}").as_bytes()).unwrap();
            prop_assert!(networks.contain(IpAddr::V4(address)));
            prop_assert!(networks.contain(IpAddr::V6(address.to_ipv6_mapped())));
            let mapped = format!("{}/{}", address.to_ipv6_mapped(), bits + 96);
            prop_assert_eq!(Networks::parse(mapped.as_bytes()), Ok(networks));
        }
    }
}

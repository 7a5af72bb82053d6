//! How many connections there may be, in all and from where, and how many
//! sessions of an account.

use std::net::{IpAddr, Ipv4Addr};

use authlib::abuse::Networks;

use super::counts::{Key, Secret};
use crate::tcpd::limits::Level;

/// Connections of the service if nobody says otherwise. One costs a descriptor
/// and some kilobytes; Courier's 40 are processes.
const CONNECTIONS: u64 = 16_384;
/// From one address: an office behind it, and not a flood.
const PER_ADDRESS: u64 = 100;
/// Of one account: more than anybody has, and not all that there are.
const PER_ACCOUNT: u64 = 1000;
/// Leading bits that make a network of IPv4 and of IPv6.
const NETWORK_BITS: (u8, u8) = (24, 48);
/// What one subscriber has of IPv6.
const SUBSCRIBER_BITS: u8 = 64;
/// For so many addresses of a subscriber there is room.
const ADDRESSES_OF_SUBSCRIBER: u64 = 4;

/// The limits (ledger 833).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections of the service, strangers and sessions (MAXDAEMONS).
    pub(super) connections: u64,
    /// From one address (MAXPERIP).
    per_address: Option<u64>,
    /// From one /64 of IPv6 (POSTRIDER_MAXPER64).
    per_subscriber: Option<u64>,
    /// From one network (POSTRIDER_MAXPERC).
    per_network: Option<u64>,
    /// What a network is, of IPv4 and of IPv6 (POSTRIDER_MAXPERC_BITS).
    network_bits: (u8, u8),
    /// For whom the three do not hold (POSTRIDER_MAXPERIP_EXEMPT).
    exempt: Networks,
    /// Sessions of one account (POSTRIDER_MAXPERACCOUNT).
    pub(super) per_account: Option<u64>,
}

impl Limits {
    /// # Errors
    /// What is wrong, for the log.
    pub(super) fn from_environment() -> Result<Limits, String> {
        Limits::read(|name| std::env::var_os(name).map(|value| value.to_string_lossy().into_owned()))
    }

    fn read(variable: impl Fn(&str) -> Option<String>) -> Result<Limits, String> {
        let number = |name: &str, usual: u64| match variable(name).as_deref().map(str::trim) {
            None | Some("") => Ok(usual),
            Some(text) => {
                let is_number = text.bytes().all(|octet| octet.is_ascii_digit());
                text.parse().ok().filter(|_| is_number).ok_or_else(|| format!("{name}: {text} is no number"))
            }
        };
        let some = |limit: u64| (limit > 0).then_some(limit);
        let connections = number("MAXDAEMONS", CONNECTIONS)?;
        let per_address = number("MAXPERIP", PER_ADDRESS)?;
        let of_subscriber = per_address.saturating_mul(ADDRESSES_OF_SUBSCRIBER);
        let exempt = match variable("POSTRIDER_MAXPERIP_EXEMPT") {
            None => Networks::loopback(),
            Some(list) => Networks::parse(list.as_bytes())
                .map_err(|error| format!("POSTRIDER_MAXPERIP_EXEMPT: {error}"))?,
        };
        Ok(Limits {
            connections: some(connections).ok_or("MAXDAEMONS is 0")?,
            per_address: some(per_address),
            per_subscriber: some(number("POSTRIDER_MAXPER64", of_subscriber)?),
            per_network: some(number("POSTRIDER_MAXPERC", 0)?),
            network_bits: bits(variable("POSTRIDER_MAXPERC_BITS"))?,
            exempt,
            per_account: some(number("POSTRIDER_MAXPERACCOUNT", PER_ACCOUNT)?),
        })
    }

    /// What a connection from `address` counts for, and how many of each there may
    /// be. Who comes over a UNIX socket is of this machine.
    pub(super) fn of(&self, secret: &Secret, address: Option<IpAddr>) -> Vec<(Key, u64)> {
        let address = address.unwrap_or(Ipv4Addr::LOCALHOST.into()).to_canonical();
        if self.exempt.contain(address) {
            return Vec::new();
        }
        let (all, network) = match address {
            IpAddr::V4(_) => (32, self.network_bits.0),
            IpAddr::V6(_) => (128, self.network_bits.1),
        };
        let subscriber = self.per_subscriber.filter(|_| address.is_ipv6());
        let limits = [(all, self.per_address), (SUBSCRIBER_BITS, subscriber), (network, self.per_network)];
        let key = |bits| Key::new(secret, address, bits);
        limits.into_iter().filter_map(|(bits, most)| Some((key(bits), most?))).collect()
    }

    /// Whether `connections` are worth a line; the warning is as far below the limit
    /// as couriertcpd's.
    pub(super) fn level(&self, connections: u64) -> Level {
        let shown = |number| u32::try_from(number).unwrap_or(u32::MAX);
        let warning = self.connections.saturating_sub(self.connections / 10 + 1);
        match connections {
            full if full >= self.connections => Level::Full(shown(self.connections)),
            many if many >= warning => Level::Warning(shown(many)),
            _ => Level::Normal,
        }
    }
}

/// Reads `24 48`.
fn bits(text: Option<String>) -> Result<(u8, u8), String> {
    let Some(text) = text.filter(|text| !text.is_empty()) else { return Ok(NETWORK_BITS) };
    let numbers: Vec<Option<u8>> =
        text.split([',', ' ']).filter(|word| !word.is_empty()).map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [Some(four @ 0..=32), Some(six @ 0..=128)] => Ok((*four, *six)),
        _ => Err(format!("POSTRIDER_MAXPERC_BITS: {text} is not as 24 48")),
    }
}

#[cfg(test)]
mod tests {
    use super::{Level, Limits};

    fn limits(settings: &[(&str, &str)]) -> Result<Limits, String> {
        let find =
            |name: &str| settings.iter().find(|(one, _)| *one == name).map(|(_, value)| (*value).to_owned());
        Limits::read(find)
    }

    /// The limits that hold for an address.
    fn most(limits: &Limits, address: &str) -> Vec<u64> {
        limits.of(&[0; 16], Some(address.parse().unwrap())).into_iter().map(|(_, most)| most).collect()
    }

    #[test]
    fn an_address_a_subscriber_and_a_network_have_their_limits() {
        let limits = limits(&[("MAXPERIP", "4"), ("POSTRIDER_MAXPERC", "20")]).unwrap();
        assert_eq!(most(&limits, "::ffff:192.0.2.1"), [4, 20]);
        assert_eq!(most(&limits, "2001:db8::1"), [4, 16, 20]);
        assert!(most(&limits, "127.0.0.1").is_empty() && limits.of(&[0; 16], None).is_empty());
    }

    #[test]
    fn what_is_not_to_be_limited_is_not_counted() {
        let limits = limits(&[("MAXPERIP", "0"), ("POSTRIDER_MAXPERIP_EXEMPT", "")]).unwrap();
        assert!(most(&limits, "192.0.2.1").is_empty() && most(&limits, "2001:db8::1").is_empty());
    }

    #[test]
    fn what_makes_no_sense_is_named() {
        for (name, value) in [
            ("MAXDAEMONS", "0"),
            ("MAXDAEMONS", "many"),
            ("MAXPERIP", "-1"),
            ("POSTRIDER_MAXPERC_BITS", "24"),
            ("POSTRIDER_MAXPERC_BITS", "33 48"),
            ("POSTRIDER_MAXPERIP_EXEMPT", "all"),
        ] {
            assert!(limits(&[(name, value)]).unwrap_err().starts_with(name), "{name}={value}");
        }
    }

    #[test]
    fn a_warning_comes_before_the_limit_as_with_courier() {
        let limits = limits(&[("MAXDAEMONS", "40")]).unwrap();
        assert_eq!(limits.level(34), Level::Normal);
        assert_eq!(limits.level(35), Level::Warning(35));
        assert_eq!(limits.level(41), Level::Full(40));
    }
}

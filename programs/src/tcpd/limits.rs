//! How many connections there may be, in all, per address and per network,
//! and who holds them now (reference couriertcpd.md 6).

use std::collections::HashMap;
use std::hash::Hash;
use std::net::{IpAddr, Ipv6Addr};

/// Courier's default for `-maxprocs`.
const MAXPROCS: u32 = 40;
/// Courier's default for `-maxperip`.
const MAXPERIP: u32 = 4;

/// The four numbers of the command line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Limits {
    /// Connections at once.
    pub(super) maxprocs: u32,
    /// So many are worth a warning.
    pub(super) warn: u32,
    /// Connections at once from one address.
    pub(super) maxperip: u32,
    /// Connections at once from one network.
    pub(super) maxperc: u32,
}

impl Limits {
    /// The limits, with Courier's defaults for what is not given. A `warn`
    /// outside 0 to `maxprocs` counts as not given.
    #[must_use]
    pub(super) fn new(
        maxprocs: Option<u32>,
        warn: Option<i64>,
        maxperip: Option<u32>,
        maxperc: Option<u32>,
    ) -> Self {
        let maxprocs = maxprocs.unwrap_or(MAXPROCS);
        let warn = warn.and_then(|warn| u32::try_from(warn).ok()).filter(|&warn| warn <= maxprocs);
        Limits {
            maxprocs,
            warn: warn.unwrap_or(maxprocs.saturating_sub(maxprocs / 10 + 1)),
            maxperip: maxperip.unwrap_or(MAXPERIP),
            maxperc: maxperc.unwrap_or(maxprocs),
        }
    }
}

/// A client's address: IPv4 in its IPv4-mapped form, as Courier shows it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Client(Ipv6Addr);

/// An address without its last octet: a /24 of IPv4, a /120 of IPv6.
type Network = [u8; 15];

impl Client {
    fn network(self) -> Network {
        let [network @ .., _] = self.0.octets();
        network
    }
}

impl From<IpAddr> for Client {
    fn from(address: IpAddr) -> Self {
        match address {
            IpAddr::V4(address) => Client(address.to_ipv6_mapped()),
            IpAddr::V6(address) => Client(address),
        }
    }
}

impl std::fmt::Display for Client {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

/// Whether a client may have one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It may.
    Welcome,
    /// Its address has as many as it may have.
    AddressFull,
    /// Its network has.
    NetworkFull,
}

/// How full the server is after one more connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Level {
    /// Nothing to say.
    Normal,
    /// At least as many connections as are worth a warning.
    Warning(u32),
    /// The last slot was taken.
    Full(u32),
}

/// The connections there are. Everything here takes the same time however
/// many there are.
#[derive(Debug)]
pub(super) struct Slots {
    limits: Limits,
    holders: HashMap<u32, Client>,
    per_client: HashMap<Client, u32>,
    per_network: HashMap<Network, u32>,
}

impl Slots {
    /// No connections yet.
    #[must_use]
    pub(super) fn new(limits: Limits) -> Self {
        Slots { limits, holders: HashMap::new(), per_client: HashMap::new(), per_network: HashMap::new() }
    }

    /// Whether all slots are taken, so that nobody may be accepted.
    #[must_use]
    pub(super) fn full(&self) -> bool {
        self.taken() >= self.limits.maxprocs
    }

    /// Whether `client` may have one more connection.
    #[must_use]
    pub(super) fn verdict(&self, client: Client) -> Verdict {
        if self.per_client.get(&client).is_some_and(|&held| held >= self.limits.maxperip) {
            Verdict::AddressFull
        } else if self.per_network.get(&client.network()).is_some_and(|&held| held >= self.limits.maxperc) {
            Verdict::NetworkFull
        } else {
            Verdict::Welcome
        }
    }

    /// Process `pid` serves `client` now.
    pub(super) fn take(&mut self, pid: u32, client: Client) -> Level {
        self.free(pid);
        self.holders.insert(pid, client);
        *self.per_client.entry(client).or_default() += 1;
        *self.per_network.entry(client.network()).or_default() += 1;
        match self.taken() {
            taken if taken >= self.limits.maxprocs => Level::Full(taken),
            taken if taken >= self.limits.warn => Level::Warning(taken),
            _ => Level::Normal,
        }
    }

    /// Process `pid` has ended. Processes that hold no slot are nothing to us.
    pub(super) fn free(&mut self, pid: u32) {
        if let Some(client) = self.holders.remove(&pid) {
            subtract(&mut self.per_client, &client);
            subtract(&mut self.per_network, &client.network());
        }
    }

    fn taken(&self) -> u32 {
        u32::try_from(self.holders.len()).unwrap_or(u32::MAX)
    }
}

/// One less for `key`, and no entry for who has none.
fn subtract<K: Eq + Hash>(counts: &mut HashMap<K, u32>, key: &K) {
    if let Some(count) = counts.get_mut(key) {
        *count -= 1;
        if *count == 0 {
            counts.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, Level, Limits, Slots, Verdict};

    fn client(address: &str) -> Client {
        address.parse::<std::net::IpAddr>().unwrap().into()
    }

    fn slots(maxprocs: u32, maxperip: u32, maxperc: u32) -> Slots {
        Slots::new(Limits::new(Some(maxprocs), None, Some(maxperip), Some(maxperc)))
    }

    #[test]
    fn the_defaults_are_couriers() {
        let limits = Limits::new(None, None, None, None);
        assert_eq!(limits, Limits { maxprocs: 40, warn: 35, maxperip: 4, maxperc: 40 });
        assert_eq!(Limits::new(Some(1), None, None, None).warn, 0);
    }

    #[test]
    fn a_warning_threshold_that_makes_no_sense_is_not_given() {
        for warn in [-1, 41, i64::MAX] {
            assert_eq!(Limits::new(None, Some(warn), None, None).warn, 35);
        }
        assert_eq!(Limits::new(None, Some(40), None, None).warn, 40);
    }

    #[test]
    fn an_address_has_its_limit_whatever_others_have() {
        let mut slots = slots(9, 2, 9);
        slots.take(1, client("192.0.2.1"));
        slots.take(2, client("::ffff:192.0.2.1"));
        assert_eq!(slots.verdict(client("192.0.2.1")), Verdict::AddressFull);
        assert_eq!(slots.verdict(client("192.0.2.2")), Verdict::Welcome);
        slots.free(1);
        assert_eq!(slots.verdict(client("192.0.2.1")), Verdict::Welcome);
    }

    #[test]
    fn addresses_that_differ_in_the_last_octet_are_one_network() {
        let mut slots = slots(9, 9, 2);
        slots.take(1, client("192.0.2.1"));
        slots.take(2, client("192.0.2.200"));
        slots.take(3, client("2001:db8::1"));
        assert_eq!(slots.verdict(client("192.0.2.7")), Verdict::NetworkFull);
        assert_eq!(slots.verdict(client("192.0.3.7")), Verdict::Welcome);
        assert_eq!(slots.verdict(client("2001:db8::ff")), Verdict::Welcome);
        slots.take(4, client("2001:db8::ff"));
        assert_eq!(slots.verdict(client("2001:db8::2")), Verdict::NetworkFull);
        assert_eq!(slots.verdict(client("2001:db8::1:2")), Verdict::Welcome);
    }

    #[test]
    fn filling_up_is_noticed() {
        let mut slots = slots(4, 9, 9);
        assert_eq!(slots.take(1, client("::1")), Level::Normal);
        assert_eq!(slots.take(2, client("::1")), Level::Normal);
        assert_eq!(slots.take(3, client("::1")), Level::Warning(3));
        assert!(!slots.full());
        assert_eq!(slots.take(4, client("::1")), Level::Full(4));
        assert!(slots.full());
    }

    #[test]
    fn a_stranger_that_ends_frees_nothing() {
        let mut slots = slots(1, 1, 1);
        slots.take(1, client("::1"));
        slots.free(2);
        assert!(slots.full());
        slots.free(1);
        slots.free(1);
        assert!(!slots.full());
        assert!(slots.per_client.is_empty() && slots.per_network.is_empty());
    }
}

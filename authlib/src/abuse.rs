//! Failed logins, counted, so that nobody guesses passwords quickly and nobody
//! is locked out by somebody else's guessing.
//!
//! ```text
//!   attempt ──> judge() ──┬─ Go               ask a module, then failed() or succeeded()
//!                         ├─ Wait(duration)   the same, but later
//!                         └─ Refuse(duration) ask nobody; so long it would be the same
//! ```
//!
//! **What is counted.** A failed login counts for its address (IPv4 each, IPv6
//! per /64), for the IPv6 /48 around it, for the account that it was about,
//! known or not, and for the pair of address and account. One failure of each
//! count is forgiven every [`forgiven_in`](Settings::forgiven_in). The same
//! wrong password for the same account from the same address counts once a day:
//! a telephone with last year's password guesses nothing.
//!
//! **What it costs.** Above [`FREE`] failures of the address or of the account
//! an attempt waits 1, 2, 4, 8 … seconds, at most
//! [`longest_wait`](Settings::longest_wait). From
//! [`limit`](Settings::limit) failures of the address (eight times as many of
//! the /48) it is refused until one is forgiven. An account is never refused,
//! only slowed down: whoever guesses at it from a thousand addresses makes
//! its user wait for some seconds, and no more.
//!
//! **Who is spared.** An address from which the account logged in within
//! [`KNOWN`] is asked only about the pair's own failures, by the rule for
//! addresses. So guessing elsewhere, at this account or at others, costs its user
//! nothing there; and behind one address of many users each has a count of his
//! own. A good login takes back the failures of its own pair, wherever they were
//! counted, and no others: who has an account here cannot wipe out with it what
//! he failed at others. Networks of [`exempt`](Settings::exempt) are neither counted
//! nor judged, since behind a webmail's address is everybody; nor is who does
//! not say for which address it asks.
//!
//! **What is kept.** Numbers under a keyed hash, in tables that never grow: no
//! name, no address, no password. The key dies with the process. Where a table is
//! full the count that will be forgiven first makes room (see `abuse/table.rs`), so
//! a flood of addresses with one failure each removes others like them, not
//! somebody who has gone on. To remove a count one has to fail as often
//! from seven more addresses that happen to share its set, which nobody
//! can aim at.
//!
//! **What this does not do.** Attempts that are judged at the same moment do not know
//! of each other, so a driver judges again when an attempt's turn comes; as
//! many as are asked at once may go beyond the limit. A guesser with very many
//! addresses has one free guess from each; the account's wait is all that
//! stands against him. Whoever shares an address with a user can have him
//! refused there for a while, and can find out that he was spared.
//!
//! No clock and no I/O: the time is handed in, and a driver decides how to wait.

mod network;
mod table;

use std::net::IpAddr;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

pub use network::{BadNetwork, Networks, leading_bits};
use network::{subnet, wider};
use table::Table;

/// Failures that cost nothing yet.
pub const FREE: u32 = 3;
/// For how long an address stays one from which an account has logged in.
pub const KNOWN: Duration = Duration::from_secs(7 * 24 * 3600);
/// For how long a wrong password is remembered, to be counted once.
pub const REPEATED: Duration = Duration::from_secs(24 * 3600);

/// How many times as much a /48 may fail as an address.
const WIDER: u32 = 8;
/// Entries of each table; 16 octets each.
const ENTRIES: usize = 1 << 16;

/// How strict a guard is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Failures of an address from which on it is refused; 0 switches the
    /// guard off.
    pub limit: u32,
    /// The time in which one failure is forgiven.
    pub forgiven_in: Duration,
    /// The longest wait before an attempt; none with 0.
    pub longest_wait: Duration,
    /// Networks that are neither counted nor judged.
    pub exempt: Networks,
}

impl Default for Settings {
    /// 20 failures, a minute, 15 seconds, and this machine exempt.
    fn default() -> Self {
        Settings {
            limit: 20,
            forgiven_in: Duration::from_secs(60),
            longest_wait: Duration::from_secs(15),
            exempt: Networks::loopback(),
        }
    }
}

/// Remembers failed logins, and judges attempts.
pub struct Guard {
    settings: Settings,
    key: Zeroizing<[u8; 64]>,
    /// What the tables' time is reckoned from.
    start: Instant,
    addresses: Table,
    accounts: Table,
    pairs: Table,
    known: Table,
    repeated: Table,
}

/// Somebody who wants to log in: hashes, no names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Attempt {
    address: u64,
    wider: Option<u64>,
    account: Option<u64>,
    pair: u64,
    repeated: Option<u64>,
}

/// What is to be done with an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Judgement {
    /// Ask a module.
    Go,
    /// Ask a module after so long.
    Wait(Duration),
    /// Ask nobody. For so long the answer would be the same.
    Refuse(Duration),
}

impl Guard {
    /// One that remembers nothing. `key` is random, and nobody else's.
    #[must_use]
    pub fn new(settings: Settings, key: [u8; 64], now: Instant) -> Self {
        Guard::with_entries(ENTRIES, settings, key, now)
    }

    fn with_entries(entries: usize, settings: Settings, key: [u8; 64], now: Instant) -> Self {
        let table = || Table::new(entries);
        Guard {
            settings,
            key: Zeroizing::new(key),
            start: now,
            addresses: table(),
            accounts: table(),
            pairs: table(),
            known: table(),
            repeated: table(),
        }
    }

    /// Puts other settings in force. What is remembered stays.
    pub fn configure(&mut self, settings: Settings) {
        self.settings = settings;
    }

    /// The attempt of the client at `address` to log in as `user`, with
    /// `password` (or token) if it was said; `None` if it is not to be judged.
    /// Where a token alone says who it is, `user` is empty.
    #[must_use]
    pub fn attempt(&self, address: Option<IpAddr>, user: &[u8], password: Option<&[u8]>) -> Option<Attempt> {
        let address = address?.to_canonical();
        if self.settings.limit == 0 || self.settings.exempt.contain(address) {
            return None;
        }
        // Data bases that do not care about case know one account by many
        // names, and so do those that do not see a blank at the end.
        let user = user.trim_ascii_end().to_ascii_lowercase();
        let subnet = subnet(address);
        Some(Attempt {
            address: self.hash(&[b"address", &subnet]),
            wider: wider(address).map(|network| self.hash(&[b"address", &network])),
            account: (!user.is_empty()).then(|| self.hash(&[b"account", &user])),
            pair: self.hash(&[b"pair", &subnet, &user]),
            repeated: password.map(|password| self.hash(&[b"repeated", &subnet, &user, password])),
        })
    }

    /// What is to be done with `attempt`. Asking changes nothing.
    #[must_use]
    pub fn judge(&self, attempt: &Attempt, now: Instant) -> Judgement {
        let now = self.milliseconds(now);
        if self.known.left(attempt.pair, now) > 0 {
            let left = self.pairs.left(attempt.pair, now);
            return self.refusal(left, 1).unwrap_or_else(|| self.wait(left));
        }
        let address = self.addresses.left(attempt.address, now);
        let wider = attempt.wider.map_or(0, |network| self.addresses.left(network, now));
        let account = attempt.account.map_or(0, |account| self.accounts.left(account, now));
        let refusal = self.refusal(address, 1).or_else(|| self.refusal(wider, WIDER));
        refusal.unwrap_or_else(|| self.wait(address.max(account)))
    }

    /// `attempt` has failed: its credentials were wrong. Gives the refusal that
    /// its address has earned with it, if it has.
    pub fn failed(&mut self, attempt: &Attempt, now: Instant) -> Option<Duration> {
        let now = self.milliseconds(now);
        if let Some(repeated) = attempt.repeated {
            let was_counted = self.repeated.left(repeated, now) > 0;
            self.repeated.keep(repeated, in_milliseconds(REPEATED), now);
            if was_counted {
                return None;
            }
        }
        let settings = &self.settings;
        count(settings, &mut self.pairs, attempt.pair, 1, now);
        count(settings, &mut self.addresses, attempt.address, 1, now);
        if let Some(account) = attempt.account {
            count(settings, &mut self.accounts, account, 1, now);
        }
        if let Some(network) = attempt.wider {
            count(settings, &mut self.addresses, network, WIDER, now);
        }
        match self.refusal(self.addresses.left(attempt.address, now), 1) {
            Some(Judgement::Refuse(time)) => Some(time),
            _ => None,
        }
    }

    /// `attempt` was right. What its pair had failed is taken back, and its
    /// address is known from now on.
    pub fn succeeded(&mut self, attempt: &Attempt, now: Instant) {
        let now = self.milliseconds(now);
        let own = self.pairs.left(attempt.pair, now);
        self.pairs.keep(attempt.pair, 0, now);
        self.known.keep(attempt.pair, in_milliseconds(KNOWN), now);
        if own > 0 {
            self.addresses.take(attempt.address, own, now);
            if let Some(account) = attempt.account {
                self.accounts.take(account, own, now);
            }
            if let Some(network) = attempt.wider {
                self.addresses.take(network, own, now);
            }
        }
    }

    /// The refusal of somebody whose failures are forgiven in `left`
    /// milliseconds and who may have `times` as many as an address.
    fn refusal(&self, left: u64, times: u32) -> Option<Judgement> {
        let limit = u64::from(self.settings.limit.saturating_mul(times));
        let allowed = limit.saturating_sub(1).saturating_mul(self.each());
        let over = left.saturating_sub(allowed);
        (over > 0).then(|| Judgement::Refuse(Duration::from_millis(over)))
    }

    /// The wait of somebody whose failures are forgiven in `left`
    /// milliseconds.
    fn wait(&self, left: u64) -> Judgement {
        let failures = u32::try_from(left.div_ceil(self.each())).unwrap_or(u32::MAX);
        let Some(doublings) = failures.checked_sub(FREE + 1) else { return Judgement::Go };
        let seconds = 1u64.checked_shl(doublings).filter(|seconds| *seconds > 0).unwrap_or(u64::MAX);
        match Duration::from_secs(seconds).min(self.settings.longest_wait) {
            Duration::ZERO => Judgement::Go,
            wait => Judgement::Wait(wait),
        }
    }

    fn each(&self) -> u64 {
        each(&self.settings)
    }

    fn milliseconds(&self, now: Instant) -> u64 {
        in_milliseconds(now.saturating_duration_since(self.start))
    }

    /// Each part with its length in front, so that none runs into the next.
    fn hash(&self, parts: &[&[u8]]) -> u64 {
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        for part in parts {
            mac.update(&part.len().to_ne_bytes());
            mac.update(part);
        }
        let octets: [u8; 32] = mac.finalize().into_bytes().into();
        octets.iter().take(8).fold(0, |hash, octet| hash << 8 | u64::from(*octet))
    }
}

/// Adds one failure to `tag`, up to `times` the limit: more than that takes
/// no longer to be forgiven.
fn count(settings: &Settings, table: &mut Table, tag: u64, times: u32, now: u64) {
    let most = u64::from(settings.limit.saturating_mul(times)).saturating_mul(each(settings));
    let left = table.left(tag, now).saturating_add(each(settings));
    table.keep(tag, left.min(most), now);
}

/// What one failure is, in milliseconds until it is forgiven.
fn each(settings: &Settings) -> u64 {
    in_milliseconds(settings.forgiven_in).max(1)
}

fn in_milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests;

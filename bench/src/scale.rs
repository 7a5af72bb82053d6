//! How large everything is: in a run that counts, and in one that tries out.

use std::time::Duration;

use crate::mail::{Account, Mail};

/// The password `secret`, which costs nothing to compare.
const CHEAP: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// Accounts that short sessions take in turns.
pub(crate) const SHORT: usize = 64;
/// The account to which mail comes.
pub(crate) const GROWING: &str = "growing";
/// What those for short sessions have.
pub(crate) const SMALL: Mail = Mail { count: 10, octets: 4096 };

/// The sizes of a run.
#[derive(Clone, Debug)]
pub(crate) struct Scale {
    pub(crate) quick: bool,
    /// How often everything is measured; the median counts.
    pub(crate) rounds: usize,
    /// After this time no round begins anything but the first.
    pub(crate) most: Duration,
    /// How long the load of one sample lasts.
    pub(crate) time: Duration,
    /// The large maildrop.
    pub(crate) many: Mail,
    /// What is fetched: small messages, larger ones, very large ones.
    pub(crate) small: Mail,
    pub(crate) large: Mail,
    pub(crate) huge: Mail,
    /// Sessions that say nothing; of servers with a process for each, fewer.
    pub(crate) idle: usize,
    pub(crate) idle_processes: usize,
    /// Strangers who say nothing.
    pub(crate) strangers: usize,
    /// Connections that a service holds for whom they are too many.
    pub(crate) room: usize,
    /// Maildrops of growing size.
    pub(crate) growth: Vec<usize>,
    /// Sessions of growing number.
    pub(crate) idle_growth: Vec<usize>,
}

impl Scale {
    /// A run that counts.
    pub(crate) fn full() -> Scale {
        Scale {
            quick: false,
            rounds: 3,
            most: Duration::from_secs(16 * 60),
            time: Duration::from_secs(2),
            many: Mail { count: 100_000, octets: 1000 },
            small: Mail { count: 1000, octets: 4096 },
            large: Mail { count: 200, octets: 75_000 },
            huge: Mail { count: 4, octets: 10_000_000 },
            idle: 10_000,
            idle_processes: 500,
            strangers: 5000,
            room: 1000,
            growth: [10, 100, 1000, 10_000, 100_000, 1_000_000].into(),
            idle_growth: [100, 1000, 10_000, 20_000].into(),
        }
    }

    /// A run of minutes that shows whether everything works.
    pub(crate) fn quick() -> Scale {
        Scale {
            quick: true,
            rounds: 1,
            most: Duration::from_secs(16 * 60),
            time: Duration::from_millis(500),
            many: Mail { count: 5000, octets: 1000 },
            small: Mail { count: 200, octets: 4096 },
            large: Mail { count: 50, octets: 75_000 },
            huge: Mail { count: 2, octets: 10_000_000 },
            idle: 500,
            idle_processes: 50,
            strangers: 500,
            room: 100,
            growth: [10, 100, 1000, 10_000].into(),
            idle_growth: [100, 500].into(),
        }
    }

    /// Everybody's accounts. `slow` are hashes of the password `secret` that
    /// cost something, with the names of their accounts.
    pub(crate) fn accounts(&self, slow: &[(&str, String)]) -> Vec<Account> {
        let account = |name: String, mail| Account { name, hash: CHEAP.to_owned(), mail };
        let mut accounts: Vec<_> = (0..SHORT).map(|number| account(short(number), SMALL)).collect();
        accounts.push(account("small".to_owned(), self.small));
        accounts.push(account("large".to_owned(), self.large));
        accounts.push(account("huge".to_owned(), self.huge));
        accounts.push(account("many".to_owned(), self.many));
        accounts.push(account(GROWING.to_owned(), self.many));
        for round in 0..self.rounds {
            accounts.push(account(first(round), self.many));
            accounts.push(account(emptied(round), self.small));
        }
        accounts.extend(self.growth.iter().map(|count| account(grown(*count), self.grown(*count))));
        accounts.extend(slow.iter().map(|(name, hash)| Account {
            name: (*name).to_owned(),
            hash: hash.clone(),
            mail: SMALL,
        }));
        accounts
    }

    /// The same where no process may have more than so many descriptors. The
    /// client has one for each session; a mailbox process has two, and there is
    /// one for each core, which are not all equally full.
    pub(crate) fn within(&self, descriptors: u64) -> Scale {
        let most = usize::try_from(descriptors).unwrap_or(usize::MAX) / 5 * 4;
        let idle_growth = self.idle_growth.iter().map(|count| (*count).min(most)).collect();
        Scale { idle_growth, ..self.clone() }
    }

    /// Idle sessions that Dovecot is asked to hold.
    pub(crate) fn idle_dovecot(&self) -> usize {
        self.idle.min(2 * self.idle_processes)
    }

    /// The mail of [`grown`].
    pub(crate) fn grown(&self, count: usize) -> Mail {
        Mail { count, octets: self.many.octets }
    }
}

/// An account for short sessions.
pub(crate) fn short(number: usize) -> String {
    format!("short{}", number % SHORT)
}

/// The account that nobody has logged in to before this round.
pub(crate) fn first(round: usize) -> String {
    format!("first{round}")
}

/// The account that is emptied in this round.
pub(crate) fn emptied(round: usize) -> String {
    format!("emptied{round}")
}

/// The account with so many messages.
pub(crate) fn grown(count: usize) -> String {
    format!("grown{count}")
}

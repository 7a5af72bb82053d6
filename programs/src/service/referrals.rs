//! auth's side of the proxy: accounts whose mail is elsewhere are logged in
//! there before their clients hear anything.

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::hash::{BuildHasher, RandomState};
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use authlib::Account;
use authlib::printable::reason;
use pop3::reply::DISABLED_INSECURE;
use zeroize::Zeroizing;

use super::errand::{Connect, Errand, Outcome, Task};
use super::question::Answer;
use super::ticket::{Number, Referral};
use super::wire::Wire;
use crate::log;
use crate::proxy::{self, Master, Route, Settings};

/// Longest file with a master user, in octets.
const LONGEST_MASTER: usize = 4096;

/// Where accounts are whose mail is not here, and who is being logged in there.
pub(super) struct Referrals {
    settings: Option<Settings>,
    master: Option<Master>,
    proxies: BTreeMap<u64, Wire>,
    waiting: HashMap<Number, Waiting>,
    hasher: RandomState,
}

/// A connection of a front that waits for an [`Outcome`].
pub(super) struct Waiting {
    pub(super) front: u64,
    pub(super) connection: u64,
    /// Who has the errand, and for whom.
    pub(super) referral: Referral,
    /// What a client of SCRAM is to hear before.
    pub(super) signature: Option<Vec<u8>>,
}

/// What becomes of an account that was accepted.
pub(super) enum Referred {
    /// Its mail is here.
    Here(Account),
    /// Its client is to be handed to a proxy process with this ticket.
    Proxy(Referral, Number),
    /// It is being logged in elsewhere.
    Later,
    /// Its client is to hear this.
    Answer(Answer),
}

impl Referrals {
    /// # Errors
    /// A setting is wrong.
    pub(super) fn new() -> Result<Referrals, String> {
        let (proxies, waiting) = (BTreeMap::new(), HashMap::new());
        let settings = Settings::from_environment()?;
        Ok(Referrals { settings, master: None, proxies, waiting, hasher: RandomState::new() })
    }

    /// Takes the master user.
    ///
    /// # Errors
    /// The file holds something else.
    pub(super) fn know_master(&mut self, file: OwnedFd) -> Result<(), String> {
        let mut octets = Zeroizing::new([0; LONGEST_MASTER]);
        // Another auth reads the same descriptor: its offset is everybody's.
        let length = File::from(file).read_at(&mut *octets, 0);
        let master =
            length.map_err(|error| reason(&error)).and_then(|length| Master::parse(&octets[..length]));
        self.master = Some(master.map_err(|why| format!("POSTRIDER_PROXY_MASTER: {why}"))?);
        Ok(())
    }

    /// Takes a wire to a proxy process.
    pub(super) fn add(&mut self, proxy: u64, wire: Wire) {
        self.proxies.insert(proxy, wire);
    }

    /// The wire to `proxy`, if it is one.
    pub(super) fn wire(&self, proxy: u64) -> Option<&Wire> {
        self.proxies.get(&proxy)
    }

    /// A proxy process has gone, and with it what it had to do.
    pub(super) fn lose(&mut self, proxy: u64) -> Vec<Waiting> {
        self.proxies.remove(&proxy);
        let lost: Vec<Number> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.referral.proxy == proxy)
            .map(|(number, _)| *number)
            .collect();
        lost.iter().filter_map(|number| self.waiting.remove(number)).collect()
    }

    /// An errand has come to an end: who waits for that.
    pub(super) fn done(&mut self, number: &Number) -> Option<Waiting> {
        self.waiting.remove(number)
    }

    /// Sends an account that was accepted to where its mail is. `client` is who
    /// asks: front, connection, where, and whether it has said UTF8.
    pub(super) fn refer(&mut self, mut account: Account, client: &super::desk::Asker) -> Referred {
        let Some(settings) = &self.settings else { return Referred::Here(account) };
        let host = match proxy::route(&account, settings) {
            Route::Here => return Referred::Here(account),
            Route::Nowhere => return Referred::Answer(Answer::Unavailable),
            Route::To(host) => host,
        };
        let task = if let Some(sentence) = proxy::disabled(&account, client.origin.tls) {
            Task::Refuse { insecure: sentence == DISABLED_INSECURE }
        } else {
            let Some(login) = proxy::login(&mut account, settings, self.master.as_ref()) else {
                return Referred::Answer(Answer::Rejected);
            };
            let (origin, utf8) = (client.origin.clone(), client.utf8);
            Task::Connect(Connect { host, account: account.address.clone(), login, origin, utf8 })
        };
        self.send(task, account, client).unwrap_or_else(|why| {
            log::error(&why);
            Referred::Answer(Answer::Unavailable)
        })
    }

    fn send(
        &mut self,
        task: Task,
        account: Account,
        client: &super::desk::Asker,
    ) -> Result<Referred, String> {
        let number: Number = system::random::octets().map_err(|error| reason(&error))?;
        // An account always meets the same process, where a loop is seen.
        let turn = self.hasher.hash_one(&account.address) % self.proxies.len().max(1) as u64;
        let turn = usize::try_from(turn).unwrap_or_default();
        let (&proxy, wire) = self.proxies.iter().nth(turn).ok_or("there is no proxy process")?;
        let is_connect = matches!(task, Task::Connect(_));
        match wire.send(&Errand { number, task }.encode(), None) {
            Ok(true) => {}
            Ok(false) => return Err("the proxy has too much to do".to_owned()),
            Err(error) => return Err(format!("the proxy: {}", reason(&error))),
        }
        let referral = Referral { proxy, address: account.address };
        if !is_connect {
            return Ok(Referred::Proxy(referral, number));
        }
        let (front, connection) = (client.front, client.connection);
        let waiting = Waiting { front, connection, referral, signature: account.server_signature };
        self.waiting.insert(number, waiting);
        Ok(Referred::Later)
    }
}

/// What a front is told of an errand that has failed.
pub(super) fn answer(outcome: Outcome) -> Answer {
    if outcome == Outcome::Rejected { Answer::Rejected } else { Answer::Unavailable }
}

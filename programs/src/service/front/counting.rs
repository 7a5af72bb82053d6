//! How many connections there are, over all fronts and sessions, and who is one
//! too many.

use std::collections::HashMap;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::os::fd::OwnedFd;
use std::rc::Rc;
use std::time::Instant;

use pop3::reply::{self, Reply};

use super::Front;
use super::client::State;
use crate::service::counts::{Key, Place, Secret, Table, View};
use crate::service::limits::Limits;
use crate::service::order::SESSIONS;
use crate::tcpd::notices::{self, Notices};

/// What this front knows of all connections.
pub(super) struct Counting {
    limits: Limits,
    secret: Secret,
    own: Option<Rc<Table>>,
    /// The other fronts' tables and that of the sessions, by their numbers.
    others: HashMap<u64, View>,
    notices: Notices,
}

/// Whether somebody is one too many.
enum Verdict {
    Welcome(Option<Place>),
    /// His address or his network has enough.
    FromThere,
}

impl Counting {
    pub(super) fn new(limits: Limits) -> Counting {
        let (own, others, notices) = (None, HashMap::new(), Notices::default());
        Counting { limits, secret: Secret::default(), own, others, notices }
    }

    /// The table that is ours.
    pub(super) fn begin(&mut self, secret: Secret, table: &OwnedFd) -> io::Result<()> {
        self.secret = secret;
        self.own = Some(Table::of(table)?);
        Ok(())
    }

    /// The table of somebody else, who has gone if there is none.
    pub(super) fn know(&mut self, whose: u64, table: Option<&OwnedFd>) -> io::Result<()> {
        match table {
            Some(table) => drop(self.others.insert(whose, View::of(table)?)),
            None => drop(self.others.remove(&whose)),
        }
        Ok(())
    }

    fn total(&self) -> u64 {
        self.others.values().map(View::total).sum::<u64>() + self.own.as_ref().map_or(0, |own| own.total())
    }

    fn count(&self, key: Key) -> u64 {
        let others: u64 = self.others.values().map(|view| view.count(key)).sum();
        others + self.own.as_ref().map_or(0, |own| own.count(key))
    }

    /// Whether those who are logged in are as many as may connect.
    fn is_full_of_sessions(&self) -> bool {
        self.others.get(&SESSIONS).is_some_and(|sessions| sessions.total() >= self.limits.connections)
    }

    fn judge(&self, address: Option<IpAddr>) -> Verdict {
        let limits = self.limits.of(&self.secret, address);
        if limits.iter().any(|(key, most)| self.count(*key) >= *most) {
            return Verdict::FromThere;
        }
        let keys = limits.into_iter().map(|(key, _)| key);
        Verdict::Welcome(self.own.as_ref().map(|own| own.take(keys)))
    }
}

impl Front {
    /// Counts a client, now that it is known where it is; whether it may stay. If
    /// the service is full the oldest stranger goes, whoever is logged in stays
    /// (ledger 833).
    pub(super) fn count_in(&mut self, token: u64, implicit_tls: bool) -> bool {
        let Some(address) = self.clients.get(token).map(|client| client.address()) else { return false };
        let place = match self.counting.judge(address) {
            Verdict::Welcome(place) => place,
            Verdict::FromThere => {
                notices::address_full(address.unwrap_or(Ipv4Addr::LOCALHOST.into()).into());
                return self.turn_away(token, reply::TOO_MANY_FROM_ADDRESS, implicit_tls);
            }
        };
        let total = self.counting.total();
        if total > self.counting.limits.connections {
            match self.clients.oldest_stranger().filter(|oldest| *oldest != token) {
                Some(oldest) => self.close(oldest),
                None if self.counting.is_full_of_sessions() => {
                    drop(place);
                    return self.turn_away(token, reply::TOO_MANY_CONNECTIONS, implicit_tls);
                }
                // The strangers are at other fronts, which will have to let them go.
                None => {}
            }
        }
        let level = self.counting.limits.level(total);
        self.counting.notices.level(level, Instant::now());
        if let Some(client) = self.clients.get(token) {
            client.place = place;
        }
        true
    }

    /// Sends somebody away, with a reason where he can understand it.
    fn turn_away(&mut self, token: u64, reply: Reply, implicit_tls: bool) -> bool {
        if let Some(client) = self.clients.get(token) {
            client.state = State::Closing;
            if !implicit_tls {
                client.say(reply);
            }
        }
        false
    }
}

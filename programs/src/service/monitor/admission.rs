//! From a ticket to a mailbox process.

use std::hash::BuildHasher;
use std::os::fd::OwnedFd;
use std::time::Instant;

use authlib::printable::reason;

use super::super::guest::Guest;
use super::super::order::Order;
use super::super::ticket::{Destination, Holder, Refusal, Shown};
use super::plan::Isolation;
use super::process::{Key, Role, Token};
use super::{MOST_MAILBOXES, Monitor};
use crate::log::{self, Harmless};

impl Monitor {
    /// A front shows a ticket with its `client`. It hears of both again only if
    /// nobody is let in.
    pub(super) fn admit(&mut self, front: Token, shown: Shown, mut client: Option<OwnedFd>) {
        // auth has told us of the ticket before it told the front: it is in the wire.
        if let Some(auth) = self.parts.auth_of(front) {
            while !self.tickets.has(&shown.ticket) && self.hear_one(auth) {}
        }
        let to = self.tickets.spend(&shown.ticket, front, Instant::now()).filter(|_| client.is_some());
        let origin = shown.origin.clone();
        let handed_over = match to {
            Some(Destination::Mailbox(holder)) => self.hand_over(holder, shown, &mut client),
            Some(Destination::Proxy(referral)) => self.hand_to_proxy(referral, shown, &mut client),
            None => {
                log::error(&"a front has shown a ticket that is none");
                Err(Refusal::Unavailable)
            }
        };
        if let Err(refusal) = handed_over {
            self.parts.order(front, Order::Refused(refusal, origin, client));
        }
    }

    /// Hands `client` to the mailbox process of its account.
    ///
    /// # Errors
    /// Why not; the client is still there.
    fn hand_over(
        &mut self,
        holder: Holder,
        shown: Shown,
        client: &mut Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let Some(serving) = &self.serving else { return Err(Refusal::Unavailable) };
        let shard = self.hasher.hash_one(&holder.address) % serving.plan.shards.max(1);
        let Holder { uid, gid, groups, address, home, maildir, options } = holder;
        if !self.sessions.has_room_for(&address, &serving.plan.limits) {
            return Err(no_room_for(&address));
        }
        let maildir = maildir.unwrap_or_else(|| serving.plan.maildir.clone());
        let keys = self.sessions.keys(&serving.plan.limits, &shown.origin.ip);
        let key = match serving.plan.isolation {
            Isolation::Uid => Key { uid, gid, groups, shard, maildir: None },
            Isolation::Account => Key { uid, gid, groups, shard: 0, maildir: Some(home.join(&maildir)) },
        };
        let token = match self.mailbox(key) {
            Ok(token) => token,
            Err(why) => {
                log::error(&format_args!("uid {uid}: {why}"));
                return Err(Refusal::Unavailable);
            }
        };
        if !self.parts.takes_more(token) {
            log::error(&format_args!("uid {uid}: its mailbox process has too much to do"));
            return Err(Refusal::Unavailable);
        }
        self.last_session += 1;
        let (number, account) = (self.last_session, address.clone());
        let guest = Guest {
            number,
            address,
            home,
            maildir,
            options,
            origin: shown.origin,
            utf8: shown.utf8,
            arrived: shown.arrived,
        };
        // Before its client can have heard of it.
        self.sessions.begin(number, token, account, keys);
        self.parts.send(token, guest.encode(), client.take());
        self.parts.session_begins(token);
        Ok(())
    }

    /// The process of `key`, started if need be.
    fn mailbox(&mut self, key: Key) -> Result<Token, String> {
        if let Some(token) = self.parts.mailbox(&key) {
            return Ok(token);
        }
        if !system::user::is_root() && system::user::own_ids() != (key.uid, key.gid) {
            return Err("only root can serve accounts of others".to_owned());
        }
        if self.parts.mailboxes() >= MOST_MAILBOXES && !self.parts.retire_one() {
            return Err(format!("{MOST_MAILBOXES} mailbox processes have sessions"));
        }
        let Some(serving) = &self.serving else { return Err("nobody serves".to_owned()) };
        let ids = [key.uid, key.gid].into_iter().chain(key.groups.iter().copied());
        let words: Vec<String> = ids.map(|id| id.to_string()).collect();
        let (role, number) = (Role::Mailbox(key), serving.number);
        let started = self.parts.start(role, number, &serving.plan, "postrider-mailbox", &words);
        started.map_err(|error| reason(&error))
    }
}

/// `address` has as many sessions as it may have.
pub(super) fn no_room_for(address: &[u8]) -> Refusal {
    log::line(format_args!("ALERT: Maximum session limit reached for {}", Harmless(address)));
    Refusal::InUse
}

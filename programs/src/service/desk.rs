//! Where auth is asked by fronts, and what becomes of an answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use authlib::printable::reason;
use authlib::protocol::answer;
use authlib::{Account, Verdict};

use super::errand::Outcome;
use super::guest::Origin;
use super::question::Answer;
use super::referrals::{self, Referrals, Referred, Waiting};
use super::ticket::{Destination, Holder, Issued, Number};
use super::wire::Wire;
use crate::authdaemond::Caller;
use crate::log;

/// The wires to the monitor and to the fronts.
pub(super) struct Desk {
    pub(super) monitor: Rc<Wire>,
    pub(super) fronts: RefCell<HashMap<u64, Wire>>,
    pub(super) referrals: RefCell<Referrals>,
}

/// A front that has asked about one of its connections.
pub(super) struct Asker {
    pub(super) desk: Rc<Desk>,
    pub(super) front: u64,
    pub(super) connection: u64,
    /// Where its client is.
    pub(super) origin: Origin,
    /// Whether that has said UTF8.
    pub(super) utf8: bool,
    /// Whether it has asked for a salt, and not about credentials.
    pub(super) for_salt: bool,
}

impl Caller for Asker {
    fn say(self, octets: &[u8]) {
        let answer = if self.for_salt { Some(salt(octets)) } else { self.verdict(octets) };
        if let Some(answer) = answer {
            self.desk.answer(self.front, self.connection, &answer);
        }
    }
}

impl Desk {
    fn answer(&self, front: u64, connection: u64, answer: &Answer) {
        let fronts = self.fronts.borrow();
        // A front that has no room for an answer has as good as gone: its client
        // sees its own deadline.
        if let Some(front) = fronts.get(&front)
            && !matches!(front.send(&answer.encode(connection), None), Ok(true))
        {
            log::error(&"a front does not take its answers");
        }
    }

    /// An account has been logged in elsewhere, or has not.
    pub(super) fn errand_done(&self, number: Number, outcome: Outcome) {
        let Some(waiting) = self.referrals.borrow_mut().done(&number) else { return };
        let Waiting { front, connection, referral, signature } = waiting;
        let answer = match outcome {
            Outcome::LoggedIn => self.issue(number, front, Destination::Proxy(referral), signature),
            Outcome::Rejected | Outcome::Unavailable => referrals::answer(outcome),
        };
        self.answer(front, connection, &answer);
    }

    /// A proxy process has gone.
    pub(super) fn proxy_lost(&self, proxy: u64) {
        let lost = self.referrals.borrow_mut().lose(proxy);
        for Waiting { front, connection, .. } in lost {
            self.answer(front, connection, &Answer::Unavailable);
        }
    }

    /// The monitor hears of a ticket before the front does.
    fn issue(&self, ticket: Number, front: u64, to: Destination, signature: Option<Vec<u8>>) -> Answer {
        let why = match self.monitor.send(&Issued { ticket, front, to }.encode(), None) {
            Ok(true) => return Answer::Accepted { ticket, signature },
            Ok(false) => "the monitor has too much to do".to_owned(),
            Err(error) => reason(&error),
        };
        log::error(&why);
        Answer::Unavailable
    }
}

impl Asker {
    /// Makes a ticket for whom a worker has accepted, unless that takes longer.
    fn verdict(&self, octets: &[u8]) -> Option<Answer> {
        Some(match answer::verdict(octets) {
            Verdict::Reject => Answer::Rejected,
            Verdict::Unavailable(reason) => {
                log::authentication_error(&reason);
                Answer::Unavailable
            }
            Verdict::Accept(account) => {
                let signature = account.server_signature.clone();
                let referred = self.desk.referrals.borrow_mut().refer(account, self);
                match referred {
                    Referred::Later => return None,
                    Referred::Answer(answer) => answer,
                    Referred::Proxy(referral, ticket) => {
                        self.desk.issue(ticket, self.front, Destination::Proxy(referral), signature)
                    }
                    Referred::Here(account) => self.admit(account).unwrap_or_else(|reason| {
                        log::error(&reason);
                        Answer::Unavailable
                    }),
                }
            }
        })
    }

    fn admit(&self, account: Account) -> Result<Answer, String> {
        let ticket = system::random::octets().map_err(|error| reason(&error))?;
        let groups = account.ids.groups().map_err(|error| reason(&error))?;
        let Account { address, ids, home, maildir, options, server_signature, .. } = account;
        let options = options.as_bytes().to_vec();
        let holder = Holder { uid: ids.uid(), gid: ids.gid(), groups, address, home, maildir, options };
        Ok(self.desk.issue(ticket, self.front, Destination::Mailbox(holder), server_signature))
    }
}

fn salt(octets: &[u8]) -> Answer {
    match answer::salt(octets) {
        Ok(salt) => Answer::Salt(salt.map(|salt| salt.encode().into_bytes())),
        Err(reason) => {
            log::authentication_error(&reason);
            Answer::Unavailable
        }
    }
}

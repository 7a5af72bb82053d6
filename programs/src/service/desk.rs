//! Where auth is asked by fronts, and what becomes of an answer.

use std::cell::RefCell;
use std::collections::{HashMap, VecDeque};
use std::rc::Rc;

use authlib::printable::reason;
use authlib::protocol::answer;
use authlib::{Account, Verdict};
use system::random::Supply;
use zeroize::Zeroizing;

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
    /// For tickets.
    pub(super) random: RefCell<Supply>,
    /// Tickets for which there was no room on the wire to the monitor.
    pub(super) untold: RefCell<VecDeque<Untold>>,
}

/// Most of them; whoever comes then is told to try again.
const MOST_UNTOLD: usize = 8192;

/// A ticket of which the monitor has to hear, and then the front.
pub(super) struct Untold {
    issued: Zeroizing<Vec<u8>>,
    front: u64,
    connection: u64,
    answer: Answer,
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
            Outcome::LoggedIn => {
                let issued = Issued { ticket: number, front, to: Destination::Proxy(referral) };
                self.issue(&issued, connection, signature)
            }
            Outcome::Rejected | Outcome::Unavailable => Some(referrals::answer(outcome)),
        };
        if let Some(answer) = answer {
            self.answer(front, connection, &answer);
        }
    }

    /// A proxy process has gone.
    pub(super) fn proxy_lost(&self, proxy: u64) {
        let lost = self.referrals.borrow_mut().lose(proxy);
        for Waiting { front, connection, .. } in lost {
            self.answer(front, connection, &Answer::Unavailable);
        }
    }

    /// The monitor hears of a ticket before the front does: what that is to be told, if
    /// it may be told now. The monitor reads its wire when a ticket is shown that it
    /// does not know, and each tick; until then others may have filled it.
    fn issue(&self, issued: &Issued, connection: u64, signature: Option<Vec<u8>>) -> Option<Answer> {
        let answer = Answer::Accepted { ticket: issued.ticket, signature };
        let mut untold = self.untold.borrow_mut();
        if untold.len() >= MOST_UNTOLD {
            log::error(&"the monitor has too much to do");
            return Some(Answer::Unavailable);
        }
        untold.push_back(Untold { issued: issued.encode(), front: issued.front, connection, answer });
        match untold.len() {
            1 => self.tell_one(&mut untold).map(|told| told.answer),
            _ => None,
        }
    }

    /// Tells the monitor of the tickets for which there is room now, and the fronts.
    pub(super) fn tell_all(&self) {
        while let Some(told) = self.tell_one(&mut self.untold.borrow_mut()) {
            self.answer(told.front, told.connection, &told.answer);
        }
    }

    /// Whether a ticket waits for room.
    pub(super) fn waits_for_room(&self) -> bool {
        !self.untold.borrow().is_empty()
    }

    /// The first ticket of `untold`, of which the monitor knows now, or never will.
    fn tell_one(&self, untold: &mut VecDeque<Untold>) -> Option<Untold> {
        let sent = self.monitor.send(&untold.front()?.issued, None);
        if matches!(sent, Ok(false)) {
            return None;
        }
        let mut told = untold.pop_front()?;
        if let Err(error) = sent {
            log::error(&reason(&error));
            told.answer = Answer::Unavailable;
        }
        Some(told)
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
                        let issued = Issued { ticket, front: self.front, to: Destination::Proxy(referral) };
                        return self.desk.issue(&issued, self.connection, signature);
                    }
                    Referred::Here(account) => match self.admit(account) {
                        Ok(answer) => return answer,
                        Err(reason) => {
                            log::error(&reason);
                            Answer::Unavailable
                        }
                    },
                }
            }
        })
    }

    fn admit(&self, account: Account) -> Result<Option<Answer>, String> {
        let ticket = self.desk.random.borrow_mut().octets().map_err(|error| reason(&error))?;
        let groups = account.ids.groups().map_err(|error| reason(&error))?;
        let Account { address, ids, home, maildir, options, server_signature, .. } = account;
        let options = options.as_bytes().to_vec();
        let holder = Holder { uid: ids.uid(), gid: ids.gid(), groups, address, home, maildir, options };
        let issued = Issued { ticket, front: self.front, to: Destination::Mailbox(holder) };
        Ok(self.desk.issue(&issued, self.connection, server_signature))
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

#[cfg(test)]
mod tests {
    use super::Desk;
    use crate::service::question::Answer;
    use crate::service::referrals::Referrals;
    use crate::service::ticket::{Destination, Issued, Number, Referral};
    use crate::service::wire::Wire;
    use std::cell::RefCell;
    use std::collections::HashMap;
    use std::rc::Rc;

    const FRONT: u64 = 3;

    fn issued(number: u64) -> Issued {
        let mut ticket = Number::default();
        ticket[..8].copy_from_slice(&number.to_le_bytes());
        let address = format!("account{number}").into_bytes();
        Issued { ticket, front: FRONT, to: Destination::Proxy(Referral { proxy: 1, address }) }
    }

    /// The connections that are answered now, in their order, with their tickets.
    fn answered(front: &Wire) -> Vec<(u64, Number)> {
        let answers = std::iter::from_fn(|| front.receive().unwrap());
        let accepted = answers.map(|answer| match Answer::decode(&answer.message).unwrap() {
            (connection, Answer::Accepted { ticket, .. }) => (connection, ticket),
            other => panic!("{other:?}"),
        });
        accepted.collect()
    }

    #[test]
    fn a_monitor_that_does_not_read_keeps_tickets_waiting_and_none_is_lost() {
        let ((monitor, at_monitor), (front, at_front)) = (Wire::pair().unwrap(), Wire::pair().unwrap());
        let desk = Desk {
            monitor: Rc::new(monitor),
            fronts: RefCell::new(HashMap::from([(FRONT, front)])),
            referrals: RefCell::new(Referrals::new().unwrap()),
            random: RefCell::default(),
            untold: RefCell::default(),
        };
        let (all, mut told, mut known) = (2000, Vec::new(), Vec::new());
        for number in 0..all {
            if let Some(answer) = desk.issue(&issued(number), number, None) {
                desk.answer(FRONT, number, &answer);
            }
            told.extend(answered(&at_front));
        }
        assert!(desk.waits_for_room() && !told.is_empty() && told.len() < 2000);
        while known.len() < 2000 {
            desk.tell_all();
            known.extend(std::iter::from_fn(|| at_monitor.receive().unwrap()));
            told.extend(answered(&at_front));
        }
        assert!(!desk.waits_for_room());
        for (number, issue) in (0..all).zip(&known) {
            assert_eq!(Issued::decode(&issue.message), Ok(issued(number)));
        }
        assert_eq!(told, (0..all).map(|number| (number, issued(number).ticket)).collect::<Vec<_>>());
    }
}

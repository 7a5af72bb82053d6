//! Where auth is asked by fronts, and what becomes of an answer.

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::Rc;

use authlib::printable::reason;
use authlib::protocol::answer;
use authlib::{Account, Verdict};

use super::question::Answer;
use super::ticket::{Holder, Issued};
use super::wire::Wire;
use crate::authdaemond::Caller;
use crate::log;

/// The wires to the monitor and to the fronts.
pub(super) struct Desk {
    pub(super) monitor: Rc<Wire>,
    pub(super) fronts: RefCell<HashMap<u64, Wire>>,
}

/// A front that has asked about one of its connections.
pub(super) struct Asker {
    pub(super) desk: Rc<Desk>,
    pub(super) front: u64,
    pub(super) connection: u64,
    /// Whether it has asked for a salt, and not about credentials.
    pub(super) for_salt: bool,
}

impl Caller for Asker {
    fn say(self, octets: &[u8]) {
        let answer = if self.for_salt { salt(octets) } else { self.verdict(octets) };
        let fronts = self.desk.fronts.borrow();
        // A front that has no room for an answer has as good as gone: its client
        // sees its own deadline.
        if let Some(front) = fronts.get(&self.front)
            && !matches!(front.send(&answer.encode(self.connection), None), Ok(true))
        {
            log::error(&"a front does not take its answers");
        }
    }
}

impl Asker {
    /// Makes a ticket for whom a worker has accepted.
    fn verdict(&self, octets: &[u8]) -> Answer {
        match answer::verdict(octets) {
            Verdict::Reject => Answer::Rejected,
            Verdict::Unavailable(reason) => {
                log::authentication_error(&reason);
                Answer::Unavailable
            }
            Verdict::Accept(account) => self.issue(account).unwrap_or_else(|reason| {
                log::error(&reason);
                Answer::Unavailable
            }),
        }
    }

    /// The monitor hears of a ticket before the front does.
    fn issue(&self, account: Account) -> Result<Answer, String> {
        let ticket = system::random::octets().map_err(|error| reason(&error))?;
        let groups = account.ids.groups().map_err(|error| reason(&error))?;
        let Account { address, ids, home, maildir, options, server_signature, .. } = account;
        let options = options.as_bytes().to_vec();
        let holder = Holder { uid: ids.uid(), gid: ids.gid(), groups, address, home, maildir, options };
        let issued = Issued { ticket, front: self.front, holder };
        match self.desk.monitor.send(&issued.encode(), None) {
            Ok(true) => Ok(Answer::Accepted { ticket, signature: server_signature }),
            Ok(false) => Err("the monitor has too much to do".to_owned()),
            Err(error) => Err(reason(&error)),
        }
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

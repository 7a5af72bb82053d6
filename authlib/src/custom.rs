//! authcustom: nobody's accounts. A place to begin for a module of one's own.
//!
//! A module says for each question one of three things, and the third never
//! becomes the second:
//!
//! * *accept*, with the account: `Account::new(address, ids, home)`, where
//!   [`Ids`](crate::Ids) refuses root's;
//! * *reject*: unknown here, or a wrong password; the next module is asked;
//! * *unavailable*, with a reason for the log: a back-end is away, an account
//!   has no usable ids.
//!
//! Passwords are compared with [`password::check`](crate::password::check), and
//! a hash of nobody's where there is no user, so that both take as long. What
//! a back-end wants to keep between questions is a field of the module.
//! [`passwd`](crate::passwd) is a short example of a whole one; a program in any
//! language can be a module through [`pipe`](crate::pipe), with no change here.

use crate::account::Verdict;
use crate::module::{Client, Module};
use crate::record::Record;

/// Rejects everybody, as Courier's authcustom does until it is written.
#[derive(Clone, Copy, Debug, Default)]
pub struct Custom;

impl Module for Custom {
    fn name(&self) -> &str {
        "authcustom"
    }

    fn authenticate(&mut self, _: &Record, _: &Client) -> Verdict {
        Verdict::Reject
    }

    fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
        Verdict::Reject
    }
}

#[cfg(test)]
mod tests {
    use super::Custom;
    use crate::{Client, Module, Record, Verdict};

    #[test]
    fn nobody_is_known() {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        assert!(matches!(Custom.authenticate(&record, &Client::default()), Verdict::Reject));
        assert!(matches!(Custom.look_up(b"pop3", b"alice", &Client::default()), Verdict::Reject));
    }
}

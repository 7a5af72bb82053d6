//! Passwords that are stored in an old kind, stored anew in a modern one when
//! their owners log in: then, and only then, is the password known (ledger
//! 418).
//!
//! It is done behind the answer, so nobody's login waits for it or fails with
//! it, and for no longer than a tenth of the time, so that others' logins find
//! somebody to ask.

use std::time::{Duration, Instant};

use crate::account::{Account, Unavailable};
use crate::module::{Changed, Client, PasswordChange};
use crate::password;
use crate::record::Record;

/// After a renewal comes a rest, so many times as long.
const REST: u32 = 9;
/// After one that failed, at least so long.
const REST_AFTER_FAILURE: Duration = Duration::from_secs(60);

/// What is to be renewed, and when.
#[derive(Debug, Default)]
pub(crate) struct Renewals {
    due: Option<Due>,
    not_before: Option<Instant>,
    is_given_up: bool,
}

/// A password to be stored anew.
#[derive(Debug)]
pub(crate) struct Due {
    /// The place in the list of the module whose account it is.
    pub(crate) module: usize,
    /// Of the password for itself.
    pub(crate) change: PasswordChange,
    /// Who has logged in.
    pub(crate) client: Client,
}

/// What came of one.
#[derive(Debug, PartialEq, Eq)]
pub struct Renewed {
    /// The module's name.
    pub module: String,
    /// The user name.
    pub user: Vec<u8>,
    /// It is done, or why not; then the old one is in force.
    pub outcome: Result<(), Unavailable>,
}

impl Renewals {
    /// `module` has accepted a login with `record` as `account`.
    pub(crate) fn accepted(
        &mut self,
        module: usize,
        record: &Record,
        client: &Client,
        account: &Account,
        now: Instant,
    ) {
        let is_outdated =
            account.stored_password.as_ref().is_some_and(|stored| password::is_outdated(stored.expose()));
        if !is_outdated || self.is_given_up || self.not_before.is_some_and(|time| now < time) {
            return;
        }
        self.due = record.credentials().and_then(|login| {
            let change = PasswordChange::new(record.service(), login.user, login.password, login.password);
            change.ok().map(|change| Due { module, change, client: client.clone() })
        });
    }

    /// What is to be done now.
    pub(crate) fn take(&mut self) -> Option<Due> {
        self.due.take()
    }

    /// What was stored is not the password any more: a column was too short for
    /// it, say. Nobody else is to be locked out.
    pub(crate) fn give_up(&mut self) -> Unavailable {
        self.is_given_up = true;
        Unavailable::new("what was stored is not accepted; nothing more will be stored anew here")
    }

    /// It was begun at `start` and has ended `now`.
    pub(crate) fn rest(&mut self, changed: &Changed, start: Instant, now: Instant) {
        let rest = now.saturating_duration_since(start) * REST;
        let least = if *changed == Changed::Done { Duration::ZERO } else { REST_AFTER_FAILURE };
        self.not_before = Some(now + rest.max(least));
    }
}

#[cfg(test)]
mod tests {
    use super::{REST_AFTER_FAILURE, Renewals};
    use crate::{Account, Changed, Client, Ids, Record, Secret};
    use std::time::{Duration, Instant};

    const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    fn account(stored: &str) -> Account {
        let account = Account::new(b"alice".to_vec(), Ids::numeric(1, 2).unwrap(), "/h".into());
        Account { stored_password: Some(Secret::copy_of(stored.as_bytes())), ..account }
    }

    /// Whether a login at `now` makes something due.
    fn is_due(renewals: &mut Renewals, stored: &str, now: Instant) -> bool {
        let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
        renewals.accepted(0, &record, &Client::default(), &account(stored), now);
        renewals.take().is_some()
    }

    #[test]
    fn an_old_kind_is_due_and_a_modern_one_is_not() {
        let (mut renewals, now) = (Renewals::default(), Instant::now());
        assert!(is_due(&mut renewals, SHA, now) && !is_due(&mut renewals, "{PLAIN}secret", now));
        assert!(renewals.take().is_none());
        let proof = Record::decode(b"pop3\ncram-md5\nYQ==\nYg==\n\n").unwrap();
        renewals.accepted(0, &proof, &Client::default(), &account(SHA), now);
        assert!(renewals.take().is_none());
    }

    #[test]
    fn nine_tenths_of_the_time_are_for_others() {
        let (mut renewals, start) = (Renewals::default(), Instant::now());
        let after = |seconds| start + Duration::from_secs(seconds);
        renewals.rest(&Changed::Done, start, after(2));
        assert!(!is_due(&mut renewals, SHA, after(19)) && is_due(&mut renewals, SHA, after(20)));
        renewals.rest(&Changed::Reject, start, start);
        assert!(!is_due(&mut renewals, SHA, start + REST_AFTER_FAILURE - Duration::from_secs(1)));
        assert!(is_due(&mut renewals, SHA, start + REST_AFTER_FAILURE));
    }
}

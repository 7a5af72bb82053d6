//! The accounts of one data base, as one set of settings sees them.

use super::queries::Queries;
use super::stored::{Stored, Typical};
use super::values::Values;
use super::{Database, Row};
use crate::account::{Account, Ids, Unavailable, id, path, text};
use crate::module::{Changed, Entry, PasswordChange};
use crate::options::Options;
use crate::printable::has_control;
use crate::rcfile::Settings;
use crate::record::{Claim, Record};
use crate::scram::{Salt, Wanted};
use crate::secret::Secret;

/// The service whose Maildir column is the one for deliveries.
const DELIVERY: &[u8] = b"courier";
/// What stands for the user and for the service in an own clause for lists
/// (observed with Courier).
const EVERYBODY: (&str, &str) = ("*", "enumerate");

/// A data base, and what it is asked.
pub(super) struct Accounts<D> {
    queries: Queries,
    database: D,
    typical: Typical,
}

impl<D: Database> Accounts<D> {
    /// Those that the settings describe. Nothing is opened yet.
    pub(super) fn new(settings: &Settings) -> Result<Self, Unavailable> {
        let database = D::from_settings(settings)?;
        let queries = Queries::new(settings, D::PREFIX, D::DIALECT)?;
        Ok(Accounts { queries, database, typical: Typical::default() })
    }

    /// Has the data base understand what it will be asked.
    pub(super) fn check(&mut self) -> Result<(), Unavailable> {
        let Queries { account, account_for_delivery, passwords, all, change, .. } = &self.queries;
        let all = [
            Some(account),
            Some(account_for_delivery),
            passwords.as_ref(),
            all.as_ref().ok(),
            change.as_ref().ok(),
        ];
        all.into_iter().flatten().try_for_each(|statement| self.database.check(statement))
    }

    /// The account whose owner makes this claim; `None` if there is no such
    /// user or the claim is wrong.
    pub(super) fn authenticate(
        &mut self,
        record: &Record,
        claim: &Claim<'_>,
    ) -> Result<Option<Account>, Unavailable> {
        let row = self.find(record.service(), claim.user())?;
        let stored = row.as_ref().map(|row| Stored::of(row, 1)).unwrap_or_default();
        let mut server_signature = None;
        let is_right = match claim {
            Claim::Login(_) if stored.crypt.is_some_and(|crypt| record.is_remembered(crypt)) => true,
            Claim::Login(login) => self.typical.verify(stored, login.password)?,
            Claim::Proof(proof) => stored.verify_proof(proof),
            Claim::Scram(proof) => {
                server_signature = proof.verify(stored.crypt, stored.clear);
                server_signature.is_some()
            }
            Claim::Apop(proof) => proof.verify(stored.crypt, stored.clear),
            Claim::Token(_) => false,
        };
        let Some(row) = row.filter(|_| is_right) else { return Ok(None) };
        let account = account(&row)?;
        let clear_password = claim.password().map(Secret::copy_of).or(account.clear_password);
        Ok(Some(Account { clear_password, server_signature, ..account }))
    }

    /// With which salt somebody may show to know a password (SCRAM).
    pub(super) fn salt(&mut self, service: &[u8], wanted: &Wanted) -> Result<Option<Salt>, Unavailable> {
        let row = self.find(service, &wanted.user)?;
        let stored = row.as_ref().map(|row| Stored::of(row, 1)).unwrap_or_default();
        Ok(wanted.of(stored.crypt, stored.clear))
    }

    /// Whose account `user` is.
    pub(super) fn look_up(&mut self, service: &[u8], user: &[u8]) -> Result<Option<Account>, Unavailable> {
        self.find(service, user)?.as_ref().map(account).transpose()
    }

    /// Gives an account a new password in all the columns that are set, the
    /// hashed one in the kind of the old.
    pub(super) fn change_password(&mut self, change: &PasswordChange) -> Result<Changed, Unavailable> {
        let row = self.find(change.service(), change.user())?;
        let stored = row.as_ref().map(|row| Stored::of(row, 1)).unwrap_or_default();
        if !self.typical.verify(stored, change.old().expose())? {
            return Ok(Changed::Reject);
        }
        let statement = self.queries.change.as_ref().map_err(Clone::clone)?;
        let Some(mut values) = self.values(change.service(), change.user()) else {
            return Ok(Changed::Reject);
        };
        values.set_password(statement, stored.crypt, change.new_password().expose())?;
        self.database.change_one(statement, &values.of(statement))?;
        Ok(Changed::Done)
    }

    /// Names every account. One that could not be used is left out (ledger
    /// 415).
    pub(super) fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let statement = self.queries.all.as_ref().map_err(Clone::clone)?;
        let (user, service) = EVERYBODY;
        let values = Values::new(service, user, self.queries.default_domain.as_deref());
        let mut each = |row: &Row| entry(row).is_none_or(|entry| each(&entry));
        self.database.each(statement, &values.of(statement), &mut each)
    }

    /// Nobody has asked for a while.
    pub(super) fn idle(&mut self) {
        self.database.idle();
    }

    /// The row of `user`, if there is one with a home (ledger 704). Whoever asks
    /// first also learns what passwords look like here.
    fn find(&mut self, service: &[u8], user: &[u8]) -> Result<Option<Row>, Unavailable> {
        self.learn()?;
        let Some(values) = self.values(service, user) else { return Ok(None) };
        let Queries { account, account_for_delivery, .. } = &self.queries;
        let statement = if service == DELIVERY { account_for_delivery } else { account };
        let mut rows = self.database.rows(statement, &values.of(statement), 2)?;
        let row = rows.pop();
        if !rows.is_empty() {
            return Err(Unavailable::new("there is more than one row of this name"));
        }
        let Some(row) = row else { return Ok(None) };
        if row.columns() < 6 {
            return Err(Unavailable::new("a row has fewer than six columns"));
        }
        self.typical.learn(Stored::of(&row, 1));
        Ok(Some(row).filter(|row| row.get(5).is_some()))
    }

    fn learn(&mut self) -> Result<(), Unavailable> {
        let Some(passwords) = self.queries.passwords.as_ref().filter(|_| !self.typical.is_known()) else {
            return Ok(());
        };
        let rows = self.database.rows(passwords, &[], 10)?;
        rows.iter().for_each(|row| self.typical.learn(Stored::of(row, 0)));
        Ok(())
    }

    /// `None` if no data base could hold such a name (ledger 703).
    fn values(&self, service: &[u8], user: &[u8]) -> Option<Values> {
        let [service, user] = [service, user].map(|octets| {
            std::str::from_utf8(octets).ok().filter(|text| !text.is_empty() && !has_control(text.as_bytes()))
        });
        Some(Values::new(service?, user?, self.queries.default_domain.as_deref()))
    }
}

/// The account that a row describes: username, cryptpw, clearpw, uid, gid,
/// home, maildir, quota, fullname, options.
///
/// Whoever gets here knows the password, or needs none, so a row that cannot be
/// used is a fault of the data base, not of the client (ledger 602).
fn account(row: &Row) -> Result<Account, Unavailable> {
    let account = usable(row, [0, 3, 4, 5, 6, 9])?;
    Ok(Account {
        quota: row.get(7).map(|value| text("quota", value)).transpose()?,
        full_name: row.get(8).map(|value| text("full name", value)).transpose()?,
        stored_password: row.get(1).map(Secret::copy_of),
        clear_password: row.get(2).map(Secret::copy_of),
        ..account
    })
}

/// The account in a row of a list: name, uid, gid, home, maildir, options.
fn entry(row: &Row) -> Option<Entry> {
    usable(row, [0, 1, 2, 3, 4, 5]).ok().map(Entry::from)
}

/// What a list tells of an account too, from these columns.
fn usable(row: &Row, [name, uid, gid, home, maildir, options]: [usize; 6]) -> Result<Account, Unavailable> {
    let required = |field: &str, column| {
        row.get(column).ok_or_else(|| Unavailable::new(format!("the account's {field} is missing")))
    };
    let number = |field: &str, column| id(field, required(field, column)?);
    let ids = Ids::numeric(number("uid", uid)?, number("gid", gid)?)?;
    let home = path("home", required("home", home)?)?.unwrap_or_default();
    let account = Account::new(text("name", required("name", name)?)?, ids, home);
    let maildir = path("maildir", row.get(maildir).unwrap_or_default())?;
    Ok(Account { maildir, options: Options::parse(row.get(options).unwrap_or_default()), ..account })
}

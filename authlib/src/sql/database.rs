//! What a driver of one kind of data base does.

use std::time::Duration;

use super::{Dialect, Statement};
use crate::account::Unavailable;
use crate::rcfile::Settings;
use crate::secret::Secret;

/// How long one call of a [`Database`] may take in all, connecting included; in
/// a list, how long it may take until the next row. Shorter than the caller of
/// the program waits for its answer.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// A data base, as a driver sees it. It is not connected to before it is
/// needed, stays connected between questions, and is connected to anew if the
/// connection turns out to be gone.
///
/// Every method ends within [`PATIENCE`], and what it reports if it cannot do
/// its work is for the log: it holds no password, no text of a statement's
/// parameters, and foreign text only if made
/// [`printable`](crate::printable::printable).
///
/// Parameters are bound in their order to the places of
/// [`Statement::text`], as text of whatever type the data base takes them for.
/// They hold no control octet.
pub trait Database: Send + Sized {
    /// What its settings begin with, such as `SQLITE_`.
    const PREFIX: &'static str;

    /// How statements are written for it.
    const DIALECT: Dialect;

    /// The data base that its own settings name: all of them are asked for
    /// here, and what is not honoured is said
    /// ([`Settings::not_honoured`]). Nothing is opened yet.
    ///
    /// # Errors
    /// If a setting is missing or wrong.
    fn from_settings(settings: &Settings) -> Result<Self, Unavailable>;

    /// Has the data base understand `statement`, but not do it.
    ///
    /// # Errors
    /// If it does not, or cannot be asked.
    fn check(&mut self, statement: &Statement) -> Result<(), Unavailable>;

    /// The first rows that `statement` gives, `most` of them if there are more.
    /// It changes nothing, so it may be tried once more on a new connection. If
    /// a parameter is nothing that the column it is compared with could hold,
    /// such as a name where numbers are, there are no rows.
    ///
    /// # Errors
    /// If they cannot be had, or not as [`Row`]s.
    fn rows(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        most: usize,
    ) -> Result<Vec<Row>, Unavailable>;

    /// Changes one row: in a transaction that is committed only if `statement`
    /// found exactly one ([`one`]), even if it had those values before.
    ///
    /// It is not tried a second time if the first may have been done.
    ///
    /// # Errors
    /// If nothing was changed, or nobody can say.
    fn change_one(&mut self, statement: &Statement, parameters: &[&str]) -> Result<(), Unavailable>;

    /// Gives every row to `each`, without holding them all, until that says no.
    ///
    /// # Errors
    /// If they cannot be had, or not to the last one.
    fn each(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable>;

    /// Nobody has asked for a while: the connection may be closed.
    fn idle(&mut self);
}

/// Whether a statement that found `rows` rows found exactly one.
///
/// # Errors
/// If not; the transaction is to be rolled back.
pub fn one(rows: u64) -> Result<(), Unavailable> {
    if rows == 1 {
        return Ok(());
    }
    Err(Unavailable::new(format!("{rows} rows would have been changed instead of one")))
}

/// A row that was read: its columns as text, a number in decimal digits. Any of
/// them may be a password.
#[derive(Debug)]
pub struct Row(Vec<Option<Secret>>);

impl Row {
    /// Of these columns; `None` is NULL.
    #[must_use]
    pub fn new(columns: Vec<Option<Secret>>) -> Self {
        Row(columns)
    }

    /// How many columns there are.
    #[must_use]
    pub fn columns(&self) -> usize {
        self.0.len()
    }

    /// The column `index`, counted from 0. NULL, an empty text and a column
    /// that is not there are the same: nothing.
    #[must_use]
    pub fn get(&self, index: usize) -> Option<&[u8]> {
        let value = self.0.get(index)?.as_ref()?.expose();
        Some(value).filter(|value| !value.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::{Row, one};
    use crate::Secret;

    #[test]
    fn null_and_nothing_are_the_same() {
        let row = Row::new(vec![Some(Secret::copy_of(b"hunter2")), None, Some(Secret::copy_of(b""))]);
        assert_eq!(row.get(0), Some(b"hunter2".as_slice()));
        assert_eq!((row.get(1), row.get(2), row.get(3), row.columns()), (None, None, None, 3));
        assert!(!format!("{row:?}").contains("hunter"));
    }

    #[test]
    fn one_row_is_neither_none_nor_two() {
        assert!(one(1).is_ok() && one(0).is_err() && one(2).is_err());
    }
}

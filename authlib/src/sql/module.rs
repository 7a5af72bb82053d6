//! The module: settings that follow their file, and the accounts behind them.

use std::fmt;
use std::path::PathBuf;

use super::Database;
use super::accounts::Accounts;
use crate::account::{Account, Unavailable, Verdict};
use crate::module::{Changed, Client, Entry, Module, PasswordChange};
use crate::rcfile::Rcfile;
use crate::record::{Claim, Record};
use crate::scram::{Salt, Wanted};

/// Accounts in a data base of kind `D`.
pub struct Sql<D> {
    name: &'static str,
    accounts: Rcfile<Accounts<D>>,
}

impl<D: Database + 'static> Sql<D> {
    /// The module called `name` with the settings in the file `path`; `say`
    /// writes a line for an administrator. Nothing is opened yet.
    #[must_use]
    pub fn new(name: &'static str, path: PathBuf, say: fn(&dyn fmt::Display)) -> Self {
        Sql { name, accounts: Rcfile::new(path, Accounts::new, say) }
    }
}

impl<D: Database> Module for Sql<D> {
    fn name(&self) -> &str {
        self.name
    }

    /// Says which settings are not used, and has the data base understand the
    /// statements.
    fn prepare(&mut self) -> Result<(), Unavailable> {
        self.accounts.prepare()?.check()
    }

    fn authenticate(&mut self, record: &Record, _: &Client) -> Verdict {
        let claim = match record.claim() {
            None | Some(Claim::Token(_)) => return Verdict::Reject,
            Some(claim) => claim,
        };
        verdict(self.accounts.current().and_then(|accounts| accounts.authenticate(record, &claim)))
    }

    fn salt(&mut self, service: &[u8], wanted: &Wanted, _: &Client) -> Result<Option<Salt>, Unavailable> {
        self.accounts.current()?.salt(service, wanted)
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], _: &Client) -> Verdict {
        verdict(self.accounts.current().and_then(|accounts| accounts.look_up(service, user)))
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        let changed = self.accounts.current().and_then(|accounts| accounts.change_password(change));
        changed.unwrap_or_else(Changed::Unavailable)
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        self.accounts.current()?.enumerate(each)
    }

    fn idle(&mut self) {
        if let Some(accounts) = self.accounts.made() {
            accounts.idle();
        }
    }
}

fn verdict(found: Result<Option<Account>, Unavailable>) -> Verdict {
    match found {
        Ok(Some(account)) => Verdict::Accept(account),
        Ok(None) => Verdict::Reject,
        Err(reason) => reason.into(),
    }
}

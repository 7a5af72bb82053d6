//! authldap as a module: the questions of authdaemond, put to the directory.

use authlib::rcfile::Rcfile;
use authlib::record::{Claim, Login};
use authlib::scram::{Salt, Wanted};
use authlib::{
    Account, Changed, Client, Entry, Module, PasswordChange, Record, Secret, Unavailable, Verdict,
};
use programs::{log, places};

use crate::account::account;
use crate::directory::Directory;
use crate::passwords::Passwords;

/// authldap.
pub(crate) struct Authldap(Rcfile<Directory>);

impl Authldap {
    /// With the settings of authldaprc. Nothing is read yet.
    pub(crate) fn new() -> Self {
        Authldap(Rcfile::new(places::configuration().join("authldaprc"), Directory::new, log::warning))
    }

    fn log_in(&mut self, service: &[u8], login: Login<'_>) -> Result<Option<Account>, Unavailable> {
        let directory = self.0.current()?;
        let entry = directory.find(login.user)?;
        let is_right = directory.is_right(entry.as_ref(), login.password)?;
        let Some(entry) = entry.filter(|_| is_right) else { return Ok(None) };
        let clear_password = Some(Secret::copy_of(login.password));
        Ok(Some(Account { clear_password, ..account(directory.config(), &entry, login.user, service)? }))
    }

    /// The account of whoever `is_right` is true of: what it says of his
    /// passwords becomes the server's signature, if it has one.
    fn prove(
        &mut self,
        service: &[u8],
        user: &[u8],
        is_right: impl FnOnce(&Passwords) -> Option<Option<Vec<u8>>>,
    ) -> Result<Option<Account>, Unavailable> {
        let directory = self.0.current()?;
        // The server compares, and it wants to hear the password.
        if directory.config().is_bind_proof {
            return Ok(None);
        }
        let entry = directory.find(user)?;
        let right = is_right(&directory.passwords(entry.as_ref())?);
        let (Some(entry), Some(server_signature)) = (entry, right) else { return Ok(None) };
        let account = account(directory.config(), &entry, user, service)?;
        Ok(Some(Account { server_signature, ..account }))
    }

    fn find(&mut self, service: &[u8], user: &[u8]) -> Result<Option<Account>, Unavailable> {
        let directory = self.0.current()?;
        let entry = directory.find(user)?;
        entry.map(|entry| account(directory.config(), &entry, user, service)).transpose()
    }

    fn change(&mut self, change: &PasswordChange) -> Result<Changed, Unavailable> {
        let directory = self.0.current()?;
        let entry = directory.find(change.user())?;
        let is_right = directory.is_right(entry.as_ref(), change.old().expose())?;
        let Some(entry) = entry.filter(|_| is_right) else { return Ok(Changed::Reject) };
        directory.change(&entry, change.old(), change.new_password())?;
        Ok(Changed::Done)
    }
}

impl Module for Authldap {
    fn name(&self) -> &str {
        "authldap"
    }

    /// Says which settings are not used, and opens a connection.
    fn prepare(&mut self) -> Result<(), Unavailable> {
        self.0.prepare()?.prepare()
    }

    fn authenticate(&mut self, record: &Record, _: &Client) -> Verdict {
        let service = record.service();
        verdict(match record.claim() {
            Some(Claim::Login(login)) => self.log_in(service, login),
            Some(Claim::Proof(proof)) => {
                self.prove(service, proof.user(), |own| own.verify_cram(&proof).then_some(None))
            }
            Some(Claim::Apop(proof)) => {
                self.prove(service, proof.user(), |own| own.verify_apop(&proof).then_some(None))
            }
            Some(Claim::Scram(proof)) => {
                self.prove(service, proof.user(), |own| own.verify_scram(&proof).map(Some))
            }
            Some(Claim::Token(_)) | None => Ok(None),
        })
    }

    fn salt(&mut self, _: &[u8], wanted: &Wanted, _: &Client) -> Result<Option<Salt>, Unavailable> {
        let directory = self.0.current()?;
        if directory.config().is_bind_proof {
            return Ok(None);
        }
        let entry = directory.find(&wanted.user)?;
        Ok(directory.passwords(entry.as_ref())?.salt(wanted))
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], _: &Client) -> Verdict {
        verdict(self.find(service, user))
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        self.change(change).unwrap_or_else(Changed::Unavailable)
    }

    /// Entries that are no account anybody could use are left out (ledger 415).
    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        self.0.current()?.list(&mut |config, entry| {
            let name = entry.value(&config.attributes.mail).unwrap_or_default();
            account(config, entry, name, b"").map_or(true, |account| each(&account.into()))
        })
    }

    fn idle(&mut self) {
        if let Some(directory) = self.0.made() {
            directory.close();
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

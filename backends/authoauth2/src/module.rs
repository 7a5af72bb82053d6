//! The module: token in, account out.

use std::fmt;
use std::path::PathBuf;
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use authlib::bearer::Bearer;
use authlib::rcfile::Rcfile;
use authlib::record::Claim;
use authlib::{Account, Client, Module, Record, Unavailable, Verdict};
use programs::log::{self, Harmless};

use crate::No;
use crate::settings::Setup;

/// The accounts of those who show a token.
pub struct Oauth2 {
    settings: Rcfile<Setup>,
}

impl Oauth2 {
    /// As the file at `path` says. Nothing is read or asked yet.
    #[must_use]
    pub fn of(path: PathBuf) -> Self {
        Oauth2 { settings: Rcfile::new(path, Setup::of, say) }
    }

    /// The name of the account that the token is about.
    fn named(&mut self, bearer: &Bearer) -> Result<Vec<u8>, No> {
        let Setup { judge, rules, .. } = self.settings.current()?;
        let claims = judge.claims(bearer.token(), Instant::now())?;
        Ok(rules.name(&claims, now()?)?)
    }

    /// The account `name`, which a good token is about, for the client who
    /// shows it.
    fn opened(
        &mut self,
        name: &[u8],
        bearer: &Bearer,
        service: &[u8],
        client: &Client,
    ) -> Result<Account, No> {
        let Setup { rules, accounts, .. } = self.settings.current()?;
        if !rules.is_meant(bearer.user(), name) {
            return Err(No::Rejected("it is about somebody else"));
        }
        accounts.of_owner(service, name, client)
    }
}

impl Module for Oauth2 {
    fn name(&self) -> &str {
        "authoauth2"
    }

    fn prepare(&mut self) -> Result<(), Unavailable> {
        let Setup { judge, accounts, .. } = self.settings.prepare()?;
        judge.prepare()?;
        accounts.prepare()
    }

    /// Tokens alone: who comes with a password is rejected.
    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict {
        let Some(Claim::Token(bearer)) = record.claim() else { return Verdict::Reject };
        let named = self.named(&bearer);
        let opened = named.as_deref().map_err(No::clone);
        match opened.and_then(|name| self.opened(name, &bearer, record.service(), client)) {
            Ok(account) => Verdict::Accept(account),
            Err(No::CannotTell(reason)) => reason.into(),
            Err(No::Rejected(why)) => {
                say_why(why, bearer.user(), named.as_deref().ok());
                Verdict::Reject
            }
        }
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], client: &Client) -> Verdict {
        let found = self.settings.current().map_err(No::from).and_then(|setup| {
            let name = setup.rules.domain.apply(user).into_owned();
            setup.accounts.look_up(service, &name, client)
        });
        match found {
            Ok(account) => Verdict::Accept(account),
            Err(No::Rejected(_)) => Verdict::Reject,
            Err(No::CannotTell(reason)) => reason.into(),
        }
    }

    fn idle(&mut self) {
        if let Some(setup) = self.settings.made() {
            setup.accounts.idle();
        }
    }
}

impl fmt::Debug for Oauth2 {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Oauth2").field("settings", &self.settings).finish()
    }
}

fn say(remark: &dyn fmt::Display) {
    log::line(format_args!("WARN: authoauth2: {remark}"));
}

/// Of a good token the log has the name that a login with it would show too.
fn say_why(why: &str, user: &[u8], account: Option<&[u8]>) {
    let user = Harmless(user);
    match account.map(Harmless) {
        None => log::line(format_args!("INFO: authoauth2: token not accepted: {why}, user={user}")),
        Some(name) => {
            log::line(format_args!(
                "INFO: authoauth2: token not accepted: {why}, user={user}, account={name}"
            ));
        }
    }
}

/// Seconds since 1970.
fn now() -> Result<f64, Unavailable> {
    let since = SystemTime::now().duration_since(UNIX_EPOCH);
    since.map(|since| since.as_secs_f64()).map_err(|_| Unavailable::new("the clock stands before 1970"))
}

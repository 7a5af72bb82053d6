//! Where the session of an account is that was accepted: here, or on another
//! server, with which this program speaks in clear (reference wire.md 15).
//!
//! What a back-end says is heard by a process that has become the account's
//! user, and has no other rights any more. So whoever is rejected there has had
//! his last try on this connection (ledger 881).

use std::time::Instant;

use authlib::Account;
use pop3::reply::Reply;

use crate::log::{self, Harmless};
use crate::proxy::{self, Route, Settings};
use crate::service::proxy::alone::{self, Begun};
use crate::service::proxy::{Connect, Origin};

/// What has become of an account.
pub(super) enum Referred {
    /// Its mail is here.
    Here(Box<Account>),
    /// Its session has begun on another server.
    Begun(Box<Account>, Begun),
    /// Its client is to hear this.
    Disabled(Reply),
    /// It is not let in there.
    Rejected,
    /// It could not be: nobody knows its password.
    NoPassword,
    /// Nobody can tell; why is in the log.
    CannotTell,
}

/// Sends `account` to where its mail is, until `deadline`. Its client is at
/// `origin`, and has said UTF8 or not.
pub(super) fn refer(
    mut account: Box<Account>,
    settings: &Settings,
    (origin, utf8): (Origin, bool),
    deadline: Instant,
) -> Referred {
    let host = match proxy::route(&account, settings) {
        Route::Here => return Referred::Here(account),
        Route::Nowhere => return Referred::CannotTell,
        Route::To(host) => host,
    };
    if let Some(sentence) = proxy::disabled(&account, origin.tls) {
        return Referred::Disabled(sentence);
    }
    let Some(login) = proxy::login(&mut account, settings, None) else { return Referred::NoPassword };
    if let Err(why) = become_who_it_is(&account) {
        log::warning(&format_args!("{}: {why}", Harmless(&account.address)));
        return Referred::CannotTell;
    }
    let connect = Connect { host: host.clone(), account: account.address.clone(), login, origin, utf8 };
    match alone::log_in(connect, settings, deadline) {
        Ok(begun) => Referred::Begun(account, begun),
        Err(failure) => {
            log::warning(&failure.line(&host));
            if failure.is_rejection() { Referred::Rejected } else { Referred::CannotTell }
        }
    }
}

fn become_who_it_is(account: &Account) -> Result<(), String> {
    let groups = account.ids.groups().map_err(|error| authlib::printable::reason(&error))?;
    let become_for_good = system::user::become_for_good(account.ids.uid(), account.ids.gid(), &groups);
    become_for_good.map_err(|refused| refused.to_string())
}

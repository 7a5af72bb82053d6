//! A module: one place that knows accounts, and what it can be asked.
//!
//! The same module serves in four places: as a program of a chain, under
//! authdaemond, under the integrated service, and behind `authtest`. What asks
//! it there is [`Modules`](crate::Modules) or a driver of `programs`; a module
//! knows nothing of them.
//!
//! A module may block. It belongs to one caller at a time and may keep a
//! connection, a child or a prepared statement between questions.

use std::path::PathBuf;

use crate::account::{Account, Unavailable, Verdict};
use crate::printable::has_control;
use crate::record::Refused;
use crate::scram::{Salt, Wanted};
use crate::{Options, Record, Secret};

/// A place that knows accounts.
pub trait Module: Send {
    /// Its name in `authmodulelist`, such as `authuserdb`.
    fn name(&self) -> &str;

    /// Gets ready for the first question: reads settings, starts what is to be
    /// started. Asked once, when a process that will ask questions begins; a
    /// question must do without as well.
    ///
    /// # Errors
    /// What an administrator should hear of now rather than at the first
    /// login. The module is asked all the same: what is wrong may be mended.
    fn prepare(&mut self) -> Result<(), Unavailable> {
        Ok(())
    }

    /// Are these credentials good, and whose are they? (AUTH)
    ///
    /// An authtype that the module does not know is a rejection. The account
    /// has [`clear_password`](Account::clear_password) if the module got to
    /// know it.
    fn authenticate(&mut self, record: &Record, client: &Client) -> Verdict;

    /// With which salt may this user show to know the password? (The first
    /// question of SCRAM; the second one comes to
    /// [`authenticate`](Module::authenticate).) `None` where nobody is known by
    /// that name, or nothing that SCRAM can use is known of the password.
    ///
    /// The default is for modules that know none of it.
    ///
    /// # Errors
    /// If it cannot be told.
    fn salt(
        &mut self,
        service: &[u8],
        wanted: &Wanted,
        client: &Client,
    ) -> Result<Option<Salt>, Unavailable> {
        let _ = (service, wanted, client);
        Ok(None)
    }

    /// Whose account is `user`? No password is asked for. (PRE)
    ///
    /// `service` is the one that asks, such as `pop3`.
    fn look_up(&mut self, service: &[u8], user: &[u8], client: &Client) -> Verdict;

    /// Gives an account a new password, if the old one is right. (PASSWD)
    ///
    /// The default is for modules that cannot.
    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        let _ = change;
        Changed::Reject
    }

    /// Whether [`change_password`](Module::change_password) stores a password
    /// anew in a modern kind when it is changed to itself
    /// ([`renewal`](crate::renewal)).
    fn renews(&self) -> bool {
        false
    }

    /// Names every account, in any order. (ENUMERATE)
    ///
    /// `each` says no when nobody listens any more; the module stops then, and
    /// that is no error. The default is for modules that cannot list theirs.
    ///
    /// # Errors
    /// If the list cannot be had, or not to its end.
    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let _ = each;
        Ok(())
    }

    /// Nobody has asked for some minutes: a module may let go of what costs
    /// others something, such as a connection.
    fn idle(&mut self) {}
}

/// For whom somebody asks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Client {
    ip: Option<String>,
}

impl Client {
    /// The client at the address `ip` (TCPREMOTEIP). An empty one is none.
    ///
    /// # Errors
    /// If it holds a control octet, or is no text: it goes on into protocols
    /// of lines.
    pub fn at(ip: &[u8]) -> Result<Self, Unavailable> {
        match std::str::from_utf8(ip) {
            Ok(ip) if !has_control(ip.as_bytes()) => {
                Ok(Client { ip: Some(ip.to_owned()).filter(|ip| !ip.is_empty()) })
            }
            _ => Err(Unavailable::new("TCPREMOTEIP holds a control octet")),
        }
    }

    /// Its address, free of control octets, if it is known.
    #[must_use]
    pub fn ip(&self) -> Option<&str> {
        self.ip.as_deref()
    }
}

/// An old password for a new one. Nothing in it is empty or holds a control
/// octet.
#[derive(Debug)]
pub struct PasswordChange {
    service: Vec<u8>,
    user: Vec<u8>,
    old: Secret,
    new: Secret,
}

impl PasswordChange {
    /// For `user` of `service`.
    ///
    /// # Errors
    /// See [`Refused`].
    pub fn new(service: &[u8], user: &[u8], old: &[u8], new: &[u8]) -> Result<Self, Refused> {
        // As long as the record of a login with it may be, so that one can
        // log in with what one has chosen.
        Record::login(service, user, old)?;
        Record::login(service, user, new)?;
        if has_control(service) {
            return Err(Refused::ControlOctet("service"));
        }
        Ok(PasswordChange {
            service: service.to_vec(),
            user: user.to_vec(),
            old: Secret::copy_of(old),
            new: Secret::copy_of(new),
        })
    }

    /// The service whose password is meant, such as `pop3`.
    #[must_use]
    pub fn service(&self) -> &[u8] {
        &self.service
    }

    /// The user name.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The password until now, in clear.
    #[must_use]
    pub fn old(&self) -> &Secret {
        &self.old
    }

    /// The password from now on, in clear.
    #[must_use]
    pub fn new_password(&self) -> &Secret {
        &self.new
    }

    /// Whether this is the same password, to be stored anew in a better form.
    #[must_use]
    pub fn is_renewal(&self) -> bool {
        self.old.expose() == self.new.expose()
    }

    /// A login with the old password, to see whether it is right.
    ///
    /// # Errors
    /// None that [`PasswordChange::new`] has not seen already.
    pub fn login(&self) -> Result<Record, Refused> {
        Record::login(&self.service, &self.user, self.old.expose())
    }
}

/// What came of a [`PasswordChange`].
#[derive(Debug, PartialEq, Eq)]
pub enum Changed {
    /// The new password is in force.
    Done,
    /// This place does not know the user, the old password is wrong, or it
    /// changes no passwords.
    Reject,
    /// It could not be done now; the old password is in force.
    Unavailable(Unavailable),
}

impl From<Unavailable> for Changed {
    fn from(reason: Unavailable) -> Self {
        Changed::Unavailable(reason)
    }
}

/// An account in a list of all accounts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// The account's name.
    pub name: Vec<u8>,
    /// The user id.
    pub uid: u32,
    /// The group id.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
    /// The Maildir, if the account has one of its own.
    pub maildir: Option<PathBuf>,
    /// The account options.
    pub options: Options,
}

impl From<Account> for Entry {
    fn from(account: Account) -> Self {
        let Account { address, ids, home, maildir, options, .. } = account;
        Entry { name: address, uid: ids.uid(), gid: ids.gid(), home, maildir, options }
    }
}

#[cfg(test)]
mod tests {
    use super::{Client, PasswordChange};

    #[test]
    fn an_address_is_one_line_of_text() {
        assert_eq!(Client::at(b"::1").unwrap().ip(), Some("::1"));
        assert_eq!(Client::at(b"").unwrap(), Client::default());
        assert!(Client::at(b"::1\nPRE . x y").is_err() && Client::at(b"\xff").is_err());
    }

    #[test]
    fn what_no_login_can_carry_is_no_new_password() {
        assert!(PasswordChange::new(b"pop3", b"alice", b"secret", b"n\xc3\xa9w").is_ok());
        for (user, old, new) in [
            (b"alice".as_slice(), b"secret".as_slice(), b"".as_slice()),
            (b"alice", b"", b"new"),
            (b"", b"secret", b"new"),
            (b"al\tice", b"secret", b"new"),
            (b"alice", b"secret", b"n\new"),
        ] {
            assert!(PasswordChange::new(b"pop3", user, old, new).is_err(), "{user:?}");
        }
        assert!(PasswordChange::new(b"po\tp3", b"alice", b"secret", b"new").is_err());
    }

    #[test]
    fn debug_output_shows_no_password() {
        let change = PasswordChange::new(b"pop3", b"alice", b"hunter2", b"hunter3").unwrap();
        assert!(!format!("{change:?}").contains("hunter"));
    }
}

//! The machine's own users: authpwd and authshadow (reference: authlib 16).
//!
//! Their passwords are where getpwnam(3) finds them, or getspnam(3). Ids and
//! groups are those of the system user; root is nobody whose mail is read.

use std::hint::black_box;

use crate::account::{Account, Ids, Unavailable, Verdict, text};
use crate::module::{Client, Entry, Module};
use crate::options::Options;
use crate::password;
use crate::printable::reason;
use crate::record::Record;
use crate::secret::Secret;

/// Users below this are parts of the system, and no accounts to be listed.
const FIRST_UID: u32 = 100;

/// Where the passwords are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kept {
    InPasswd,
    InShadow,
}

/// The machine's own users.
#[derive(Debug)]
pub struct Passwd {
    kept: Kept,
    /// A password as most of them most likely have it: the first that was seen.
    /// It stands in for those that are missing or locked (ledger 458, 603).
    typical: Option<Secret>,
}

impl Passwd {
    /// authpwd: with the passwords of the passwd data base. It finds none where
    /// they are in the shadow data base.
    #[must_use]
    pub fn authpwd() -> Self {
        Passwd { kept: Kept::InPasswd, typical: None }
    }

    /// authshadow: with the passwords of the shadow data base, which root may
    /// read.
    #[must_use]
    pub fn authshadow() -> Self {
        Passwd { kept: Kept::InShadow, typical: None }
    }

    /// The account called `user` and its stored password, which is empty if it
    /// has none; `None` if there is no such user or its time is over.
    fn find(&self, user: &[u8]) -> Result<Option<(String, system::user::Passwd, Secret)>, Unavailable> {
        let failed = |error| Unavailable::new(format!("the user data base: {}", reason(&error)));
        let Ok(name) = std::str::from_utf8(user) else { return Ok(None) };
        if name.is_empty() || name.contains('\0') {
            return Ok(None);
        }
        let Some(passwd) = system::user::passwd(name).map_err(failed)? else { return Ok(None) };
        let stored = match self.kept {
            Kept::InPasswd => Secret::copy_of(&passwd.password),
            Kept::InShadow => match system::shadow::by_name(name).map_err(failed)? {
                Some(shadow) if !shadow.is_expired => Secret::copy_of(&shadow.password),
                Some(_) | None => return Ok(None),
            },
        };
        Ok(Some((name.to_owned(), passwd, stored)))
    }
}

impl Module for Passwd {
    fn name(&self) -> &str {
        match self.kept {
            Kept::InPasswd => "authpwd",
            Kept::InShadow => "authshadow",
        }
    }

    fn authenticate(&mut self, record: &Record, _: &Client) -> Verdict {
        let Some(login) = record.credentials() else { return Verdict::Reject };
        let found = match self.find(login.user) {
            Ok(found) => found,
            Err(reason) => return reason.into(),
        };
        let own = found.as_ref().map(|(_, _, stored)| stored.expose());
        let own = own.filter(|stored| password::is_password(stored));
        let is_right = match own {
            Some(own) if record.is_remembered(own) => Ok(true),
            Some(own) => password::verify(own, login.password),
            None => {
                // In vain, so that nobody can tell who is missing or locked.
                let others = self.typical.as_ref().map_or(password::NOBODYS, Secret::expose);
                let _in_vain = black_box(password::verify(others, login.password));
                Ok(false)
            }
        };
        if let (None, Some(own)) = (&self.typical, own) {
            self.typical = Some(Secret::copy_of(own));
        }
        let is_right = match is_right {
            Ok(is_right) => is_right,
            Err(reason) => return reason.into(),
        };
        match found.filter(|_| is_right).map(account) {
            Some(Ok(account)) => {
                Verdict::Accept(Account { clear_password: Some(Secret::copy_of(login.password)), ..account })
            }
            Some(Err(reason)) => reason.into(),
            None => Verdict::Reject,
        }
    }

    fn look_up(&mut self, _: &[u8], user: &[u8], _: &Client) -> Verdict {
        match self.find(user).and_then(|found| found.map(account).transpose()) {
            Ok(Some(account)) => Verdict::Accept(account),
            Ok(None) => Verdict::Reject,
            Err(reason) => reason.into(),
        }
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let listed = system::user::list(&mut |system::user::Listed { name, uid, gid, home }| {
            let is_account = uid >= FIRST_UID && gid != 0 && !home.as_os_str().is_empty();
            let entry = Entry { name, uid, gid, home, maildir: None, options: Options::default() };
            !is_account || each(&entry)
        });
        listed.map_err(|error| Unavailable::new(format!("the user data base: {}", reason(&error))))
    }
}

fn account((name, passwd, stored): (String, system::user::Passwd, Secret)) -> Result<Account, Unavailable> {
    let account = Account::new(name.clone().into_bytes(), Ids::of_user(&name)?, passwd.home);
    let full_name = Some(text("full name", &passwd.gecos)?).filter(|name| !name.is_empty());
    let stored_password = Some(stored).filter(|stored| !stored.expose().is_empty());
    Ok(Account { full_name, stored_password, ..account })
}

#[cfg(test)]
mod tests {
    use super::Passwd;
    use crate::{Client, Module, Record, Verdict};

    fn authenticate(mut module: Passwd, user: &[u8]) -> Verdict {
        module.authenticate(&Record::login(b"pop3", user, b"secret").unwrap(), &Client::default())
    }

    #[test]
    fn strangers_and_users_without_a_password_are_rejected() {
        for user in [b"no-such-user-here".as_slice(), b"nobody", b"\xff\xfe"] {
            assert!(matches!(authenticate(Passwd::authpwd(), user), Verdict::Reject), "{user:?}");
        }
        if system::user::is_root() {
            for user in [b"no-such-user-here".as_slice(), b"nobody"] {
                assert!(matches!(authenticate(Passwd::authshadow(), user), Verdict::Reject), "{user:?}");
            }
        }
    }

    #[test]
    fn a_system_user_is_found_by_name_and_root_is_nobody() {
        let mut module = Passwd::authpwd();
        let Verdict::Accept(account) = module.look_up(b"pop3", b"nobody", &Client::default()) else {
            panic!()
        };
        assert_eq!(account.ids.user(), Some("nobody"));
        assert!(account.clear_password.is_none());
        assert!(matches!(module.look_up(b"pop3", b"root", &Client::default()), Verdict::Unavailable(_)));
        assert!(matches!(module.look_up(b"pop3", b"", &Client::default()), Verdict::Reject));
    }

    #[test]
    fn nobody_is_listed_and_root_is_not() {
        let mut names = Vec::new();
        let each = &mut |entry: &crate::Entry| {
            names.push(entry.name.clone());
            true
        };
        Passwd::authpwd().enumerate(each).unwrap();
        assert!(names.contains(&b"nobody".to_vec()) && !names.contains(&b"root".to_vec()));
    }

    #[test]
    fn other_authtypes_are_rejected() {
        let record = Record::decode(b"pop3\ncram-md5\nYQ==\nYg==\n\n").unwrap();
        for mut module in [Passwd::authpwd(), Passwd::authshadow()] {
            assert!(matches!(module.authenticate(&record, &Client::default()), Verdict::Reject));
        }
    }
}

//! What is known of somebody who was accepted, and the three answers to the
//! question whether somebody is.

use std::ffi::OsString;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::time::Duration;

use crate::{Options, Secret};

/// An account, as the module that accepted its owner describes it.
#[derive(Debug)]
pub struct Account {
    /// The account's address, for AUTHENTICATED and for the log.
    pub address: Vec<u8>,
    /// Under which ids its mail is read.
    pub ids: Ids,
    /// The home directory.
    pub home: PathBuf,
    /// The Maildir, absolute or relative to [`home`](Account::home); the
    /// server's default applies if there is none.
    pub maildir: Option<PathBuf>,
    /// The quota as the back-end writes it, such as `100000S,100C`.
    pub quota: Option<Vec<u8>>,
    /// The full name.
    pub full_name: Option<Vec<u8>>,
    /// The password as the back-end keeps it, hashed; not every module tells.
    /// (PASSWD)
    pub stored_password: Option<Secret>,
    /// The password in clear, where it was just verified or is kept so.
    /// (PASSWD2)
    pub clear_password: Option<Secret>,
    /// The account options.
    pub options: Options,
    /// By which a client knows that we have its keys (SCRAM), if that is how it
    /// has shown who it is.
    pub server_signature: Option<Vec<u8>>,
}

impl Account {
    /// An account with nothing but what each one has.
    #[must_use]
    pub fn new(address: Vec<u8>, ids: Ids, home: PathBuf) -> Self {
        Account {
            address,
            ids,
            home,
            maildir: None,
            quota: None,
            full_name: None,
            stored_password: None,
            clear_password: None,
            options: Options::default(),
            server_signature: None,
        }
    }
}

/// The ids of an account. Neither is ever 0: nobody's mail is read as root,
/// and a value of this type proves that it was checked (ledger 400).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Ids {
    uid: u32,
    gid: u32,
    user: Option<String>,
}

impl Ids {
    /// Ids that a back-end gave as numbers.
    ///
    /// # Errors
    /// If either is 0.
    pub fn numeric(uid: u32, gid: u32) -> Result<Self, Unavailable> {
        Ids { uid, gid, user: None }.checked()
    }

    /// Ids that a back-end gave as the name of a system user.
    ///
    /// # Errors
    /// If there is no such user, if the user data base cannot be asked now, or
    /// if either id is 0.
    pub fn of_user(name: &str) -> Result<Self, Unavailable> {
        match system::user::by_name(name) {
            Ok(Some((uid, gid))) => Ids { uid, gid, user: Some(name.to_owned()) }.checked(),
            Ok(None) => Err(Unavailable::new("the account's system user does not exist")),
            Err(error) => Err(Unavailable::new(format!("the user data base: {error}"))),
        }
    }

    fn checked(self) -> Result<Self, Unavailable> {
        if self.uid == 0 || self.gid == 0 {
            return Err(Unavailable::new(format!(
                "uid {}, gid {}: nobody's mail is read with root's ids",
                self.uid, self.gid
            )));
        }
        Ok(self)
    }

    /// The system user, if the back-end gave one by name.
    #[must_use]
    pub fn user(&self) -> Option<&str> {
        self.user.as_deref()
    }

    /// The user id, not 0.
    #[must_use]
    pub fn uid(&self) -> u32 {
        self.uid
    }

    /// The primary group id, not 0.
    #[must_use]
    pub fn gid(&self) -> u32 {
        self.gid
    }

    /// All groups the account's processes belong to: those of its system user
    /// if it has one, else the primary group alone. Group 0 is left out
    /// (ledger 400).
    ///
    /// # Errors
    /// What the group data base reports.
    pub fn groups(&self) -> io::Result<Vec<u32>> {
        let Some(user) = &self.user else {
            return Ok(vec![self.gid]);
        };
        let mut groups = system::user::groups_of(user, self.gid)?;
        groups.retain(|&gid| gid != 0);
        Ok(groups)
    }
}

/// The value of a back-end's field as it may be passed on.
///
/// # Errors
/// If it holds a NUL or a line end, which neither an environment nor a
/// protocol of lines can carry.
pub fn text(field: &str, value: &[u8]) -> Result<Vec<u8>, Unavailable> {
    if value.iter().any(|octet| matches!(octet, 0 | b'\n')) {
        return Err(Unavailable::new(format!("the account's {field} holds a NUL or a line end")));
    }
    Ok(value.to_vec())
}

/// The value of a back-end's field as a path. An empty one names no file.
///
/// # Errors
/// As [`text`].
pub fn path(field: &str, value: &[u8]) -> Result<Option<PathBuf>, Unavailable> {
    let value = text(field, value)?;
    Ok(if value.is_empty() { None } else { Some(PathBuf::from(OsString::from_vec(value))) })
}

/// A uid or gid written in decimal digits, and nothing else: what Courier
/// reads as 0, and so as root, is refused (ledger 400).
///
/// # Errors
/// If it is anything else, or too large.
pub fn id(field: &str, value: &[u8]) -> Result<u32, Unavailable> {
    let digits =
        std::str::from_utf8(value).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .ok_or_else(|| Unavailable::new(format!("the account's {field} is not a number")))
}

/// The answer to a [`Record`](crate::Record).
#[expect(clippy::large_enum_variant, reason = "there is one at a time, and it is soon taken apart")]
#[derive(Debug)]
pub enum Verdict {
    /// The credentials are right, and this is whose they are.
    Accept(Account),
    /// This place does not know the user, or the password is wrong. Nobody
    /// learns which.
    Reject,
    /// It cannot be told now. Never to be taken for a rejection.
    Unavailable(Unavailable),
}

/// Why a question could not be answered, in words for the log.
///
/// The words are for administrators only, and free of foreign text that was
/// not made harmless.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unavailable {
    reason: String,
    too_many_failures: bool,
}

impl Unavailable {
    /// For `reason`.
    #[must_use]
    pub fn new(reason: impl Into<String>) -> Self {
        Unavailable { reason: reason.into(), too_many_failures: false }
    }

    /// Nobody was asked: too many logins have failed from where this one comes
    /// ([`abuse`](crate::abuse)). `time` is for how long that stays so.
    #[must_use]
    pub fn after_too_many_failures(time: Duration) -> Self {
        let reason = format!("too many failed logins, refused for {} s", time.as_secs());
        Unavailable { reason, too_many_failures: true }
    }

    /// Whether that is why.
    #[must_use]
    pub fn is_after_too_many_failures(&self) -> bool {
        self.too_many_failures
    }
}

impl fmt::Display for Unavailable {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.reason)
    }
}

impl std::error::Error for Unavailable {}

impl From<Unavailable> for Verdict {
    fn from(reason: Unavailable) -> Self {
        Verdict::Unavailable(reason)
    }
}

#[cfg(test)]
mod tests {
    use super::{Ids, id, path, text};

    #[test]
    fn ids_are_never_roots() {
        assert!(Ids::numeric(0, 5000).is_err());
        assert!(Ids::numeric(5000, 0).is_err());
        assert!(Ids::numeric(0, 0).is_err());
        assert!(Ids::of_user("root").is_err());
        let ids = Ids::numeric(5000, 5001).unwrap();
        assert_eq!((ids.uid(), ids.gid()), (5000, 5001));
        assert_eq!(ids.groups().unwrap(), [5001]);
    }

    #[test]
    fn an_id_is_decimal_digits_and_nothing_else() {
        assert_eq!(id("uid", b"5000"), Ok(5000));
        for value in [b"".as_slice(), b"x", b"-1", b"+5", b" 5", b"5 ", b"5000x", b"4294967296", b"\xff"] {
            assert!(id("uid", value).is_err(), "{value:?}");
        }
    }

    #[test]
    fn a_nul_or_a_line_end_is_not_passed_on() {
        assert!(text("gecos", b"a\nb").is_err());
        assert!(path("home", b"/a\0b").is_err());
        assert_eq!(path("mail", b""), Ok(None));
    }

    #[test]
    fn a_user_nobody_knows_has_no_ids() {
        assert!(Ids::of_user("no-such-user-here").is_err());
    }

    #[test]
    fn a_system_user_brings_its_groups_except_group_0() {
        let ids = Ids::of_user("nobody").unwrap();
        assert!(ids.groups().unwrap().contains(&ids.gid()));
        assert!(!ids.groups().unwrap().contains(&0));
    }
}

//! Whose rights couriertcpd keeps once its sockets are bound: `-user`, `-group`.

use std::ffi::OsStr;
use std::io;

use nix::unistd::{Gid, Uid, User};

/// The rights asked for, looked up before anything is opened.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Rights {
    /// Those we have.
    Kept,
    /// Those we have, but with one group.
    Group(u32),
    /// Another user's.
    User {
        /// User.
        uid: u32,
        /// Primary group.
        gid: u32,
        /// All groups.
        groups: Vec<u32>,
    },
}

/// Why the rights asked for cannot be had.
#[derive(Debug, thiserror::Error)]
pub(super) enum Wrong {
    /// No such name.
    #[error("User not found: {0}")]
    NoUser(String),
    /// No such name; Courier's words.
    #[error("Group not found: {0}")]
    NoGroup(String),
    /// A number that is nobody's; Courier would go on with the group it has,
    /// usually root's (ledger 505).
    #[error("User {0} has no account, so -group is required.")]
    NoAccount(u32),
    /// The data base cannot be read, or the kernel refused.
    #[error("{}", super::reason(.0))]
    System(#[from] io::Error),
    /// The step down failed.
    #[error(transparent)]
    Refused(#[from] system::user::Refused),
}

impl From<nix::errno::Errno> for Wrong {
    fn from(error: nix::errno::Errno) -> Self {
        Wrong::System(error.into())
    }
}

impl Rights {
    /// Looks up a user and a group, each a name or a number.
    ///
    /// # Errors
    /// See [`Wrong`].
    pub(super) fn look_up(user: Option<&OsStr>, group: Option<&OsStr>) -> Result<Self, Wrong> {
        let gid = group.map(look_up_group).transpose()?;
        let Some(user) = user else {
            return Ok(gid.map_or(Rights::Kept, Rights::Group));
        };
        let (uid, account) = look_up_user(user)?;
        if uid == 0 {
            // Only root could become root, and has nothing to give up.
            return Ok(gid.map_or(Rights::Kept, Rights::Group));
        }
        match (account, gid) {
            (_, Some(gid)) => Ok(Rights::User { uid, gid, groups: vec![gid] }),
            (Some(account), None) => {
                let gid = account.gid.as_raw();
                Ok(Rights::User { uid, gid, groups: system::user::groups_of(&account.name, gid)? })
            }
            (None, None) => Err(Wrong::NoAccount(uid)),
        }
    }

    /// Gives up all others, for good.
    ///
    /// # Errors
    /// See [`Wrong`]; the process must end then.
    pub(super) fn apply(&self) -> Result<(), Wrong> {
        match self {
            Rights::Kept => {}
            Rights::User { uid, gid, groups } => system::user::become_for_good(*uid, *gid, groups)?,
            Rights::Group(gid) if !system::user::is_root() && system::user::own_ids().1 == *gid => {}
            Rights::Group(gid) => {
                nix::unistd::setgroups(&[Gid::from_raw(*gid)])?;
                nix::unistd::setgid(Gid::from_raw(*gid))?;
            }
        }
        Ok(())
    }
}

fn look_up_user(user: &OsStr) -> Result<(u32, Option<User>), Wrong> {
    let text = user.to_string_lossy();
    if let Some(uid) = number(&text) {
        return Ok((uid, User::from_uid(Uid::from_raw(uid))?));
    }
    let account = User::from_name(&text)?.ok_or_else(|| Wrong::NoUser(text.into_owned()))?;
    Ok((account.uid.as_raw(), Some(account)))
}

fn look_up_group(group: &OsStr) -> Result<u32, Wrong> {
    let text = group.to_string_lossy();
    if let Some(gid) = number(&text) {
        return Ok(gid);
    }
    system::user::group_by_name(&text)?.ok_or_else(|| Wrong::NoGroup(text.into_owned()))
}

/// Digits only; the highest value means "no change" to the kernel and is none.
fn number(text: &str) -> Option<u32> {
    let digits = !text.is_empty() && text.bytes().all(|octet| octet.is_ascii_digit());
    text.parse().ok().filter(|&number| digits && number != u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::Rights;

    fn rights(user: Option<&str>, group: Option<&str>) -> Result<Rights, String> {
        Rights::look_up(user.map(AsRef::as_ref), group.map(AsRef::as_ref)).map_err(|wrong| wrong.to_string())
    }

    #[test]
    fn nobody_asked_for_is_nobody_else() {
        assert_eq!(rights(None, None), Ok(Rights::Kept));
        assert_eq!(rights(None, Some("7")), Ok(Rights::Group(7)));
        assert_eq!(rights(Some("root"), None), Ok(Rights::Kept));
        assert_eq!(rights(Some("0"), Some("7")), Ok(Rights::Group(7)));
    }

    #[test]
    fn a_number_without_account_needs_a_group() {
        assert_eq!(
            rights(Some("54321"), None).unwrap_err(),
            "User 54321 has no account, so -group is required."
        );
        let one_group = Rights::User { uid: 54321, gid: 7, groups: vec![7] };
        assert_eq!(rights(Some("54321"), Some("7")), Ok(one_group));
    }

    #[test]
    fn unknown_and_empty_names_are_errors() {
        assert_eq!(rights(Some("no-such-user"), None).unwrap_err(), "User not found: no-such-user");
        assert_eq!(rights(Some(""), None).unwrap_err(), "User not found: ");
        assert_eq!(rights(Some("4294967295"), None).unwrap_err(), "User not found: 4294967295");
        assert_eq!(rights(None, Some("no-such-group")).unwrap_err(), "Group not found: no-such-group");
    }
}

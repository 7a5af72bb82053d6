//! Who we are, and becoming somebody else for good.

use std::ffi::{CStr, OsString};
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::sync::Mutex;

use nix::errno::Errno;
use nix::libc;
use nix::unistd::{Gid, Group, Uid, User};

/// Why a process could not become the account's user.
#[derive(Debug, thiserror::Error)]
pub enum Refused {
    /// The account has uid 0 or gid 0; nobody's mail is read as root.
    #[error("uid {uid}, gid {gid}: root's ids are refused")]
    Root {
        /// The account's uid.
        uid: u32,
        /// The account's gid.
        gid: u32,
    },
    /// The kernel refused.
    #[error("{call}: {error}")]
    Kernel {
        /// The system call.
        call: &'static str,
        /// Its error.
        error: io::Error,
    },
    /// After the change the old rights could still be had back.
    #[error("rights could be regained after they were given up")]
    NotForGood,
}

/// Gives up all rights but those of `uid` and `gid`, in that one order that
/// works (groups, gid, uid), and checks that there is no way back.
///
/// A process that already is `uid` and `gid`, and not root, has nothing to
/// give up; its supplementary groups stay, since only root may set them.
///
/// # Errors
/// See [`Refused`]. The process must end after any error: it may be half-way.
pub fn become_for_good(uid: u32, gid: u32, groups: &[u32]) -> Result<(), Refused> {
    if uid == 0 || gid == 0 || groups.contains(&0) {
        return Err(Refused::Root { uid, gid });
    }
    let (user, group) = (Uid::from_raw(uid), Gid::from_raw(gid));
    if !Uid::effective().is_root() && is_exactly(user, group) {
        return Ok(());
    }
    let groups: Vec<Gid> = groups.iter().copied().map(Gid::from_raw).collect();
    nix::unistd::setgroups(&groups).map_err(|error| kernel("setgroups", error))?;
    nix::unistd::setgid(group).map_err(|error| kernel("setgid", error))?;
    nix::unistd::setuid(user).map_err(|error| kernel("setuid", error))?;
    if !is_exactly(user, group) || nix::unistd::setuid(Uid::from_raw(0)).is_ok() {
        return Err(Refused::NotForGood);
    }
    Ok(())
}

fn kernel(call: &'static str, error: Errno) -> Refused {
    Refused::Kernel { call, error: error.into() }
}

fn is_exactly(user: Uid, group: Gid) -> bool {
    Uid::current() == user && Uid::effective() == user && Gid::current() == group && Gid::effective() == group
}

/// Whether this process runs with root's rights, real or effective.
#[must_use]
pub fn is_root() -> bool {
    Uid::effective().is_root() || Uid::current().is_root()
}

/// Effective uid and gid of this process.
#[must_use]
pub fn own_ids() -> (u32, u32) {
    (Uid::effective().as_raw(), Gid::effective().as_raw())
}

/// uid and primary gid of the user called `name` in the passwd data base.
///
/// # Errors
/// What getpwnam_r(3) reports; an unknown name is `Ok(None)`.
pub fn by_name(name: &str) -> io::Result<Option<(u32, u32)>> {
    Ok(User::from_name(name)?.map(|user| (user.uid.as_raw(), user.gid.as_raw())))
}

/// What the passwd data base says of a system user.
pub struct Passwd {
    /// The stored password, or an `x` where it is in the shadow data base.
    pub password: Vec<u8>,
    /// The full name and what else administrators note, with commas.
    pub gecos: Vec<u8>,
    /// The home directory.
    pub home: PathBuf,
}

/// The entry of the user called `name`.
///
/// # Errors
/// As [`by_name`].
pub fn passwd(name: &str) -> io::Result<Option<Passwd>> {
    Ok(User::from_name(name)?.map(|User { passwd, gecos, dir, .. }| Passwd {
        password: passwd.into_bytes(),
        gecos: gecos.into_bytes(),
        home: dir,
    }))
}

/// A system user in the list of all.
pub struct Listed {
    /// The name.
    pub name: Vec<u8>,
    /// The user id.
    pub uid: u32,
    /// The primary group id.
    pub gid: u32,
    /// The home directory.
    pub home: PathBuf,
}

/// Shows every user of the passwd data base to `each`, which says no when it
/// has seen enough.
///
/// # Errors
/// What getpwent(3) reports.
pub fn list(each: &mut dyn FnMut(Listed) -> bool) -> io::Result<()> {
    /// The place in the list is the process's, not a caller's.
    static PLACE: Mutex<()> = Mutex::new(());
    let _place = PLACE.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    // SAFETY: nobody else uses the list while the lock is held.
    #[allow(unsafe_code)]
    unsafe {
        libc::setpwent();
    }
    let listed = loop {
        match next() {
            Ok(Some(user)) => {
                if !each(user) {
                    break Ok(());
                }
            }
            Ok(None) => break Ok(()),
            Err(error) => break Err(error),
        }
    };
    // SAFETY: as above.
    #[allow(unsafe_code)]
    unsafe {
        libc::endpwent();
    }
    listed
}

/// The next user of the list; the caller holds its lock.
fn next() -> io::Result<Option<Listed>> {
    Errno::clear();
    // SAFETY: the caller holds the lock, so the entry that getpwent returns,
    // or null, stays as it is until this function has copied it; its name and
    // home are null or end in NUL.
    #[allow(unsafe_code)]
    unsafe {
        let Some(entry) = libc::getpwent().as_ref() else {
            return match Errno::last() {
                // Some sources of the data base end with the latter.
                Errno::UnknownErrno | Errno::ENOENT => Ok(None),
                error => Err(error.into()),
            };
        };
        let text = |text: *const libc::c_char| {
            if text.is_null() { Vec::new() } else { CStr::from_ptr(text).to_bytes().to_vec() }
        };
        let home = PathBuf::from(OsString::from_vec(text(entry.pw_dir)));
        Ok(Some(Listed { name: text(entry.pw_name), uid: entry.pw_uid, gid: entry.pw_gid, home }))
    }
}

/// The name of this process's effective user.
///
/// # Errors
/// What getpwuid_r(3) reports; a user without an entry is `Ok(None)`.
pub fn own_name() -> io::Result<Option<String>> {
    Ok(User::from_uid(Uid::effective())?.map(|user| user.name))
}

/// gid of the group called `name`.
///
/// # Errors
/// What getgrnam_r(3) reports; an unknown name is `Ok(None)`.
pub fn group_by_name(name: &str) -> io::Result<Option<u32>> {
    Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
}

/// All groups of the user called `name`, with `gid` as primary one.
///
/// # Errors
/// What getgrouplist(3) reports.
pub fn groups_of(name: &str, gid: u32) -> io::Result<Vec<u32>> {
    let name = std::ffi::CString::new(name)?;
    let groups = nix::unistd::getgrouplist(&name, Gid::from_raw(gid))?;
    Ok(groups.into_iter().map(Gid::as_raw).collect())
}

#[cfg(test)]
mod tests {
    use super::{by_name, list};

    #[test]
    fn everybody_is_listed_from_the_beginning_and_no_further_than_asked() {
        for _ in 0..2 {
            let mut ids = None;
            list(&mut |user| {
                if user.name == b"nobody" {
                    ids = Some((user.uid, user.gid));
                }
                true
            })
            .unwrap();
            assert!(ids.is_some());
            assert_eq!(ids, by_name("nobody").unwrap());
            let mut seen = 0;
            list(&mut |_| {
                seen += 1;
                false
            })
            .unwrap();
            assert_eq!(seen, 1);
        }
    }
}

//! A home directory for an account that has none yet: AUTH_MKHOMEDIR_SKEL
//! (reference maildir.md 12).
//!
//! This runs as root, after the credentials were found good and before the
//! rights are given up. The copy is made under another name that nobody else
//! can enter, and gets its own name when it is whole: an account never sees half
//! a home, and nobody can put a link in our way (ledger 123).

use std::ffi::CStr;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Gid, Mode, OFlags, RenameFlags, Stat, Uid, chownat, fchmod, fchown, mkdirat,
    openat, readlinkat, renameat_with, statat, symlinkat,
};

/// So deep may a skeleton be.
const DEEPEST: usize = 32;

/// Copies the skeleton `from` to `home`, owned by `uid` and `gid`, if there is
/// no `home`. Only its last component is made.
///
/// # Errors
/// What could not be made or copied; there is no `home` then.
pub fn make_home(from: &Path, home: &Path, uid: u32, gid: u32) -> io::Result<()> {
    match statat(CWD, home, AtFlags::empty()) {
        Err(rustix::io::Errno::NOENT) => {}
        // It is there, or it cannot be told: entering it will tell.
        _ => return Ok(()),
    }
    let invalid = || io::Error::from(io::ErrorKind::InvalidInput);
    let name = home.file_name().ok_or_else(invalid)?;
    let parent = directory(CWD, home.parent().ok_or_else(invalid)?, OFlags::empty())?;
    let skeleton = directory(CWD, from, OFlags::empty())?;
    let temporary = format!(".postrider-{}", std::process::id());
    mkdirat(&parent, &temporary, Mode::RWXU)?;
    let owner = Owner { uid: Uid::from_raw(uid), gid: Gid::from_raw(gid) };
    let made = directory(&parent, Path::new(&temporary), OFlags::NOFOLLOW)
        .and_then(|copy| owner.copy_directory(&skeleton, &copy, DEEPEST))
        .and_then(|()| Ok(renameat_with(&parent, &temporary, &parent, name, RenameFlags::NOREPLACE)?));
    match made {
        Ok(()) => Ok(()),
        Err(error) => {
            let path = home.with_file_name(&temporary);
            let _ = std::fs::remove_dir_all(path);
            // Another login of the same account may have been quicker.
            if error.kind() == io::ErrorKind::AlreadyExists { Ok(()) } else { Err(error) }
        }
    }
}

fn directory(at: impl AsFd, path: &Path, more: OFlags) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC | more;
    Ok(openat(at, path, flags, Mode::empty())?)
}

/// To whom the copy is to belong.
struct Owner {
    uid: Uid,
    gid: Gid,
}

impl Owner {
    /// Copies what is in `from`, and then its mode. The copy belongs to the
    /// account at the very end, when we are out of it.
    fn copy_directory(&self, from: &OwnedFd, to: &OwnedFd, depth: usize) -> io::Result<()> {
        if depth == 0 {
            return Err(io::Error::other("the skeleton is too deep"));
        }
        for entry in Dir::read_from(from)? {
            let entry = entry?;
            let name = entry.file_name();
            if name != c"." && name != c".." {
                self.copy_entry(from.as_fd(), to.as_fd(), name, depth)?;
            }
        }
        self.give(to, &rustix::fs::fstat(from)?)
    }

    /// Directories, regular files and links are copied, everything else is not.
    fn copy_entry(
        &self,
        from: BorrowedFd<'_>,
        to: BorrowedFd<'_>,
        name: &CStr,
        depth: usize,
    ) -> io::Result<()> {
        let stat = statat(from, name, AtFlags::SYMLINK_NOFOLLOW)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::Directory => {
                mkdirat(to, name, Mode::RWXU)?;
                let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let (inner, copy) =
                    (openat(from, name, flags, Mode::empty())?, openat(to, name, flags, Mode::empty())?);
                self.copy_directory(&inner, &copy, depth - 1)
            }
            FileType::RegularFile => {
                let flags = OFlags::NOFOLLOW | OFlags::CLOEXEC;
                let mut source = File::from(openat(from, name, flags | OFlags::RDONLY, Mode::empty())?);
                let made = flags | OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL;
                let copy = openat(to, name, made, Mode::RUSR | Mode::WUSR)?;
                let mut copy = File::from(copy);
                io::copy(&mut source, &mut copy)?;
                self.give(&copy, &stat)
            }
            FileType::Symlink => {
                let text = readlinkat(from, name, Vec::new())?;
                symlinkat(text, to, name)?;
                Ok(chownat(to, name, Some(self.uid), Some(self.gid), AtFlags::SYMLINK_NOFOLLOW)?)
            }
            _ => Ok(()),
        }
    }

    /// The mode of the original, whatever the umask is, without set-id bits;
    /// and the account's ids.
    fn give(&self, copy: impl AsFd, original: &Stat) -> io::Result<()> {
        let copy = copy.as_fd();
        let mode = Mode::from_raw_mode(original.st_mode) & (Mode::RWXU | Mode::RWXG | Mode::RWXO);
        fchmod(copy, mode)?;
        Ok(fchown(copy, Some(self.uid), Some(self.gid))?)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

    use super::make_home;

    fn skeleton() -> tempfile::TempDir {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir_all(path("skel/Maildir/cur")).unwrap();
        fs::write(path("skel/.profile"), "umask 077\n").unwrap();
        fs::set_permissions(path("skel/.profile"), fs::Permissions::from_mode(0o4640)).unwrap();
        symlink("/etc/hosts", path("skel/hosts")).unwrap();
        fs::set_permissions(path("skel"), fs::Permissions::from_mode(0o750)).unwrap();
        directory
    }

    #[test]
    fn a_home_is_the_skeleton_with_its_modes_and_the_accounts_ids() {
        let directory = skeleton();
        // Only root may give files away.
        let (uid, gid) = match system::user::own_ids() {
            (0, _) => (64_110, 64_111),
            own => own,
        };
        let home = directory.path().join("home");
        make_home(&directory.path().join("skel"), &home, uid, gid).unwrap();
        let seen = |name: &str| {
            let metadata = fs::symlink_metadata(home.join(name)).unwrap();
            (metadata.mode() & 0o7777, metadata.uid(), metadata.gid())
        };
        assert_eq!(seen(""), (0o750, uid, gid));
        assert_eq!(seen(".profile"), (0o640, uid, gid));
        assert_eq!((seen("hosts").1, seen("Maildir/cur").1), (uid, uid));
        assert_eq!(fs::read_link(home.join("hosts")).unwrap().to_str(), Some("/etc/hosts"));
        assert_eq!(fs::read_to_string(home.join(".profile")).unwrap(), "umask 077\n");
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }

    #[test]
    fn a_home_that_is_there_is_left_alone_and_one_that_cannot_be_made_leaves_nothing() {
        let directory = skeleton();
        let (uid, gid) = system::user::own_ids();
        let home = directory.path().join("home");
        fs::create_dir(&home).unwrap();
        make_home(&directory.path().join("skel"), &home, uid, gid).unwrap();
        assert_eq!(fs::read_dir(&home).unwrap().count(), 0);
        assert!(make_home(&directory.path().join("none"), &directory.path().join("x"), uid, gid).is_err());
        assert!(make_home(&directory.path().join("skel"), &directory.path().join("no/x"), uid, gid).is_err());
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 2);
    }
}

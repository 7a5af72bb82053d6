//! Making Maildirs, folders and quotas, for maildirmake (maildir.md 13).
//!
//! Directories are made with mode 0700 and files with their own; the umask can
//! only take away more.

use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rustix::fs::{CWD, Mode, OFlags};

use crate::beneath;
use crate::notice::Reason;
use crate::quota::{self, Limits};
use crate::root::Maildir;

/// Who may look into a new Maildir.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sharing {
    /// Its owner alone.
    Private,
    /// Everybody may see which folders it has, to find those that are shared.
    Sharable,
}

/// Why a folder or a quota was not made.
#[derive(Debug, thiserror::Error)]
pub enum MakeError {
    /// The folder's name is empty, starts with `.`, or has a `/`.
    #[error("invalid folder name")]
    FolderName,
    /// The quota is not of the form `<n>S,<n>C`.
    #[error("invalid quota")]
    Quota,
    /// What the file system reports.
    #[error("{}", Reason(.0))]
    Io(#[from] io::Error),
}

impl Maildir {
    /// Makes a Maildir at `path`: the directory, and in it `tmp`, `new`, `cur`.
    ///
    /// # Errors
    /// What the file system reports, first of all that something is there.
    pub fn create(path: &Path, sharing: Sharing) -> io::Result<Maildir> {
        rustix::fs::mkdir(path, Mode::RWXU)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, path, flags, Mode::empty())?;
        fill(&root, sharing)?;
        Ok(Maildir::of(root, path))
    }

    /// Makes the folder `name`: a Maildir `.name` in this one, with the file
    /// that marks it as a folder.
    ///
    /// # Errors
    /// See [`MakeError`].
    pub fn create_folder(&self, name: &[u8], sharing: Sharing) -> Result<(), MakeError> {
        if name.is_empty() || name.starts_with(b".") || name.contains(&b'/') {
            return Err(MakeError::FolderName);
        }
        let folder = beneath::new_directory(self, &[b".", name].concat())?;
        // First, so that the folder is never seen as a Maildir of its own.
        beneath::new_file(&folder, b"maildirfolder", Mode::RUSR | Mode::WUSR)?;
        Ok(fill(&folder, sharing)?)
    }

    /// Gives this Maildir the quota `definition`, with its messages counted;
    /// the quota of a folder is that of the Maildir it is in.
    ///
    /// # Errors
    /// See [`MakeError`]; an earlier quota is then still there.
    pub fn set_quota(&self, definition: &[u8]) -> Result<(), MakeError> {
        let (limits, true) = Limits::parse(definition) else { return Err(MakeError::Quota) };
        let definition = limits.definition().ok_or(MakeError::Quota)?;
        Ok(quota::install(self.as_fd(), definition.as_bytes())?)
    }
}

/// Makes the three directories. `cur` is the last: where there is one, the
/// Maildir is whole.
fn fill(root: &OwnedFd, sharing: Sharing) -> io::Result<()> {
    for part in [b"tmp", b"new", b"cur"] {
        beneath::new_directory(root, part)?;
    }
    if sharing == Sharing::Sharable {
        rustix::fs::fchmod(root, Mode::from_raw_mode(0o755))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::{MetadataExt, symlink};

    fn mode(path: &Path) -> u32 {
        fs::symlink_metadata(path).unwrap().mode() & 0o7777
    }

    #[test]
    fn a_maildir_is_its_owners_alone() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        Maildir::create(&path, Sharing::Private).unwrap();
        for part in ["", "tmp", "new", "cur"] {
            assert_eq!(mode(&path.join(part)), 0o700, "{part}");
        }
        let again = Maildir::create(&path, Sharing::Private).unwrap_err();
        assert_eq!(again.kind(), io::ErrorKind::AlreadyExists);
    }

    #[test]
    fn only_the_names_of_folders_are_shared() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        Maildir::create(&path, Sharing::Sharable).unwrap();
        assert_eq!(mode(&path), 0o755);
        assert_eq!(mode(&path.join("cur")), 0o700);
    }

    #[test]
    fn a_folder_is_marked_as_one() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        let maildir = Maildir::create(&path, Sharing::Private).unwrap();
        maildir.create_folder(b"Drafts.Old", Sharing::Private).unwrap();
        assert_eq!(mode(&path.join(".Drafts.Old/cur")), 0o700);
        assert_eq!(mode(&path.join(".Drafts.Old/maildirfolder")), 0o600);
        for name in [b"".as_slice(), b".", b"..", b".x", b"a/b", b"../x"] {
            let error = maildir.create_folder(name, Sharing::Private).unwrap_err();
            assert!(matches!(error, MakeError::FolderName), "{}", name.escape_ascii());
        }
    }

    #[test]
    fn a_new_quota_counts_what_is_there() {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        let maildir = Maildir::create(&path, Sharing::Private).unwrap();
        maildir.create_folder(b"F", Sharing::Private).unwrap();
        maildir.create_folder(b"Trash", Sharing::Private).unwrap();
        fs::write(path.join("new/1.a"), "abc").unwrap();
        fs::write(path.join("cur/2.b:2,ST"), "trashed").unwrap();
        fs::write(path.join("cur/3.c,S=100:2,S"), "abcd").unwrap();
        fs::write(path.join("cur/.dot"), "hidden").unwrap();
        fs::write(path.join(".F/cur/4"), "12345").unwrap();
        fs::write(path.join(".Trash/cur/5"), "123456").unwrap();
        symlink("/etc/passwd", path.join("cur/6.link")).unwrap();
        symlink("/", path.join(".Link")).unwrap();
        maildir.set_quota(b"10C,100000S").unwrap();
        let written = "100000S,10C\n         108            3\n";
        assert_eq!(fs::read_to_string(path.join("maildirsize")).unwrap(), written);
        // A folder's quota is its Maildir's.
        Maildir::open(&path.join(".F")).unwrap().set_quota(b"7C").unwrap();
        assert_eq!(fs::read_to_string(path.join("maildirsize")).unwrap(), "7C\n         108            3\n");
        for wrong in [b"".as_slice(), b"12X", b"S", b"10S,foo", b"-5S", b"0S"] {
            let error = maildir.set_quota(wrong).unwrap_err();
            assert!(matches!(error, MakeError::Quota), "{}", wrong.escape_ascii());
        }
        assert!(fs::read_to_string(path.join("maildirsize")).unwrap().starts_with("7C\n"));
    }
}

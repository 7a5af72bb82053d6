//! Files below a held directory.
//!
//! Every name given here is one component (it comes from readdir, or is a
//! constant), so a directory's descriptor, O_NOFOLLOW and the name's check
//! together say what `RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS` says, on every
//! kernel: no link, `..` or `/` leads out of the Maildir (ledger 308, 316).

use std::fs::File;
use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, FileType, Mode, OFlags, RawDir, RenameFlags, Stat};
use rustix::io::Errno;

/// Flags of every open: nothing is followed, inherited, waited for, or made
/// the controlling terminal.
const ALWAYS: OFlags = OFlags::NOFOLLOW.union(OFlags::CLOEXEC).union(OFlags::NONBLOCK).union(OFlags::NOCTTY);

/// The one component that `name` is.
fn component(name: &[u8]) -> io::Result<&[u8]> {
    if matches!(name, b"" | b"." | b"..") || name.iter().any(|byte| matches!(byte, b'/' | 0)) {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "not the name of a file in one directory"));
    }
    Ok(name)
}

/// Opens the directory `name` in `parent`, which must not be a symbolic link.
pub(crate) fn directory(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | ALWAYS;
    Ok(rustix::fs::openat(parent, component(name)?, flags, Mode::empty())?)
}

/// Makes the directory `name` in `parent`, mode 0700 less the umask.
pub(crate) fn new_directory(parent: impl AsFd, name: &[u8]) -> io::Result<OwnedFd> {
    let parent = parent.as_fd();
    rustix::fs::mkdirat(parent, component(name)?, Mode::RWXU)?;
    directory(parent, name)
}

/// Opens the regular file `name` in `parent`; nothing else is opened in a way
/// that waits or has effects.
pub(crate) fn regular_file(parent: impl AsFd, name: &[u8], flags: OFlags) -> io::Result<(File, Stat)> {
    open(parent, name, flags, Mode::empty())
}

/// Opens the regular file `name` in `parent`, and makes it if it is missing,
/// with `mode` less the umask.
pub(crate) fn regular_file_or_new(
    parent: impl AsFd,
    name: &[u8],
    flags: OFlags,
    mode: Mode,
) -> io::Result<File> {
    open(parent, name, flags | OFlags::CREATE, mode).map(|(file, _)| file)
}

/// Makes the file `name` in `parent`, which must not be there, with `mode`
/// less the umask.
pub(crate) fn new_file(parent: impl AsFd, name: &[u8], mode: Mode) -> io::Result<File> {
    open(parent, name, OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL, mode).map(|(file, _)| file)
}

fn open(parent: impl AsFd, name: &[u8], flags: OFlags, mode: Mode) -> io::Result<(File, Stat)> {
    let file = rustix::fs::openat(parent, component(name)?, flags | ALWAYS, mode)?;
    let stat = rustix::fs::fstat(&file)?;
    if !is_regular(&stat) {
        return Err(not_regular());
    }
    Ok((File::from(file), stat))
}

/// The error for something that is there and is not a regular file.
pub(crate) fn not_regular() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "Not a regular file")
}

/// Whether `stat` is that of a regular file.
pub(crate) fn is_regular(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

/// What is known of `name` in `parent` itself, were it a link.
pub(crate) fn stat(parent: impl AsFd, name: &[u8]) -> io::Result<Stat> {
    Ok(rustix::fs::statat(parent, component(name)?, AtFlags::SYMLINK_NOFOLLOW)?)
}

/// Removes the file `name` from `parent`.
pub(crate) fn unlink(parent: impl AsFd, name: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::unlinkat(parent, component(name)?, AtFlags::empty())?)
}

/// Gives `from` in `old` the name `to` in `new`, in the place of what had it.
pub(crate) fn rename_over(old: impl AsFd, from: &[u8], new: impl AsFd, to: &[u8]) -> io::Result<()> {
    Ok(rustix::fs::renameat(old, component(from)?, new, component(to)?)?)
}

/// Gives `from` in `old` the name `to` in `new`; if that name is taken,
/// nothing happens and the error is `AlreadyExists`.
///
/// Where the file system cannot do it in one step (NFS), the file gets the new
/// name before it loses the old one. A process that dies between leaves two
/// names of one file, which [`crate::scan`] mends (ledger 322).
pub(crate) fn rename(old: impl AsFd, from: &[u8], new: impl AsFd, to: &[u8]) -> io::Result<()> {
    let (old, new) = (old.as_fd(), new.as_fd());
    let (from, to) = (component(from)?, component(to)?);
    match rustix::fs::renameat_with(old, from, new, to, RenameFlags::NOREPLACE) {
        Err(Errno::INVAL | Errno::NOSYS | Errno::OPNOTSUPP) => {}
        result => return Ok(result?),
    }
    rename_in_two_steps(old, from, new, to)
}

/// [`rename`] where the file system knows links at most.
fn rename_in_two_steps(old: BorrowedFd<'_>, from: &[u8], new: BorrowedFd<'_>, to: &[u8]) -> io::Result<()> {
    match rustix::fs::linkat(old, from, new, to, AtFlags::empty()) {
        Ok(()) => unlink(old, from),
        Err(Errno::PERM | Errno::OPNOTSUPP | Errno::NOSYS | Errno::MLINK) => match stat(new, to) {
            Ok(_) => Err(io::ErrorKind::AlreadyExists.into()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => rename_over(old, from, new, to),
            Err(error) => Err(error),
        },
        Err(error) => Err(error.into()),
    }
}

/// Makes what is in the file durable.
///
/// File systems that have nothing to do for it say EINVAL.
pub(crate) fn sync_data(file: impl AsFd) -> io::Result<()> {
    match rustix::fs::fdatasync(file) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Makes the changes to the directory's entries durable.
///
/// File systems that have nothing to do for it say EINVAL.
pub(crate) fn sync_directory(directory: impl AsFd) -> io::Result<()> {
    match rustix::fs::fsync(directory) {
        Ok(()) | Err(Errno::INVAL) => Ok(()),
        Err(error) => Err(error.into()),
    }
}

/// Waits until nobody is changing `directory`: a reading of it takes its lock, were
/// there nothing to be read.
pub(crate) fn wait_for_changes(directory: impl AsFd) -> io::Result<()> {
    let mut buffer = [MaybeUninit::uninit(); 1024];
    match RawDir::new(directory.as_fd(), &mut buffer).next() {
        Some(Err(error)) => Err(error.into()),
        Some(Ok(_)) | None => Ok(()),
    }
}

/// Hands the name and the type of everything in `directory` to `each`.
pub(crate) fn list(directory: impl AsFd, mut each: impl FnMut(&[u8], FileType)) -> io::Result<()> {
    let directory = directory.as_fd();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name().to_bytes();
        if matches!(name, b"." | b"..") {
            continue;
        }
        // Some file systems leave the type to stat.
        let kind = match entry.file_type() {
            FileType::Unknown => {
                stat(directory, name).map_or(FileType::Unknown, |stat| FileType::from_raw_mode(stat.st_mode))
            }
            kind => kind,
        };
        each(name, kind);
    }
    Ok(())
}

/// Hands the names of the regular files in `directory` that do not start with
/// `.` to `each`: what can be a message.
pub(crate) fn list_messages(directory: impl AsFd, mut each: impl FnMut(&[u8])) -> io::Result<()> {
    list(directory, |name, kind| {
        if kind == FileType::RegularFile && !name.starts_with(b".") {
            each(name);
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    fn held(directory: &tempfile::TempDir) -> OwnedFd {
        File::open(directory.path()).unwrap().into()
    }

    #[test]
    fn names_that_lead_elsewhere_are_refused() {
        let directory = tempfile::tempdir().unwrap();
        for name in [b"..".as_slice(), b".", b"", b"a/b", b"/etc", b"a\0b"] {
            assert_eq!(stat(held(&directory), name).unwrap_err().kind(), io::ErrorKind::InvalidInput);
        }
    }

    #[test]
    fn links_and_fifos_are_not_opened() {
        let directory = tempfile::tempdir().unwrap();
        File::create(directory.path().join("file")).unwrap();
        symlink("file", directory.path().join("link")).unwrap();
        symlink(".", directory.path().join("dirlink")).unwrap();
        rustix::fs::mkfifoat(held(&directory), "fifo", Mode::from_raw_mode(0o600)).unwrap();
        let at = held(&directory);
        assert!(regular_file(&at, b"file", OFlags::RDONLY).is_ok());
        assert!(regular_file(&at, b"link", OFlags::RDONLY).is_err());
        assert!(regular_file(&at, b"fifo", OFlags::RDONLY).is_err());
        assert!(super::directory(&at, b"dirlink").is_err());
        let mut seen = Vec::new();
        list_messages(&at, |name| seen.push(name.to_vec())).unwrap();
        assert_eq!(seen, [b"file".to_vec()]);
    }

    #[test]
    fn a_rename_never_replaces() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        File::create(path("a")).unwrap();
        File::create(path("b")).unwrap();
        let at = held(&directory);
        assert_eq!(rename(&at, b"a", &at, b"b").unwrap_err().kind(), io::ErrorKind::AlreadyExists);
        assert!(path("a").exists());
        rename(&at, b"a", &at, b"c").unwrap();
        assert!(!path("a").exists() && path("c").exists());
    }

    #[test]
    fn a_rename_in_two_steps_never_replaces_either() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        std::fs::write(path("a"), "a").unwrap();
        std::fs::write(path("b"), "b").unwrap();
        let at = held(&directory);
        let at = at.as_fd();
        let taken = rename_in_two_steps(at, b"a", at, b"b").unwrap_err();
        assert_eq!(taken.kind(), io::ErrorKind::AlreadyExists);
        assert_eq!(std::fs::read(path("b")).unwrap(), b"b");
        rename_in_two_steps(at, b"a", at, b"c").unwrap();
        assert!(!path("a").exists() && path("c").exists());
        assert_eq!(rename_in_two_steps(at, b"a", at, b"d").unwrap_err().kind(), io::ErrorKind::NotFound);
    }
}

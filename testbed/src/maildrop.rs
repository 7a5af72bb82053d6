//! Maildirs as the dialogues describe them: made before a session, changed
//! meanwhile, looked at afterwards.

use std::fs::{self, File, Permissions};
use std::io::ErrorKind;
use std::os::unix::fs::{PermissionsExt, lchown, symlink};
use std::path::Path;
use std::time::{Duration, SystemTime};

use crate::pattern::{Pattern, printable};
use crate::{Fault, Outcome};

/// Something that lies in a Maildir, by its path relative to the Maildir.
#[derive(Debug, Clone)]
pub struct Entry {
    /// Relative to the Maildir; `..` is the home directory.
    pub path: String,
    /// What is there.
    pub kind: Kind,
}

/// What lies at a path.
#[derive(Debug, Clone)]
pub enum Kind {
    /// A regular file with these octets.
    File(Vec<u8>),
    /// A directory.
    Directory,
    /// A symbolic link with this text.
    Link(String),
    /// A named pipe.
    Fifo,
    /// Nothing, although a Maildir should have it.
    Missing,
    /// What another entry put there, with these permission bits.
    Mode(u32),
    /// What another entry put there, modified so many hours ago.
    Age(u64),
}

/// What another program does to a Maildir while a session is open.
#[derive(Debug, Clone)]
pub enum Change {
    /// Removes a file.
    Remove(String),
    /// Renames a file.
    Rename(String, String),
    /// Delivers or overwrites a file.
    Write(String, Vec<u8>),
    /// Changes permission bits.
    Mode(String, u32),
}

/// What should be left on disk after a session.
#[derive(Debug, Clone)]
pub enum Remains {
    /// Exactly these names in a directory, in the order of their octets.
    Names(String, Vec<Pattern>),
    /// A file with this content.
    Content(String, Pattern),
}

impl Entry {
    /// Whether this is a message: a regular file in `new` or `cur` that is not
    /// hidden by a dot.
    #[must_use]
    pub fn is_plain_message(&self) -> bool {
        let message =
            |(directory, name): (&str, &str)| matches!(directory, "new" | "cur") && !name.starts_with('.');
        matches!(self.kind, Kind::File(_)) && self.path.split_once('/').is_some_and(message)
    }
}

/// Makes `home` and the Maildir `home/Maildir` with `entries`, all owned by
/// `owner` (uid and gid). What was at `home` before is removed.
///
/// # Errors
/// What the file system says, with the path.
pub fn lay_out(home: &Path, entries: &[Entry], owner: (u32, u32)) -> Outcome {
    clear(home).map_err(|error| at(home, &error))?;
    let maildir = home.join("Maildir");
    for directory in [home, &maildir, &maildir.join("tmp"), &maildir.join("new"), &maildir.join("cur")] {
        make_directory(directory, owner)?;
    }
    // Modes and ages come last: what they are about must be there, and a
    // directory without write permission takes nothing more.
    let (late, early): (Vec<_>, Vec<_>) =
        entries.iter().partition(|entry| matches!(entry.kind, Kind::Mode(_) | Kind::Age(_)));
    for entry in early.into_iter().chain(late) {
        let path = maildir.join(&entry.path);
        make(&path, &entry.kind, owner).map_err(|error| at(&path, &error))?;
    }
    Ok(())
}

/// Removes what an earlier dialogue has left, also where it took away the
/// permission to.
fn clear(home: &Path) -> std::io::Result<()> {
    let children = ["Maildir", "Maildir/tmp", "Maildir/new", "Maildir/cur"].map(|child| home.join(child));
    for directory in [home.to_owned()].into_iter().chain(children) {
        // Nothing but a directory of the owner's: a link is removed, not followed.
        if fs::symlink_metadata(&directory).is_ok_and(|metadata| metadata.is_dir()) {
            fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
        }
    }
    match fs::remove_dir_all(home) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn make(path: &Path, kind: &Kind, (uid, gid): (u32, u32)) -> std::io::Result<()> {
    match kind {
        Kind::File(octets) => fs::write(path, octets)?,
        Kind::Directory => fs::create_dir(path)?,
        Kind::Link(target) => symlink(target, path)?,
        Kind::Fifo => nix::unistd::mkfifo(path, nix::sys::stat::Mode::S_IRUSR)?,
        // Resolved first, since nobody can remove `Maildir/..`.
        Kind::Missing => return fs::canonicalize(path).and_then(fs::remove_dir_all),
        Kind::Mode(mode) => return fs::set_permissions(path, Permissions::from_mode(*mode)),
        Kind::Age(hours) => {
            return File::open(path)?.set_modified(SystemTime::now() - Duration::from_secs(hours * 3600));
        }
    }
    lchown(path, Some(uid), Some(gid))
}

fn make_directory(path: &Path, (uid, gid): (u32, u32)) -> Outcome {
    fs::create_dir_all(path)
        .and_then(|()| fs::set_permissions(path, Permissions::from_mode(0o700)))
        .and_then(|()| lchown(path, Some(uid), Some(gid)))
        .map_err(|error| at(path, &error))
}

impl Change {
    /// Does it to `maildir`; new files belong to `owner`.
    ///
    /// # Errors
    /// What the file system says.
    pub fn apply(&self, maildir: &Path, owner: (u32, u32)) -> Outcome {
        match self {
            Change::Remove(path) => fs::remove_file(maildir.join(path))?,
            Change::Rename(from, to) => fs::rename(maildir.join(from), maildir.join(to))?,
            Change::Mode(path, mode) => {
                fs::set_permissions(maildir.join(path), Permissions::from_mode(*mode))?;
            }
            Change::Write(path, octets) => {
                fs::write(maildir.join(path), octets)?;
                lchown(maildir.join(path), Some(owner.0), Some(owner.1))?;
            }
        }
        Ok(())
    }
}

impl Remains {
    /// Compares with what is in `maildir`.
    ///
    /// # Errors
    /// What is there instead.
    pub fn check(&self, maildir: &Path) -> Outcome {
        match self {
            Remains::Names(directory, wanted) => {
                let names = names(&maildir.join(directory))?;
                let fit = names.len() == wanted.len()
                    && names.iter().zip(wanted).all(|(name, wanted)| wanted.fits(name.as_bytes()));
                if fit { Ok(()) } else { Err(format!("afterwards {directory} = {}", names.join(" ")).into()) }
            }
            Remains::Content(file, wanted) => {
                let path = maildir.join(file);
                let octets = fs::read(&path).map_err(|error| at(&path, &error))?;
                let fit = wanted.fits(&octets);
                if fit { Ok(()) } else { Err(format!("afterwards {file} = {}", printable(&octets)).into()) }
            }
        }
    }
}

/// The names in `directory`, sorted by their octets.
///
/// # Errors
/// What the file system says.
pub fn names(directory: &Path) -> Outcome<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| at(directory, &error))? {
        names.push(entry?.file_name().to_string_lossy().into_owned());
    }
    names.sort_unstable();
    Ok(names)
}

fn at(path: &Path, error: &std::io::Error) -> Fault {
    format!("{}: {error}", path.display()).into()
}

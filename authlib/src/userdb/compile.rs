//! Compiles userdb's text into `FILE.dat` and `FILEshadow.dat` (reference:
//! authlib 8 and 9).
//!
//! Logins go on meanwhile. Both files are built whole, and on disk, before
//! either takes its place; if anything is wrong, both old ones stay
//! (ledger 606). The shadow file goes first: in the moment between, a new
//! account is unknown rather than one without a password.

use std::ffi::OsString;
use std::fs::{self, File};
use std::io::{self, BufReader};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use zeroize::Zeroizing;

use super::Userdb;
use super::database::{self, Builder};
use super::edit::Edited;
use super::text::{self, Line};
use crate::exclusive::{self, Temporary, directory_of};
use crate::printable::{printable, reason};

/// How deep directories of userdb files may be nested.
const DEEPEST: usize = 16;

/// Why the old files stay.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// There is no text.
    #[error("{}: not found.", .0.display())]
    NotFound(PathBuf),
    /// The text is reached through a link.
    #[error("ERROR: Wrong makeuserdb command.\n       ({} is a symbolic link)", .0.display())]
    SymbolicLink(PathBuf),
    /// Others than its owner may touch the text.
    #[error("{}: MAY NOT HAVE GROUP OR WORLD PERMISSIONS!!", .0.display())]
    Permissions(PathBuf),
    /// Directories in directories, without end.
    #[error("{}: nested too deep.", .0.display())]
    TooDeep(PathBuf),
    /// A record could not be stored.
    #[error("Cannot store record for {0} - duplicate or out of disk space.")]
    Record(String),
    /// What the system reports of a file.
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
    /// A new file could not be made.
    #[error("{}: {}", .0.display(), .1)]
    Database(PathBuf, database::Failed),
}

/// Whether a record says from which file of a directory it comes, so that a
/// password can be changed there. Courier's makeuserdb leaves it out with -f.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Origin {
    /// It does.
    Noted,
    /// It does not.
    Left,
}

/// Who compiles a text; one at a time, Courier's makeuserdb included, by the
/// same lock file `FILE.lock`.
#[derive(Debug)]
pub struct Compiler {
    source: PathBuf,
    origin: Origin,
    _lock: File,
}

impl Compiler {
    /// For the text `source`, a file or a directory of files; others are waited
    /// for as long as `patience`.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn lock(source: &Path, origin: Origin, patience: Duration) -> Result<Self, Failed> {
        check_source(source)?;
        let lock = with_ending(source, ".lock");
        let _lock = exclusive::lock(&lock, patience).map_err(|error| Failed::System(lock, error))?;
        Ok(Compiler { source: source.to_owned(), origin, _lock })
    }

    /// Whether a file of the text was written to after the files in force were
    /// built.
    ///
    /// # Errors
    /// What the system reports.
    pub fn is_text_ahead(&self) -> Result<bool, Failed> {
        let built = modified(&Userdb::of(&self.source).public)?;
        for file in files_of(&self.source)? {
            if modified(&file)? > built {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Builds both files anew, on disk, beside the old ones; with the text of
    /// `edited`, if there is one, in place of the file that it is to replace.
    /// `warn` hears of lines that are left out; their text may hold a password
    /// and is not shown.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn build(
        &self,
        edited: Option<&Edited<'_>>,
        warn: &mut dyn FnMut(&str),
    ) -> Result<Built<'_>, Failed> {
        let temporary = |ending| {
            let path = with_ending(&self.source, ending);
            Temporary::at(path.clone()).map_err(|error| Failed::System(path, error))
        };
        let (public, shadow) = (temporary(".tmp")?, temporary("shadow.tmp")?);
        let mut builders = Builders { public: builder(&public, 0o644)?, shadow: builder(&shadow, 0o600)? };
        for file in files_of(&self.source)? {
            let label = if self.origin == Origin::Noted { label(&self.source, &file) } else { Vec::new() };
            let read = edited.filter(|edited| edited.file() == file).map_or(&*file, |edited| edited.path());
            builders.add_file(&file, read, &label, warn)?;
        }
        builders.shadow.finish().map_err(|failed| Failed::Database(shadow.path().to_owned(), failed))?;
        builders.public.finish().map_err(|failed| Failed::Database(public.path().to_owned(), failed))?;
        Ok(Built { source: &self.source, public, shadow })
    }
}

/// Two files that are whole and on disk, but not in force. They are gone if
/// they never will be.
#[derive(Debug)]
pub struct Built<'a> {
    source: &'a Path,
    public: Temporary,
    shadow: Temporary,
}

impl Built<'_> {
    /// The same with owners and modes of the old files, where there are any.
    ///
    /// # Errors
    /// What the system reports.
    pub fn like_the_old(self) -> Result<Self, Failed> {
        let Userdb { public, shadow, .. } = Userdb::of(self.source);
        for (new, old) in [(&self.public, public), (&self.shadow, shadow)] {
            let taken = match fs::metadata(&old) {
                Ok(old) => File::open(new.path()).and_then(|new| {
                    exclusive::take_after(&new, &old)?;
                    new.sync_all()
                }),
                Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
                Err(error) => Err(error),
            };
            taken.map_err(|error| Failed::System(old, error))?;
        }
        Ok(self)
    }

    /// They take the old ones' places, the shadow file first, for good.
    ///
    /// # Errors
    /// What the system reports.
    pub fn install(self) -> Result<(), Failed> {
        let Userdb { public, shadow, .. } = Userdb::of(self.source);
        self.shadow.replace(&shadow).map_err(|error| Failed::System(shadow, error))?;
        self.public.replace(&public).map_err(|error| Failed::System(public, error))?;
        let directory = directory_of(self.source);
        exclusive::sync_directory(directory).map_err(|error| Failed::System(directory.to_owned(), error))
    }
}

/// Only somebody with root's care for it may have written the text.
fn check_source(source: &Path) -> Result<(), Failed> {
    let status = match fs::symlink_metadata(source) {
        Ok(status) => status,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            return Err(Failed::NotFound(source.to_owned()));
        }
        Err(error) => return Err(Failed::System(source.to_owned(), error)),
    };
    if status.is_symlink() {
        return Err(Failed::SymbolicLink(source.to_owned()));
    }
    if status.permissions().mode() & 0o077 != 0 {
        return Err(Failed::Permissions(source.to_owned()));
    }
    Ok(())
}

/// The file itself, or all files of the directory, in the order of their
/// names. Names that start with a dot are skipped, and so is whatever is
/// neither a file nor a directory, such as a link to /dev/null, by which the
/// manual takes a file out.
fn files_of(source: &Path) -> Result<Vec<PathBuf>, Failed> {
    let mut files = Vec::new();
    collect(source, 0, &mut files)?;
    Ok(files)
}

fn collect(path: &Path, depth: usize, files: &mut Vec<PathBuf>) -> Result<(), Failed> {
    let failed = |error| Failed::System(path.to_owned(), error);
    let kind = fs::metadata(path).map_err(failed)?;
    if kind.is_file() {
        files.push(path.to_owned());
    } else if kind.is_dir() {
        if depth == DEEPEST {
            return Err(Failed::TooDeep(path.to_owned()));
        }
        let entries: io::Result<Vec<OsString>> =
            fs::read_dir(path).map_err(failed)?.map(|entry| entry.map(|entry| entry.file_name())).collect();
        let mut names = entries.map_err(failed)?;
        names.retain(|name| !name.as_bytes().starts_with(b"."));
        names.sort();
        for name in names {
            collect(&path.join(name), depth + 1, files)?;
        }
    }
    Ok(())
}

/// The path of `file` below `source` with a final `/`, empty if it is
/// `source` itself.
fn label(source: &Path, file: &Path) -> Vec<u8> {
    match file.strip_prefix(source).map(|below| below.as_os_str().as_bytes()) {
        Ok([]) | Err(_) => Vec::new(),
        Ok(below) => [below, b"/"].concat(),
    }
}

/// Both new files.
struct Builders {
    public: Builder,
    shadow: Builder,
}

impl Builders {
    /// Adds the records of `file`, as they stand in `read`.
    fn add_file(
        &mut self,
        file: &Path,
        read: &Path,
        label: &[u8],
        warn: &mut dyn FnMut(&str),
    ) -> Result<(), Failed> {
        let failed = |error| Failed::System(read.to_owned(), error);
        let mut reader = BufReader::new(File::open(read).map_err(failed)?);
        let mut line = Zeroizing::new(Vec::new());
        let mut number = 0u64;
        while text::read_line(&mut reader, &mut line).map_err(failed)? {
            number += 1;
            match Line::parse(&line) {
                Line::Remark => {}
                Line::Record { name, fields } => self.add_record(name, fields, label)?,
                Line::Stray => warn(&format!(
                    "{}:{number}: no name and TAB at the beginning, line left out.",
                    file.display()
                )),
            }
        }
        Ok(())
    }

    fn add_record(&mut self, name: &[u8], fields: &[u8], label: &[u8]) -> Result<(), Failed> {
        let failed = |_| Failed::Record(printable(name));
        let compiled = text::compile(fields, label);
        self.public.insert(name, &compiled.public).map_err(failed)?;
        if !compiled.shadow.is_empty() {
            self.shadow.insert(name, &compiled.shadow).map_err(failed)?;
        }
        Ok(())
    }
}

fn modified(path: &Path) -> Result<SystemTime, Failed> {
    let modified = fs::metadata(path).and_then(|status| status.modified());
    modified.map_err(|error| Failed::System(path.to_owned(), error))
}

fn builder(temporary: &Temporary, mode: u32) -> Result<Builder, Failed> {
    let path = temporary.path();
    Builder::create(path, mode).map_err(|failed| Failed::Database(path.to_owned(), failed))
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

#[cfg(test)]
mod tests {
    use super::{files_of, label};
    use std::fs;
    use std::os::unix::fs::symlink;
    use std::path::Path;

    #[test]
    fn a_directory_is_its_files_in_order_without_hidden_ones() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::create_dir(path("b")).unwrap();
        for name in ["c", "a", "b/x~", "b/.hidden", ".lock.a"] {
            fs::write(path(name), "").unwrap();
        }
        symlink("/dev/null", path("taken-out")).unwrap();
        assert_eq!(files_of(directory.path()).unwrap(), [path("a"), path("b/x~"), path("c")]);
        assert_eq!(label(directory.path(), &path("b/x~")), b"b/x~/");
        assert_eq!(label(&path("a"), &path("a")), b"");
    }

    #[test]
    fn links_in_a_circle_are_an_error() {
        let directory = tempfile::tempdir().unwrap();
        symlink(directory.path(), directory.path().join("again")).unwrap();
        assert!(files_of(directory.path()).is_err());
        assert!(files_of(Path::new("/nonexistent")).is_err());
    }
}

//! makeuserdb(8): compiles userdb's text into `FILE.dat` and `FILEshadow.dat`
//! (reference: authlib 8 and 9).
//!
//! Logins go on meanwhile. Both files are built whole, and on disk, before
//! either takes its place; if anything is wrong, both old ones stay
//! (ledger 606). The shadow file goes first: in the moment between, a new
//! account is unknown rather than one without a password.

use std::env;
use std::ffi::{OsStr, OsString};
use std::fs::{self, File};
use std::io::{self, BufReader, Write};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authlib::printable::{printable, reason};
use authlib::userdb::Userdb;
use authlib::userdb::database::{self, Builder};
use authlib::userdb::text::{self, Line};
use zeroize::Zeroizing;

use crate::{exclusive, places};

/// How deep directories of userdb files may be nested.
const DEEPEST: usize = 16;

const USAGE: &str = "Usage: makeuserdb [-f FILE]\n\
    \n\
    Compiles FILE (or the userdb of the configuration directory), a file or a\n\
    directory of files, into FILE.dat and FILEshadow.dat.\n";

/// Why the old files stay.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{USAGE}")]
    Usage,
    #[error("{}: not found.", .0.display())]
    NotFound(PathBuf),
    #[error("ERROR: Wrong makeuserdb command.\n       ({} is a symbolic link)", .0.display())]
    SymbolicLink(PathBuf),
    #[error("{}: MAY NOT HAVE GROUP OR WORLD PERMISSIONS!!", .0.display())]
    Permissions(PathBuf),
    #[error("{}: nested too deep.", .0.display())]
    TooDeep(PathBuf),
    #[error("Cannot store record for {0} - duplicate or out of disk space.")]
    Record(String),
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
    #[error("{}: {}", .0.display(), .1)]
    Database(PathBuf, database::Failed),
}

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let arguments: Vec<OsString> = env::args_os().skip(1).collect();
    let compiled = match arguments.as_slice() {
        [] => compile(&places::userdb(), Origin::Noted),
        [option, file] if option == "-f" => compile(Path::new(file), Origin::Left),
        _ => Err(Failed::Usage),
    };
    match compiled {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            let _ = writeln!(io::stderr(), "{failed}");
            ExitCode::FAILURE
        }
    }
}

/// Whether a record says from which file of a directory it comes, so that a
/// password can be changed there. Courier's makeuserdb leaves it out with -f.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Origin {
    Noted,
    Left,
}

fn compile(source: &Path, origin: Origin) -> Result<(), Failed> {
    check_source(source)?;
    let final_files = Userdb::of(source);
    let _lock = exclusive::lock(&with_ending(source, ".lock"))
        .map_err(|error| Failed::System(with_ending(source, ".lock"), error))?;
    let public = Temporary::new(with_ending(source, ".tmp"))?;
    let shadow = Temporary::new(with_ending(source, "shadow.tmp"))?;

    let mut builders = Builders { public: public.builder(0o644)?, shadow: shadow.builder(0o600)? };
    for file in files_of(source)? {
        let label = if origin == Origin::Noted { label(source, &file) } else { Vec::new() };
        builders.add_file(&file, &label)?;
    }
    builders.shadow.finish().map_err(|failed| Failed::Database(shadow.0.clone(), failed))?;
    builders.public.finish().map_err(|failed| Failed::Database(public.0.clone(), failed))?;

    shadow.become_file(&final_files.shadow)?;
    public.become_file(&final_files.public)?;
    let directory = exclusive::directory_of(source);
    exclusive::sync_directory(directory).map_err(|error| Failed::System(directory.to_owned(), error))
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
    fn add_file(&mut self, path: &Path, label: &[u8]) -> Result<(), Failed> {
        let failed = |error| Failed::System(path.to_owned(), error);
        let mut reader = BufReader::new(File::open(path).map_err(failed)?);
        let mut line = Zeroizing::new(Vec::new());
        let mut number = 0u64;
        while text::read_line(&mut reader, &mut line).map_err(failed)? {
            number += 1;
            match Line::parse(&line) {
                Line::Remark => {}
                Line::Record { name, fields } => self.add_record(name, fields, label)?,
                Line::Stray => {
                    // Its text may hold a password: it is not shown.
                    let _ = writeln!(
                        io::stderr(),
                        "{}:{number}: no name and TAB at the beginning, line left out.",
                        path.display()
                    );
                }
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

/// A file that is gone again, unless it became another one.
struct Temporary(PathBuf);

impl Temporary {
    /// Makes room at `path`; the lock must be held.
    fn new(path: PathBuf) -> Result<Self, Failed> {
        match exclusive::remove_leftover(&path) {
            Ok(()) => Ok(Temporary(path)),
            Err(error) => Err(Failed::System(path, error)),
        }
    }

    fn builder(&self, mode: u32) -> Result<Builder, Failed> {
        Builder::create(&self.0, mode).map_err(|failed| Failed::Database(self.0.clone(), failed))
    }

    fn become_file(self, path: &Path) -> Result<(), Failed> {
        fs::rename(&self.0, path).map_err(|error| Failed::System(path.to_owned(), error))
    }
}

impl Drop for Temporary {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.0);
    }
}

fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name: OsString = OsStr::new(path).to_owned();
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

//! Changes one record of a file and leaves every other line as it is.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt, fchown};
use std::path::{Path, PathBuf};

use authlib::printable::printable;
use authlib::userdb::text::{self, Line};
use zeroize::Zeroizing;

use super::Failed;
use crate::exclusive;

/// What is done to a record.
pub(super) enum Change<'a> {
    /// Fields get new values, in turn; a record that was not there begins.
    Set(Vec<Assignment<'a>>),
    /// Fields go.
    Unset(&'a [Vec<u8>]),
    /// The record goes.
    Delete,
}

/// A field and its new value.
pub(super) struct Assignment<'a> {
    pub(super) field: &'a [u8],
    pub(super) value: Zeroizing<Vec<u8>>,
}

impl Change<'_> {
    /// The new fields of a record; `None` stands for no record, before and
    /// after.
    fn apply(&self, fields: Option<&[u8]>) -> Option<Zeroizing<Vec<u8>>> {
        let copy = |fields: &[u8]| Zeroizing::new(fields.to_vec());
        match self {
            Change::Set(assignments) => {
                let set = |fields: Zeroizing<Vec<u8>>, Assignment { field, value }: &_| {
                    text::with_field(&fields, field, value)
                };
                Some(assignments.iter().fold(copy(fields.unwrap_or_default()), set))
            }
            Change::Unset(unset) => {
                let unset_one =
                    |fields: Zeroizing<Vec<u8>>, field: &Vec<u8>| text::without_field(&fields, field);
                Some(unset.iter().fold(copy(fields?), unset_one))
            }
            Change::Delete => None,
        }
    }
}

/// Makes `change` to the record called `name` in `file`.
///
/// The new text is on disk before it takes the old one's place in one step,
/// with the same owner and mode; a new file is for its owner only. Courier's
/// userdb is kept out meanwhile, by the same lock file `.lock.FILE`.
pub(super) fn edit(file: &Path, name: &[u8], change: &Change<'_>) -> Result<(), Failed> {
    let (lock, temporary) = (beside(file, ".lock."), beside(file, ".tmp."));
    let _lock = exclusive::lock(&lock).map_err(failed(&lock))?;
    exclusive::remove_leftover(&temporary).map_err(failed(&temporary))?;

    let old = open(file).map_err(failed(file))?;
    let new = create(&temporary, old.as_ref()).map_err(failed(&temporary))?;
    let written = rewrite(old, Rewriter::new(&new, name, change)).and_then(|is_changed| {
        new.sync_all()?;
        Ok(is_changed)
    });
    let done = match written {
        Ok(true) => replace(&temporary, file),
        Ok(false) => Ok(()),
        Err(Trouble::Twice) => Err(Failed::Twice(file.to_owned(), printable(name))),
        Err(Trouble::System(error)) => Err(failed(file)(error)),
    };
    // Gone already if it has become the file.
    let _ = fs::remove_file(&temporary);
    done
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> Failed {
    let path = path.to_owned();
    move |error| Failed::System(path, error)
}

fn replace(temporary: &Path, file: &Path) -> Result<(), Failed> {
    fs::rename(temporary, file).map_err(failed(file))?;
    let directory = exclusive::directory_of(file);
    exclusive::sync_directory(directory).map_err(failed(directory))
}

/// Why a text could not be written anew.
enum Trouble {
    /// The record is there more than once: which one is meant?
    Twice,
    System(io::Error),
}

impl From<io::Error> for Trouble {
    fn from(error: io::Error) -> Self {
        Trouble::System(error)
    }
}

/// Writes `old` anew; whether anything has changed.
fn rewrite(old: Option<File>, mut rewriter: Rewriter<'_>) -> Result<bool, Trouble> {
    if let Some(old) = old {
        let mut reader = BufReader::new(old);
        let mut line = Zeroizing::new(Vec::new());
        while text::read_line(&mut reader, &mut line)? {
            rewriter.line(&line)?;
        }
    }
    rewriter.finish()
}

/// Passes lines on, but for those of one record.
struct Rewriter<'a> {
    output: BufWriter<&'a File>,
    name: &'a [u8],
    change: &'a Change<'a>,
    is_found: bool,
    is_written: bool,
}

impl<'a> Rewriter<'a> {
    fn new(output: &'a File, name: &'a [u8], change: &'a Change<'a>) -> Self {
        Rewriter { output: BufWriter::new(output), name, change, is_found: false, is_written: false }
    }

    fn line(&mut self, line: &[u8]) -> Result<(), Trouble> {
        match Line::parse(line) {
            Line::Record { name, fields } if name == self.name => {
                self.is_found = true;
                self.record(Some(fields))
            }
            _ => Ok(self.write(&[line])?),
        }
    }

    fn record(&mut self, old: Option<&[u8]>) -> Result<(), Trouble> {
        let Some(fields) = self.change.apply(old) else { return Ok(()) };
        if self.is_written {
            return Err(Trouble::Twice);
        }
        self.is_written = true;
        Ok(self.write(&[self.name, b"\t", &fields])?)
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        parts.iter().try_for_each(|part| self.output.write_all(part))?;
        self.output.write_all(b"\n")
    }

    fn finish(mut self) -> Result<bool, Trouble> {
        if !self.is_found {
            self.record(None)?;
        }
        self.output.flush()?;
        Ok(self.is_found || self.is_written)
    }
}

/// The old text, if there is one. A link is not followed: it would be
/// replaced, and what it points to stay as it is.
fn open(file: &Path) -> io::Result<Option<File>> {
    match fs::symlink_metadata(file) {
        Ok(status) if status.is_symlink() => Err(io::Error::other("is a symbolic link")),
        Ok(_) => File::open(file).map(Some),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An empty file with the owner and mode of the old one.
fn create(path: &Path, old: Option<&File>) -> io::Result<File> {
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(old) = old {
        let (own, old) = (file.metadata()?, old.metadata()?);
        if (own.uid(), own.gid()) != (old.uid(), old.gid()) {
            fchown(&file, Some(old.uid()), Some(old.gid()))?;
        }
        file.set_permissions(fs::Permissions::from_mode(old.mode() & 0o7777))?;
    }
    Ok(file)
}

/// `PREFIXfile` in the directory of `file`.
fn beside(file: &Path, prefix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(file.file_name().unwrap_or_default());
    exclusive::directory_of(file).join(name)
}

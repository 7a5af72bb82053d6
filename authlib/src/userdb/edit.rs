//! Changes one record of a userdb text and leaves every other line as it is.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions};
use std::io::{self, BufReader, BufWriter, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::text::{self, Line};
use crate::exclusive::{self, Temporary, directory_of};
use crate::printable::{printable, reason};

/// What is done to a record.
#[derive(Debug)]
pub enum Change<'a> {
    /// Fields get new values, in turn; a record that was not there begins.
    Set(&'a [Assignment<'a>]),
    /// Fields go.
    Unset(&'a [Vec<u8>]),
    /// The record goes.
    Delete,
}

/// A field and its new value.
#[derive(Debug)]
pub struct Assignment<'a> {
    /// The field's name.
    pub field: &'a [u8],
    /// What stands behind `=`.
    pub value: Zeroizing<Vec<u8>>,
}

/// Why a text stays as it was.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// The record is there more than once: which one is meant?
    #[error("{}: {} is there more than once.", .0.display(), .1)]
    Twice(PathBuf, String),
    /// What the system reports of a file.
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
}

/// A text that one process at a time changes. Courier's userdb is kept out, by
/// the same lock file `.lock.FILE`.
#[derive(Debug)]
pub struct Text {
    file: PathBuf,
    _lock: File,
}

impl Text {
    /// The text in `file`, which need not be there yet; others are waited for
    /// as long as `patience`.
    ///
    /// # Errors
    /// What the system reports.
    pub fn lock(file: &Path, patience: Duration) -> Result<Self, Failed> {
        let lock = beside(file, ".lock.");
        let _lock = exclusive::lock(&lock, patience).map_err(failed(&lock))?;
        Ok(Text { file: file.to_owned(), _lock })
    }

    /// The fields of the record called `name`, if there is one.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn find(&self, name: &[u8]) -> Result<Option<Zeroizing<Vec<u8>>>, Failed> {
        let failed = failed(&self.file);
        let Some(text) = open(&self.file).map_err(&failed)? else { return Ok(None) };
        let mut found = None;
        let mut is_twice = false;
        let mut each = |line: &[u8]| {
            if let Line::Record { fields, .. } = named(line, name) {
                is_twice |= found.replace(Zeroizing::new(fields.to_vec())).is_some();
            }
            Ok(())
        };
        each_line(text, &mut each).map_err(&failed)?;
        if is_twice { Err(self.twice(name)) } else { Ok(found) }
    }

    /// Writes the text anew with `change` made to the record called `name`,
    /// beside the old one: on disk, with the same owner and mode, for its owner
    /// only if there was none. `None` if nothing would be another.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn edit(&self, name: &[u8], change: &Change<'_>) -> Result<Option<Edited<'_>>, Failed> {
        let path = beside(&self.file, ".tmp.");
        let temporary = Temporary::at(path.clone()).map_err(failed(&path))?;
        let old = open(&self.file).map_err(failed(&self.file))?;
        let new = create(&path, old.as_ref()).map_err(failed(&path))?;
        let mut rewriter = Rewriter::new(&new, name, change);
        let written = match old {
            Some(old) => each_line(old, &mut |line| rewriter.line(line)),
            None => Ok(()),
        };
        let written = written.and_then(|()| rewriter.finish()).and_then(|outcome| {
            new.sync_all()?;
            Ok(outcome)
        });
        match written.map_err(failed(&path))? {
            Outcome::Another => Ok(Some(Edited { text: self, temporary })),
            Outcome::Same => Ok(None),
            Outcome::Twice => Err(self.twice(name)),
        }
    }

    fn twice(&self, name: &[u8]) -> Failed {
        Failed::Twice(self.file.clone(), printable(name))
    }
}

/// A new text that is whole and on disk, but not in force. It is gone if it
/// never will be.
#[derive(Debug)]
pub struct Edited<'a> {
    text: &'a Text,
    temporary: Temporary,
}

impl Edited<'_> {
    /// Where the new text is.
    #[must_use]
    pub fn path(&self) -> &Path {
        self.temporary.path()
    }

    /// The file whose place it is to take.
    #[must_use]
    pub fn file(&self) -> &Path {
        &self.text.file
    }

    /// Takes the old one's place, in one step, for good.
    ///
    /// # Errors
    /// What the system reports.
    pub fn install(self) -> Result<(), Failed> {
        let file = &self.text.file;
        self.temporary.replace(file).map_err(failed(file))?;
        let directory = directory_of(file);
        exclusive::sync_directory(directory).map_err(failed(directory))
    }
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

/// What has become of a text.
enum Outcome {
    Another,
    Same,
    /// The record was there more than once.
    Twice,
}

/// Passes lines on, but for those of one record.
struct Rewriter<'a> {
    output: BufWriter<&'a File>,
    name: &'a [u8],
    change: &'a Change<'a>,
    is_found: bool,
    is_written: bool,
    is_twice: bool,
}

impl<'a> Rewriter<'a> {
    fn new(output: &'a File, name: &'a [u8], change: &'a Change<'a>) -> Self {
        let output = BufWriter::new(output);
        Rewriter { output, name, change, is_found: false, is_written: false, is_twice: false }
    }

    fn line(&mut self, line: &[u8]) -> io::Result<()> {
        match named(line, self.name) {
            Line::Record { fields, .. } => {
                self.is_found = true;
                self.record(Some(fields))
            }
            _ => self.write(&[line]),
        }
    }

    fn record(&mut self, old: Option<&[u8]>) -> io::Result<()> {
        let Some(fields) = self.change.apply(old) else { return Ok(()) };
        self.is_twice |= self.is_written;
        self.is_written = true;
        self.write(&[self.name, b"\t", &fields])
    }

    fn write(&mut self, parts: &[&[u8]]) -> io::Result<()> {
        parts.iter().try_for_each(|part| self.output.write_all(part))?;
        self.output.write_all(b"\n")
    }

    fn finish(mut self) -> io::Result<Outcome> {
        if !self.is_found {
            self.record(None)?;
        }
        self.output.flush()?;
        Ok(match (self.is_twice, self.is_found || self.is_written) {
            (true, _) => Outcome::Twice,
            (false, true) => Outcome::Another,
            (false, false) => Outcome::Same,
        })
    }
}

/// The line's record if it is called `name`; else it is just a line.
fn named<'a>(line: &'a [u8], name: &[u8]) -> Line<'a> {
    match Line::parse(line) {
        Line::Record { name: other, .. } if other != name => Line::Remark,
        parsed => parsed,
    }
}

fn each_line(text: File, each: &mut dyn FnMut(&[u8]) -> io::Result<()>) -> io::Result<()> {
    let mut reader = BufReader::new(text);
    let mut line = Zeroizing::new(Vec::new());
    while text::read_line(&mut reader, &mut line)? {
        each(&line)?;
    }
    Ok(())
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
        exclusive::take_after(&file, &old.metadata()?)?;
    }
    Ok(file)
}

/// `PREFIXfile` in the directory of `file`.
fn beside(file: &Path, prefix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(file.file_name().unwrap_or_default());
    directory_of(file).join(name)
}

fn failed(path: &Path) -> impl Fn(io::Error) -> Failed {
    let path = path.to_owned();
    move |error| Failed::System(path.clone(), error)
}

#[cfg(test)]
mod tests {
    use super::{Assignment, Change, Text};
    use crate::exclusive::PATIENCE;
    use proptest::prelude::*;
    use std::fs;
    use zeroize::Zeroizing;

    /// What `change` makes of `text`; `None` if it makes nothing of it.
    fn edited(text: &str, name: &str, change: &Change<'_>) -> Option<String> {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("userdb");
        fs::write(&file, text).unwrap();
        let locked = Text::lock(&file, PATIENCE).unwrap();
        match locked.edit(name.as_bytes(), change) {
            Ok(Some(edited)) => edited.install().unwrap(),
            Ok(None) | Err(_) => return None,
        }
        assert!(!directory.path().join(".tmp.userdb").exists());
        Some(fs::read_to_string(&file).unwrap())
    }

    #[test]
    fn a_new_text_that_is_not_wanted_any_more_is_gone() {
        let directory = tempfile::tempdir().unwrap();
        let text = Text::lock(&directory.path().join("userdb"), PATIENCE).unwrap();
        let assignments = [Assignment { field: b"uid", value: Zeroizing::new(b"5".to_vec()) }];
        let edited = text.edit(b"alice", &Change::Set(&assignments)).unwrap().unwrap();
        let path = edited.path().to_owned();
        assert_eq!(fs::read_to_string(&path).unwrap(), "alice\tuid=5\n");
        drop(edited);
        assert!(!path.exists() && text.find(b"alice").unwrap().is_none());
        assert!(text.edit(b"alice", &Change::Delete).unwrap().is_none());
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(64))]
        #[test]
        fn all_lines_but_one_stay_as_they_are(
            before in "((#|[b-d]\t)?[x-z=|]{0,4}\n){0,5}",
            fields in "([a-d]=[x-z]{0,2}\\|?){1,3}",
            behind in "([b-d]\t[x-z=|]{0,4}\n){0,5}",
            value in "[x-z=]{0,4}",
        ) {
            let text = format!("{before}a\t{fields}\n{behind}");
            let assignments = [Assignment { field: b"z", value: Zeroizing::new(value.clone().into_bytes()) }];
            let new = edited(&text, "a", &Change::Set(&assignments)).unwrap();
            let expected = format!("{before}a\t{}|z={value}\n{behind}", fields.trim_end_matches('|'));
            prop_assert_eq!(new, expected);
            prop_assert_eq!(edited(&text, "a", &Change::Delete).unwrap(), format!("{before}{behind}"));
            let twice = format!("{text}a\tuid=1\n");
            prop_assert!(edited(&twice, "a", &Change::Set(&assignments)).is_none());
        }
    }
}

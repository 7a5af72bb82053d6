//! A file of settings, and what was made of it.

use std::fmt;
use std::fs::{File, Metadata};
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use zeroize::Zeroizing;

use super::Settings;
use crate::account::Unavailable;
use crate::printable::{printable, reason};

/// Most octets of a file of settings.
const LIMIT: usize = 256 * 1024;

/// A file of settings, and what `make` made of it.
///
/// It is looked at before each use. When it has changed, it is read again; if
/// it is wrong now, what was made of it before stays in use (ledger 700). Both
/// are said.
pub struct Rcfile<T> {
    path: PathBuf,
    make: Make<T>,
    say: fn(&dyn fmt::Display),
    seen: Option<Stamp>,
    made: Option<T>,
    wrong: Option<Unavailable>,
}

type Make<T> = Box<dyn Fn(&Settings) -> Result<T, Unavailable> + Send>;

impl<T> Rcfile<T> {
    /// The file at `path`, of which `make` makes something; `say` writes a line
    /// for an administrator. Nothing is read yet.
    ///
    /// `make` asks for every setting that it knows, also for those of no use
    /// at the moment: the others are said to be unknown.
    #[must_use]
    pub fn new(
        path: PathBuf,
        make: impl Fn(&Settings) -> Result<T, Unavailable> + Send + 'static,
        say: fn(&dyn fmt::Display),
    ) -> Self {
        Rcfile { path, make: Box::new(make), say, seen: None, made: None, wrong: None }
    }

    /// Reads the file, and says what an administrator should know of it
    /// ([`Settings::remarks`]). For [`Module::prepare`](crate::Module::prepare).
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn prepare(&mut self) -> Result<&mut T, Unavailable> {
        self.seen = None;
        self.refresh(true);
        self.in_use()
    }

    /// What was made of the file as it is now, or as it was when it was last
    /// right.
    ///
    /// What is read here for the first time is read without remarks: a program
    /// of a chain does it at each login.
    ///
    /// # Errors
    /// It has never been right: what is wrong with it now.
    pub fn current(&mut self) -> Result<&mut T, Unavailable> {
        let is_new = self.seen.is_none();
        self.refresh(!is_new);
        self.in_use()
    }

    /// What is in use at the moment, whatever has become of the file.
    pub fn made(&mut self) -> Option<&mut T> {
        self.made.as_mut()
    }

    fn in_use(&mut self) -> Result<&mut T, Unavailable> {
        let wrong = self.wrong.clone();
        self.made.as_mut().ok_or_else(|| wrong.unwrap_or_else(|| Unavailable::new("there are no settings")))
    }

    /// Reads the file if it is not the one that was seen last.
    fn refresh(&mut self, remarks: bool) {
        let stamp = Stamp::of(&self.path);
        if self.seen.as_ref() == Some(&stamp) {
            return;
        }
        // Of before the reading: what is written meanwhile is another stamp.
        self.seen = Some(stamp);
        match self.read(remarks) {
            Ok(made) => {
                self.made = Some(made);
                self.wrong = None;
            }
            Err(wrong) => {
                if self.made.is_some() {
                    (self.say)(&format_args!("{wrong}; the settings stay as they were"));
                }
                self.wrong = Some(wrong);
            }
        }
    }

    fn read(&self, remarks: bool) -> Result<T, Unavailable> {
        let path = printable(self.path.as_os_str().as_encoded_bytes());
        let text =
            read(&self.path).map_err(|error| Unavailable::new(format!("{path}: {}", reason(&error))))?;
        let settings =
            Settings::parse(&text).map_err(|flaw| Unavailable::new(format!("{flaw} in {path}")))?;
        let made = (self.make)(&settings).map_err(|wrong| Unavailable::new(format!("{path}: {wrong}")))?;
        if remarks {
            settings.remarks().iter().for_each(|remark| (self.say)(&format_args!("{path}: {remark}")));
        }
        Ok(made)
    }
}

impl<T> fmt::Debug for Rcfile<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Rcfile").field(&self.path).finish()
    }
}

/// By what a changed file is told from the one before; also whether there is
/// one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Stamp(Option<(u64, u64, u64, i64, i64)>);

impl Stamp {
    pub(crate) fn of(path: &Path) -> Self {
        let stamp =
            |found: Metadata| (found.dev(), found.ino(), found.size(), found.mtime(), found.mtime_nsec());
        Stamp(path.metadata().ok().map(stamp))
    }
}

fn read(path: &Path) -> io::Result<Zeroizing<Vec<u8>>> {
    // Not to wait for who may write into a pipe.
    if !path.metadata()?.is_file() {
        return Err(io::Error::other("it is no file"));
    }
    // With room for all: what grows leaves copies behind.
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT + 1));
    File::open(path)?.take(LIMIT as u64 + 1).read_to_end(&mut text)?;
    if text.len() > LIMIT {
        return Err(io::Error::other(format!("it has more than {LIMIT} octets")));
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, Rcfile};
    use crate::account::Unavailable;
    use std::cell::RefCell;
    use std::fmt::Display;
    use std::fs;

    thread_local! {
        static SAID: RefCell<Vec<String>> = const { RefCell::new(Vec::new()) };
    }

    fn say(line: &dyn Display) {
        SAID.with_borrow_mut(|said| said.push(line.to_string()));
    }

    fn said() -> Vec<String> {
        SAID.take()
    }

    /// A file of its own with `text`, of which the number in N is made.
    fn rcfile(text: &str) -> (tempfile::TempDir, Rcfile<u32>) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("authrc");
        fs::write(&path, text).unwrap();
        let make = |settings: &super::Settings| {
            settings.number("N")?.ok_or_else(|| Unavailable::new("N is not set"))
        };
        (directory, Rcfile::new(path, make, say))
    }

    /// As an editor does it.
    fn replace(rcfile: &Rcfile<u32>, text: &str) {
        let beside = rcfile.path.with_extension("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, &rcfile.path).unwrap();
    }

    const SEVEN: &str = "N 7\nX y\n##NAME: MARKER:0\n";

    #[test]
    fn a_changed_file_is_read_again_and_its_unknown_settings_are_said() {
        let (_directory, mut rcfile) = rcfile(SEVEN);
        assert_eq!(rcfile.current(), Ok(&mut 7));
        assert_eq!(said(), [""; 0]);
        replace(&rcfile, &SEVEN.replace('7', "8"));
        assert_eq!(rcfile.current(), Ok(&mut 8));
        assert_eq!(rcfile.current(), Ok(&mut 8));
        let said = said();
        assert!(said.len() == 1 && said[0].ends_with("authrc: X is not known, and not used"), "{said:?}");
    }

    #[test]
    fn getting_ready_says_what_is_unknown() {
        let (_directory, mut rcfile) = rcfile(SEVEN);
        assert_eq!(rcfile.prepare(), Ok(&mut 7));
        assert_eq!(said().len(), 1);
        assert_eq!(rcfile.current(), Ok(&mut 7));
        assert_eq!(said(), [""; 0]);
    }

    #[test]
    fn a_file_that_has_become_wrong_leaves_the_settings_as_they_were() {
        let (_directory, mut rcfile) = rcfile(SEVEN);
        assert_eq!(rcfile.current(), Ok(&mut 7));
        for (text, reason) in [
            ("N 8\n", "marker line not found in "),
            ("N x\n##NAME: MARKER:0\n", "N is not a number"),
            ("##NAME: MARKER:0\n", "N is not set"),
            ("\0", "there is a NUL"),
        ] {
            replace(&rcfile, text);
            assert_eq!(rcfile.current(), Ok(&mut 7));
            assert_eq!(rcfile.current(), Ok(&mut 7));
            let said = said();
            assert!(said.len() == 1 && said[0].contains(reason), "{said:?}");
            assert!(said[0].ends_with("; the settings stay as they were"), "{said:?}");
        }
        fs::remove_file(&rcfile.path).unwrap();
        assert_eq!(rcfile.current(), Ok(&mut 7));
        assert!(said()[0].contains("No such file or directory"));
        replace(&rcfile, "N 9\n##NAME: MARKER:0\n");
        assert_eq!(rcfile.current(), Ok(&mut 9));
    }

    #[test]
    fn what_was_never_right_is_wrong_until_it_is_mended() {
        let (_directory, mut rcfile) = rcfile("N 7\n");
        for _ in 0..2 {
            let wrong = rcfile.current().unwrap_err().to_string();
            assert!(wrong.starts_with("marker line not found in /"), "{wrong}");
        }
        assert!(rcfile.prepare().is_err() && rcfile.made().is_none());
        replace(&rcfile, SEVEN);
        assert_eq!(rcfile.current(), Ok(&mut 7));
    }

    #[test]
    fn what_is_no_file_or_too_long_is_refused() {
        let (directory, mut rcfile) = rcfile(&format!("{SEVEN}{}", "#".repeat(LIMIT)));
        assert!(rcfile.current().unwrap_err().to_string().contains("more than"));
        fs::remove_file(&rcfile.path).unwrap();
        fs::create_dir(&rcfile.path).unwrap();
        assert!(rcfile.current().unwrap_err().to_string().contains("no file"));
        drop(directory);
    }
}

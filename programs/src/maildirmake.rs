//! maildirmake(1): makes a Maildir, a folder in one, or its quota (reference:
//! maildir 13).
//!
//! Only what POP3 needs: the options for shared folders and for the conversion
//! of old folder names are refused by name (ledger 321).

use std::env;
use std::ffi::{OsStr, OsString};
use std::io::{self, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use maildir::{Error, Harmless, Maildir, MakeError, Reason, Sharing};
use rustix::fs::Mode;

/// What Courier's says to every kind of wrong arguments, on standard output.
const USAGE: &str = "Usage: maildirmake [ options ] maildir";

/// What is to be made.
#[derive(Debug, PartialEq, Eq)]
struct Order {
    sharing: Sharing,
    quota: Option<Vec<u8>>,
    folder: Option<Vec<u8>>,
    maildir: PathBuf,
}

/// Why it was not made.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{USAGE}")]
    Usage,
    #[error("maildirmake: option {0} is not supported.")]
    NotSupported(&'static str),
    #[error("Invalid folder name: {}", Harmless(.0))]
    FolderName(Vec<u8>),
    #[error("maildirmake: quota '{}' is not of the form <bytes>S,<messages>C.", Harmless(.0))]
    Quota(Vec<u8>),
    #[error("maildirmake: {}: {}", Harmless(.0.as_os_str().as_bytes()), Reason(.1))]
    Io(PathBuf, io::Error),
}

/// Runs maildirmake with the arguments of this process.
#[must_use]
pub fn run() -> ExitCode {
    keep_owner_bits();
    match Order::parse(env::args_os().skip(1)).and_then(|order| order.carry_out()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            // There is nobody else to tell if this fails too.
            let _ = match failed {
                Failed::Usage => writeln!(io::stdout(), "{failed}"),
                _ => writeln!(io::stderr(), "{failed}"),
            };
            ExitCode::FAILURE
        }
    }
}

/// Lets the umask take away what others may do, and nothing of the owner's: a
/// Maildir that its owner cannot enter is of no use.
fn keep_owner_bits() {
    let mask = rustix::process::umask(Mode::empty());
    rustix::process::umask(mask - Mode::RWXU);
}

impl Order {
    /// Reads the arguments as getopt(3) would: options in any grouping, then
    /// one Maildir.
    fn parse(arguments: impl Iterator<Item = OsString>) -> Result<Order, Failed> {
        let mut arguments = arguments.map(OsString::into_vec);
        let (mut sharing, mut quota, mut folder) = (Sharing::Private, None, None);
        let maildir = loop {
            let argument = arguments.next().ok_or(Failed::Usage)?;
            match argument.as_slice() {
                b"--" => break arguments.next().ok_or(Failed::Usage)?,
                [b'-', b'-', ..] => return Err(long_option(&argument)),
                [b'-', _, ..] => {}
                _ => break argument,
            }
            let mut letters = argument.into_iter().skip(1);
            while let Some(letter) = letters.next() {
                let value = match letter {
                    b'S' => {
                        sharing = Sharing::Sharable;
                        continue;
                    }
                    b'q' => &mut quota,
                    // With UTF-8 names, what one types is what IMAP wants.
                    b'f' | b'F' => &mut folder,
                    b's' => return Err(Failed::NotSupported("-s")),
                    _ => return Err(Failed::Usage),
                };
                let rest: Vec<u8> = letters.by_ref().collect();
                *value = Some(if rest.is_empty() { arguments.next().ok_or(Failed::Usage)? } else { rest });
            }
        };
        if arguments.next().is_some() {
            return Err(Failed::Usage);
        }
        Ok(Order { sharing, quota, folder, maildir: PathBuf::from(OsString::from_vec(maildir)) })
    }

    fn carry_out(&self) -> Result<(), Failed> {
        let maildir = match (&self.folder, &self.quota) {
            (Some(folder), _) => self.make_folder(folder)?,
            (None, None) => Maildir::create(&self.maildir, self.sharing).map_err(at(&self.maildir))?,
            (None, Some(_)) => self.open_or_make()?,
        };
        match &self.quota {
            Some(quota) => maildir.set_quota(quota).map_err(|error| match error {
                MakeError::Io(error) => Failed::Io(self.maildir.clone(), error),
                _ => Failed::Quota(quota.clone()),
            }),
            None => Ok(()),
        }
    }

    /// Makes the folder, and gives the Maildir that it is in.
    fn make_folder(&self, folder: &[u8]) -> Result<Maildir, Failed> {
        let path = self.maildir.join(OsStr::from_bytes(&[b".", folder].concat()));
        let maildir = Maildir::open(&self.maildir).map_err(not_opened(&path))?;
        maildir.create_folder(folder, self.sharing).map_err(|error| match error {
            MakeError::Io(error) => Failed::Io(path, error),
            _ => Failed::FolderName(folder.to_vec()),
        })?;
        Ok(maildir)
    }

    fn open_or_make(&self) -> Result<Maildir, Failed> {
        match Maildir::create(&self.maildir, self.sharing) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {
                Maildir::open(&self.maildir).map_err(not_opened(&self.maildir))
            }
            created => created.map_err(at(&self.maildir)),
        }
    }
}

fn long_option(argument: &[u8]) -> Failed {
    for known in ["--add", "--del", "--checkutf8", "--convutf8"] {
        if argument.starts_with(known.as_bytes()) {
            return Failed::NotSupported(known);
        }
    }
    Failed::Usage
}

fn at(path: &Path) -> impl FnOnce(io::Error) -> Failed {
    let path = path.to_path_buf();
    |error| Failed::Io(path, error)
}

fn not_opened(path: &Path) -> impl FnOnce(Error) -> Failed {
    let path = path.to_path_buf();
    |error| match error {
        Error::NoMaildir(error) => Failed::Io(path, error),
        other => Failed::Io(path, io::Error::other(other)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(arguments: &[&str]) -> Result<Order, Failed> {
        Order::parse(arguments.iter().map(OsString::from))
    }

    #[test]
    fn options_are_read_in_any_grouping() {
        let order = Order {
            sharing: Sharing::Sharable,
            quota: Some(b"10S".to_vec()),
            folder: Some(b"-x".to_vec()),
            maildir: PathBuf::from("dir"),
        };
        assert_eq!(parse(&["-S", "-q", "10S", "-f", "-x", "dir"]).unwrap(), order);
        assert_eq!(parse(&["-Sq10S", "-F-x", "--", "dir"]).unwrap(), order);
    }

    #[test]
    fn wrong_arguments_are_not_guessed_at() {
        for arguments in
            [&[][..], &["-q"], &["-q", "10S"], &["-x", "a"], &["--"], &["a", "b"], &["--help"], &["a", "-S"]]
        {
            assert!(matches!(parse(arguments), Err(Failed::Usage)), "{arguments:?}");
        }
        assert!(matches!(parse(&["--add=a=b", "m"]), Err(Failed::NotSupported("--add"))));
        assert!(matches!(parse(&["-s", "read", "m"]), Err(Failed::NotSupported("-s"))));
    }
}

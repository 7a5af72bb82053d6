//! What goes wrong, for those who listen: errors that end the opening of a
//! maildrop, and notices that do not.
//!
//! Texts are for the administrator's log, in Courier's wording where it has
//! one (wire.md 13), without priority and user. File names and other bytes that
//! strangers chose are made harmless.

use std::fmt::{self, Display, Formatter, Write};
use std::io;

/// Why a maildrop could not be opened.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The Maildir itself cannot be opened.
    #[error("{}", Reason(.0))]
    NoMaildir(io::Error),
    /// It has no `cur` directory that can be read.
    #[error("scancur opendir(\"cur\"): {}", Reason(.0))]
    NoCur(io::Error),
    /// Other sessions kept the lock under which unique-ids are given; trying
    /// again will help.
    #[error("courierpop3dsizelist.lock is held by another session")]
    Busy,
    /// The size list is there and cannot be read, or is not a regular file.
    /// Going on without it would change every unique-id (ledger 300).
    #[error("failed to open courierpop3dsizelist file: {}", Reason(.0))]
    SizeList(io::Error),
    /// Something else failed.
    #[error("{what}: {}", Reason(.error))]
    Io {
        /// The file or directory.
        what: &'static str,
        /// Its error.
        error: io::Error,
    },
}

/// Something that the administrator should hear of; work goes on.
#[derive(Debug)]
#[non_exhaustive]
pub enum Notice {
    /// A message stays in `new/` and is not in the listing.
    NotMoved {
        /// Its name in `new/`.
        from: Vec<u8>,
        /// The name it should have had in `cur/`.
        to: Vec<u8>,
        /// Why not.
        error: io::Error,
    },
    /// A message's name in `cur/` was taken by another message, so it got
    /// another name.
    Renumbered {
        /// Its name in `new/`.
        from: Vec<u8>,
        /// Its name in `cur/`.
        to: Vec<u8>,
    },
    /// A message is not in the listing because its file cannot be read.
    Unreadable {
        /// Its name in `cur/`.
        name: Vec<u8>,
        /// Why not.
        error: io::Error,
    },
    /// `new` or `tmp` cannot be read.
    DirectoryUnreadable {
        /// `new` or `tmp`.
        directory: &'static str,
        /// Why not.
        error: io::Error,
    },
    /// The size list could not be saved: messages that had no unique-id are
    /// not in the listing.
    SizeListNotSaved(
        /// Why not.
        io::Error,
    ),
    /// The first line of `maildirsize` has a part that is not understood.
    QuotaNotParseable(
        /// The first line.
        Vec<u8>,
    ),
    /// `maildirsize` could not be brought up to date.
    QuotaNotUpdated(
        /// Why not.
        io::Error,
    ),
}

impl Notice {
    /// Whether it is a warning rather than an error, in Courier's sense of the
    /// prefixes `WARN:` and `ERR:`.
    #[must_use]
    pub fn is_warning(&self) -> bool {
        matches!(self, Notice::Renumbered { .. } | Notice::QuotaNotParseable(_))
    }
}

impl Display for Notice {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self {
            Notice::NotMoved { from, to, error } => {
                let (from, to) = (Harmless(from), Harmless(to));
                write!(out, "rename(./new/{from},./cur/{to}) failed: {}", Reason(error))
            }
            Notice::Renumbered { from, to } => {
                write!(out, "./cur has another ./new/{}, renamed to ./cur/{}", Harmless(from), Harmless(to))
            }
            Notice::Unreadable { name, error } => write!(out, "cur/{}: {}", Harmless(name), Reason(error)),
            Notice::DirectoryUnreadable { directory, error } => {
                write!(out, "opendir(\"{directory}\"): {}", Reason(error))
            }
            Notice::SizeListNotSaved(_) => out.write_str("Error while saving courierpop3dsizelist"),
            Notice::QuotaNotParseable(quota) => {
                write!(out, "quota string '{}' not parseable", Harmless(quota))
            }
            Notice::QuotaNotUpdated(error) => write!(out, "maildirsize: {}", Reason(error)),
        }
    }
}

/// Bytes that a stranger chose, on one line: control and 8-bit bytes are shown
/// as `.`, as Courier does with user names.
#[derive(Debug, Clone, Copy)]
pub struct Harmless<'a>(
    /// The bytes.
    pub &'a [u8],
);

impl Display for Harmless<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| {
            out.write_char(if matches!(byte, 0x20..=0x7E) { char::from(*byte) } else { '.' })
        })
    }
}

/// An error in the words of strerror(3), without Rust's addition of its number.
#[derive(Debug, Clone, Copy)]
pub struct Reason<'a>(
    /// The error.
    pub &'a io::Error,
);

impl Display for Reason<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        let text = self.0.to_string();
        out.write_str(text.split(" (os error ").next().unwrap_or(&text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_rename_reads_as_couriers() {
        let error = io::Error::from_raw_os_error(13);
        let notice = Notice::NotMoved { from: b"X".to_vec(), to: b"X:2,".to_vec(), error };
        assert_eq!(notice.to_string(), "rename(./new/X,./cur/X:2,) failed: Permission denied");
    }

    #[test]
    fn a_file_name_cannot_forge_a_log_line() {
        let notice = Notice::Unreadable {
            name: b"a\nINFO: LOGIN\x1B\xFF".to_vec(),
            error: io::Error::from_raw_os_error(13),
        };
        assert_eq!(notice.to_string(), "cur/a.INFO: LOGIN..: Permission denied");
    }
}

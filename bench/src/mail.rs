//! The mail that everybody serves: messages that can be told apart, told from
//! altered ones, and made again from their numbers.

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// Whose it is: ids that are nobody's.
pub(crate) const OWNER: (u32, u32) = (64_110, 64_111);

/// In front of the number in each message, and what that is long.
const HEAD: &[u8] = b"Message-Id: <";
const DIGITS: usize = 10;

/// Messages of one size that are files of their own.
const FILES: usize = 110_000;

/// An account of every server. The password is `secret`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Account {
    pub(crate) name: String,
    /// How its password is stored.
    pub(crate) hash: String,
    pub(crate) mail: Mail,
}

/// So many messages of so many octets, as files.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Mail {
    pub(crate) count: usize,
    pub(crate) octets: usize,
}

/// The message with this `number`, as a file of `octets` octets (200 at least).
/// Here and there a line begins with a dot.
pub(crate) fn message(number: usize, octets: usize) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets);
    text.extend_from_slice(HEAD);
    text.extend_from_slice(format!("{number:010}@bench>\nSubject: number {number}\n\n").as_bytes());
    // A generator of the oldest kind: nobody has to guess what comes next, only to see that it came.
    let mut state = (number as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
    while text.len() + 80 < octets {
        // Its last bits follow a pattern.
        if (state >> 40).is_multiple_of(8) {
            text.push(b'.');
        }
        for _ in 0..12 {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            let [.., a, b, c, d] = state.to_le_bytes();
            text.extend([a, b, c, d].map(|octet| b'a' + octet % 26));
            text.push(b' ');
        }
        text.push(b'\n');
    }
    text.resize(octets - 1, b'-');
    text.push(b'\n');
    text
}

/// What RETR sends of a message with the file `text`, behind its first line:
/// CRLF, a dot doubled at the beginning of a line, a dot at the end (RFC 1939
/// section 3). Written for clearness: it judges others.
pub(crate) fn on_the_wire(text: &[u8]) -> Vec<u8> {
    let mut wire = Vec::with_capacity(text.len() + text.len() / 32);
    for line in text.split_inclusive(|octet| *octet == b'\n') {
        if line.starts_with(b".") {
            wire.push(b'.');
        }
        wire.extend_from_slice(line.strip_suffix(b"\n").unwrap_or(line));
        wire.extend_from_slice(b"\r\n");
    }
    wire.extend_from_slice(b".\r\n");
    wire
}

/// How many octets tell the [`number`] of a message.
pub(crate) const NUMBER_ENDS: usize = HEAD.len() + DIGITS;

/// The number in the first octets of a message.
pub(crate) fn number(beginning: &[u8]) -> Option<usize> {
    let digits = beginning.strip_prefix(HEAD)?.get(..DIGITS)?;
    std::str::from_utf8(digits).ok()?.parse().ok()
}

/// Messages as files, made once, of which maildrops are made by hard links.
#[derive(Debug)]
pub(crate) struct Pool(PathBuf);

impl Pool {
    /// In `directory`, which is made.
    ///
    /// # Errors
    /// It cannot be made.
    pub(crate) fn new(directory: PathBuf) -> Result<Pool> {
        fs::create_dir_all(&directory)?;
        Ok(Pool(directory))
    }

    /// Makes the Maildir `path` new, with `mail` in its `cur`, seen.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn lay_out(&self, path: &Path, mail: Mail) -> Result<()> {
        remove(path)?;
        for directory in [path.to_owned(), path.join("tmp"), path.join("new"), path.join("cur")] {
            fs::create_dir_all(&directory)?;
            fs::set_permissions(&directory, Permissions::from_mode(0o700))?;
            chown(&directory, Some(OWNER.0), Some(OWNER.1))?;
        }
        (0..mail.count).try_for_each(|number| self.link(number, mail.octets, &path.join("cur"), ":2,S"))
    }

    /// Delivers the message `number` of `octets` octets into the Maildir `path`.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn deliver(&self, path: &Path, number: usize, octets: usize) -> Result<()> {
        self.link(number, octets, &path.join("new"), "")
    }

    /// Reads what [`Pool::lay_out`] links to, so that it lies in memory for all.
    ///
    /// # Errors
    /// What the file system says.
    pub(crate) fn warm(&self, mail: Mail) -> Result<()> {
        (0..mail.count.min(FILES)).try_for_each(|number| {
            fs::read(self.file(number, mail.octets))?;
            Ok(())
        })
    }

    /// Where the message with the number `text` lies, one of [`FILES`].
    fn file(&self, text: usize, octets: usize) -> PathBuf {
        self.0.join(octets.to_string()).join((text / 1000).to_string()).join(text.to_string())
    }

    fn link(&self, number: usize, octets: usize, directory: &Path, flags: &str) -> Result<()> {
        // Maildrops that are larger still have the same messages again under other names.
        let text = number % FILES;
        let file = self.file(text, octets);
        if !file.exists() {
            let above = file.parent().context("a file lies in a directory")?;
            fs::create_dir_all(above)?;
            fs::write(&file, message(text, octets))?;
            fs::set_permissions(&file, Permissions::from_mode(0o600))?;
            chown(&file, Some(OWNER.0), Some(OWNER.1))?;
        }
        let name = format!("{}.M{number}P7.bench,S={octets}{flags}", 1_700_000_000 + number);
        fs::hard_link(&file, directory.join(&name)).with_context(|| name)
    }
}

/// Removes a Maildir, if it is there.
///
/// # Errors
/// What the file system says.
pub(crate) fn remove(path: &Path) -> Result<()> {
    if path.exists() {
        fs::remove_dir_all(path)?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{NUMBER_ENDS, message, number, on_the_wire};

    #[test]
    fn a_message_has_its_length_and_its_number() {
        let text = message(123, 4096);
        assert_eq!(text.len(), 4096);
        assert_eq!(number(&text[..NUMBER_ENDS]), Some(123));
        assert_ne!(text, message(124, 4096));
        assert!(text.windows(2).any(|two| two == b"\n."), "no line begins with a dot");
    }

    #[test]
    fn lines_end_as_on_the_wire_and_dots_are_doubled() {
        assert_eq!(on_the_wire(b"a\n.b\n"), b"a\r\n..b\r\n.\r\n");
    }
}

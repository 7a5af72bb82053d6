//! The Maildir++ quota: keeping `maildirsize` right when messages are removed
//! (maildir.md 8).
//!
//! The file is a definition and a line for each change, which deliveries append
//! to without a lock. It is a hint that is counted anew when in doubt, never a
//! reason not to serve mail.

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::time::{Duration, SystemTime};

use rustix::fs::{Mode, OFlags, Stat};

use crate::beneath;
use crate::count;
use crate::directories::Directories;
use crate::name;
use crate::notice::Notice;
use crate::temporary;

const NAME: &[u8] = b"maildirsize";

/// Bytes from which on the file is counted anew, to become short again.
const LONG: u64 = 5120;

/// A file with one line of changes that is younger was counted just now.
const RECENT: Duration = Duration::from_secs(15 * 60);

/// What messages take up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Usage {
    /// Bytes on disk.
    bytes: i64,
    messages: i64,
}

impl Usage {
    /// What one message takes up; nothing if it has the T flag.
    pub(crate) fn of(directory: impl AsFd, name: &[u8]) -> io::Result<Usage> {
        if name::is_trashed(name) {
            return Ok(Usage::default());
        }
        let bytes = match name::size(name) {
            Some(bytes) => i64::try_from(bytes).unwrap_or(i64::MAX),
            None => beneath::stat(directory, name)?.st_size,
        };
        Ok(Usage { bytes, messages: 1 })
    }

    /// Both together.
    pub(crate) fn add(&mut self, other: Usage) {
        self.bytes = self.bytes.saturating_add(other.bytes);
        self.messages = self.messages.saturating_add(other.messages);
    }

    fn negative(self) -> Usage {
        Usage { bytes: self.bytes.saturating_neg(), messages: self.messages.saturating_neg() }
    }

    fn is_negative(self) -> bool {
        self.bytes < 0 || self.messages < 0
    }

    /// A line of the file.
    fn line(self) -> String {
        format!("{:12} {:12}\n", self.bytes, self.messages)
    }
}

/// The limits that the first line sets, as far as it is understood.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Limits {
    bytes: Option<i64>,
    messages: Option<i64>,
}

impl Limits {
    /// Reads `<n>S,<n>C`, where 0 is no limit; the flag says whether all of it was understood.
    pub(crate) fn parse(definition: &[u8]) -> (Limits, bool) {
        let (mut limits, mut understood) = (Limits::default(), true);
        for part in definition.split(|byte| *byte == b',').filter(|part| !part.is_empty()) {
            let (digits, letter) = part.split_at(part.len() - 1);
            let number = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse::<i64>().ok());
            match (number, letter) {
                (Some(bytes @ 0..), b"S") => limits.bytes = (bytes > 0).then_some(bytes),
                (Some(messages @ 0..), b"C") => limits.messages = (messages > 0).then_some(messages),
                _ => understood = false,
            }
        }
        (limits, understood)
    }

    /// The first line, if there is a limit.
    pub(crate) fn definition(self) -> Option<String> {
        let bytes = self.bytes.map(|bytes| format!("{bytes}S"));
        let messages = self.messages.map(|messages| format!("{messages}C"));
        let parts: Vec<String> = [bytes, messages].into_iter().flatten().collect();
        (!parts.is_empty()).then(|| parts.join(","))
    }

    fn are_exceeded_by(self, usage: Usage) -> bool {
        let over = |limit: Option<i64>, used| limit.is_some_and(|limit| used > limit);
        over(self.bytes, usage.bytes) || over(self.messages, usage.messages)
    }
}

/// What the file says.
#[derive(Debug)]
struct Account {
    definition: Vec<u8>,
    sum: Usage,
    lines: usize,
    stat: Stat,
    /// Kept open so that no other file can have its inode.
    _file: File,
}

impl Account {
    /// Reads no more of the file than would be counted anew anyway.
    fn read(home: BorrowedFd<'_>) -> io::Result<Account> {
        let (file, stat) = beneath::regular_file(home, NAME, OFlags::RDONLY)?;
        let mut text = Vec::new();
        (&file).take(LONG + 1).read_to_end(&mut text)?;
        let mut lines = text.split_inclusive(|byte| *byte == b'\n');
        let definition = lines.next().unwrap_or_default().trim_ascii_end().to_vec();
        let mut account = Account { definition, sum: Usage::default(), lines: 0, stat, _file: file };
        for line in lines {
            account.lines += 1;
            let mut numbers = line.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
            let mut number = || std::str::from_utf8(numbers.next()?).ok()?.parse().ok();
            if let (Some(bytes), Some(messages)) = (number(), number()) {
                account.sum.add(Usage { bytes, messages });
            }
        }
        Ok(account)
    }

    /// Whether the messages have to be counted after `change` (maildir.md 8).
    fn is_doubtful(&self, change: Usage) -> bool {
        let mut after = self.sum;
        after.add(change);
        let modified = u64::try_from(self.stat.st_mtime).unwrap_or_default();
        let age = SystemTime::now()
            .duration_since(SystemTime::UNIX_EPOCH + Duration::from_secs(modified))
            .unwrap_or_default();
        let (limits, _) = Limits::parse(&self.definition);
        u64::try_from(self.stat.st_size).unwrap_or_default() >= LONG
            || self.sum.is_negative()
            || after.is_negative()
            || (limits.are_exceeded_by(after) && (self.lines > 1 || age >= RECENT))
    }
}

/// Whether there is a quota to be told of removals.
pub(crate) fn exists(directories: &Directories) -> bool {
    home(&directories.root)
        .is_ok_and(|home| beneath::stat(home.as_fd(), NAME).is_ok_and(|stat| beneath::is_regular(&stat)))
}

/// Takes what was removed off the account: by counting all messages if that is
/// called for, else by a line. Never by both (ledger 314).
pub(crate) fn subtract(directories: &Directories, removed: Usage, notices: &mut dyn FnMut(Notice)) {
    if removed == Usage::default() {
        return;
    }
    let change = removed.negative();
    let result = home(&directories.root).and_then(|home| {
        let account = Account::read(home.as_fd())?;
        if !Limits::parse(&account.definition).1 {
            notices(Notice::QuotaNotParseable(account.definition.clone()));
        }
        if account.is_doubtful(change) && recount(home.as_fd(), &account).is_ok() {
            return Ok(());
        }
        append(home.as_fd(), change)
    });
    match result {
        Err(error) if error.kind() != io::ErrorKind::NotFound => notices(Notice::QuotaNotUpdated(error)),
        _ => {}
    }
}

/// Writes one line behind all others, in one piece.
fn append(home: BorrowedFd<'_>, change: Usage) -> io::Result<()> {
    let (mut file, _) = beneath::regular_file(home, NAME, OFlags::WRONLY | OFlags::APPEND)?;
    file.write_all(change.line().as_bytes())
}

/// Counts all messages and begins the file anew.
///
/// # Errors
/// If a directory or the file changed meanwhile, nothing is written: the count
/// may be wrong, and a line that a delivery appended would be lost.
fn recount(home: BorrowedFd<'_>, account: &Account) -> io::Result<()> {
    let usage = count::all(home)?;
    write(home, &account.definition, usage, || {
        let now = beneath::stat(home, NAME)?;
        let key = |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size);
        if key(&now) == key(&account.stat) { Ok(()) } else { Err(io::ErrorKind::ResourceBusy.into()) }
    })
}

/// Writes a new `maildirsize` in the Maildir `home`.
fn write(
    home: BorrowedFd<'_>,
    definition: &[u8],
    usage: Usage,
    still_wanted: impl FnOnce() -> io::Result<()>,
) -> io::Result<()> {
    let tmp = beneath::directory(home, b"tmp")?;
    let text = [definition, b"\n", usage.line().as_bytes()].concat();
    temporary::replace(tmp, home, NAME, "NeWmAiLdIrSiZe", |out| out.write_all(&text), still_wanted)?;
    Ok(())
}

/// Gives the Maildir `root`, or the one it is a folder of, a quota, with its messages counted (maildir.md 13).
///
/// # Errors
/// If they cannot be counted, or the file cannot be written.
pub(crate) fn install(root: BorrowedFd<'_>, definition: &[u8]) -> io::Result<()> {
    let home = home(root)?;
    let mut attempts = 0;
    let usage = loop {
        match count::all(home.as_fd()) {
            Err(error) if error.kind() == io::ErrorKind::ResourceBusy && attempts < 10 => attempts += 1,
            usage => break usage?,
        }
    };
    write(home.as_fd(), definition, usage, || Ok(()))
}

/// The directory whose `maildirsize` counts: for a folder, the Maildir that it
/// is in, if that is one and has the same owner (ledger 320).
fn home(root: impl AsFd) -> io::Result<OwnedFd> {
    let root = root.as_fd();
    let is_folder = beneath::stat(root, b"maildirfolder").is_ok_and(|stat| beneath::is_regular(&stat));
    if !is_folder {
        return root.try_clone_to_owned();
    }
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
    let parent = rustix::fs::openat(root, c"..", flags, Mode::empty())?;
    let same_owner = rustix::fs::fstat(&parent)?.st_uid == rustix::fs::fstat(root)?.st_uid;
    if same_owner && beneath::directory(&parent, b"cur").is_ok() {
        Ok(parent)
    } else {
        Err(io::ErrorKind::NotFound.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::path::PathBuf;

    fn maildir(quota: &str) -> (tempfile::TempDir, PathBuf, OwnedFd) {
        let place = tempfile::tempdir().unwrap();
        for part in ["tmp", "new", "cur"] {
            fs::create_dir(place.path().join(part)).unwrap();
        }
        let file = place.path().join("maildirsize");
        fs::write(&file, quota).unwrap();
        let held = File::open(place.path()).unwrap().into();
        (place, file, held)
    }

    #[test]
    fn limits_are_read_as_far_as_they_are_understood() {
        let limits = |bytes, messages| Limits { bytes, messages };
        assert_eq!(Limits::parse(b"100000S,100C"), (limits(Some(100_000), Some(100)), true));
        assert_eq!(Limits::parse(b"5C"), (limits(None, Some(5)), true));
        assert_eq!(Limits::parse(b"0S"), (limits(None, None), true));
        assert_eq!(Limits::parse(b"10S,foo"), (limits(Some(10), None), false));
        assert_eq!(Limits::parse(b"-5S"), (limits(None, None), false));
        assert_eq!(Limits::parse(b"99999999999999999999S"), (limits(None, None), false));
        assert_eq!(Limits::parse(b""), (limits(None, None), true));
    }

    #[test]
    fn lines_that_are_not_understood_add_nothing_up() {
        let (_place, _, home) = maildir("10S\n 5 1\njunk\n7\n9223372036854775807 1\n1 1\n\u{e9} 3");
        let account = Account::read(home.as_fd()).unwrap();
        assert_eq!(account.definition, b"10S");
        assert_eq!(account.sum, Usage { bytes: i64::MAX, messages: 3 });
        assert_eq!(account.lines, 6);
    }

    #[test]
    fn a_line_that_a_delivery_appends_meanwhile_is_not_lost() {
        let (_place, file, home) = maildir("10S\n           5            1\n");
        let account = Account::read(home.as_fd()).unwrap();
        append(home.as_fd(), Usage { bytes: 7, messages: 1 }).unwrap();
        assert!(recount(home.as_fd(), &account).is_err());
        let expected = "10S\n           5            1\n           7            1\n";
        assert_eq!(fs::read_to_string(&file).unwrap(), expected);
    }

    #[test]
    fn a_count_that_another_program_made_meanwhile_stays() {
        let (_place, file, home) = maildir("10S\n           5            1\n");
        let account = Account::read(home.as_fd()).unwrap();
        fs::remove_file(&file).unwrap();
        fs::write(file.with_file_name("other"), "10S\n           0            0\n").unwrap();
        fs::rename(file.with_file_name("other"), &file).unwrap();
        assert!(recount(home.as_fd(), &account).is_err());
        recount(home.as_fd(), &Account::read(home.as_fd()).unwrap()).unwrap();
    }
}

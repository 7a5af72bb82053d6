//! A Maildir to try things on.
#![allow(clippy::unwrap_used, clippy::disallowed_methods, unreachable_pub, dead_code)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;

use maildir::{Error, Maildir, Maildrop, Notice, Place, Sharing};
use tempfile::TempDir;

/// The time of all logins, unless a test says otherwise.
pub const NOW: u64 = 1_800_000_000;

pub struct Mailbox {
    place: TempDir,
}

impl Mailbox {
    pub fn new() -> Mailbox {
        let place = tempfile::tempdir().unwrap();
        Maildir::create(&place.path().join("Maildir"), Sharing::Private).unwrap();
        Mailbox { place }
    }

    /// With these files in `cur/`, each of which holds its own name.
    pub fn with(names: &[&str]) -> Mailbox {
        let mailbox = Mailbox::new();
        names.iter().for_each(|name| mailbox.write(&format!("cur/{name}"), name));
        mailbox
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.place.path().join("Maildir").join(name)
    }

    pub fn write(&self, name: &str, text: impl AsRef<[u8]>) {
        fs::write(self.path(name), text).unwrap();
    }

    pub fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    pub fn remove(&self, name: &str) {
        fs::remove_file(self.path(name)).unwrap();
    }

    pub fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).unwrap();
    }

    /// The names in a directory, sorted.
    pub fn names(&self, directory: &str) -> Vec<String> {
        let entries = fs::read_dir(self.path(directory)).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
        names.sort();
        names
    }

    pub fn list(&self) -> String {
        self.read("courierpop3dsizelist")
    }

    pub fn set_list(&self, list: &str) {
        self.write("courierpop3dsizelist", list);
    }

    pub fn has(&self, name: &str) -> bool {
        fs::symlink_metadata(self.path(name)).is_ok()
    }

    /// Inode and time of the list: equal as long as nobody wrote it.
    pub fn list_stamp(&self) -> (u64, i64, i64) {
        let metadata = fs::metadata(self.path("courierpop3dsizelist")).unwrap();
        (metadata.ino(), metadata.mtime(), metadata.mtime_nsec())
    }

    pub fn maildir(&self) -> Maildir {
        Maildir::open(&self.path("")).unwrap()
    }

    pub fn try_open(&self, now: u64) -> (Result<Maildrop, Error>, Vec<String>) {
        let mut notices = Vec::new();
        let opened =
            self.maildir().open_maildrop(now, &mut |notice: Notice| notices.push(notice.to_string()));
        (opened, notices)
    }

    /// Opens the maildrop, which must not give a notice.
    pub fn open(&self) -> Maildrop {
        self.open_at(NOW)
    }

    pub fn open_at(&self, now: u64) -> Maildrop {
        let (opened, notices) = self.try_open(now);
        assert_eq!(notices, [""; 0]);
        opened.unwrap()
    }

    /// Opens the maildrop, and gives what was noticed.
    pub fn open_noticing(&self) -> (Maildrop, Vec<String>) {
        let (opened, notices) = self.try_open(NOW);
        (opened.unwrap(), notices)
    }
}

/// `name octets unique-id` of each message.
pub fn shown(maildrop: &Maildrop) -> Vec<String> {
    let one = |place: Place| {
        let name = String::from_utf8_lossy(maildrop.name(place));
        format!("{name} {} {}", maildrop.octets(place), maildrop.unique_id(place))
    };
    maildrop.places().map(one).collect()
}

pub fn unique_ids(maildrop: &Maildrop) -> Vec<String> {
    maildrop.places().map(|place| maildrop.unique_id(place).to_string()).collect()
}

/// Removes the messages at these indexes; gives how many were removed, were
/// gone, and failed, and what was noticed.
pub fn remove(maildrop: &mut Maildrop, indexes: &[usize]) -> (usize, usize, usize, Vec<String>) {
    let places: Vec<Place> = indexes.iter().filter_map(|index| maildrop.place(*index)).collect();
    let mut notices = Vec::new();
    let removal = maildrop.remove(places, &mut |notice: Notice| notices.push(notice.to_string()));
    assert_eq!(removal.is_complete(), removal.failed.is_empty());
    (removal.removed.len(), removal.gone.len(), removal.failed.len(), notices)
}

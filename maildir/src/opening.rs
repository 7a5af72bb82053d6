//! From the files in `cur/` to messages with sizes and durable unique-ids.
//!
//! What is up to date is only read. If something has to be given or mended,
//! files are read first, which may take long; then, under the lock, the list
//! is looked at again, numbers are given, and the list is on the disk before
//! anyone hears of them (ledger 301, 302).

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, BufReader, Seek};
use std::time::Duration;

use rustix::fs::{OFlags, Stat};
use system::stamp::{self, Stamp};

use crate::beneath;
use crate::directories::Directories;
use crate::lines;
use crate::listing::{Draft, Listing};
use crate::listings::Listings;
use crate::lock::Lock;
use crate::notice::{Error, Notice};
use crate::scan::{self, Names, Scan};
use crate::size;
use crate::size_list::{self, Numbers};
use crate::temporary;
use crate::unique_id::Id;
use crate::watch::READINGS;
use crate::witness::Witness;

/// The size list.
pub(crate) const NAME: &[u8] = b"courierpop3dsizelist";

/// Bytes of the list that are read at once.
const LIST_BUFFER: usize = 64 * 1024;

/// Bytes of the largest list that is read: some ten million messages.
const LARGEST: i64 = 1 << 30;

/// How long a list is young.
const YOUNG: Duration = Duration::from_secs(60);

/// What a process that keeps listings has for a reading.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Help<'a> {
    pub(crate) listings: &'a Listings,
    /// Who watches `cur/`, if somebody does.
    pub(crate) witness: Option<&'a Witness>,
}

/// A listing, and what it was read from.
pub(crate) struct Opened {
    pub(crate) listing: Listing,
    /// The size list as it is now, if there is one.
    pub(crate) list: Option<(File, Stat)>,
    /// `cur/`, if it is as it was all the time that it was read.
    pub(crate) cur: Option<Stamp>,
    /// Whether the list on disk is as it should be.
    is_saved: bool,
}

impl Opened {
    /// Whether the next opening would find the same, if nothing changes.
    pub(crate) fn will_stay(&self) -> bool {
        let Opened { listing, is_saved, .. } = self;
        let is_whole = |draft: &Draft| {
            !draft.is_hidden && draft.size.is_some() && !matches!(draft.id, None | Some(Id::File { .. }))
        };
        *is_saved && !listing.keeps_missing && listing.drafts.iter().all(is_whole)
    }

    /// What the list says about uids to come, if it has a line for each message and
    /// no other.
    pub(crate) fn numbers(&self) -> Option<Numbers> {
        (!self.listing.has_missing && !self.listing.is_torn).then(|| self.listing.numbers())
    }
}

/// Brings names and list together, and saves what is new.
pub(crate) fn open(
    directories: &Directories,
    help: Option<Help<'_>>,
    now: u64,
    patience: Duration,
    notices: &mut dyn FnMut(Notice),
) -> Result<Opened, Error> {
    let mut reading = Reading::take(directories, help, false, now)?;
    reading.measure(directories, None, help, notices)?;
    if reading.has_nothing_to_save() {
        return Ok(reading.opened(true));
    }
    // Nobody waits for a list to become tidy.
    let patience = if reading.listing.unassigned() > 0 { patience } else { Duration::ZERO };
    let saved = match Lock::take(&directories.root, patience) {
        Ok(Some(_lock)) => {
            if !reading.is_current(directories) {
                let mut fresh = Reading::take(directories, help, true, now)?;
                fresh.measure(directories, Some(&reading.listing), help, notices)?;
                reading = fresh;
            }
            if reading.has_nothing_to_save() { Ok(true) } else { reading.save(directories).map(|()| true) }
        }
        Ok(None) if reading.listing.unassigned() > 0 => return Err(Error::Busy),
        Ok(None) => Ok(false),
        Err(error) => Err(error),
    };
    let is_saved = saved.unwrap_or_else(|error| {
        notices(Notice::SizeListNotSaved(error));
        reading.recover(directories);
        false
    });
    Ok(reading.opened(is_saved))
}

/// What was read of a Maildir.
struct Reading {
    /// The list that was read, kept open so that no other can have its inode.
    list: Option<(File, Stat)>,
    listing: Listing,
    cur: Option<Stamp>,
}

impl Reading {
    /// Reads `cur/` and the list, in which nobody writes if we are `locked`.
    ///
    /// The list is opened first: what another session adds to a newer list may
    /// be younger than our reading of `cur/`, and would look as if it had vanished.
    fn take(
        directories: &Directories,
        help: Option<Help<'_>>,
        locked: bool,
        now: u64,
    ) -> Result<Reading, Error> {
        let mut list = match beneath::regular_file(&directories.root, NAME, OFlags::RDONLY) {
            Ok((_, stat)) if stat.st_size > LARGEST => {
                return Err(Error::SizeList(io::ErrorKind::FileTooLarge.into()));
            }
            Ok(list) => Some(list),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => return Err(Error::SizeList(error)),
        };
        let cur = directories.cur_dir().map_err(Error::NoCur)?;
        let mut witness = help.and_then(|help| help.witness);
        let mut scan = scan::scan(cur, witness).map_err(Error::NoCur)?;
        let (mut complete, mut quiet) = (scan.complete, scan.quiet);
        let mut listing = read_list(list.as_mut(), scan.names, locked, now)?;
        let own_witness;
        if let Some(Help { listings, witness: None }) = help
            && !complete
            && listing.has_missing
        {
            own_witness = listings.watch(cur);
            witness = own_witness.as_ref();
        }
        for _ in 1..READINGS {
            if complete || !listing.has_missing {
                break;
            }
            scan = Scan { names: listing.names, complete, quiet };
            scan = scan.again(cur, witness).map_err(Error::NoCur)?;
            (complete, quiet) = (scan.complete, scan.quiet);
            listing = read_list(list.as_mut(), scan.names, locked, now)?;
        }
        // What was not seen may have been renamed all the time (ledger 311).
        listing.keeps_missing = listing.has_missing && !complete;
        identify_unlistable(directories, &mut listing);
        if let Some((file, stat)) = &list
            && is_young(stat)
        {
            make_durable(file, directories).map_err(Error::SizeList)?;
        }
        Ok(Reading { list, listing, cur: quiet })
    }

    /// Whether the list is still the one that was read, and was read whole. It is
    /// opened to see that: over NFS, a name alone may be answered from a cache.
    fn is_current(&self, directories: &Directories) -> bool {
        if self.listing.is_torn {
            return false;
        }
        match (&self.list, beneath::regular_file(&directories.root, NAME, OFlags::RDONLY)) {
            (Some((_, then)), Ok((_, now))) => {
                let key =
                    |stat: &Stat| (stat.st_dev, stat.st_ino, stat.st_size, stat.st_mtime, stat.st_mtime_nsec);
                key(then) == key(&now)
            }
            (None, Err(error)) => error.kind() == io::ErrorKind::NotFound,
            _ => false,
        }
    }

    /// Reads each file whose size is not known, unless `earlier` did. What
    /// cannot be read is hidden (ledger 310).
    fn measure(
        &mut self,
        directories: &Directories,
        earlier: Option<&Listing>,
        help: Option<Help<'_>>,
        notices: &mut dyn FnMut(Notice),
    ) -> Result<(), Error> {
        let Listing { names, drafts, is_untidy, .. } = &mut self.listing;
        let mut unknown = Vec::new();
        for (name, draft) in names.iter().zip(drafts.iter_mut()).filter(|(_, draft)| draft.size.is_none()) {
            let known = earlier.and_then(|earlier| earlier.drafts.get(earlier.names.find(name)?));
            let Some(known) = known else {
                unknown.push((name, draft));
                continue;
            };
            (draft.size, draft.is_hidden) = (known.size, known.is_hidden);
            *is_untidy |= draft.size.is_some() && is_listed(name, draft);
        }
        let wanted: Vec<&[u8]> = unknown.iter().map(|(name, _)| *name).collect();
        let helpers = help.filter(|_| wanted.len() >= size::MANY).map(|help| help.listings.helpers());
        let cur = directories.cur_dir().map_err(Error::NoCur)?;
        let sizes = size::measure_all(cur, &wanted, helpers.map_or(0, |helpers| helpers.count()));
        for ((name, draft), size) in unknown.into_iter().zip(sizes) {
            match size {
                Ok(size) => {
                    draft.size = Some(size);
                    *is_untidy |= is_listed(name, draft);
                }
                Err(error) => {
                    draft.is_hidden = true;
                    if error.kind() != io::ErrorKind::NotFound {
                        notices(Notice::Unreadable { name: name.to_vec(), error });
                    }
                }
            }
        }
        Ok(())
    }

    /// Whether the list on disk can stay as it is.
    ///
    /// Like Courier, an emptied Maildir keeps its list, and a Maildir that is
    /// empty from the start gets none.
    fn has_nothing_to_save(&self) -> bool {
        let listing = &self.listing;
        let has_list = self.list.is_some();
        listing.names.is_empty()
            || (listing.unassigned() == 0 && !(has_list && (listing.can_shrink() || listing.is_untidy)))
    }

    fn save(&mut self, directories: &Directories) -> io::Result<()> {
        let can_grow = self.listing.can_grow();
        self.listing.assign()?;
        if can_grow
            && let Some((_, stat)) = &self.list
            && let Some(grown) = lines::add(&directories.root, Stamp::of(stat), self.listing.new_lines())?
        {
            self.list = Some(grown);
            return Ok(());
        }
        let Reading { list, listing, .. } = self;
        let written = temporary::replace(
            directories.tmp_dir()?,
            &directories.root,
            NAME,
            "pop3",
            |out| {
                listing.write(out)?;
                match list {
                    Some((old, _)) if listing.keeps_missing => {
                        old.rewind()?;
                        listing.write_missing(&mut BufReader::with_capacity(LIST_BUFFER, old), out)
                    }
                    _ => Ok(()),
                }
            },
            || Ok(()),
        )?;
        let stat = rustix::fs::fstat(&written)?;
        *list = Some((written, stat));
        (listing.has_missing, listing.is_torn) = (listing.keeps_missing, false);
        Ok(())
    }

    fn opened(self, is_saved: bool) -> Opened {
        let Reading { list, listing, cur } = self;
        Opened { listing, list, cur, is_saved }
    }

    /// The list cannot be saved: what has a unique-id on disk is shown. If
    /// nothing has, the first message is, so that its owner can fetch and
    /// delete it and make room (maildir.md 4).
    fn recover(&mut self, directories: &Directories) {
        let listing = &mut self.listing;
        let shown =
            listing.drafts.iter().any(|draft| draft.id.is_some() && !draft.is_new && !draft.is_hidden);
        let first = listing.drafts.iter().position(|draft| !draft.is_hidden).filter(|_| !shown);
        for (index, draft) in listing.drafts.iter_mut().enumerate() {
            if draft.is_new || draft.id.is_none() {
                draft.id = None;
                if first == Some(index) {
                    draft.id = listing.names.get(index).and_then(|name| file_id(directories, name).ok());
                }
                draft.is_hidden |= draft.id.is_none();
            }
        }
    }
}

/// Whether the message has a line in the list.
fn is_listed(name: &[u8], draft: &Draft) -> bool {
    draft.id.is_some() && size_list::can_hold(name)
}

/// Brings `names` together with the list, if there is one.
fn read_list(
    list: Option<&mut (File, Stat)>,
    names: Names,
    locked: bool,
    now: u64,
) -> Result<Listing, Error> {
    let Some((file, _)) = list else { return Ok(Listing::unknown(names, now)) };
    file.rewind()
        .and_then(|()| Listing::read(names, &mut BufReader::with_capacity(LIST_BUFFER, file), locked, now))
        .map_err(Error::SizeList)
}

/// Whether what is in the list may not have reached the disk: the kernel writes
/// what has been waiting for half a minute.
fn is_young(list: &Stat) -> bool {
    stamp::now().saturating_sub(Stamp::of(list).changed()) < YOUNG
}

/// Who wrote the list may have been killed before it was on the disk, or may be
/// about to sync it.
fn make_durable(list: &File, directories: &Directories) -> io::Result<()> {
    beneath::sync_data(list)?;
    beneath::sync_directory(&directories.root)
}

/// Gives messages that no list can hold, and that could not be given their
/// name as unique-id, one made of their file (ledger 307).
fn identify_unlistable(directories: &Directories, listing: &mut Listing) {
    let mut given = HashSet::new();
    for (name, draft) in listing.names.iter().zip(&mut listing.drafts) {
        if draft.id.is_none() && !size_list::can_hold(name) {
            let id = file_id(directories, name).ok();
            // Of two names of one such file one is enough.
            draft.id = id.filter(|id| given.insert(id.to_owned()));
            draft.is_hidden = draft.id.is_none();
        }
    }
}

fn file_id(directories: &Directories, name: &[u8]) -> io::Result<Id> {
    let stat = beneath::stat(directories.cur_dir()?, name)?;
    Ok(Id::File { modified: stat.st_mtime, device: stat.st_dev, inode: stat.st_ino })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::make::Sharing;
    use crate::root::Maildir;
    use crate::scan::Names;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::sync::Arc;

    const NOW: u64 = 1_800_000_000;

    struct Mailbox {
        path: PathBuf,
        directories: Directories,
        _place: tempfile::TempDir,
    }

    fn mailbox(files: &[&str]) -> Mailbox {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        Maildir::create(&path, Sharing::Private).unwrap();
        files.iter().for_each(|file| fs::write(path.join("cur").join(file), file).unwrap());
        let root = Arc::new(File::open(&path).unwrap().into());
        Mailbox { directories: Directories::open(root, &mut |_| ()).unwrap(), path, _place: place }
    }

    fn opened(mailbox: &Mailbox) -> Result<Listing, Error> {
        open(&mailbox.directories, None, NOW, Duration::ZERO, &mut |notice| panic!("{notice}"))
            .map(|opened| opened.listing)
    }

    fn list(path: &Path) -> String {
        fs::read_to_string(path.join("courierpop3dsizelist")).unwrap()
    }

    fn numbers(listing: &Listing) -> Vec<Option<Id>> {
        listing.drafts.iter().map(|draft| draft.id).collect()
    }

    fn number(uid: u64) -> Option<Id> {
        Some(Id::Numbered { uid, validity: NOW })
    }

    #[test]
    fn new_mail_waits_for_the_lock_and_nothing_else_does() {
        let mailbox = mailbox(&["1.a:2,", "2.b:2,"]);
        opened(&mailbox).unwrap();
        let before = list(&mailbox.path);
        let held = Lock::take(&mailbox.directories.root, Duration::ZERO).unwrap();
        // Only to be tidied up.
        fs::remove_file(mailbox.path.join("cur/2.b:2,")).unwrap();
        assert_eq!(numbers(&opened(&mailbox).unwrap()), [number(1)]);
        assert_eq!(list(&mailbox.path), before);

        fs::write(mailbox.path.join("cur/3.c:2,"), "").unwrap();
        assert!(matches!(opened(&mailbox), Err(Error::Busy)));
        drop(held);
        assert_eq!(numbers(&opened(&mailbox).unwrap()), [number(1), number(3)]);
    }

    #[test]
    fn a_list_that_another_session_wrote_meanwhile_is_not_current() {
        let mailbox = mailbox(&["1.a:2,"]);
        let early = Reading::take(&mailbox.directories, None, false, NOW).unwrap();
        assert!(early.is_current(&mailbox.directories));
        opened(&mailbox).unwrap();
        assert!(!early.is_current(&mailbox.directories));

        let later = Reading::take(&mailbox.directories, None, false, NOW).unwrap();
        assert!(later.is_current(&mailbox.directories));
        fs::write(mailbox.path.join("cur/2.b:2,"), "").unwrap();
        opened(&mailbox).unwrap();
        assert!(!later.is_current(&mailbox.directories));
    }

    #[test]
    fn a_file_that_cannot_be_read_is_left_out_and_keeps_its_number() {
        let mailbox = mailbox(&["2.b:2,"]);
        // As if the first had turned into something else since it was seen,
        // and the third had vanished.
        fs::create_dir(mailbox.path.join("cur/1.a:2,")).unwrap();
        let couriers = "/3 8 17\n1.a:2, 5 5:17:0\n2.b:2, 5 6:17:0\n3.c:2, 5 7:17:0\n";
        let names = Names::new([b"1.a:2,".as_slice(), b"2.b:2,", b"3.c:2,", b"4.d:2,"]);
        let listing = Listing::read(names, &mut couriers.as_bytes(), true, NOW).unwrap();
        let mut reading = Reading { list: None, listing, cur: None };
        let mut notices = Vec::new();
        reading
            .measure(&mailbox.directories, None, None, &mut |notice| notices.push(notice.to_string()))
            .unwrap();
        let hidden: Vec<bool> = reading.listing.drafts.iter().map(|draft| draft.is_hidden).collect();
        assert_eq!(hidden, [true, false, true, true]);
        assert_eq!(notices, ["cur/1.a:2,: Not a regular file"]);

        reading.save(&mailbox.directories).unwrap();
        assert_eq!(
            list(&mailbox.path),
            "/3 8 17\n#postrider:exact-octets\n1.a:2, -1 5:17:0\n2.b:2, 8 6:17:0\n3.c:2, -1 7:17:0\n"
        );

        // What is not known is counted as soon as it can be.
        fs::remove_dir(mailbox.path.join("cur/1.a:2,")).unwrap();
        fs::write(mailbox.path.join("cur/1.a:2,"), "x").unwrap();
        opened(&mailbox).unwrap();
        let counted = "/3 8 17\n#postrider:exact-octets\n1.a:2, 3 5:17:0\n2.b:2, 8 6:17:0\n";
        assert_eq!(list(&mailbox.path), counted);
    }

    #[test]
    fn what_an_earlier_reading_counted_is_not_read_again() {
        let mailbox = mailbox(&["1.a:2,", "2.b:2,"]);
        let mut early = Reading::take(&mailbox.directories, None, false, NOW).unwrap();
        early.measure(&mailbox.directories, None, None, &mut |_| ()).unwrap();
        fs::write(mailbox.path.join("cur/1.a:2,"), "another length").unwrap();
        let mut later = Reading::take(&mailbox.directories, None, false, NOW).unwrap();
        later.measure(&mailbox.directories, Some(&early.listing), None, &mut |_| ()).unwrap();
        let octets = |reading: &Reading| reading.listing.drafts[0].size.map(|size| size.octets);
        assert_eq!(octets(&later), octets(&early));
    }
}

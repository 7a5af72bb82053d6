//! The names in `cur/` that are messages, in Courier's order.

use std::io;
use std::ops::Range;
use std::os::fd::{AsFd, BorrowedFd};

use system::stamp::Stamp;

use crate::beneath;
use crate::name;
use crate::order::InOrder;
use crate::watch::Watch;
use crate::witness::Witness;

/// Names of files in Courier's order (maildir.md 3), held in one piece of
/// memory however many there are.
#[derive(Debug, Default)]
pub(crate) struct Names {
    bytes: Vec<u8>,
    sorted: Vec<Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    number: i64,
    place: Range<usize>,
}

impl Names {
    /// Puts `names` in order; a name given twice is taken once.
    pub(crate) fn new<'a>(names: impl IntoIterator<Item = &'a [u8]>) -> Names {
        let mut all = Names::default();
        names.into_iter().for_each(|name| all.push(name));
        all.sort();
        all
    }

    fn push(&mut self, name: &[u8]) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(name);
        self.sorted.push(Entry { number: name::leading_number(name), place: start..self.bytes.len() });
    }

    fn sort(&mut self) {
        let bytes = &self.bytes;
        let name = |entry: &Entry| &bytes[entry.place.clone()];
        self.sorted.sort_unstable_by(|one, other| {
            one.number.cmp(&other.number).then_with(|| name::compare(name(one), name(other)))
        });
        self.sorted.dedup_by(|one, other| name(one) == name(other));
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        self.sorted.len()
    }

    /// Whether there are none.
    pub(crate) fn is_empty(&self) -> bool {
        self.sorted.is_empty()
    }

    /// The name at `index`, if there are that many.
    pub(crate) fn get(&self, index: usize) -> Option<&[u8]> {
        self.sorted.get(index).map(|entry| &self.bytes[entry.place.clone()])
    }

    /// All of them in order.
    pub(crate) fn iter(&self) -> impl ExactSizeIterator<Item = &[u8]> {
        self.sorted.iter().map(|entry| &self.bytes[entry.place.clone()])
    }

    /// Where exactly this name is.
    pub(crate) fn find(&self, name: &[u8]) -> Option<usize> {
        self.look_for(name).ok()
    }

    /// Leaves out the names at `places`, which are in order.
    fn remove(&mut self, places: &[usize]) {
        let mut index = 0;
        self.sorted.retain(|_| {
            index += 1;
            places.binary_search(&(index - 1)).is_err()
        });
    }

    /// The unique names that more than one name may have.
    fn perhaps_shared(&self) -> impl Iterator<Item = &[u8]> {
        let bare = self.iter().filter(|name| name::unique(name).len() == name.len());
        let neighbours = self.iter().zip(self.iter().skip(1));
        let repeated = neighbours.map(|(one, other)| (name::unique(one), name::unique(other)));
        bare.chain(repeated.filter(|(one, other)| one == other).map(|(one, _)| one))
    }
}

impl InOrder for Names {
    fn count(&self) -> usize {
        self.len()
    }

    fn name_at(&self, index: usize) -> &[u8] {
        &self.bytes[self.sorted[index].place.clone()]
    }

    fn number_at(&self, index: usize) -> i64 {
        self.sorted[index].number
    }
}

/// A reading of `cur/`.
#[derive(Debug)]
pub(crate) struct Scan {
    /// What was there.
    pub(crate) names: Names,
    /// Whether what was not seen was not there.
    pub(crate) complete: bool,
    /// The directory's stamp, if it will tell of every later change.
    pub(crate) quiet: Option<Stamp>,
}

/// Reads `cur/` once. A `witness` knows better than the clock whether it changes
/// meanwhile.
pub(crate) fn scan(cur: impl AsFd, witness: Option<&Witness>) -> io::Result<Scan> {
    let cur = cur.as_fd();
    read(cur, Watch::begin(cur)?.with(witness))
}

fn read(cur: BorrowedFd<'_>, watch: Watch<'_>) -> io::Result<Scan> {
    let mut names = Names::default();
    beneath::list_messages(cur, |name| names.push(name))?;
    names.sort();
    let (complete, quiet) = (watch.was_quiet(cur)?, watch.quiet(cur)?);
    settle_shared(cur, &mut names);
    Ok(Scan { names, complete, quiet })
}

impl Scan {
    /// Reads `cur/` once more and takes what either reading saw and is still
    /// there, for when something seems to be missing from a directory that was
    /// changing.
    pub(crate) fn again(self, cur: impl AsFd, witness: Option<&Witness>) -> io::Result<Scan> {
        let cur = cur.as_fd();
        let watch = match witness {
            Some(_) => Watch::begin(cur)?.with(witness),
            None => Watch::begin_again(cur)?,
        };
        let Scan { names: second, complete, quiet } = read(cur, watch)?;
        let only_first =
            self.names.iter().filter(|name| second.find(name).is_none() && beneath::stat(cur, name).is_ok());
        let mut names = Names::new(second.iter().chain(only_first));
        settle_shared(cur, &mut names);
        Ok(Scan { names, complete, quiet })
    }
}

/// Looks closer at names that share a unique name: one that vanished was seen
/// before and after its rename; two of one file are a move that was cut short,
/// of which the shorter name goes.
fn settle_shared(cur: impl AsFd, names: &mut Names) {
    let cur = cur.as_fd();
    let mut gone = Vec::new();
    let mut previous = None;
    for unique in names.perhaps_shared() {
        if previous.replace(unique) != Some(unique) {
            let group: Vec<usize> = names.with_unique(unique).collect();
            if group.len() > 1 {
                settle_group(cur, names, &group, &mut gone);
            }
        }
    }
    gone.sort_unstable();
    names.remove(&gone);
}

fn settle_group(cur: impl AsFd, names: &Names, group: &[usize], gone: &mut Vec<usize>) {
    let cur = cur.as_fd();
    let mut files = Vec::new();
    for index in group.iter().copied() {
        let Some(name) = names.get(index) else { continue };
        match beneath::stat(cur, name) {
            // Inode numbers alone prove nothing where the file system makes them up.
            Ok(stat) if stat.st_nlink > 1 => files.push((stat.st_dev, stat.st_ino, name.len(), index)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => gone.push(index),
            Ok(_) | Err(_) => {}
        }
    }
    files.sort_unstable();
    for pair in files.windows(2) {
        let [(device, inode, _, shorter), (other_device, other_inode, _, _)] = pair else { continue };
        let name = names.get(*shorter).unwrap_or_default();
        if (device, inode) == (other_device, other_inode) && beneath::unlink(cur, name).is_ok() {
            gone.push(*shorter);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use std::fs::{self, File};

    fn seen(scan: &Scan) -> Vec<&[u8]> {
        scan.names.iter().collect()
    }

    #[test]
    fn two_names_of_one_file_are_a_move_that_was_cut_short() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        fs::write(path("1.a:2,"), "x").unwrap();
        fs::hard_link(path("1.a:2,"), path("1.a:2,S")).unwrap();
        fs::hard_link(path("1.a:2,"), path("1.a")).unwrap();
        let scan = scan(File::open(directory.path()).unwrap(), None).unwrap();
        assert_eq!(seen(&scan), [b"1.a:2,S".as_slice()]);
        assert!(path("1.a:2,S").exists() && !path("1.a:2,").exists() && !path("1.a").exists());
    }

    #[test]
    fn two_files_that_share_a_unique_name_both_stay() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["1.a:2,", "1.a:2,S", "1.a"] {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let scan = scan(File::open(directory.path()).unwrap(), None).unwrap();
        assert_eq!(seen(&scan), [b"1.a".as_slice(), b"1.a:2,", b"1.a:2,S"]);
    }

    #[test]
    fn a_name_that_the_first_reading_saw_counts_if_it_is_still_there() {
        let directory = tempfile::tempdir().unwrap();
        let held = File::open(directory.path()).unwrap();
        fs::write(directory.path().join("1.a:2,"), "").unwrap();
        let first =
            Scan { names: Names::new([b"1.a:2,".as_slice(), b"2.b:2,"]), complete: false, quiet: None };
        let second = first.again(&held, None).unwrap();
        assert_eq!(seen(&second), [b"1.a:2,".as_slice()]);
        assert!(second.complete);
    }

    fn names() -> impl Strategy<Value = Vec<Vec<u8>>> {
        let byte = prop_oneof![Just(b':'), Just(b'1'), Just(b'-'), Just(b'a'), Just(0xFF_u8)];
        proptest::collection::vec(proptest::collection::vec(byte, 1..5), 0..30)
    }

    proptest! {
        #[test]
        fn every_name_is_found_by_itself_and_by_its_unique_name(names in names()) {
            let held = Names::new(names.iter().map(Vec::as_slice));
            for wanted in &names {
                let at = held.find(wanted).unwrap();
                prop_assert_eq!(held.get(at), Some(wanted.as_slice()));
                let mut with: Vec<&[u8]> =
                    held.with_unique(name::unique(wanted)).filter_map(|at| held.get(at)).collect();
                with.sort_unstable();
                let mut naive: Vec<&[u8]> = names
                    .iter()
                    .map(Vec::as_slice)
                    .filter(|other| name::unique(other) == name::unique(wanted))
                    .collect();
                naive.sort_unstable();
                naive.dedup();
                prop_assert_eq!(with, naive);
            }
        }
    }
}

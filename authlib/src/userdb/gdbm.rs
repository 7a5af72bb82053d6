//! GDBM files, the kind that Debian's makeuserdb(8) and ours write.
//!
//! Reading is done here. A login needs one record, and finds it with four
//! small reads: header, directory entry, bucket, record; of a file that it has
//! open for longer with the last of them alone, as a rule. The library that writes
//! would read the whole directory first, entry by entry. And a file may be anything: every number in it is checked
//! where it is used, nothing is allocated because a file says so, and no loop
//! is longer than a bucket.
//!
//! Like GDBM itself this reads the files of the machine it runs on: its octet
//! order, its alignment, offsets of 64 bits.
//!
//! ```text
//! header ─ directory: 2^bits offsets, indexed by the upper bits of a key's hash
//!            └ bucket: elements, probed from hash mod number of elements on
//!                └ element: hash, sizes, offset ─ record: key, value
//! ```

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::ffi::c_char;
use std::fs::File;
use std::io;
use std::mem::{offset_of, size_of};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::fs::FileExt;

use gdbm_native::{CharSign, Endian, Layout, OpenOptions};
use rustix::fs::{FileType, fstat};
use system::stamp::Stamp;
use zeroize::Zeroizing;

use super::database::Lookup;
use crate::Secret;

/// First word of a file with 64-bit offsets; the second is that of a file
/// with a counter of syncs, which stands behind all that is read here.
const MAGIC: [u32; 2] = [0x1357_9acf, 0x1357_9ad1];
/// Octets of the header's fixed part.
const HEADER: usize = 40;
/// Bits of a key's hash.
const HASH_BITS: u32 = 31;
/// What stands for the hash in an element that is not in use.
const UNUSED: u32 = u32::MAX;
/// Most octets of a value.
const LONGEST_VALUE: u32 = 128 * 1024;
/// Most elements of a bucket; it has as many as a block of the file system
/// has room for.
const MOST_ELEMENTS: u32 = 1 << 16;
/// Most elements of all buckets that are kept: those of some thirty thousand
/// records, in a megabyte and a half.
const MOST_KEPT: usize = 1 << 16;

/// An open file. Buckets that it has read it does not read again: who has it for
/// longer knows whether the file is still the same.
#[derive(Debug)]
pub(super) struct Reader {
    file: File,
    stamp: Stamp,
    directory: u64,
    directory_bits: u32,
    elements: u32,
    buckets: HashMap<u32, Vec<Place>>,
}

/// A bucket as C lays it out; only offsets are taken from it.
#[repr(C)]
struct Bucket {
    free_count: i32,
    free: [Free; 6],
    bits: i32,
    count: i32,
    elements: [Element; 1],
}

#[repr(C)]
struct Free {
    size: i32,
    offset: i64,
}

#[repr(C)]
struct Element {
    hash: u32,
    key_start: [u8; 4],
    offset: u64,
    key_size: u32,
    value_size: u32,
}

/// Where the record of an element is.
#[derive(Clone, Copy, Debug)]
struct Place {
    hash: u32,
    offset: u64,
    key_size: u32,
    value_size: u32,
}

impl Place {
    fn is_used(self) -> bool {
        self.hash != UNUSED
    }

    /// Octets of the value, which are not too many.
    fn value_length(self) -> io::Result<usize> {
        if self.value_size > LONGEST_VALUE {
            return Err(damaged("a record is too long"));
        }
        Ok(self.value_size as usize)
    }

    /// The value of this record of `file`, if it is the one called `key`.
    fn value_of(self, key: &[u8], file: &File) -> io::Result<Option<Secret>> {
        if self.key_size as usize != key.len() {
            return Ok(None);
        }
        let mut record = Zeroizing::new(vec![0; key.len() + self.value_length()?]);
        read_at(file, &mut record, self.offset)?;
        let (name, value) = record.split_at(key.len());
        Ok((name == key).then(|| Secret::copy_of(value)))
    }

    fn value(self, file: &File) -> io::Result<Secret> {
        let mut value = vec![0; self.value_length()?];
        read_at(file, &mut value, self.offset.saturating_add(u64::from(self.key_size)))?;
        Ok(Secret::new(value))
    }

    fn key(self, file: &File) -> io::Result<Vec<u8>> {
        if self.key_size > LONGEST_VALUE {
            return Err(damaged("a name is too long"));
        }
        let mut key = vec![0; self.key_size as usize];
        read_at(file, &mut key, self.offset)?;
        Ok(key)
    }
}

impl Reader {
    /// Checks the header of `file`.
    ///
    /// # Errors
    /// `InvalidData` if it is not a GDBM file of this machine's kind.
    pub(super) fn new(file: File) -> io::Result<Self> {
        let stat = fstat(&file)?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(damaged("not a regular file"));
        }
        let mut header = [0; HEADER];
        read_at(&file, &mut header, 0)?;
        let (directory_size, directory_bits) = (u32_at(&header, 16), u32_at(&header, 20));
        let (bucket_size, elements) = (u32_at(&header, 24), u32_at(&header, 28));
        if !MAGIC.contains(&u32_at(&header, 0)) {
            return Err(damaged("not a GDBM file of this kind of machine"));
        }
        let room = (bucket_size as usize).saturating_sub(offset_of!(Bucket, elements)) / size_of::<Element>();
        if !(1..=MOST_ELEMENTS).contains(&elements) || elements as usize > room {
            return Err(damaged("the size of the buckets is wrong"));
        }
        let entries = 1u64.checked_shl(directory_bits).unwrap_or(0);
        if directory_bits >= HASH_BITS || u64::from(directory_size) != entries * size_of::<u64>() as u64 {
            return Err(damaged("the size of the directory is wrong"));
        }
        Ok(Reader {
            file,
            stamp: Stamp::of(&stat),
            directory: u64_at(&header, 8),
            directory_bits,
            elements,
            buckets: HashMap::new(),
        })
    }

    /// That of the file before anything was read of it.
    pub(super) fn stamp(&self) -> Stamp {
        self.stamp
    }

    /// The file, and the elements of the bucket for keys with this `hash`, in the
    /// order in which they are probed from the first one on.
    fn bucket(&mut self, hash: u32) -> io::Result<(&File, &[Place])> {
        let entry = hash >> (HASH_BITS - self.directory_bits);
        if self.buckets.len().saturating_mul(self.elements as usize) >= MOST_KEPT
            && !self.buckets.contains_key(&entry)
        {
            self.buckets.clear();
        }
        let bucket = match self.buckets.entry(entry) {
            Entry::Occupied(kept) => kept.into_mut(),
            Entry::Vacant(place) => {
                let offset = offset_of_bucket(&self.file, self.directory, entry)?;
                place.insert(read_bucket(&self.file, offset, self.elements)?)
            }
        };
        Ok((&self.file, bucket))
    }

    /// Shows `each` every key and value, bucket by bucket, until it says no.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    pub(super) fn each(&self, each: &mut dyn FnMut(&[u8], &[u8]) -> bool) -> io::Result<()> {
        let mut last = None;
        for entry in 0..1u32 << self.directory_bits {
            let offset = offset_of_bucket(&self.file, self.directory, entry)?;
            // Entries of a bucket that was not split yet stand side by side.
            if last.replace(offset) == Some(offset) {
                continue;
            }
            for place in read_bucket(&self.file, offset, self.elements)? {
                if place.is_used() && !each(&place.key(&self.file)?, place.value(&self.file)?.expose()) {
                    return Ok(());
                }
            }
        }
        Ok(())
    }
}

impl AsFd for Reader {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }
}

impl Lookup for Reader {
    fn fetch(&mut self, key: &[u8]) -> io::Result<Option<Secret>> {
        let hash = hash(key);
        let first = (hash % self.elements) as usize;
        let (file, bucket) = self.bucket(hash)?;
        let (before, from) = bucket.split_at(first);
        for place in from.iter().chain(before).take_while(|place| place.is_used()) {
            if place.hash == hash
                && let Some(value) = place.value_of(key, file)?
            {
                return Ok(Some(value));
            }
        }
        Ok(None)
    }

    fn fetch_neighbour(&mut self, key: &[u8]) -> io::Result<Option<Secret>> {
        let (file, bucket) = self.bucket(hash(key))?;
        bucket.iter().find(|place| place.is_used()).map(|place| place.value(file)).transpose()
    }
}

/// The offset of the bucket that the directory's entry numbered `entry` leads to.
fn offset_of_bucket(file: &File, directory: u64, entry: u32) -> io::Result<u64> {
    let mut offset = [0; size_of::<u64>()];
    read_at(file, &mut offset, directory.saturating_add(u64::from(entry) * size_of::<u64>() as u64))?;
    Ok(u64::from_ne_bytes(offset))
}

/// All elements of the bucket at `offset`.
fn read_bucket(file: &File, offset: u64, elements: u32) -> io::Result<Vec<Place>> {
    let mut octets = vec![0; elements as usize * size_of::<Element>()];
    read_at(file, &mut octets, offset.saturating_add(offset_of!(Bucket, elements) as u64))?;
    let place = |element: &[u8]| Place {
        hash: u32_at(element, offset_of!(Element, hash)),
        offset: u64_at(element, offset_of!(Element, offset)),
        key_size: u32_at(element, offset_of!(Element, key_size)),
        value_size: u32_at(element, offset_of!(Element, value_size)),
    };
    Ok(octets.chunks_exact(size_of::<Element>()).map(place).collect())
}

/// How a new file is made: of this machine's kind, and without the counter of
/// syncs, which older readers do not know.
pub(super) fn creation_options() -> OpenOptions {
    let mut options = OpenOptions::new();
    options
        .create(true)
        .numsync(false)
        .endian(if cfg!(target_endian = "big") { Endian::Big } else { Endian::Little })
        .layout(if align_of::<i64>() == 4 { Layout::Off64Align4 } else { Layout::Off64Align8 })
        .char_sign(if c_char::MIN == 0 { CharSign::Unsigned } else { CharSign::Signed });
    options
}

/// GDBM's hash of a key, which adds its octets as C's `char` (signed on some
/// machines) is extended.
fn hash(key: &[u8]) -> u32 {
    let start = (key.len() as u32).wrapping_mul(0x238f_13af);
    let sum = key.iter().enumerate().fold(start, |sum, (index, &octet)| {
        let octet = i32::from(octet as c_char) as u32;
        sum.wrapping_add(octet << (index * 5 % 24)) & 0x7fff_ffff
    });
    sum.wrapping_mul(1_103_515_243).wrapping_add(12345) & 0x7fff_ffff
}

fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<()> {
    file.read_exact_at(buffer, offset).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::InvalidInput => {
            damaged("the file is cut short or damaged")
        }
        _ => error,
    })
}

fn damaged(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// The word at `at`, which the caller knows to be inside.
fn u32_at(octets: &[u8], at: usize) -> u32 {
    let mut word = [0; 4];
    word.copy_from_slice(&octets[at..at + 4]);
    u32::from_ne_bytes(word)
}

/// The double word at `at`, which the caller knows to be inside.
fn u64_at(octets: &[u8], at: usize) -> u64 {
    let mut word = [0; 8];
    word.copy_from_slice(&octets[at..at + 8]);
    u64::from_ne_bytes(word)
}

#[cfg(test)]
mod tests {
    use super::{LONGEST_VALUE, Reader, hash};
    use crate::userdb::database::{Builder, Failed, Lookup};
    use proptest::prelude::*;
    use std::collections::BTreeMap;
    use std::fs::File;
    use std::path::Path;

    fn build(path: &Path, records: &BTreeMap<Vec<u8>, Vec<u8>>) {
        let mut builder = Builder::create(path, 0o600).unwrap();
        records.iter().for_each(|(key, value)| builder.insert(key, value).unwrap());
        builder.finish().unwrap();
    }

    fn open(path: &Path) -> Reader {
        Reader::new(File::open(path).unwrap()).unwrap()
    }

    fn fetch(reader: &mut Reader, key: &[u8]) -> Option<Vec<u8>> {
        reader.fetch(key).unwrap().map(|value| value.expose().to_vec())
    }

    #[test]
    fn hashes_are_those_of_c() {
        assert_eq!(hash(b"hello"), 1_730_502_474);
        assert_eq!(hash(b""), 12345);
        #[cfg(target_arch = "x86_64")]
        assert_eq!(hash("café".as_bytes()), 1_431_509_427);
    }

    #[test]
    fn twenty_thousand_records_are_found_and_no_others() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        let records: BTreeMap<Vec<u8>, Vec<u8>> = (0..20_000)
            .map(|number| {
                (format!("user{number}@é.example").into_bytes(), format!("uid={number}").into_bytes())
            })
            .collect();
        build(&path, &records);
        let mut reader = open(&path);
        for (key, value) in &records {
            assert_eq!(fetch(&mut reader, key).as_ref(), Some(value));
        }
        assert_eq!(fetch(&mut reader, b"user20000@example"), None);
        assert!(reader.fetch_neighbour(b"nobody").unwrap().is_some());
    }

    #[test]
    fn an_empty_data_base_has_no_records_and_no_neighbours() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        build(&path, &BTreeMap::new());
        assert_eq!(fetch(&mut open(&path), b"alice"), None);
        assert!(open(&path).fetch_neighbour(b"alice").unwrap().is_none());
    }

    #[test]
    fn a_name_is_stored_once() {
        let directory = tempfile::tempdir().unwrap();
        let mut builder = Builder::create(&directory.path().join("db"), 0o600).unwrap();
        builder.insert(b"alice", b"1").unwrap();
        assert!(matches!(builder.insert(b"alice", b"2"), Err(Failed::Duplicate)));
    }

    #[test]
    fn an_absurdly_long_record_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        build(&path, &BTreeMap::from([(b"a".to_vec(), vec![b'x'; LONGEST_VALUE as usize + 1])]));
        assert!(open(&path).fetch(b"a").is_err());
    }

    #[test]
    fn a_directory_or_a_cut_file_is_no_data_base() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("db");
        assert!(Reader::new(File::open(directory.path()).unwrap()).is_err());
        build(&path, &BTreeMap::from([(b"alice".to_vec(), b"1".to_vec())]));
        let whole = std::fs::read(&path).unwrap();
        for length in [0, 39, 40, 4096, 8192, whole.len() - 4096] {
            std::fs::write(&path, &whole[..length]).unwrap();
            let result =
                Reader::new(File::open(&path).unwrap()).and_then(|mut reader| reader.fetch(b"alice"));
            assert!(!matches!(result, Ok(Some(_))), "{length}");
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(40))]
        #[test]
        fn whatever_is_stored_is_found(records in prop::collection::btree_map(
            prop::collection::vec(any::<u8>(), 0..12), prop::collection::vec(any::<u8>(), 0..40), 0..400)
        ) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("db");
            build(&path, &records);
            let mut reader = open(&path);
            for (key, value) in &records {
                let found = fetch(&mut reader, key);
                prop_assert_eq!(found.as_ref(), Some(value));
            }
        }

        #[test]
        fn a_damaged_file_does_no_harm(damage in prop::collection::vec((0..200usize, any::<u8>()), 1..12), far in any::<u16>()) {
            let directory = tempfile::tempdir().unwrap();
            let path = directory.path().join("db");
            build(&path, &BTreeMap::from([(b"alice".to_vec(), b"1".to_vec())]));
            let mut octets = std::fs::read(&path).unwrap();
            let length = octets.len();
            for (at, octet) in damage {
                octets[at] = octet;
                octets[(at + usize::from(far)) % length] = octet;
            }
            std::fs::write(&path, octets).unwrap();
            if let Ok(mut reader) = Reader::new(File::open(&path).unwrap()) {
                let _ = (reader.fetch(b"alice"), reader.fetch_neighbour(b"bob"));
            }
        }
    }
}

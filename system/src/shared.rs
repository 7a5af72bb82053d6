//! Memory that several processes see: one of them writes words, the others read
//! them. Nobody waits for anybody.

use std::fs::{File, Permissions};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::PermissionsExt;
use std::ptr::{self, NonNull};
use std::sync::atomic::{AtomicU64, Ordering};

use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, fstat, ftruncate, memfd_create};
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};

/// Descriptors for one piece of memory.
#[derive(Debug)]
pub struct Descriptors {
    /// For who writes.
    pub writer: OwnedFd,
    /// For those who read.
    pub reader: OwnedFd,
}

/// Makes memory for `words` words, all of them 0. It can be made neither smaller
/// nor larger.
///
/// # Errors
/// What the system reports.
pub fn create(words: usize) -> io::Result<Descriptors> {
    let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
    let writer = memfd_create("postrider", flags)?;
    ftruncate(&writer, octets(words)? as u64)?;
    fcntl_add_seals(&writer, SealFlags::SHRINK | SealFlags::GROW | SealFlags::SEAL)?;
    let writer = File::from(writer);
    // Who has the reader's descriptor cannot open it anew for writing.
    writer.set_permissions(Permissions::from_mode(0o400))?;
    let reader = File::open(format!("/proc/self/fd/{}", writer.as_raw_fd()))?;
    Ok(Descriptors { writer: writer.into(), reader: reader.into() })
}

fn octets(words: usize) -> io::Result<usize> {
    words
        .checked_mul(size_of::<u64>())
        .filter(|octets| *octets > 0)
        .ok_or_else(|| io::ErrorKind::InvalidInput.into())
}

/// Words that are read.
#[derive(Debug)]
pub struct Words {
    start: NonNull<AtomicU64>,
    count: usize,
}

/// Words that are written, and read.
#[derive(Debug)]
pub struct OwnWords(Words);

impl Words {
    /// The first `count` words of the memory that `descriptor` is for.
    ///
    /// # Errors
    /// It is not such memory, or the system reports something.
    pub fn of(descriptor: &OwnedFd, count: usize) -> io::Result<Words> {
        Words::map(descriptor, count, ProtFlags::READ)
    }

    fn map(descriptor: &OwnedFd, count: usize, access: ProtFlags) -> io::Result<Words> {
        let length = octets(count)?;
        let is_sealed = fcntl_get_seals(descriptor)?.contains(SealFlags::SHRINK);
        if !is_sealed || usize::try_from(fstat(descriptor)?.st_size).is_ok_and(|size| size < length) {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        // SAFETY: the kernel chooses an address where nothing is, so that no memory
        // of this process changes.
        #[allow(unsafe_code)]
        let start =
            unsafe { mmap(ptr::null_mut(), length, access, MapFlags::SHARED, descriptor.as_fd(), 0)? };
        let start = NonNull::new(start.cast()).ok_or(io::ErrorKind::InvalidData)?;
        Ok(Words { start, count })
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.count
    }

    /// The word at `index`; 0 if there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.word(index).map_or(0, |word| word.load(Ordering::Relaxed))
    }

    fn word(&self, index: usize) -> Option<&AtomicU64> {
        if index >= self.count {
            return None;
        }
        // SAFETY: the mapping has `count` words for as long as `self` lives, and is
        // aligned to a page; the seal keeps every page of it there, whatever other
        // processes do. They change words while we look, hence atomics. Such a load
        // writes nothing, so memory that can only be read will do.
        #[allow(unsafe_code)]
        Some(unsafe { self.start.add(index).as_ref() })
    }
}

impl OwnWords {
    /// The same as [`Words::of`], to be written.
    ///
    /// # Errors
    /// The same.
    pub fn of(descriptor: &OwnedFd, count: usize) -> io::Result<OwnWords> {
        Words::map(descriptor, count, ProtFlags::READ | ProtFlags::WRITE).map(OwnWords)
    }

    /// The word at `index`; 0 if there is none.
    #[must_use]
    pub fn get(&self, index: usize) -> u64 {
        self.0.get(index)
    }

    /// Makes `value` the word at `index`, if there is one.
    pub fn set(&self, index: usize, value: u64) {
        if let Some(word) = self.0.word(index) {
            word.store(value, Ordering::Relaxed);
        }
    }
}

impl Drop for Words {
    fn drop(&mut self) {
        let length = self.count * size_of::<u64>();
        // SAFETY: this is the mapping that `map` made, and nobody has a reference
        // into it that outlives `self`.
        #[allow(unsafe_code)]
        let _unmapped = unsafe { munmap(self.start.as_ptr().cast(), length) };
    }
}

#[cfg(test)]
mod tests {
    use super::{OwnWords, Words, create};
    use std::fs::File;

    #[test]
    fn what_one_writes_the_others_read() {
        let memory = create(1000).unwrap();
        let own = OwnWords::of(&memory.writer, 1000).unwrap();
        let seen = Words::of(&memory.reader, 1000).unwrap();
        assert_eq!((seen.get(0), seen.get(999), seen.get(1000)), (0, 0, 0));
        own.set(999, u64::MAX);
        own.set(1000, 7);
        assert_eq!((seen.get(999), own.get(999), seen.count()), (u64::MAX, u64::MAX, 1000));
    }

    #[test]
    fn who_may_read_cannot_write_and_nobody_can_take_the_memory_away() {
        let memory = create(8).unwrap();
        assert!(OwnWords::of(&memory.reader, 8).is_err());
        assert!(File::from(memory.writer).set_len(0).is_err());
        assert!(Words::of(&memory.reader, 9).is_err() && Words::of(&memory.reader, 0).is_err());
        assert!(Words::of(&File::open("/dev/zero").unwrap().into(), 8).is_err());
    }
}

//! crypt(3) of the C library: DES, `$1$`, `$5$`, `$6$`, `$2b$`, `$y$`, …
//!
//! The only library linked beside libc, and only into programs that compare
//! or make passwords.

use std::ffi::{CStr, CString, c_char, c_int, c_ulong, c_void};
use std::io;
use std::ptr;

#[link(name = "crypt")]
#[allow(unsafe_code)]
// SAFETY: the signatures are those of <crypt.h> (libxcrypt 4).
unsafe extern "C" {
    fn crypt_ra(
        phrase: *const c_char,
        setting: *const c_char,
        data: *mut *mut c_void,
        size: *mut c_int,
    ) -> *mut c_char;
    fn crypt_gensalt_ra(
        prefix: *const c_char,
        count: c_ulong,
        random: *const c_char,
        random_length: c_int,
    ) -> *mut c_char;
}

/// The hash of `password` under `setting` (a salt, or a whole stored hash);
/// `None` if the setting is not one that the library knows, either holds a
/// NUL, or the password is longer than the library takes (512 octets).
///
/// The working memory, which has held the password, is wiped.
///
/// # Errors
/// If there is not enough memory: then nothing can be told.
pub fn hash(password: &[u8], setting: &[u8]) -> io::Result<Option<Vec<u8>>> {
    let Ok(setting) = CString::new(setting) else { return Ok(None) };
    let Ok(phrase) = CString::new(password) else { return Ok(None) };
    let result = call(&phrase, &setting);
    wipe(&mut phrase.into_bytes());
    match result {
        // Failure tokens of crypt(3) start with an asterisk; no hash does.
        Ok(hash) => Ok(Some(hash).filter(|hash| !hash.starts_with(b"*"))),
        Err(error) if error.kind() == io::ErrorKind::OutOfMemory => Err(error),
        Err(_) => Ok(None),
    }
}

/// A fresh random setting for [`hash`]: of the method that `prefix` names
/// (`$y$`, `$2b$`, `$6$`, …), with its cost `count`, or the library's own
/// choice if that is 0.
///
/// # Errors
/// If the library does not know the method or the cost, or has no randomness.
pub fn setting(prefix: &CStr, count: u32) -> io::Result<Vec<u8>> {
    // SAFETY: the prefix ends in NUL and outlives the call; without octets to
    // make the salt of, the library takes the kernel's; the result is null, or
    // a NUL-terminated string from malloc that is ours to free.
    #[allow(unsafe_code)]
    unsafe {
        let result = crypt_gensalt_ra(prefix.as_ptr(), c_ulong::from(count), ptr::null(), 0);
        if result.is_null() {
            return Err(io::Error::last_os_error());
        }
        let setting = CStr::from_ptr(result).to_bytes().to_vec();
        nix::libc::free(result.cast());
        Ok(setting)
    }
}

fn call(phrase: &CStr, setting: &CStr) -> io::Result<Vec<u8>> {
    let mut data: *mut c_void = ptr::null_mut();
    let mut size: c_int = 0;
    // SAFETY: both strings end in NUL and outlive the call; crypt_ra takes a
    // null `data` with size 0, allocates with malloc and stores what it
    // allocated; the result is null or a NUL-terminated string inside `data`.
    #[allow(unsafe_code)]
    unsafe {
        let result = crypt_ra(phrase.as_ptr(), setting.as_ptr(), &raw mut data, &raw mut size);
        let hash = if result.is_null() {
            Err(io::Error::last_os_error())
        } else {
            Ok(CStr::from_ptr(result).to_bytes().to_vec())
        };
        if !data.is_null() {
            nix::libc::explicit_bzero(data, usize::try_from(size).unwrap_or(0));
            nix::libc::free(data);
        }
        hash
    }
}

/// Overwrites `octets` with zeros in a way the compiler does not remove.
fn wipe(octets: &mut [u8]) {
    // SAFETY: pointer and length are those of one exclusive slice.
    #[allow(unsafe_code)]
    unsafe {
        nix::libc::explicit_bzero(octets.as_mut_ptr().cast(), octets.len());
    }
}

#[cfg(test)]
mod tests {
    use super::{hash, setting};

    #[test]
    fn a_hash_is_its_own_setting() {
        let stored = b"$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1";
        assert_eq!(hash(b"secret", stored).unwrap().as_deref(), Some(stored.as_slice()));
        assert_ne!(hash(b"Secret", stored).unwrap().as_deref(), Some(stored.as_slice()));
    }

    #[test]
    fn nonsense_is_no_hash() {
        assert_eq!(hash(b"secret", b"*").unwrap(), None);
        assert_eq!(hash(b"secret", b"").unwrap(), None);
        assert_eq!(hash(b"sec\0ret", b"$1$zbAvw0aR$").unwrap(), None);
        assert_eq!(hash(&[b'x'; 600], b"$1$zbAvw0aR$").unwrap(), None);
    }

    #[test]
    fn settings_are_fresh_and_can_be_used() {
        let (one, other) = (setting(c"$5$", 0).unwrap(), setting(c"$5$", 0).unwrap());
        assert!(one.starts_with(b"$5$") && one != other);
        assert!(hash(b"secret", &one).unwrap().is_some_and(|hash| hash.starts_with(&one)));
        assert!(setting(c"$none$", 0).is_err() && setting(c"$2b$", 99).is_err());
    }
}

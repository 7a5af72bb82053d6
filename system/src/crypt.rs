//! crypt(3) of the C library: DES, `$1$`, `$5$`, `$6$`, `$2b$`, `$y$`, …
//!
//! The only library linked beside libc, and only into programs that compare
//! or make passwords.

use std::ffi::{CStr, CString, c_char, c_int, c_void};
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
}

/// The hash of `password` under `setting` (a salt, or a whole stored hash).
///
/// `None` if the setting is not one that the library knows, or either holds
/// a NUL. The working memory, which has held the password, is wiped.
#[must_use]
pub fn hash(password: &[u8], setting: &[u8]) -> Option<Vec<u8>> {
    let phrase = CString::new(password).ok();
    let setting = CString::new(setting).ok();
    let result = match (&phrase, &setting) {
        (Some(phrase), Some(setting)) => call(phrase, setting),
        _ => None,
    };
    if let Some(phrase) = phrase {
        wipe(&mut phrase.into_bytes());
    }
    // Failure tokens of crypt(3) start with an asterisk; no hash does.
    result.filter(|hash| !hash.starts_with(b"*"))
}

fn call(phrase: &CStr, setting: &CStr) -> Option<Vec<u8>> {
    let mut data: *mut c_void = ptr::null_mut();
    let mut size: c_int = 0;
    // SAFETY: both strings end in NUL and outlive the call; crypt_ra takes a
    // null `data` with size 0, allocates with malloc and stores what it
    // allocated; the result is null or a NUL-terminated string inside `data`.
    #[allow(unsafe_code)]
    unsafe {
        let result = crypt_ra(phrase.as_ptr(), setting.as_ptr(), &raw mut data, &raw mut size);
        let hash = if result.is_null() { None } else { Some(CStr::from_ptr(result).to_bytes().to_vec()) };
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
    use super::hash;

    #[test]
    fn a_hash_is_its_own_setting() {
        let stored = b"$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1";
        assert_eq!(hash(b"secret", stored).as_deref(), Some(stored.as_slice()));
        assert_ne!(hash(b"Secret", stored).as_deref(), Some(stored.as_slice()));
    }

    #[test]
    fn nonsense_is_no_hash() {
        assert_eq!(hash(b"secret", b"*"), None);
        assert_eq!(hash(b"secret", b""), None);
        assert_eq!(hash(b"sec\0ret", b"$1$zbAvw0aR$"), None);
    }
}

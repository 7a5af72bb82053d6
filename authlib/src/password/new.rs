//! New stored passwords, as userdbpw(8) makes them.

use std::io;

/// How a new password is stored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Scheme {
    /// Traditional DES crypt. Only the first eight octets of the password
    /// count: for old programs that read nothing else.
    Des,
    /// MD5 crypt, `$1$`.
    Md5Crypt,
}

/// Why there is no new stored password.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// No salt without randomness.
    #[error("no randomness: {0}")]
    Randomness(#[from] io::Error),
    /// This machine's crypt(3) does not know the scheme, or the password holds
    /// a NUL.
    #[error("crypt(3) cannot make this kind of password")]
    Crypt,
}

/// The form in which the password `clear` is stored, with a fresh random salt.
///
/// # Errors
/// See [`Failed`].
pub fn stored(scheme: Scheme, clear: &[u8]) -> Result<String, Failed> {
    let setting = match scheme {
        Scheme::Des => salt::<2>()?,
        Scheme::Md5Crypt => format!("$1${}$", salt::<8>()?),
    };
    let hash = system::crypt::hash(clear, setting.as_bytes())?.ok_or(Failed::Crypt)?;
    String::from_utf8(hash).map_err(|_| Failed::Crypt)
}

/// `N` random characters of the 64 that crypt(3) takes for a salt.
fn salt<const N: usize>() -> io::Result<String> {
    const LETTERS: &[u8; 64] = b"./0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
    let octets = system::random::octets::<N>()?;
    Ok(octets.iter().map(|octet| char::from(LETTERS[usize::from(octet % 64)])).collect())
}

#[cfg(test)]
mod tests {
    use super::{Scheme, stored};
    use crate::password::check;

    #[test]
    fn a_new_password_is_recognised_and_salted() {
        for (scheme, start, length) in [(Scheme::Des, "", 13), (Scheme::Md5Crypt, "$1$", 34)] {
            let hash = stored(scheme, b"secret").unwrap();
            assert!(hash.starts_with(start) && hash.len() == length, "{hash}");
            assert!(check(hash.as_bytes(), b"secret") && !check(hash.as_bytes(), b"Secret"));
            assert_ne!(hash, stored(scheme, b"secret").unwrap());
        }
    }
}

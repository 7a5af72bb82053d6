//! The two passwords of a row, and what is compared where there is none.

use std::hint::black_box;

use super::Row;
use crate::account::Unavailable;
use crate::cram::Proof;
use crate::password;
use crate::secret::Secret;

/// The passwords of an account: one hashed, one in clear, either or none.
#[derive(Clone, Copy, Default)]
pub(super) struct Stored<'a> {
    pub(super) crypt: Option<&'a [u8]>,
    pub(super) clear: Option<&'a [u8]>,
}

impl<'a> Stored<'a> {
    /// Those in the column `crypt` of `row`, and the one behind it.
    pub(super) fn of(row: &'a Row, crypt: usize) -> Self {
        Stored { crypt: row.get(crypt), clear: row.get(crypt + 1) }
    }

    /// Whether comparing with them is any work.
    pub(super) fn is_password(self) -> bool {
        self.crypt.map_or(self.clear.is_some(), password::is_password)
    }

    /// Whether `password` is the one that logs in: the hashed one if there is
    /// one, else the one in clear.
    fn verify(self, password: &[u8]) -> Result<bool, Unavailable> {
        match (self.crypt, self.clear) {
            (Some(crypt), _) => password::verify(crypt, password),
            (None, Some(clear)) => Ok(password::is_same(clear, password)),
            (None, None) => Ok(false),
        }
    }

    /// Whether `proof` was made with the password in clear.
    pub(super) fn verify_proof(self, proof: &Proof) -> bool {
        let clear = self.clear.or(self.crypt.and_then(password::in_clear));
        black_box(proof.is_of_password(clear.unwrap_or(b"nobody's"))) && clear.is_some()
    }
}

/// Passwords as most accounts of this data base most likely have them. They
/// stand in for those that are missing or locked, so that an unknown user and
/// a wrong password take as long (ledger 458, 603).
#[derive(Debug, Default)]
pub(super) struct Typical {
    crypt: Option<Secret>,
    clear: Option<Secret>,
}

impl Typical {
    /// Takes `stored` for typical, if nothing is yet.
    pub(super) fn learn(&mut self, stored: Stored<'_>) {
        if !self.is_known() && stored.is_password() {
            self.crypt = stored.crypt.map(Secret::copy_of);
            self.clear = stored.clear.map(Secret::copy_of);
        }
    }

    pub(super) fn is_known(&self) -> bool {
        self.crypt.is_some() || self.clear.is_some()
    }

    /// Whether `password` is that of `stored`. One is compared in any case.
    pub(super) fn verify(&self, stored: Stored<'_>, password: &[u8]) -> Result<bool, Unavailable> {
        let own = stored.is_password();
        let compared = if own { stored } else { self.stored() };
        let verified = black_box(compared.verify(password));
        if own { verified } else { Ok(false) }
    }

    fn stored(&self) -> Stored<'_> {
        let [crypt, clear] = [&self.crypt, &self.clear].map(|secret| secret.as_ref().map(Secret::expose));
        let crypt = if self.is_known() { crypt } else { Some(password::NOBODYS) };
        Stored { crypt, clear }
    }
}

#[cfg(test)]
mod tests {
    use super::{Stored, Typical};

    const HASH: &[u8] = b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    fn verify(crypt: Option<&[u8]>, clear: Option<&[u8]>, password: &[u8]) -> bool {
        let mut typical = Typical::default();
        typical.learn(Stored { crypt: Some(HASH), clear: Some(b"clear") });
        typical.verify(Stored { crypt, clear }, password).unwrap()
    }

    #[test]
    fn the_hashed_password_logs_in_and_without_one_the_other() {
        assert!(verify(Some(HASH), None, b"secret") && verify(None, Some(b"clear"), b"clear"));
        assert!(verify(Some(HASH), Some(b"clear"), b"secret"));
        assert!(!verify(Some(HASH), Some(b"clear"), b"clear"));
        assert!(!verify(None, Some(b"clear"), b"secret"));
    }

    #[test]
    fn a_locked_or_missing_password_is_nobodys_not_even_the_typical_one() {
        for password in [b"secret".as_slice(), b"clear", b"*", b""] {
            assert!(!verify(Some(b"*"), Some(b"clear"), password), "{password:?}");
            assert!(!verify(None, None, password), "{password:?}");
            assert!(!Typical::default().verify(Stored::default(), password).unwrap(), "{password:?}");
        }
    }

    #[test]
    fn the_first_real_password_is_typical() {
        let mut typical = Typical::default();
        typical.learn(Stored { crypt: Some(b"*"), clear: None });
        typical.learn(Stored::default());
        assert!(!typical.is_known());
        typical.learn(Stored { crypt: None, clear: Some(b"clear") });
        typical.learn(Stored { crypt: Some(HASH), clear: None });
        assert_eq!(typical.stored().clear, Some(b"clear".as_slice()));
        assert_eq!(typical.stored().crypt, None);
        assert!(!format!("{typical:?}").contains("clear\""));
    }
}

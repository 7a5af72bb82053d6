//! APOP (RFC 1939 section 7): a digest of the greeting's timestamp and the
//! password shows that the client knows it.
//!
//! ```text
//! +OK Hello there. <1896.697170952@dbc.mtview.ca.us>
//! APOP mrose c4c9334bac560ecc979e58001b3e22fb        MD5 of timestamp and password
//! ```
//!
//! It takes a password that is kept in clear, and MD5 is weak: two prefixes
//! that collide let a server that the client was lured to find out the
//! password's first characters. So it is off unless somebody asks for it
//! (ledger 170).

use std::hint::black_box;
use std::io;

use md5::{Digest, Md5};
use subtle::ConstantTimeEq;

use crate::hmac_state::octets;
use crate::password::{self, lower_hex};
use crate::printable::has_control;
use crate::sasl;
use crate::secret::Secret;

/// The authtype of a record that holds such a proof.
pub const AUTHTYPE: &str = "apop";

/// Octets of a digest.
const DIGEST: usize = 16;

/// A timestamp for one connection, never the same twice: a Message-ID
/// (RFC 1939 section 7) with the name of this machine in it.
///
/// # Errors
/// If the kernel has no randomness.
pub fn timestamp(host: &[u8]) -> io::Result<Vec<u8>> {
    sasl::message_id(host)
}

/// A timestamp, and what a client made of it. As silent as a password, since
/// one can try passwords on it at leisure.
#[derive(Debug)]
pub struct Proof {
    timestamp: Vec<u8>,
    user: Vec<u8>,
    digest: Secret,
}

impl Proof {
    /// What the client said to `timestamp`: its name and 32 hexadecimal digits
    /// of either case.
    ///
    /// `None` if they are anything else, or a name is empty or holds control
    /// octets: nobody can be meant by it.
    #[must_use]
    pub fn new(timestamp: &[u8], user: &[u8], digits: &[u8]) -> Option<Self> {
        let digest = Secret::new(octets(digits).filter(|digest| digest.len() == DIGEST)?);
        let is_line = |text: &[u8]| !text.is_empty() && !has_control(text);
        (is_line(timestamp) && is_line(user)).then(|| Proof {
            timestamp: timestamp.to_vec(),
            user: user.to_vec(),
            digest,
        })
    }

    /// What [`Proof::response`] makes: a name, a space (the last one) and the
    /// digits.
    #[must_use]
    pub fn of_response(timestamp: &[u8], response: &[u8]) -> Option<Self> {
        let space = response.iter().rposition(|&octet| octet == b' ')?;
        Proof::new(timestamp, &response[..space], &response[space + 1..])
    }

    /// Whose password it is about.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The timestamp of the greeting.
    #[must_use]
    pub fn timestamp(&self) -> &[u8] {
        &self.timestamp
    }

    /// Name, space, digits in lower case.
    #[must_use]
    pub fn response(&self) -> Secret {
        let digits = lower_hex(self.digest.expose());
        Secret::new([&self.user, b" ".as_slice(), digits.as_bytes()].concat())
    }

    /// Whether it was made with the password of an account that is `stored`, in
    /// whatever form, or known in `clear`.
    ///
    /// A hash of the password is of no use for that: then it was not, and so
    /// it is with an empty password; all at the same cost.
    #[must_use]
    pub fn verify(&self, stored: Option<&[u8]>, clear: Option<&[u8]>) -> bool {
        let clear = clear.or_else(|| password::in_clear(stored?)).filter(|clear| !clear.is_empty());
        let digest = Md5::new().chain_update(&self.timestamp).chain_update(clear.unwrap_or(b"nobody's"));
        let is_right: bool = digest.finalize().as_slice().ct_eq(self.digest.expose()).into();
        black_box(is_right) && clear.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::{Proof, timestamp};
    use crate::password::lower_hex;
    use md5::{Digest, Md5};
    use proptest::prelude::*;

    /// The example of RFC 1939 section 7.
    const TIMESTAMP: &[u8] = b"<1896.697170952@dbc.mtview.ca.us>";
    const DIGEST: &[u8] = b"c4c9334bac560ecc979e58001b3e22fb";

    #[test]
    fn the_rfcs_example_is_right() {
        let proof = Proof::new(TIMESTAMP, b"mrose", DIGEST).unwrap();
        assert!(proof.verify(None, Some(b"tanstaaf")) && proof.verify(Some(b"{PLAIN}tanstaaf"), None));
        assert!(!proof.verify(Some(b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="), None));
        assert!(!proof.verify(Some(b"tanstaaf"), None) && !proof.verify(None, None));
        assert!(!proof.verify(None, Some(b"tanstaa")));
        let other = Proof::new(b"<1896.697170953@dbc.mtview.ca.us>", b"mrose", DIGEST).unwrap();
        assert!(!other.verify(None, Some(b"tanstaaf")));
    }

    #[test]
    fn nobody_has_an_empty_password_or_nobodys() {
        for password in [b"".as_slice(), b"nobody's"] {
            let digits = lower_hex(&Md5::new().chain_update(TIMESTAMP).chain_update(password).finalize());
            let proof = Proof::new(TIMESTAMP, b"mrose", digits.as_bytes()).unwrap();
            assert!(!proof.verify(None, None) && !proof.verify(Some(b"*"), Some(b"")));
        }
    }

    #[test]
    fn what_has_another_form_is_no_proof() {
        for (user, digits) in [
            (b"".as_slice(), DIGEST),
            (b"mr\nose", DIGEST),
            (b"mrose", b""),
            (b"mrose", &DIGEST[1..]),
            (b"mrose", b"c4c9334bac560ecc979e58001b3e22f!"),
            (b"mrose", b"c4c9334bac560ecc979e58001b3e22fb00"),
        ] {
            assert!(Proof::new(TIMESTAMP, user, digits).is_none(), "{user:?} {digits:?}");
        }
        assert!(Proof::new(b"", b"mrose", DIGEST).is_none());
        assert!(Proof::of_response(TIMESTAMP, DIGEST).is_none());
    }

    #[test]
    fn no_two_timestamps_are_alike() {
        let first = timestamp(b"mail.example.com").unwrap();
        assert!(first.starts_with(b"<") && first.ends_with(b"@mail.example.com>"));
        assert_ne!(first, timestamp(b"mail.example.com").unwrap());
    }

    proptest! {
        #[test]
        fn a_response_is_read_again_and_does_no_harm(
            user in "[ -~é]{1,40}",
            digits in "[0-9a-fA-F]{32}",
            any in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            let proof = Proof::new(TIMESTAMP, user.as_bytes(), digits.as_bytes()).unwrap();
            let again = Proof::of_response(TIMESTAMP, proof.response().expose()).unwrap();
            prop_assert_eq!(again.user(), user.as_bytes());
            if let Some(proof) = Proof::of_response(TIMESTAMP, &any) {
                prop_assert!(!proof.verify(Some(&any), Some(&any)));
            }
        }
    }
}

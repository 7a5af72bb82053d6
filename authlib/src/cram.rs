//! CRAM (RFC 2195, and the same with other hashes): the client shows that it
//! knows a password without saying it.
//!
//! ```text
//! challenge   <89E5C5F0E4A1B0D86F4CE81E5B6A0D39@mail.example.com>
//! response    alice 5f6d…      the HMAC of the challenge, keyed with the password
//! ```
//!
//! A [`Proof`] is both; who has stored something of the password verifies it.
//! The name is not under the HMAC, so that a default domain may be added.

use std::hint::black_box;

use subtle::ConstantTimeEq;

use crate::Secret;
use crate::hmac_state::{Hash, States, octets};
use crate::password::lower_hex;
use crate::printable::has_control;

/// The authtype of a record that holds such a proof (reference: authlib 1.3).
#[must_use]
pub fn authtype(hash: Hash) -> &'static str {
    match hash {
        Hash::Md5 => "cram-md5",
        Hash::Sha1 => "cram-sha1",
        Hash::Sha256 => "cram-sha256",
    }
}

/// The hash of the proof in a record of this authtype, if it is one.
#[must_use]
pub fn hash_of(authtype: &[u8]) -> Option<Hash> {
    Hash::ALL.into_iter().find(|&hash| self::authtype(hash).as_bytes() == authtype)
}

/// A challenge, and what a client made of it.
///
/// Who has both can try passwords on them at leisure, so the digest is as
/// silent as a password.
#[derive(Debug)]
pub struct Proof {
    hash: Hash,
    challenge: Vec<u8>,
    user: Vec<u8>,
    digest: Secret,
}

impl Proof {
    /// What the client answered to `challenge`: a user name, a space (the last
    /// one of the text), and the digest in hexadecimal digits of either case.
    ///
    /// `None` if `response` has another form, or the name is empty or holds
    /// control octets: nobody can be meant by it.
    #[must_use]
    pub fn new(hash: Hash, challenge: &[u8], response: &[u8]) -> Option<Self> {
        let space = response.iter().rposition(|&octet| octet == b' ')?;
        let (user, digits) = (&response[..space], &response[space + 1..]);
        let digest = octets(digits).filter(|digest| digest.len() == hash.length())?;
        if user.is_empty() || has_control(user) {
            return None;
        }
        Some(Proof { hash, challenge: challenge.to_vec(), user: user.to_vec(), digest: Secret::new(digest) })
    }

    /// The hash it was made with.
    #[must_use]
    pub fn hash(&self) -> Hash {
        self.hash
    }

    /// Whose password it is about.
    #[must_use]
    pub fn user(&self) -> &[u8] {
        &self.user
    }

    /// The same, about the password of `user`.
    #[must_use]
    pub fn with_user(self, user: Vec<u8>) -> Self {
        Proof { user, ..self }
    }

    /// What the client was asked.
    #[must_use]
    pub fn challenge(&self) -> &[u8] {
        &self.challenge
    }

    /// What it answered, with digits in lower case (ledger 163).
    #[must_use]
    pub fn response(&self) -> Secret {
        let digits = lower_hex(self.digest.expose());
        Secret::new([&self.user, b" ".as_slice(), digits.as_bytes()].concat())
    }

    /// Whether it was made with the password that `stored` was made from (see
    /// [`Hash::stored`]).
    ///
    /// Without anything stored, or if that is malformed (as where somebody
    /// writes `*` to lock it), it was not; that takes the same time (ledger 470).
    #[must_use]
    pub fn is_of_stored(&self, stored: Option<&[u8]>) -> bool {
        let states = stored.and_then(|digits| States::parse(self.hash, digits));
        let is_known = states.is_some();
        black_box(self.is_of(&states.unwrap_or_else(|| States::nobodys(self.hash)))) && is_known
    }

    /// Whether it was made with the password `clear`; never with an empty one.
    /// For back-ends that keep passwords in clear.
    #[must_use]
    pub fn is_of_password(&self, clear: &[u8]) -> bool {
        black_box(self.is_of(&States::of(self.hash, clear))) && !clear.is_empty()
    }

    fn is_of(&self, states: &States) -> bool {
        states.hmac(&self.challenge).ct_eq(self.digest.expose()).into()
    }
}

#[cfg(test)]
mod tests {
    use super::{Proof, authtype, hash_of};
    use crate::hmac_state::{Hash, States};
    use crate::password::lower_hex;
    use proptest::prelude::*;

    /// The exchange of RFC 2195 section 2.
    const CHALLENGE: &[u8] = b"<1896.697170952@postoffice.reston.mci.net>";
    const PASSWORD: &[u8] = b"tanstaaftanstaaf";

    fn tims(response: &str) -> Option<Proof> {
        Proof::new(Hash::Md5, CHALLENGE, response.as_bytes())
    }

    fn response(hash: Hash, challenge: &[u8], password: &[u8], user: &str) -> String {
        format!("{user} {}", lower_hex(&States::of(hash, password).hmac(challenge)))
    }

    #[test]
    fn the_rfcs_example_is_right() {
        let proof = tims("tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        assert_eq!(proof.user(), b"tim");
        assert!(proof.is_of_password(PASSWORD));
        assert!(proof.is_of_stored(Some(Hash::Md5.stored(PASSWORD).as_bytes())));
        assert!(!proof.is_of_password(b"tanstaaftanstaa"));
        assert!(!proof.is_of_stored(Some(Hash::Md5.stored(b"other").as_bytes())));
        assert!(!proof.is_of_stored(Some(Hash::Sha1.stored(PASSWORD).as_bytes())));
    }

    #[test]
    fn digits_may_have_either_case_and_are_passed_on_in_lower_case() {
        let proof = tims("tim B913A602C7EDA7A495B4E6E7334D3890").unwrap();
        assert!(proof.is_of_password(PASSWORD));
        assert_eq!(proof.response().expose(), b"tim b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn the_last_space_ends_the_name() {
        let proof = tims("tim the  first b913a602c7eda7a495b4e6e7334d3890").unwrap();
        assert_eq!(proof.user(), b"tim the  first");
        assert!(proof.is_of_password(PASSWORD));
    }

    #[test]
    fn another_name_is_under_no_hmac() {
        let proof = tims("tim b913a602c7eda7a495b4e6e7334d3890").unwrap().with_user(b"tim@mci.net".to_vec());
        assert!(proof.is_of_password(PASSWORD));
        assert_eq!(proof.response().expose(), b"tim@mci.net b913a602c7eda7a495b4e6e7334d3890");
    }

    #[test]
    fn what_has_another_form_is_no_proof() {
        for malformed in [
            "",
            " ",
            "tim",
            "tim ",
            "b913a602c7eda7a495b4e6e7334d3890",
            " b913a602c7eda7a495b4e6e7334d3890",
            "tim b913a602c7eda7a495b4e6e7334d389",
            "tim b913a602c7eda7a495b4e6e7334d38900",
            "tim b913a602c7eda7a495b4e6e7334d38",
            "tim b913a602c7eda7a495b4e6e7334d389g",
            "tim b913a602c7eda7a495b4e6e7334d3890 ",
            "ti\nm b913a602c7eda7a495b4e6e7334d3890",
            "tim\0 b913a602c7eda7a495b4e6e7334d3890",
            "tim\x7f b913a602c7eda7a495b4e6e7334d3890",
        ] {
            assert!(tims(malformed).is_none(), "{malformed:?}");
        }
    }

    #[test]
    fn nothing_stored_and_nonsense_stored_match_nothing() {
        let proof = tims("tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        for stored in [None, Some("".as_bytes()), Some(b"*"), Some(&[b'0'; 63]), Some(&[0xff; 64])] {
            assert!(!proof.is_of_stored(stored), "{stored:?}");
        }
        // Not even who knows what is calculated with in vain.
        let digest = States::nobodys(Hash::Md5).hmac(CHALLENGE);
        assert!(!tims(&format!("tim {}", lower_hex(&digest))).unwrap().is_of_stored(None));
    }

    #[test]
    fn an_empty_password_matches_nothing() {
        let empty = response(Hash::Md5, CHALLENGE, b"", "tim");
        assert!(!tims(&empty).unwrap().is_of_password(b""));
    }

    #[test]
    fn authtypes_are_known_by_their_names_only() {
        for hash in Hash::ALL {
            assert_eq!(hash_of(authtype(hash).as_bytes()), Some(hash));
        }
        for other in ["", "login", "CRAM-MD5", "cram-md5 ", "cram-sha512"] {
            assert_eq!(hash_of(other.as_bytes()), None, "{other}");
        }
    }

    #[test]
    fn debug_output_shows_no_digest() {
        let proof = tims("tim b913a602c7eda7a495b4e6e7334d3890").unwrap();
        let shown = format!("{proof:?}");
        assert!(!shown.contains("b913") && !shown.contains("185"), "{shown}");
    }

    fn any_hash() -> impl Strategy<Value = Hash> {
        prop::sample::select(Hash::ALL.to_vec())
    }

    proptest! {
        #[test]
        fn no_response_does_harm_or_fits_by_chance(
            hash in any_hash(),
            challenge in prop::collection::vec(any::<u8>(), 0..80),
            response in prop::collection::vec(any::<u8>(), 0..120),
            password in prop::collection::vec(any::<u8>(), 0..80),
        ) {
            if let Some(proof) = Proof::new(hash, &challenge, &response) {
                prop_assert!(!proof.is_of_password(&password) && !proof.is_of_stored(Some(&password)));
            }
        }

        #[test]
        fn the_right_password_fits_and_no_other(
            hash in any_hash(),
            challenge in prop::collection::vec(any::<u8>(), 0..80),
            other_challenge in prop::collection::vec(any::<u8>(), 0..80),
            password in "[ -~]{1,80}",
            other in "[ -~]{1,80}",
        ) {
            let response = response(hash, &challenge, password.as_bytes(), "alice");
            let proof = Proof::new(hash, &challenge, response.as_bytes()).unwrap();
            prop_assert!(proof.is_of_password(password.as_bytes()));
            prop_assert!(proof.is_of_stored(Some(hash.stored(password.as_bytes()).as_bytes())));
            prop_assert_eq!(proof.is_of_password(other.as_bytes()), other == password);
            prop_assert_eq!(
                proof.is_of_stored(Some(hash.stored(other.as_bytes()).as_bytes())),
                other == password
            );
            let replayed = Proof::new(hash, &other_challenge, response.as_bytes()).unwrap();
            prop_assert_eq!(replayed.is_of_password(password.as_bytes()), other_challenge == challenge);
        }

        #[test]
        fn one_wrong_digit_is_wrong(hash in any_hash(), at in any::<prop::sample::Index>(), digit in "[0-9a-f]") {
            let right = response(hash, CHALLENGE, PASSWORD, "tim");
            let at = "tim ".len() + at.index(right.len() - "tim ".len());
            let mut changed = right.clone();
            changed.replace_range(at..=at, &digit);
            let proof = Proof::new(hash, CHALLENGE, changed.as_bytes()).unwrap();
            prop_assert_eq!(proof.is_of_password(PASSWORD), changed == right);
        }
    }
}

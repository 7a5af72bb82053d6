//! SCRAM (RFC 5802, RFC 7677) between the program that talks with the client
//! and the place where the keys are.
//!
//! The exchange takes two questions, and neither brings a key or a password to
//! whoever asks:
//!
//! ```text
//! client-first   ──> Wanted: with which salt?     ──> Salt, for server-first
//! client-final   ──> Proof: is this right?        ──> a verdict, and the signature for server-final
//! ```
//!
//! Who verifies needs nothing of the first question for the second one. Where
//! the keys are stored, they have their salt. Where the password is kept in
//! clear, keys are derived from it with the salt that the server has named.
//! Where there is neither, the client is named a salt all the same ([`decoys`]).

#[cfg(test)]
pub(crate) mod client;
pub mod decoys;

use std::hint::black_box;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::password::{self, number, split_once};
use crate::scram_keys::{Hash, Keys};
use crate::secret::Secret;

/// Fewest iterations of keys that are derived from a password in clear
/// (RFC 7677 section 4).
pub const FEWEST_DERIVED: u32 = 4_096;
/// Most of them: somebody is waiting.
pub const MOST_DERIVED: u32 = 100_000;

/// Most octets of a salt.
const MOST_SALT: usize = 255;

/// The authtype of both questions.
#[must_use]
pub fn authtype(hash: Hash) -> &'static str {
    match hash {
        Hash::Sha1 => "scram-sha-1",
        Hash::Sha256 => "scram-sha-256",
    }
}

/// The hash that a record of this authtype is about, if it is one of SCRAM.
#[must_use]
pub fn hash_of(authtype: &[u8]) -> Option<Hash> {
    Hash::ALL.into_iter().find(|&hash| self::authtype(hash).as_bytes() == authtype)
}

/// A salt and the number of iterations. No secret: every client is told it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Salt {
    octets: Vec<u8>,
    iterations: u32,
}

impl Salt {
    /// `None` unless there are from 1 to 255 octets, and an iteration at
    /// least.
    #[must_use]
    pub fn new(octets: &[u8], iterations: u32) -> Option<Self> {
        let is_salt = (1..=MOST_SALT).contains(&octets.len()) && iterations > 0;
        is_salt.then(|| Salt { octets: octets.to_vec(), iterations })
    }

    /// Its octets.
    #[must_use]
    pub fn octets(&self) -> &[u8] {
        &self.octets
    }

    /// How many iterations go with it.
    #[must_use]
    pub fn iterations(&self) -> u32 {
        self.iterations
    }

    /// `iterations:salt`, the salt in base64 (RFC 5803's AuthInfo).
    #[must_use]
    pub fn encode(&self) -> String {
        format!("{}:{}", self.iterations, STANDARD.encode(&self.octets))
    }

    /// What [`Salt::encode`] makes.
    #[must_use]
    pub fn decode(text: &[u8]) -> Option<Self> {
        let (iterations, salt) = split_once(text, b':')?;
        Salt::new(&STANDARD.decode(salt).ok()?, number(iterations).ok()?)
    }

    /// What the server says with it in an exchange with this `nonce`
    /// (RFC 5802 section 7, server-first-message).
    #[must_use]
    pub fn server_first(&self, nonce: &[u8]) -> Vec<u8> {
        let rest = format!(",s={},i={}", STANDARD.encode(&self.octets), self.iterations);
        [b"r=", nonce, rest.as_bytes()].concat()
    }

    /// The one in a message that [`Salt::server_first`] has made.
    pub(crate) fn of_server_first(message: &[u8]) -> Option<Self> {
        let (_, rest) = split_once(message.strip_prefix(b"r=")?, b',')?;
        let (salt, iterations) = split_once(rest.strip_prefix(b"s=")?, b',')?;
        Salt::new(&STANDARD.decode(salt).ok()?, number(iterations.strip_prefix(b"i=")?).ok()?)
    }
}

/// The first question: with which salt does this user prove to know the
/// password?
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// For which hash.
    pub hash: Hash,
    /// The user name.
    pub user: Vec<u8>,
    /// The salt to name where the password is kept in clear. Who asks without
    /// one is always given an answer, real or not.
    pub for_clear: Option<Salt>,
}

impl Wanted {
    /// The salt of an account with the password `stored`, in whatever form,
    /// or known in `clear`. `None` where the account cannot use this mechanism.
    #[must_use]
    pub fn of(&self, stored: Option<&[u8]>, clear: Option<&[u8]>) -> Option<Salt> {
        match Held::of(self.hash, stored, clear) {
            Held::Keys(keys) => Salt::new(keys.salt(), keys.iterations()),
            Held::Clear(_) => self.for_clear.clone(),
            Held::Nothing => None,
        }
    }
}

/// What can be computed with of an account's password.
enum Held<'a> {
    Keys(Keys),
    Clear(&'a [u8]),
    Nothing,
}

impl<'a> Held<'a> {
    fn of(hash: Hash, stored: Option<&'a [u8]>, clear: Option<&'a [u8]>) -> Self {
        let keys = stored.and_then(Keys::from_stored).filter(|keys| keys.hash() == hash);
        let clear = || clear.filter(|clear| !clear.is_empty()).or_else(|| password::in_clear(stored?));
        match keys {
            Some(keys) => Held::Keys(keys),
            None => clear().map_or(Held::Nothing, Held::Clear),
        }
    }
}

/// The second question: does this prove that the client knows the password?
///
/// The program that talked with the client has seen to it that the nonce is
/// its own and that the channel binding is right; all three messages are what
/// was said.
#[derive(Debug)]
pub struct Proof {
    hash: Hash,
    user: Vec<u8>,
    messages: [Vec<u8>; 3],
    proof: Secret,
}

impl Proof {
    /// Of `user`, with client-first-message-bare, server-first-message,
    /// client-final-message-without-proof (RFC 5802 section 7) and the decoded
    /// ClientProof.
    ///
    /// `None` if the proof has not the length of a digest, or the server has
    /// named no salt.
    #[must_use]
    pub fn new(hash: Hash, user: &[u8], messages: [Vec<u8>; 3], proof: &[u8]) -> Option<Self> {
        Salt::of_server_first(&messages[1])?;
        (proof.len() == hash.length() && !user.is_empty()).then(|| Proof {
            hash,
            user: user.to_vec(),
            messages,
            proof: Secret::copy_of(proof),
        })
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

    /// The same, where the account is called `user`.
    #[must_use]
    pub fn with_user(self, user: Vec<u8>) -> Self {
        Proof { user, ..self }
    }

    /// The three messages.
    #[must_use]
    pub fn messages(&self) -> &[Vec<u8>; 3] {
        &self.messages
    }

    /// The ClientProof.
    #[must_use]
    pub fn proof(&self) -> &Secret {
        &self.proof
    }

    /// The ServerSignature to give for it, if it is right for an account with
    /// the password `stored`, in whatever form, or known in `clear`.
    ///
    /// Keys are derived in any case, so that an account with stored keys, one
    /// with a password in clear, one with neither and one that does not exist
    /// take the same time (ledger 429).
    #[must_use]
    pub fn verify(&self, stored: Option<&[u8]>, clear: Option<&[u8]>) -> Option<Vec<u8>> {
        let held = Held::of(self.hash, stored, clear);
        let password = match held {
            Held::Clear(clear) => clear,
            Held::Keys(_) | Held::Nothing => b"nobody's",
        };
        let derived = black_box(self.derive(password)?);
        let (keys, is_somebodys) = match held {
            Held::Keys(keys) => (keys, true),
            Held::Clear(_) => (derived, true),
            Held::Nothing => (derived, false),
        };
        let auth_message = self.messages.join(&b',');
        let is_right = black_box(keys.is_proof(&auth_message, self.proof.expose())) && is_somebodys;
        let signature = keys.server_signature(&auth_message);
        is_right.then_some(signature)
    }

    /// The keys of a password in clear, with the salt that the server has
    /// named; there are none with a number of iterations that it never names
    /// for such a password.
    fn derive(&self, clear: &[u8]) -> Option<Keys> {
        let salt = Salt::of_server_first(&self.messages[1])?;
        let iterations = salt.iterations.clamp(FEWEST_DERIVED, MOST_DERIVED);
        Keys::derive(self.hash, clear, &salt.octets, iterations)
    }
}

#[cfg(test)]
mod tests {
    use super::client::{self, RFC};
    use super::{Proof, Salt, Wanted, authtype, hash_of};
    use crate::Record;
    use crate::record::Claim;
    use crate::scram_keys::{Hash, Keys};
    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use proptest::prelude::*;

    /// The proof of an RFC's conversation.
    fn rfcs(conversation: &client::Conversation) -> Proof {
        let [first, server, last] = conversation.messages.map(|message| message.as_bytes().to_vec());
        let (last, proof) = client::split_last(&last);
        Proof::new(conversation.hash, b"user", [first, server, last], &proof).unwrap()
    }

    #[test]
    fn the_conversations_of_the_rfcs_are_verified_from_keys_and_from_the_password() {
        for conversation in &RFC {
            let proof = rfcs(conversation);
            let signature = Some(STANDARD.decode(conversation.signature).unwrap());
            let salt = Salt::of_server_first(conversation.messages[1].as_bytes()).unwrap();
            let keys = Keys::derive(conversation.hash, b"pencil", salt.octets(), 4096).unwrap();
            let keys = keys.stored();
            assert_eq!(proof.verify(Some(keys.as_bytes()), None), signature);
            assert_eq!(proof.verify(None, Some(b"pencil")), signature);
            assert_eq!(proof.verify(Some(b"{PLAIN}pencil"), None), signature);
            // Keys win over a password that is there as well.
            assert_eq!(proof.verify(Some(keys.as_bytes()), Some(b"other")), signature);
            for (stored, clear) in [
                (None, None),
                (Some(b"*".as_slice()), None),
                (Some(b"pencil"), None),
                (None, Some(b"".as_slice())),
                (None, Some(b"Pencil")),
                (None, Some(b"nobody's")),
                (Some(b"$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1"), None),
            ] {
                assert_eq!(proof.verify(stored, clear), None, "{stored:?} {clear:?}");
            }
        }
    }

    #[test]
    fn nobody_who_does_not_exist_can_be_proved_to() {
        for hash in Hash::ALL {
            let salt = Salt::new(b"salt", 4096).unwrap();
            let proof = client::proof(hash, "user", &salt, b"nobody's");
            assert_eq!(proof.verify(None, None), None);
            assert!(proof.verify(None, Some(b"nobody's")).is_some());
        }
    }

    #[test]
    fn keys_are_not_derived_with_fewer_or_more_iterations_than_a_server_names() {
        for iterations in [1, 4095, 100_001] {
            let salt = Salt::new(b"salt", iterations).unwrap();
            let proof = client::proof(Hash::Sha1, "user", &salt, b"pencil");
            assert_eq!(proof.verify(None, Some(b"pencil")), None, "{iterations}");
            // Keys that are stored are as they are.
            let keys = Keys::derive(Hash::Sha1, b"pencil", b"salt", iterations).unwrap();
            assert!(proof.verify(Some(keys.stored().as_bytes()), None).is_some(), "{iterations}");
        }
    }

    #[test]
    fn a_salt_is_that_of_the_keys_or_the_one_for_passwords_in_clear() {
        let for_clear = Salt::new(b"for clear", 20_000);
        let wanted = |hash| Wanted { hash, user: b"user".to_vec(), for_clear: for_clear.clone() };
        let keys = Keys::derive(Hash::Sha256, b"pencil", b"of the keys", 7_000).unwrap().stored();
        let keys = Some(keys.as_bytes());
        assert_eq!(wanted(Hash::Sha256).of(keys, None), Salt::new(b"of the keys", 7_000));
        assert_eq!(wanted(Hash::Sha1).of(keys, None), None);
        assert_eq!(wanted(Hash::Sha1).of(keys, Some(b"pencil")), for_clear);
        assert_eq!(wanted(Hash::Sha1).of(Some(b"{PLAIN}pencil"), None), for_clear);
        assert_eq!(wanted(Hash::Sha1).of(Some(b"*"), None), None);
        assert_eq!(wanted(Hash::Sha1).of(None, Some(b"")), None);
    }

    #[test]
    fn authtypes_are_known_by_their_names_only() {
        for hash in Hash::ALL {
            assert_eq!(hash_of(authtype(hash).as_bytes()), Some(hash));
        }
        assert_eq!(hash_of(b"SCRAM-SHA-1"), None);
        assert_eq!(hash_of(b"scram-sha-512"), None);
    }

    #[test]
    fn what_is_no_salt_is_none() {
        for text in
            ["", "4096", "4096:", ":c2FsdA==", "0:c2FsdA==", "+1:c2FsdA==", "4096:c2FsdA", "99999999999:YQ=="]
        {
            assert_eq!(Salt::decode(text.as_bytes()), None, "{text}");
        }
        assert_eq!(Salt::new(&[0; 256], 1), None);
    }

    #[test]
    fn what_is_no_record_of_scram_is_no_claim() {
        let proof = client::proof(Hash::Sha1, "user", &Salt::new(b"salt", 4096).unwrap(), b"pencil");
        let good = Record::scram(b"pop3", &proof).unwrap();
        let text = String::from_utf8(good.body().to_vec()).unwrap();
        assert!(Record::decode(text.as_bytes()).unwrap().claim().is_some());
        let lines: Vec<&str> = text.lines().collect();
        for at in 3..lines.len() {
            let mut fewer = lines.clone();
            fewer.remove(at);
            let mut nonsense = lines.clone();
            nonsense[at] = "#";
            for wrong in [fewer, nonsense, [&lines[..], &["YQ=="]].concat()] {
                let record = Record::decode((wrong.join("\n") + "\n").as_bytes()).unwrap();
                assert!(record.claim().is_none(), "{wrong:?}");
            }
        }
        let other = text.replace("scram-sha-1", "scram-sha-256");
        assert!(Record::decode(other.as_bytes()).unwrap().claim().is_none());
    }

    proptest! {
        #[test]
        fn both_questions_survive_their_record(
            user in "[ -~é]{1,40}",
            salt in prop::collection::vec(any::<u8>(), 1..40),
            iterations in 1..u32::MAX,
            sha1 in any::<bool>(),
            with_salt in any::<bool>(),
        ) {
            let hash = if sha1 { Hash::Sha1 } else { Hash::Sha256 };
            let salt = Salt::new(&salt, iterations).unwrap();
            prop_assert_eq!(Salt::decode(salt.encode().as_bytes()), Some(salt.clone()));
            let messages = [b"n=a,r=b".to_vec(), salt.server_first(b"bc"), b"c=biws,r=bc".to_vec()];
            prop_assert_eq!(Salt::of_server_first(&messages[1]), Some(salt.clone()));

            let wanted = Wanted { hash, user: user.clone().into_bytes(), for_clear: with_salt.then_some(salt) };
            let record = Record::salt(b"pop3", &wanted).unwrap();
            let record = Record::decode(record.encode().expose()).unwrap();
            prop_assert_eq!(record.wanted_salt(), Some(wanted));
            prop_assert!(record.claim().is_none());

            let proof = vec![7; hash.length()];
            let proof = Proof::new(hash, user.as_bytes(), messages.clone(), &proof).unwrap();
            let record = Record::scram(b"pop3", &proof).unwrap();
            let record = Record::decode(record.encode().expose()).unwrap();
            prop_assert!(record.wanted_salt().is_none());
            let Some(Claim::Scram(again)) = record.claim() else { panic!() };
            prop_assert_eq!((again.hash(), again.user(), again.messages()), (hash, user.as_bytes(), &messages));
            prop_assert_eq!(again.proof().expose(), proof.proof().expose());
        }

        #[test]
        fn lines_of_any_kind_do_no_harm(authdata in "[a-zA-Z0-9+/=:\n]{0,120}") {
            let record = Record::decode(format!("pop3\nscram-sha-1\n{authdata}\n").as_bytes()).unwrap();
            let _ = (record.claim(), record.wanted_salt());
        }
    }
}

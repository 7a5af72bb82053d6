//! Good answers, remembered for a short time, for servers whose clients log in
//! every minute with a password that is costly to compare.
//!
//! Modules run in many processes, and one memory is to serve them all. So it
//! is in the process that hands out the questions, and what it remembers travels with
//! a question to whoever compares passwords:
//!
//! ```text
//! collector ── question, and Remembered if there is one ──> module: reads the stored password,
//!     ^                                                       is it the remembered one? then no hash
//!     └───── the account, with its stored password ──────────────────────┘
//! ```
//!
//! [`Remembered`] is a keyed digest of everything the answer depends on:
//! service, user, password, and the stored password that it was compared with. So
//! no other user and no other password can match, and when the stored password
//! changes the old answer matches nothing any more: it is the module that reads it,
//! anew for each question. Everything else that a module asks of an account it asks
//! as always; only the hash is saved. Only "right" is remembered, and only of
//! names with passwords: a wrong password costs a guesser the whole work each
//! time, and proofs and tokens are never the same twice.
//!
//! The price, and why it is off unless switched on: whoever can read the memory
//! of this process has key and digests, and can guess quickly for as long as
//! an answer is remembered.
//!
//! A remembered answer comes quicker, which whoever has the right password may
//! know.

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use subtle::ConstantTimeEq;
use zeroize::Zeroizing;

use super::lower_hex;
use crate::record::{Login, Record};

/// Octets of a digest, and of the key of one.
const DIGEST: usize = 32;

type Digest = [u8; DIGEST];

/// The memory. It is bounded in entries and in time.
pub struct Answers {
    key: Zeroizing<[u8; 64]>,
    most: usize,
    lifetime: Duration,
    known: HashMap<Digest, Known>,
    /// The same, the oldest first.
    order: VecDeque<Digest>,
}

struct Known {
    end: Instant,
    remembered: Remembered,
}

/// That the password of a record was right for one stored password.
#[derive(Clone, PartialEq, Eq)]
pub struct Remembered {
    /// Belongs to service, user and password.
    key: Zeroizing<Digest>,
    /// Of these and the stored password, with `key`.
    digest: Zeroizing<Digest>,
}

impl Answers {
    /// Remembers at most `most` answers, each for `lifetime` after the
    /// comparison. With either 0 nothing is remembered. `key` is random, and
    /// nobody else's.
    #[must_use]
    pub fn new(most: usize, lifetime: Duration, key: [u8; 64]) -> Self {
        let (known, order) = (HashMap::new(), VecDeque::new());
        Answers { key: Zeroizing::new(key), most, lifetime, known, order }
    }

    /// Whether anything can ever be remembered.
    #[must_use]
    pub fn is_off(&self) -> bool {
        self.most == 0 || self.lifetime.is_zero()
    }

    /// What is remembered at `now` of the credentials in `record`.
    pub fn recall(&mut self, record: &Record, now: Instant) -> Option<Remembered> {
        let login = record.credentials()?;
        self.drop_what_has_ended(now);
        let known = self.known.get(&self.digest(record.service(), &login))?;
        Some(known.remembered.clone())
    }

    /// Remembers from `now` on that the credentials in `record` were right for
    /// the password `stored`. To be told so again does not make it last longer.
    pub fn remember(&mut self, record: &Record, stored: &[u8], now: Instant) {
        let Some(login) = record.credentials() else { return };
        // A time that cannot be reckoned is no time to remember for.
        let Some(end) = now.checked_add(self.lifetime).filter(|end| *end > now && self.most > 0) else {
            return;
        };
        self.drop_what_has_ended(now);
        let digest = self.digest(record.service(), &login);
        let key = Zeroizing::new(mac(&*self.key, &[b"remembered", &digest]));
        let remembered = Remembered { digest: Zeroizing::new(of(&key, record, &login, stored)), key };
        if let Some(known) = self.known.get_mut(&digest) {
            // The same password, stored anew.
            known.remembered = remembered;
            return;
        }
        if self.order.len() >= self.most {
            self.drop_oldest();
        }
        self.known.insert(digest, Known { end, remembered });
        self.order.push_back(digest);
    }

    fn drop_what_has_ended(&mut self, now: Instant) {
        while self
            .order
            .front()
            .and_then(|oldest| self.known.get(oldest))
            .is_some_and(|known| known.end <= now)
        {
            self.drop_oldest();
        }
    }

    fn drop_oldest(&mut self) {
        if let Some(digest) = self.order.pop_front() {
            self.known.remove(&digest);
        }
    }

    fn digest(&self, service: &[u8], login: &Login<'_>) -> Digest {
        mac(&*self.key, &[b"question", service, login.user, login.password])
    }
}

impl Remembered {
    /// Whether it says that the password in `record` is the one stored as
    /// `stored`.
    #[must_use]
    pub fn is_of(&self, record: &Record, stored: &[u8]) -> bool {
        record
            .credentials()
            .is_some_and(|login| of(&self.key, record, &login, stored).ct_eq(&*self.digest).into())
    }

    /// 128 hexadecimal digits. As good as the password for whoever guesses
    /// quickly, so it is a secret too.
    #[must_use]
    pub fn encode(&self) -> Zeroizing<String> {
        Zeroizing::new(lower_hex(&[*self.key, *self.digest].concat()))
    }

    /// From 128 hexadecimal digits.
    #[must_use]
    pub fn decode(digits: &[u8]) -> Option<Self> {
        let (key, digest) = digits.split_at_checked(2 * DIGEST)?;
        Some(Remembered { key: octets(key)?, digest: octets(digest)? })
    }
}

impl fmt::Debug for Remembered {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Remembered")
    }
}

fn of(key: &Digest, record: &Record, login: &Login<'_>, stored: &[u8]) -> Digest {
    mac(key, &[record.service(), login.user, login.password, stored])
}

/// Each part with its length in front, so that none runs into the next.
fn mac(key: &[u8], parts: &[&[u8]]) -> Digest {
    // A shorter key is filled up with zeros (RFC 2104 section 2).
    let mut block = Zeroizing::new([0; 64]);
    block.iter_mut().zip(key).for_each(|(place, octet)| *place = *octet);
    let mut mac = Hmac::<Sha256>::new((&*block).into());
    for part in parts {
        mac.update(&part.len().to_ne_bytes());
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

fn octets(digits: &[u8]) -> Option<Zeroizing<Digest>> {
    let mut octets = Zeroizing::new([0; DIGEST]);
    if digits.len() != 2 * DIGEST {
        return None;
    }
    for (octet, pair) in octets.iter_mut().zip(digits.chunks_exact(2)) {
        let digit = |digit: u8| char::from(digit).to_digit(16).and_then(|value| u8::try_from(value).ok());
        *octet = digit(pair[0])? << 4 | digit(pair[1])?;
    }
    Some(octets)
}

#[cfg(test)]
mod tests {
    use super::{Answers, Remembered};
    use crate::cram::Proof;
    use crate::hmac_state::Hash;
    use crate::record::Record;
    use std::time::{Duration, Instant};

    const MINUTE: Duration = Duration::from_secs(60);

    fn answers(most: usize, lifetime: Duration) -> Answers {
        Answers::new(most, lifetime, [3; 64])
    }

    fn record(service: &str, user: &str, password: &str) -> Record {
        Record::login(service.as_bytes(), user.as_bytes(), password.as_bytes()).unwrap()
    }

    fn alice() -> Record {
        record("pop3", "alice", "secret")
    }

    /// Whether alice's password need not be compared with `hash`.
    fn is_known(answers: &mut Answers, now: Instant) -> bool {
        answers.recall(&alice(), now).is_some_and(|known| known.is_of(&alice(), b"hash"))
    }

    #[test]
    fn a_good_answer_is_remembered_for_its_time_and_no_longer() {
        let (mut answers, now) = (answers(10, MINUTE), Instant::now());
        assert!(!is_known(&mut answers, now));
        answers.remember(&alice(), b"hash", now);
        assert!(is_known(&mut answers, now));
        answers.remember(&alice(), b"hash", now + MINUTE / 2);
        assert!(is_known(&mut answers, now + MINUTE - Duration::from_nanos(1)));
        assert!(!is_known(&mut answers, now + MINUTE));
        assert!(answers.known.is_empty() && answers.order.is_empty());
    }

    #[test]
    fn nothing_else_matches_and_no_part_runs_into_the_next() {
        let (mut answers, now) = (answers(10, MINUTE), Instant::now());
        answers.remember(&alice(), b"hash", now);
        let known = answers.recall(&alice(), now).unwrap();
        for (service, user, password) in [
            ("imap", "alice", "secret"),
            ("pop3", "alicf", "secret"),
            ("pop3", "alice", "Secret"),
            ("pop3a", "lice", "secret"),
            ("pop3", "alices", "ecret"),
        ] {
            let other = record(service, user, password);
            assert!(answers.recall(&other, now).is_none() && !known.is_of(&other, b"hash"));
        }
        for stored in [b"".as_slice(), b"hash2", b"has", b"secret"] {
            assert!(!known.is_of(&alice(), stored));
        }
        assert!(!known.is_of(&record("pop3", "alice", "secreth"), b"ash"));
        let mut another_process = Answers::new(10, MINUTE, [4; 64]);
        another_process.remember(&alice(), b"hash", now);
        assert_ne!(another_process.recall(&alice(), now).unwrap(), known);
    }

    #[test]
    fn a_password_that_is_stored_anew_is_remembered_anew() {
        let (mut answers, now) = (answers(10, MINUTE), Instant::now());
        answers.remember(&alice(), b"hash", now);
        answers.remember(&alice(), b"new hash", now);
        let known = answers.recall(&alice(), now).unwrap();
        assert!(known.is_of(&alice(), b"new hash") && !known.is_of(&alice(), b"hash"));
    }

    #[test]
    fn a_proof_is_never_remembered() {
        let (mut answers, now) = (answers(10, MINUTE), Instant::now());
        let response = [b"alice ".as_slice(), &[b'0'; 32]].concat();
        let proof = Proof::new(Hash::Md5, b"<1@host>", &response).unwrap();
        let proof = Record::proof(b"pop3", &proof).unwrap();
        answers.remember(&proof, b"hash", now);
        assert!(answers.recall(&proof, now).is_none() && answers.known.is_empty());
        answers.remember(&alice(), b"hash", now);
        assert!(!answers.recall(&alice(), now).unwrap().is_of(&proof, b"hash"));
    }

    #[test]
    fn the_oldest_make_room_for_new_ones() {
        let (mut answers, now) = (answers(3, MINUTE), Instant::now());
        let records: Vec<_> = (0..100).map(|number| record("pop3", &number.to_string(), "secret")).collect();
        for record in &records {
            answers.remember(record, b"hash", now);
            assert!(answers.known.len() <= 3 && answers.order.len() <= 3);
        }
        let known = records.iter().filter(|record| answers.recall(record, now).is_some()).count();
        assert_eq!(known, 3);
        assert!(answers.recall(&records[99], now).is_some() && answers.recall(&records[96], now).is_none());
    }

    #[test]
    fn nothing_is_remembered_if_it_is_switched_off() {
        let now = Instant::now();
        for mut answers in [answers(0, MINUTE), answers(10, Duration::ZERO), answers(10, Duration::MAX)] {
            answers.remember(&alice(), b"hash", now);
            assert!(!is_known(&mut answers, now));
        }
        assert!(answers(0, MINUTE).is_off() && answers(9, Duration::ZERO).is_off());
        assert!(!answers(1, MINUTE).is_off());
    }

    #[test]
    fn what_is_remembered_travels_as_digits_and_is_not_shown() {
        let (mut answers, now) = (answers(10, MINUTE), Instant::now());
        answers.remember(&alice(), b"hash", now);
        let known = answers.recall(&alice(), now).unwrap();
        let digits = known.encode();
        assert_eq!(digits.len(), 128);
        assert_eq!(Remembered::decode(digits.as_bytes()), Some(known.clone()));
        assert_eq!(Remembered::decode(&digits.as_bytes()[1..]), None);
        assert_eq!(Remembered::decode(format!("{}00", &*digits).as_bytes()), None);
        assert_eq!(Remembered::decode(&[b'x'; 128]), None);
        assert_eq!(format!("{known:?}"), "Remembered");
    }
}

//! Good answers, remembered for a short time, for servers whose clients log in
//! every minute with a password that is costly to compare.
//!
//! What is remembered is a keyed digest of everything the answer depends on:
//! service, user, password, and the stored password it was compared with. So
//! no other user and no other password can match, and when the stored password
//! changes the old answer matches nothing any more. The key is random and dies
//! with the process. Only "right" is remembered: a wrong password costs a
//! guesser the whole work each time.
//!
//! The price, and why it is off unless switched on: whoever can read the memory
//! of this process has key and digests, and can guess quickly for as long as
//! an answer is remembered.
//!
//! A remembered answer comes quicker, which whoever has the right password may
//! know.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use zeroize::Zeroizing;

use crate::account::Unavailable;

/// What is asked: does this password belong to this user?
#[derive(Clone, Copy)]
pub struct Question<'a> {
    /// The service, such as `pop3`: an account may have a password for each.
    pub service: &'a [u8],
    /// The user's name as the back-end knows it.
    pub user: &'a [u8],
    /// The stored password.
    pub stored: &'a [u8],
    /// The password that the client has given.
    pub clear: &'a [u8],
}

/// Digest of a question whose answer was "right".
type Digest = [u8; 32];

/// The memory. It is bounded in entries and in time.
pub struct Answers {
    key: Zeroizing<[u8; 64]>,
    most: usize,
    lifetime: Duration,
    known: Mutex<Known>,
}

#[derive(Default)]
struct Known {
    /// Each with its end.
    ends: HashMap<Digest, Instant>,
    /// The same, the oldest first.
    order: VecDeque<Digest>,
}

impl Answers {
    /// Remembers at most `most` answers, each for `lifetime` after the
    /// comparison. With either 0 nothing is remembered.
    ///
    /// # Errors
    /// If there is no randomness for the key.
    pub fn new(most: usize, lifetime: Duration) -> io::Result<Self> {
        let mut key = Zeroizing::new([0; 64]);
        system::random::fill(&mut key[..])?;
        Ok(Answers { key, most, lifetime, known: Mutex::default() })
    }

    /// The answer, remembered or else by `compare`, which is what takes long.
    /// `now` is the present.
    ///
    /// # Errors
    /// Those of `compare`.
    pub fn verify(
        &self,
        question: Question<'_>,
        now: Instant,
        compare: impl FnOnce() -> Result<bool, Unavailable>,
    ) -> Result<bool, Unavailable> {
        let digest = self.digest(question);
        if self.known_at(now).ends.get(&digest).is_some_and(|end| *end > now) {
            return Ok(true);
        }
        let is_right = compare()?;
        if is_right {
            self.remember(digest, now);
        }
        Ok(is_right)
    }

    /// Forgets everything, as when settings are read again.
    pub fn forget(&self) {
        *self.lock() = Known::default();
    }

    fn remember(&self, digest: Digest, now: Instant) {
        // A time that cannot be reckoned is no time to remember for.
        let Some(end) = now.checked_add(self.lifetime).filter(|end| *end > now) else { return };
        let mut known = self.known_at(now);
        if self.most == 0 || known.ends.contains_key(&digest) {
            return;
        }
        if known.order.len() >= self.most {
            known.drop_oldest();
        }
        known.ends.insert(digest, end);
        known.order.push_back(digest);
    }

    /// What is known, without the oldest ones that have ended.
    fn known_at(&self, now: Instant) -> MutexGuard<'_, Known> {
        let mut known = self.lock();
        while known.order.front().and_then(|oldest| known.ends.get(oldest)).is_some_and(|end| *end <= now) {
            known.drop_oldest();
        }
        known
    }

    fn lock(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Each part with its length in front, so that none can run into the next.
    fn digest(&self, question: Question<'_>) -> Digest {
        let Question { service, user, stored, clear } = question;
        let mut mac = Hmac::<Sha256>::new((&*self.key).into());
        for part in [service, user, stored, clear] {
            mac.update(&part.len().to_ne_bytes());
            mac.update(part);
        }
        mac.finalize().into_bytes().into()
    }
}

impl Known {
    fn drop_oldest(&mut self) {
        if let Some(digest) = self.order.pop_front() {
            self.ends.remove(&digest);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Answers, Question};
    use crate::account::Unavailable;
    use std::time::{Duration, Instant};

    const MINUTE: Duration = Duration::from_secs(60);
    const ALICE: Question<'_> =
        Question { service: b"pop3", user: b"alice", stored: b"hash", clear: b"secret" };

    fn answers(most: usize, lifetime: Duration) -> Answers {
        Answers::new(most, lifetime).unwrap()
    }

    fn right() -> Result<bool, Unavailable> {
        Ok(true)
    }

    /// Whether the answer comes from memory.
    fn is_known(answers: &Answers, question: Question<'_>, now: Instant) -> bool {
        answers.verify(question, now, || Ok(false)).unwrap()
    }

    #[test]
    fn a_good_answer_is_remembered_for_its_time_and_no_longer() {
        let (answers, now) = (answers(10, MINUTE), Instant::now());
        assert!(!is_known(&answers, ALICE, now));
        assert!(answers.verify(ALICE, now, right).unwrap());
        assert!(is_known(&answers, ALICE, now));
        // To be asked again does not make it last longer.
        assert!(answers.verify(ALICE, now + MINUTE / 2, right).unwrap());
        assert!(is_known(&answers, ALICE, now + MINUTE - Duration::from_nanos(1)));
        assert!(!is_known(&answers, ALICE, now + MINUTE));
        assert!(answers.lock().ends.is_empty() && answers.lock().order.is_empty());
    }

    #[test]
    fn bad_answers_and_no_answers_are_not_remembered() {
        let (answers, now) = (answers(10, MINUTE), Instant::now());
        assert!(!answers.verify(ALICE, now, || Ok(false)).unwrap());
        assert!(answers.verify(ALICE, now, || Err(Unavailable::new("down"))).is_err());
        assert!(!is_known(&answers, ALICE, now));
    }

    #[test]
    fn nothing_else_matches_and_no_part_runs_into_the_next() {
        let (answers, now) = (answers(10, MINUTE), Instant::now());
        assert!(answers.verify(ALICE, now, right).unwrap());
        for other in [
            Question { service: b"imap", ..ALICE },
            Question { user: b"alicf", ..ALICE },
            Question { stored: b"hash2", ..ALICE },
            Question { clear: b"Secret", ..ALICE },
            Question { clear: b"", ..ALICE },
            Question { service: b"pop3a", user: b"lice", ..ALICE },
            Question { stored: b"hashs", clear: b"ecret", ..ALICE },
            Question { user: b"alicehash", stored: b"", ..ALICE },
            Question { stored: ALICE.clear, clear: ALICE.stored, ..ALICE },
        ] {
            assert!(!is_known(&answers, other, now));
        }
        assert!(!is_known(&self::answers(10, MINUTE), ALICE, now), "another process");
    }

    #[test]
    fn the_oldest_make_room_for_new_ones() {
        let (answers, now) = (answers(3, MINUTE), Instant::now());
        let names: Vec<[u8; 1]> = (0..100).map(|number| [number]).collect();
        for name in &names {
            assert!(answers.verify(Question { user: name, ..ALICE }, now, right).unwrap());
            assert!(answers.lock().ends.len() <= 3 && answers.lock().order.len() <= 3);
        }
        let known = |name: &[u8; 1]| is_known(&answers, Question { user: name, ..ALICE }, now);
        assert_eq!(names.iter().filter(|name| known(name)).count(), 3);
        assert!(known(&names[99]) && !known(&names[96]));
    }

    #[test]
    fn nothing_is_remembered_if_it_is_switched_off_or_after_it_was_told_to_forget() {
        let now = Instant::now();
        for answers in [answers(0, MINUTE), answers(10, Duration::ZERO), answers(10, Duration::MAX)] {
            assert!(answers.verify(ALICE, now, right).unwrap() && !is_known(&answers, ALICE, now));
        }
        let answers = answers(10, MINUTE);
        assert!(answers.verify(ALICE, now, right).unwrap());
        answers.forget();
        assert!(!is_known(&answers, ALICE, now));
    }
}

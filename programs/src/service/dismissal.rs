//! How the monitor lets a mailbox process go.

use zeroize::Zeroizing;

use super::fields::{Reader, Writer};

/// That a mailbox process gets no more guests, and what becomes of those it has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Dismissal {
    /// They stay as long as they like; the process ends when the last one goes.
    WhenEmpty,
    /// Their sessions end as by autologout, when the commands that they are at
    /// are done: nothing is deleted without QUIT (RFC 1939 section 3).
    Now,
}

const DISMISSAL: u8 = b'D';

impl Dismissal {
    /// The message.
    pub(super) fn encode(self) -> Zeroizing<Vec<u8>> {
        Writer::new(DISMISSAL).number(u64::from(self == Dismissal::Now)).message()
    }

    /// What `message` says, if it is about that.
    pub(super) fn decode(message: &[u8]) -> Option<Dismissal> {
        let Ok((DISMISSAL, mut fields)) = Reader::new(message) else { return None };
        let now = fields.flag().ok()?;
        fields.end().ok()?;
        Some(if now { Dismissal::Now } else { Dismissal::WhenEmpty })
    }
}

#[cfg(test)]
mod tests {
    use super::Dismissal;

    #[test]
    fn a_dismissal_arrives_as_it_left() {
        for dismissal in [Dismissal::WhenEmpty, Dismissal::Now] {
            assert_eq!(Dismissal::decode(&dismissal.encode()), Some(dismissal));
        }
        assert_eq!(Dismissal::decode(b"D"), None);
        assert_eq!(Dismissal::decode(b""), None);
    }
}

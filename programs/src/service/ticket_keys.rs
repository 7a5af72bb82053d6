//! The keys with which fronts seal what a client keeps of a session of TLS, to
//! resume it (RFC 8446 section 2.2, RFC 5077). The monitor makes them: all
//! fronts have the same, so a session can be resumed at each.
//!
//! A key seals for [`PERIOD`], and opens for as long again. Then it is gone, and
//! nobody can open what it has sealed.

use std::fmt;
use std::io;

use zeroize::Zeroizing;

use super::fields::{Malformed, Reader, Writer};

/// For how many seconds a key seals.
pub const PERIOD: u64 = 6 * 60 * 60;

/// A key.
#[derive(Clone, PartialEq, Eq)]
pub struct TicketKey {
    /// What tells it from others; it is no secret.
    pub name: [u8; 16],
    /// The key itself.
    pub secret: Zeroizing<[u8; 32]>,
    /// When it was made, in seconds since 1970.
    born: u64,
}

/// Keys, the newest first. Where there are none, no session can be resumed.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct TicketKeys(Vec<TicketKey>);

impl TicketKeys {
    /// The newest seals, all of them open.
    #[must_use]
    pub fn newest_first(&self) -> &[TicketKey] {
        &self.0
    }

    /// Lets those go whose time is over `now`, in seconds since 1970, and makes a
    /// new one when it is time; whether they are others then.
    ///
    /// # Errors
    /// The system has no random octets.
    pub fn turn(&mut self, now: u64) -> io::Result<bool> {
        // One from the future was made before the clock was set back: nobody
        // knows how old it is.
        let age = |key: &TicketKey| now.checked_sub(key.born);
        let before = self.0.len();
        self.0.retain(|key| age(key).is_some_and(|age| age < 2 * PERIOD));
        let seals = self.0.first().and_then(age).is_some_and(|age| age < PERIOD);
        if !seals {
            let (name, secret) = (system::random::octets()?, Zeroizing::new(system::random::octets()?));
            self.0.insert(0, TicketKey { name, secret, born: now });
        }
        Ok(!seals || self.0.len() != before)
    }

    /// Writes them as fields.
    pub(super) fn write(&self, fields: Writer) -> Writer {
        let number = fields.number(self.0.len() as u64);
        self.0.iter().fold(number, |fields, TicketKey { name, secret, born }| {
            fields.octets(name).octets(&secret[..]).number(*born)
        })
    }

    /// Reads what was written so.
    pub(super) fn read(fields: &mut Reader<'_>) -> Result<TicketKeys, Malformed> {
        let mut keys = TicketKeys::default();
        for _ in 0..fields.number()? {
            let name = fields.octets()?.try_into().map_err(|_| Malformed)?;
            let secret = <&[u8; 32]>::try_from(fields.octets()?).map_err(|_| Malformed)?;
            keys.0.push(TicketKey { name, secret: Zeroizing::new(*secret), born: fields.number()? });
        }
        Ok(keys)
    }
}

/// They print nothing.
impl fmt::Debug for TicketKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TicketKeys({})", self.0.len())
    }
}

#[cfg(test)]
mod tests {
    use super::{PERIOD, TicketKeys};
    use crate::service::fields::{Reader, Writer};

    const NOW: u64 = 1_800_000_000;

    fn names(keys: &TicketKeys) -> Vec<[u8; 16]> {
        keys.newest_first().iter().map(|key| key.name).collect()
    }

    #[test]
    fn a_key_seals_for_a_period_and_opens_for_another_one() {
        let mut keys = TicketKeys::default();
        assert!(keys.turn(NOW).unwrap());
        let first = names(&keys);
        assert!(!keys.turn(NOW + PERIOD - 1).unwrap());
        assert!(keys.turn(NOW + PERIOD).unwrap());
        let both = names(&keys);
        assert_eq!((both.len(), both[1]), (2, first[0]));
        assert!(!keys.turn(NOW + 2 * PERIOD - 1).unwrap());
        assert!(keys.turn(NOW + 2 * PERIOD).unwrap());
        assert!(!names(&keys).contains(&first[0]));
    }

    #[test]
    fn keys_of_a_time_that_has_not_come_are_not_used() {
        let mut keys = TicketKeys::default();
        keys.turn(NOW).unwrap();
        let first = names(&keys);
        assert!(keys.turn(NOW - 1).unwrap());
        assert_eq!(names(&keys).len(), 1);
        assert_ne!(names(&keys), first);
    }

    #[test]
    fn they_arrive_as_they_left_and_print_nothing() {
        let mut keys = TicketKeys::default();
        keys.turn(NOW).unwrap();
        keys.turn(NOW + PERIOD).unwrap();
        let message = keys.write(Writer::new(b'K')).message();
        let read = |octets: &[u8]| TicketKeys::read(&mut Reader::new(octets).unwrap().1);
        assert_eq!(read(&message).unwrap(), keys);
        assert!(read(&message[..message.len() - 1]).is_err());
        assert_eq!(format!("{keys:?}"), "TicketKeys(2)");
    }
}

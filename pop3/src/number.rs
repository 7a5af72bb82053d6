//! Message-numbers.

use core::fmt;
use core::num::NonZeroU32;

/// A message-number of this session: 1 for the first message (RFC 1939
/// section 5). Neither a place in a vector nor a unique-id.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct MessageNumber(NonZeroU32);

impl MessageNumber {
    /// The number of the message at `place` (counted from 0) of the maildrop;
    /// `None` beyond four thousand million messages.
    #[must_use]
    pub fn of_place(place: usize) -> Option<Self> {
        let number = u32::try_from(place).ok()?.checked_add(1)?;
        NonZeroU32::new(number).map(MessageNumber)
    }

    /// The place of this message in the maildrop, counted from 0.
    #[must_use]
    pub fn place(self) -> usize {
        self.0.get() as usize - 1
    }

    /// Reads decimal digits and nothing else: no sign, no blank, no surplus
    /// (ledger 201: Courier reads `1x` and `4294967297` as 1).
    pub(crate) fn parse(word: &[u8]) -> Option<Self> {
        let number = parse_digits(word)?;
        u32::try_from(number).ok().and_then(NonZeroU32::new).map(MessageNumber)
    }
}

impl fmt::Display for MessageNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The value of a word of decimal digits, `u64::MAX` if it is greater;
/// `None` if anything else is in it.
pub(crate) fn parse_digits(word: &[u8]) -> Option<u64> {
    if word.is_empty() || !word.iter().all(u8::is_ascii_digit) {
        return None;
    }
    let value = word
        .iter()
        .fold(0u64, |value, digit| value.saturating_mul(10).saturating_add(u64::from(digit - b'0')));
    Some(value)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_digits_make_a_number() {
        assert_eq!(MessageNumber::parse(b"1").map(MessageNumber::place), Some(0));
        assert_eq!(MessageNumber::parse(b"007").map(MessageNumber::place), Some(6));
        for word in
            ["", "0", "-1", "+1", "1x", "x", "1.0", "4294967296", "4294967297", "99999999999999999999"]
        {
            assert_eq!(MessageNumber::parse(word.as_bytes()), None, "{word}");
        }
    }

    #[test]
    fn a_count_of_lines_saturates() {
        assert_eq!(parse_digits(b"99999999999999999999999"), Some(u64::MAX));
        assert_eq!(parse_digits(b"-1"), None);
    }
}

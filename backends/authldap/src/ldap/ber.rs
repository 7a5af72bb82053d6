//! BER, as LDAP uses it: tags of one octet, definite lengths (RFC 4511
//! section 5.1).

use zeroize::Zeroizing;

/// Universal tags (X.690 section 8).
pub(crate) const BOOLEAN: u8 = 0x01;
pub(crate) const INTEGER: u8 = 0x02;
pub(crate) const OCTET_STRING: u8 = 0x04;
pub(crate) const ENUMERATED: u8 = 0x0a;
pub(crate) const SEQUENCE: u8 = 0x30;
pub(crate) const SET: u8 = 0x31;

/// An element, or several in a row. It may hold a password.
pub(crate) type Octets = Zeroizing<Vec<u8>>;

/// What is no BER, or not of the form that was expected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed;

/// The element with `tag` whose content is `parts` in a row.
pub(crate) fn element(tag: u8, parts: &[&[u8]]) -> Octets {
    let length: usize = parts.iter().map(|part| part.len()).sum();
    let digits = length.to_be_bytes();
    let digits = &digits[digits.iter().take_while(|digit| **digit == 0).count()..];
    // All of it at once: a vector that grows would leave passwords behind.
    let mut octets = Zeroizing::new(Vec::with_capacity(2 + digits.len() + length));
    octets.push(tag);
    match u8::try_from(length) {
        Ok(short) if short < 0x80 => octets.push(short),
        _ => {
            octets.push(0x80 | digits.len().to_le_bytes()[0]);
            octets.extend_from_slice(digits);
        }
    }
    parts.iter().for_each(|part| octets.extend_from_slice(part));
    octets
}

/// The same of elements.
pub(crate) fn elements(tag: u8, parts: &[Octets]) -> Octets {
    element(tag, &parts.iter().map(|part| part.as_slice()).collect::<Vec<_>>())
}

/// An octet string.
pub(crate) fn string(octets: &[u8]) -> Octets {
    element(OCTET_STRING, &[octets])
}

/// A number that is not negative.
pub(crate) fn number(tag: u8, number: u32) -> Octets {
    let octets = u64::from(number).to_be_bytes();
    // One octet at least, and a clear highest bit.
    let start = octets[..7].iter().zip(&octets[1..]).take_while(|(this, next)| **this == 0 && **next < 0x80);
    element(tag, &[&octets[start.count()..]])
}

/// Elements in a row, to be read one after the other.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    pub(crate) fn new(octets: &'a [u8]) -> Self {
        Reader(octets)
    }

    /// Whether all of them were read.
    pub(crate) fn is_empty(self) -> bool {
        self.0.is_empty()
    }

    /// The next element: its tag and its content.
    pub(crate) fn next(&mut self) -> Result<(u8, &'a [u8]), Malformed> {
        let (header, length) = header(self.0)?.ok_or(Malformed)?;
        let end = header.checked_add(length).ok_or(Malformed)?;
        let content = self.0.get(header..end).ok_or(Malformed)?;
        let tag = self.0[0];
        self.0 = &self.0[end..];
        Ok((tag, content))
    }

    /// The content of the next element, which has to have `tag`.
    pub(crate) fn expect(&mut self, tag: u8) -> Result<&'a [u8], Malformed> {
        self.optional(tag)?.ok_or(Malformed)
    }

    /// The content of the next element, if there is one and it has `tag`.
    pub(crate) fn optional(&mut self, tag: u8) -> Result<Option<&'a [u8]>, Malformed> {
        if self.0.first() != Some(&tag) {
            return Ok(None);
        }
        self.next().map(|(_, content)| Some(content))
    }

    /// The number that is the next element, which has to have `tag`.
    pub(crate) fn number(&mut self, tag: u8) -> Result<u32, Malformed> {
        let content = self.expect(tag)?;
        if content.is_empty() || content.len() > 5 || content[0] >= 0x80 {
            return Err(Malformed);
        }
        let number = content.iter().fold(0u64, |number, octet| number << 8 | u64::from(*octet));
        u32::try_from(number).map_err(|_| Malformed)
    }
}

/// How many octets the element at the beginning of `octets` has, as soon as
/// they tell.
pub(crate) fn length(octets: &[u8]) -> Result<Option<usize>, Malformed> {
    match header(octets)? {
        Some((header, content)) => header.checked_add(content).map(Some).ok_or(Malformed),
        None => Ok(None),
    }
}

/// How many octets tag and length have, and how many the content.
fn header(octets: &[u8]) -> Result<Option<(usize, usize)>, Malformed> {
    match *octets {
        // Tags of several octets do not occur in LDAP.
        [tag, ..] if tag & 0x1f == 0x1f => Err(Malformed),
        [_, length, ..] if length < 0x80 => Ok(Some((2, usize::from(length)))),
        // 0x80 would be an indefinite length.
        [_, 0x80 | 0x85.., ..] => Err(Malformed),
        [_, count, ref rest @ ..] => {
            let count = usize::from(count & 0x7f);
            let Some(digits) = rest.get(..count) else { return Ok(None) };
            let length = digits.iter().fold(0, |length, digit| length << 8 | usize::from(*digit));
            Ok(Some((2 + count, length)))
        }
        _ => Ok(None),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::{ENUMERATED, INTEGER, Malformed, OCTET_STRING, Reader, element, length, number, string};

    #[test]
    fn an_element_is_read_as_it_was_written() {
        for size in [0, 1, 127, 128, 255, 256, 65_535, 65_536] {
            let content = vec![b'x'; size];
            let octets = string(&content);
            assert_eq!(length(&octets), Ok(Some(octets.len())));
            let mut reader = Reader::new(&octets);
            assert_eq!(reader.next(), Ok((OCTET_STRING, content.as_slice())));
            assert!(reader.is_empty());
        }
        assert_eq!(element(0x30, &[b"ab", b"", b"c"]).as_slice(), b"\x30\x03abc");
    }

    #[test]
    fn numbers_have_as_few_octets_as_they_may() {
        for (value, octets) in [
            (0, b"\x02\x01\x00".as_slice()),
            (127, b"\x02\x01\x7f"),
            (128, b"\x02\x02\x00\x80"),
            (0x7fff_ffff, b"\x02\x04\x7f\xff\xff\xff"),
            (u32::MAX, b"\x02\x05\x00\xff\xff\xff\xff"),
        ] {
            assert_eq!(number(INTEGER, value).as_slice(), octets);
            assert_eq!(Reader::new(octets).number(INTEGER), Ok(value));
        }
        for malformed in [
            b"\x02\x00".as_slice(),
            b"\x02\x01\xff",
            b"\x02\x05\x01\x00\x00\x00\x00",
            b"\x02\x06\x00\x00\x00\x00\x00\x01",
            b"\x0a\x01\x00",
        ] {
            assert_eq!(Reader::new(malformed).number(INTEGER), Err(Malformed));
        }
        assert_eq!(Reader::new(b"\x0a\x01\x31").number(ENUMERATED), Ok(49));
    }

    #[test]
    fn a_length_is_told_as_soon_as_it_is_there() {
        for beginning in [b"".as_slice(), b"\x30", b"\x30\x82", b"\x30\x82\x01"] {
            assert_eq!(length(beginning), Ok(None), "{beginning:?}");
        }
        assert_eq!(length(b"\x30\x82\x01\x00"), Ok(Some(260)));
        assert_eq!(length(b"\x30\x84\xff\xff\xff\xff"), Ok(Some(0xffff_ffff + 6)));
        for malformed in [b"\x30\x80".as_slice(), b"\x30\x85\x00", b"\x30\xff", b"\x3f\x00", b"HTTP/1.1"] {
            assert!(matches!(length(malformed), Err(Malformed) | Ok(Some(86))), "{malformed:?}");
        }
    }

    #[test]
    fn what_is_cut_off_or_other_than_expected_is_malformed() {
        for octets in [b"".as_slice(), b"\x04", b"\x04\x02a", b"\x04\x82\x01", b"\x04\x84\xff\xff\xff\xff"] {
            assert_eq!(Reader::new(octets).next(), Err(Malformed), "{octets:?}");
        }
        assert_eq!(Reader::new(b"\x04\x01a").expect(INTEGER), Err(Malformed));
        assert_eq!(Reader::new(b"\x04\x01a").optional(INTEGER), Ok(None));
        assert_eq!(Reader::new(b"").optional(INTEGER), Ok(None));
    }

    proptest! {
        #[test]
        fn no_octets_do_harm(octets in prop::collection::vec(any::<u8>(), 0..40)) {
            let _ = length(&octets);
            let mut reader = Reader::new(&octets);
            // Each element takes two octets at least.
            let elements = std::iter::from_fn(|| reader.next().ok()).count();
            prop_assert!(elements <= octets.len() / 2);
        }

        #[test]
        fn what_is_written_is_read(value in any::<u32>(), content in prop::collection::vec(any::<u8>(), 0..300)) {
            let octets = element(0x30, &[&number(INTEGER, value), &string(&content)]);
            let mut sequence = Reader::new(Reader::new(&octets).expect(0x30).unwrap());
            prop_assert_eq!(sequence.number(INTEGER), Ok(value));
            prop_assert_eq!(sequence.expect(OCTET_STRING), Ok(content.as_slice()));
        }
    }
}

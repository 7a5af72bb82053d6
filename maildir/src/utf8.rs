//! Whether a message has 8-bit bytes in its header or in the header of one of
//! its MIME parts: then UTF8 has to be asked for before it is sent as it is
//! (RFC 6856, wire.md 11).
//!
//! Only as much MIME is understood as it takes to know where headers are
//! (RFC 2045, 2046). However the message looks, little memory is used.

use crate::mime_type::{Kind, kind_of};

/// Bytes of a Content-Type field that are looked at.
const LONGEST_FIELD: usize = 8192;

/// Bytes of a line that are kept, to see a field's name or a delimiter in it.
const LONGEST_LINE: usize = 512;

/// Multiparts inside each other whose delimiters are looked for.
const DEEPEST: usize = 64;

/// Reads a message in pieces and watches its headers.
#[derive(Debug, Default)]
pub struct Headers {
    place: Place,
    /// The beginning of the current line.
    line: Vec<u8>,
    /// The Content-Type field of the header that is being read, unfolded.
    content_type: Vec<u8>,
    in_content_type: bool,
    /// Delimiters of the multiparts that are open, without `--`, outermost first.
    boundaries: Vec<Vec<u8>>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Header,
    Body,
    /// Nothing that follows matters; the value is the result.
    Decided(bool),
}

impl Headers {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Whether an 8-bit byte was found in a header of what was read.
    #[must_use]
    pub fn are_utf8(&self) -> bool {
        self.place == Place::Decided(true)
    }

    /// Takes the next bytes of the file, cut anywhere.
    pub fn feed(&mut self, mut bytes: &[u8]) {
        while let Some(end) = memchr::memchr(b'\n', bytes) {
            if matches!(self.place, Place::Decided(_)) {
                return;
            }
            self.part_of_line(&bytes[..end]);
            self.end_of_line();
            bytes = &bytes[end + 1..];
        }
        self.part_of_line(bytes);
    }

    fn part_of_line(&mut self, bytes: &[u8]) {
        if self.place == Place::Header && !bytes.is_ascii() {
            self.place = Place::Decided(true);
            return;
        }
        let kept = LONGEST_LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..kept]);
    }

    fn end_of_line(&mut self) {
        let mut line = std::mem::take(&mut self.line);
        match self.place {
            Place::Header => self.header_line(line.trim_ascii_end()),
            Place::Body => self.body_line(line.trim_ascii_end()),
            Place::Decided(_) => {}
        }
        line.clear();
        self.line = line;
    }

    fn header_line(&mut self, line: &[u8]) {
        if line.is_empty() {
            self.end_of_header();
        } else if matches!(line[0], b' ' | b'\t') {
            self.field(line);
        } else {
            let value = value_of(line, b"content-type");
            // Of several such fields the first one counts.
            self.in_content_type = value.is_some() && self.content_type.is_empty();
            self.field(value.unwrap_or_default());
        }
    }

    fn field(&mut self, value: &[u8]) {
        if self.in_content_type && self.content_type.len() + value.len() <= LONGEST_FIELD {
            self.content_type.extend_from_slice(value);
        }
    }

    fn end_of_header(&mut self) {
        let kind = kind_of(&self.content_type);
        self.content_type.clear();
        self.in_content_type = false;
        self.place = match kind {
            // A message in a message begins with its header at once.
            Kind::Message => Place::Header,
            Kind::Multipart(boundary) => {
                if self.boundaries.len() < DEEPEST {
                    self.boundaries.push(boundary);
                }
                Place::Body
            }
            Kind::Other if self.boundaries.is_empty() => Place::Decided(false),
            Kind::Other => Place::Body,
        };
    }

    fn body_line(&mut self, line: &[u8]) {
        let Some(delimiter) = line.strip_prefix(b"--") else { return };
        let closing = |boundary: &Vec<u8>| delimiter.strip_suffix(b"--") == Some(boundary);
        let Some(level) =
            self.boundaries.iter().rposition(|boundary| boundary == delimiter || closing(boundary))
        else {
            return;
        };
        if self.boundaries[level] == delimiter {
            self.boundaries.truncate(level + 1);
            self.place = Place::Header;
        } else {
            self.boundaries.truncate(level);
            if self.boundaries.is_empty() {
                self.place = Place::Decided(false);
            }
        }
    }
}

/// The value of the field on `line` if its name is `name`, which is in lower
/// case.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    let (found, value) = line.split_at_checked(memchr::memchr(b':', line)?)?;
    found.trim_ascii_end().eq_ignore_ascii_case(name).then_some(&value[1..])
}

#[cfg(test)]
mod tests {
    use super::Headers;
    use proptest::prelude::*;

    fn utf8(message: &[u8]) -> bool {
        let mut headers = Headers::new();
        headers.feed(message);
        headers.are_utf8()
    }

    #[test]
    fn eight_bit_bytes_count_in_the_header_and_not_in_the_body() {
        assert!(utf8(b"Subject: \xC3\xA9\n\nbody\n"));
        assert!(utf8(b"Subject: x\nX-\xE9"));
        assert!(!utf8(b"Subject: x\n\nb\xC3\xA9\n"));
        assert!(!utf8(b"Subject: x\r\n\r\nb\xC3\xA9\r\n"));
        assert!(!utf8(b""));
    }

    const MULTIPART: &[u8] = b"Content-Type: multipart/mixed;\n boundary=\"b x\"\n\npre\n--b x\n";

    #[test]
    fn the_header_of_a_part_counts() {
        assert!(utf8(&[MULTIPART, b"X: \xE9\n\n\n--b x--\n"].concat()));
        assert!(!utf8(&[MULTIPART, b"X: y\n\n\xE9\n--b x--\nX: \xE9\n"].concat()));
        assert!(utf8(&[MULTIPART, b"X: y\n\n\xE9\n--b x\nY: \xE9\n"].concat()));
        assert!(!utf8(&[MULTIPART, b"X: y\n\n\xE9\n--b xx\nY: \xE9\n"].concat()));
    }

    #[test]
    fn multiparts_inside_each_other_are_followed_and_left() {
        let inner: &[u8] = b"Content-Type: multipart/alternative; boundary=c\n\n--c\n\n\xE9\n--c--\n\xE9\n";
        assert!(!utf8(&[MULTIPART, inner, b"--b x--\n"].concat()));
        assert!(utf8(&[MULTIPART, inner, b"--b x\nX: \xE9\n"].concat()));
        assert!(utf8(
            &[MULTIPART, b"Content-Type: multipart/mixed; boundary=c\n\n--b x\nX: \xE9\n"].concat()
        ));
    }

    #[test]
    fn the_header_of_a_message_in_a_message_counts() {
        assert!(utf8(b"Content-Type: message/rfc822\n\nSubject: \xE9\n\nx\n"));
        assert!(!utf8(b"Content-Type: message/rfc822\n\nSubject: x\n\n\xE9\n"));
        assert!(utf8(&[MULTIPART, b"Content-Type: message/rfc822\n\nSubject: \xE9\n"].concat()));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_message_is_cut(
            tail in "[-bx\n :\u{e9}]{0,40}", cut in 0..200_usize,
        ) {
            let message = [MULTIPART, tail.as_bytes()].concat();
            let cut = cut.min(message.len());
            let mut headers = Headers::new();
            headers.feed(&message[..cut]);
            headers.feed(&message[cut..]);
            prop_assert_eq!(headers.are_utf8(), utf8(&message));
        }

        #[test]
        fn no_message_is_too_strange(message: Vec<u8>) {
            let _ = utf8(&message);
        }
    }
}

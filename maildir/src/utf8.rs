//! Whether a message has 8-bit bytes in its header or in the header of one of
//! its MIME parts: then UTF8 has to be asked for before it is sent as it is
//! (RFC 6856, wire.md 11).
//!
//! Only as much MIME is understood as it takes to know where headers are
//! (RFC 2045, 2046). However the message looks, little memory is used.

use crate::mime_type::{Kind, is_version_1, kind_of};

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
    header: Header,
    /// The multiparts that are open, outermost first.
    multiparts: Vec<Multipart>,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum Place {
    #[default]
    Header,
    Body,
    /// Nothing that follows matters; the value is the result.
    Decided(bool),
}

/// What matters of the header that is being read.
#[derive(Debug, Default)]
struct Header {
    /// Whether it is a part's, which is MIME without saying so.
    is_part: bool,
    field: Field,
    /// Values, unfolded; of several such fields the last one counts.
    content_type: Vec<u8>,
    mime_version: Vec<u8>,
}

/// The field that the current line belongs to.
#[derive(Debug, Default, Clone, Copy)]
enum Field {
    ContentType,
    MimeVersion,
    #[default]
    Other,
}

#[derive(Debug)]
struct Multipart {
    boundary: Vec<u8>,
    /// Parts without Content-Type are messages (RFC 2046 section 5.1.5).
    is_digest: bool,
}

impl Headers {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Headers {
        Headers::default()
    }

    /// Whether an 8-bit byte was found in a header of what was read, the last
    /// line included if it has no LF (ledger 319).
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
            let (line, rest) = (&bytes[..end], &bytes[end + 1..]);
            if self.line.is_empty() {
                self.see(line);
                self.whole_line(&line[..line.len().min(LONGEST_LINE)]);
            } else {
                self.part_of_line(line);
                let mut whole = std::mem::take(&mut self.line);
                self.whole_line(&whole);
                whole.clear();
                self.line = whole;
            }
            bytes = rest;
        }
        self.part_of_line(bytes);
    }

    fn see(&mut self, bytes: &[u8]) {
        if self.place == Place::Header && !bytes.is_ascii() {
            self.place = Place::Decided(true);
        }
    }

    fn part_of_line(&mut self, bytes: &[u8]) {
        self.see(bytes);
        let kept = LONGEST_LINE.saturating_sub(self.line.len()).min(bytes.len());
        self.line.extend_from_slice(&bytes[..kept]);
    }

    fn whole_line(&mut self, line: &[u8]) {
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let place = self.place;
        match place {
            // A part ends at a delimiter, be it in its header.
            Place::Header | Place::Body if self.is_delimiter(line) => {}
            Place::Header if line.is_empty() => self.end_of_header(),
            Place::Header => self.header.line(line),
            Place::Body | Place::Decided(_) => {}
        }
    }

    fn end_of_header(&mut self) {
        let header = std::mem::take(&mut self.header);
        let in_digest = header.is_part && self.multiparts.last().is_some_and(|multipart| multipart.is_digest);
        self.place = match header.kind(in_digest) {
            // A message in a message begins with its header at once.
            Kind::Message => Place::Header,
            Kind::Multipart { boundary, is_digest } => {
                if self.multiparts.len() < DEEPEST {
                    self.multiparts.push(Multipart { boundary, is_digest });
                }
                Place::Body
            }
            Kind::Other if self.multiparts.is_empty() => Place::Decided(false),
            Kind::Other => Place::Body,
        };
    }

    /// Sees whether the line is a delimiter, and goes where it leads: `--`, a
    /// boundary in the same case (ledger 318), and whatever follows (RFC 2046
    /// section 5.1.1). If it begins with several boundaries the longest one is
    /// meant.
    fn is_delimiter(&mut self, line: &[u8]) -> bool {
        let Some(line) = line.strip_prefix(b"--") else { return false };
        let fitting = self.multiparts.iter().enumerate().filter(|(_, open)| line.starts_with(&open.boundary));
        let Some((level, open)) = fitting.max_by_key(|(level, open)| (open.boundary.len(), *level)) else {
            return false;
        };
        if line[open.boundary.len()..].starts_with(b"--") {
            self.multiparts.truncate(level);
            self.place = if self.multiparts.is_empty() { Place::Decided(false) } else { Place::Body };
        } else {
            self.multiparts.truncate(level + 1);
            self.header = Header { is_part: true, ..Header::default() };
            self.place = Place::Header;
        }
        true
    }
}

impl Header {
    fn line(&mut self, line: &[u8]) {
        let mut value = line;
        if !line.starts_with(b" ") && !line.starts_with(b"\t") {
            self.field = Field::Other;
            let Some(colon) = memchr::memchr(b':', line) else { return };
            value = &line[colon + 1..];
            let name = line[..colon].trim_ascii_end();
            if name.eq_ignore_ascii_case(b"content-type") {
                self.field = Field::ContentType;
                self.content_type.clear();
            } else if name.eq_ignore_ascii_case(b"mime-version") {
                self.field = Field::MimeVersion;
                self.mime_version.clear();
            }
        }
        let known = match self.field {
            Field::ContentType => &mut self.content_type,
            Field::MimeVersion => &mut self.mime_version,
            Field::Other => return,
        };
        if known.len() + value.len() <= LONGEST_FIELD {
            known.extend_from_slice(value);
        }
    }

    /// What follows. Like Courier, a message that does not say that it is MIME
    /// is not taken for it.
    fn kind(&self, in_digest: bool) -> Kind {
        match self.is_part || is_version_1(&self.mime_version) {
            true if in_digest && self.content_type.is_empty() => Kind::Message,
            true => kind_of(&self.content_type),
            false => Kind::Other,
        }
    }
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

    /// Whether `rest` after the header of a multipart with boundary `b` counts.
    fn in_multipart(rest: &[u8]) -> bool {
        utf8(&[b"Mime-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=\"b\"\n\npre\n", rest].concat())
    }

    #[test]
    fn eight_bit_bytes_count_in_the_header_and_not_in_the_body() {
        assert!(utf8(b"Subject: \xC3\xA9\n\nbody\n"));
        assert!(utf8(b"Subject: x\nX-\xE9"));
        assert!(!utf8(b"Subject: x\n\nb\xC3\xA9\n"));
        assert!(!utf8(b"Subject: x\r\n\r\nb\xC3\xA9\r\n"));
        assert!(!utf8(b"\nSubject: \xE9\n"));
        assert!(!utf8(b""));
    }

    #[test]
    fn the_header_of_a_part_counts() {
        assert!(in_multipart(b"--b\nX: \xE9\n\n\n--b--\n"));
        assert!(in_multipart(b"--b \nX: \xE9\n"));
        assert!(in_multipart(b"--bb\nX: \xE9\n"));
        assert!(in_multipart(b"--b\nX: y\n\n\xE9\n--b\nY: \xE9\n"));
        assert!(!in_multipart(b"--b\nX: y\n--b--\nX: \xE9\n"));
        assert!(!in_multipart(b"x--b\nX: \xE9\n"));
        assert!(!in_multipart(b"--b\nX: y\n\n\xE9\n--b--\nX: \xE9\n"));
        assert!(!in_multipart(b"--b--x\nX: \xE9\n"));
    }

    #[test]
    fn a_message_that_does_not_say_that_it_is_mime_has_no_parts() {
        let rest: &[u8] = b"Content-Type: multipart/mixed; boundary=b\n\n--b\nX: \xE9\n\n";
        assert!(!utf8(rest));
        assert!(!utf8(&[b"Mime-Version: 2.0\n", rest].concat()));
        assert!(utf8(&[b"MIME-Version : (a) 1.0 (b)\n", rest].concat()));
        assert!(!in_multipart(b"--b\nContent-Type: message/rfc822\n\nContent-Type: multipart/mixed; boundary=c\n\n--c\nX: \xE9\n"));
    }

    #[test]
    fn of_two_content_types_the_last_one_counts() {
        let multipart = "Content-Type: multipart/mixed; boundary=b\n";
        let text = "Content-Type: text/plain\n";
        let rest: &[u8] = b"Mime-Version: 1.0\n\n--b\nX: \xE9\n";
        assert!(utf8(&[text.as_bytes(), multipart.as_bytes(), rest].concat()));
        assert!(!utf8(&[multipart.as_bytes(), text.as_bytes(), rest].concat()));
    }

    #[test]
    fn multiparts_inside_each_other_are_followed_and_left() {
        let inner: &[u8] =
            b"--b\nContent-Type: multipart/alternative; boundary=bc\n\n--bc\n\n\xE9\n--bc--\n\xE9\n";
        assert!(!in_multipart(&[inner, b"--b--\n"].concat()));
        assert!(in_multipart(&[inner, b"--b\nX: \xE9\n"].concat()));
        assert!(in_multipart(b"--b\nContent-Type: multipart/mixed; boundary=c\n\n--b\nX: \xE9\n"));
    }

    #[test]
    fn the_header_of_a_message_in_a_message_counts() {
        assert!(utf8(b"Mime-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: \xE9\n\nx\n"));
        assert!(!utf8(b"Mime-Version: 1.0\nContent-Type: message/rfc822\n\nSubject: x\n\n\xE9\n"));
        assert!(in_multipart(b"--b\nContent-Type: message/global\n\nSubject: \xE9\n"));
        assert!(utf8(
            b"Mime-Version: 1.0\nContent-Type: multipart/digest; boundary=b\n\n--b\n\nSubject: \xE9\n"
        ));
        assert!(!utf8(b"Mime-Version: 1.0\nContent-Type: message/delivery-status\n\nX: \xE9\n"));
    }

    proptest! {
        #[test]
        fn it_does_not_matter_where_the_message_is_cut(tail in "[-bx\n :\u{e9}]{0,40}", cut in 0..200_usize) {
            let head = "Mime-Version: 1.0\nContent-Type: multipart/mixed;\n boundary=b\n\n--b\n";
            let message = [head.as_bytes(), tail.as_bytes()].concat();
            let cut = cut.min(message.len());
            let mut headers = Headers::new();
            headers.feed(&message[..cut]);
            headers.feed(&message[cut..]);
            prop_assert_eq!(headers.are_utf8(), utf8(&message));
        }

        #[test]
        fn no_header_without_eight_bit_bytes_counts(message in "[ -~\r\n]{0,300}") {
            prop_assert!(!utf8(message.as_bytes()));
        }

        #[test]
        fn no_message_is_too_strange(message: Vec<u8>) {
            let decided = utf8(&message);
            prop_assert!(!decided || !message.is_ascii());
        }
    }
}

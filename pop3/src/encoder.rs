//! The text of RETR and TOP: from the octets of a file to those of the wire.
//!
//! A LF on disk is CRLF on the wire; a CRLF on disk is one line end too
//! (ledger 205); every line that starts with `.` gets one more, the first one
//! included (ledger 206); a last line without an end gets one. Everything else,
//! NUL, lone CR and 8-bit octets, goes as it is.

use alloc::vec::Vec;

use crate::reply;
use crate::wrapper::Wrapper;

/// Turns a message file, given in pieces, into a multi-line reply.
#[derive(Debug)]
pub struct Encoder {
    wrapper: Option<Wrapper>,
    limit: Limit,
    /// Octets of the present line so far, as on disk.
    column: u64,
    /// The last octet was a CR.
    after_cr: bool,
    /// Octets of the lines that have ended, as on the wire.
    octets: u64,
    taken: u64,
    announced: Option<u64>,
}

/// How much of the text is wanted.
#[derive(Clone, Copy, Debug)]
enum Limit {
    /// All of it (RETR).
    None,
    /// The header, and then so many lines (TOP, in the header).
    Header(u64),
    /// So many lines more (TOP, in the body).
    Body(u64),
}

impl Encoder {
    /// Begins the text of RETR.
    pub fn whole(wrapper: Option<&Wrapper>, out: &mut Vec<u8>) -> Self {
        Encoder::begin(wrapper, Limit::None, out)
    }

    /// Begins the text of TOP with `lines` lines of the body.
    pub fn top(lines: u64, wrapper: Option<&Wrapper>, out: &mut Vec<u8>) -> Self {
        Encoder::begin(wrapper, Limit::Header(lines), out)
    }

    /// The same, after a first line that said how many octets follow.
    pub(crate) fn announced(self, octets: u64) -> Self {
        Encoder { announced: Some(octets), ..self }
    }

    fn begin(wrapper: Option<&Wrapper>, limit: Limit, out: &mut Vec<u8>) -> Self {
        let mut encoder = Encoder {
            wrapper: wrapper.cloned(),
            limit,
            column: 0,
            after_cr: false,
            octets: 0,
            taken: 0,
            announced: None,
        };
        if let Some(wrapper) = wrapper {
            encoder.push(wrapper.head(), out);
        }
        encoder
    }

    /// Takes the next octets of the file. Once [`Self::satisfied`], it takes no more.
    pub fn push(&mut self, text: &[u8], out: &mut Vec<u8>) {
        if self.satisfied() {
            return;
        }
        out.reserve(text.len() + text.len() / 16);
        let mut begin = 0;
        for end in memchr::memchr_iter(b'\n', text) {
            self.put(&text[begin..end], out);
            self.end_line(out);
            begin = end + 1;
            if self.satisfied() {
                self.taken += begin as u64;
                return;
            }
        }
        self.put(&text[begin..], out);
        self.taken += text.len() as u64;
    }

    /// Puts octets that hold no LF.
    #[inline]
    fn put(&mut self, part: &[u8], out: &mut Vec<u8>) {
        let Some(last) = part.last() else { return };
        if self.column == 0 && part[0] == b'.' {
            out.push(b'.');
        }
        self.after_cr = *last == b'\r';
        self.column += part.len() as u64;
        out.extend_from_slice(part);
    }

    /// Ends the present line, and notes what that means to TOP.
    #[inline]
    fn end_line(&mut self, out: &mut Vec<u8>) {
        if self.after_cr {
            out.push(b'\n');
        } else {
            out.extend_from_slice(b"\r\n");
        }
        self.octets += self.column + 2 - u64::from(self.after_cr);
        let empty = self.column == u64::from(self.after_cr);
        self.limit = match self.limit {
            Limit::Header(lines) if empty => Limit::Body(lines),
            Limit::Body(lines) => Limit::Body(lines.saturating_sub(1)),
            limit => limit,
        };
        self.column = 0;
        self.after_cr = false;
    }

    /// Whether TOP has all the lines it asked for, so that the rest of the file
    /// need not be read.
    #[must_use]
    pub fn satisfied(&self) -> bool {
        matches!(self.limit, Limit::Body(0))
    }

    /// Ends the reply: the line end that the file may lack, the wrapper's tail,
    /// and the termination octet. Returns what has been sent.
    pub fn finish(mut self, out: &mut Vec<u8>) -> Sent {
        self.complete_line(out);
        if let Some(wrapper) = self.wrapper.take() {
            self.push(wrapper.tail(), out);
        }
        reply::end(out);
        Sent { octets: self.octets, taken: self.taken, announced: self.announced }
    }

    fn complete_line(&mut self, out: &mut Vec<u8>) {
        if self.column > 0 && !self.satisfied() {
            // Not `end_line`: a CR at the very end of a file is a lone one.
            self.after_cr = false;
            self.end_line(out);
        }
    }
}

/// What one RETR or TOP has sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sent {
    /// Octets on the wire without byte-stuffing and termination: what LIST and
    /// the first line of RETR announce (RFC 1939 section 11).
    pub octets: u64,
    /// Octets of the file and the wrapper as on disk: what Courier's log
    /// counts as `retr=` and `top=`.
    pub taken: u64,
    announced: Option<u64>,
}

impl Sent {
    /// Whether it is what its first line has announced; TOP announces nothing.
    #[must_use]
    pub fn is_as_announced(&self) -> bool {
        self.announced.is_none_or(|announced| announced == self.octets)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(encoder: fn(&mut Vec<u8>) -> Encoder, pieces: &[&[u8]]) -> (Vec<u8>, Sent) {
        let mut out = Vec::new();
        let mut encoder = encoder(&mut out);
        for piece in pieces {
            encoder.push(piece, &mut out);
        }
        let sent = encoder.finish(&mut out);
        (out, sent)
    }

    fn retr(text: &str) -> (alloc::string::String, u64) {
        let (out, sent) = encode(|out| Encoder::whole(None, out), &[text.as_bytes()]);
        (alloc::string::String::from_utf8(out).unwrap(), sent.octets)
    }

    #[test]
    fn every_kind_of_file_is_announced_as_it_is_sent() {
        for (file, wire, octets) in [
            ("", ".\r\n", 0),
            ("x", "x\r\n.\r\n", 3),
            ("\n", "\r\n.\r\n", 2),
            ("a\nb\n", "a\r\nb\r\n.\r\n", 6),
            ("a\r\nb\r\n", "a\r\nb\r\n.\r\n", 6),
            ("a\rb\n", "a\rb\r\n.\r\n", 5),
            ("a\r\r\n", "a\r\r\n.\r\n", 4),
            ("a\r", "a\r\r\n.\r\n", 4),
            (".\n", "..\r\n.\r\n", 3),
            (".a\n..\nb.\n", "..a\r\n...\r\nb.\r\n.\r\n", 12),
        ] {
            assert_eq!(retr(file), (wire.into(), octets), "{file:?}");
        }
    }

    #[test]
    fn top_sends_header_blank_line_and_so_many_lines() {
        let top = |lines, text: &str| {
            let mut out = Vec::new();
            let mut encoder = Encoder::top(lines, None, &mut out);
            encoder.push(text.as_bytes(), &mut out);
            encoder.finish(&mut out);
            alloc::string::String::from_utf8(out).unwrap()
        };
        let text = "A: 1\nB: 2\n\none\ntwo\n";
        assert_eq!(top(0, text), "A: 1\r\nB: 2\r\n\r\n.\r\n");
        assert_eq!(top(1, text), "A: 1\r\nB: 2\r\n\r\none\r\n.\r\n");
        assert_eq!(top(9, text), "A: 1\r\nB: 2\r\n\r\none\r\ntwo\r\n.\r\n");
        assert_eq!(top(0, "A: 1\n"), "A: 1\r\n.\r\n");
        assert_eq!(top(0, "A: 1\r\n\r\nbody\r\n"), "A: 1\r\n\r\n.\r\n");
        assert_eq!(top(0, "\nbody\n"), "\r\n.\r\n");
        assert_eq!(top(1, "\nno end"), "\r\nno end\r\n.\r\n");
    }

    #[test]
    fn a_wrapped_message_is_longer_by_what_the_wrapper_says() {
        let wrapper = Wrapper::new("=_x", "message/global");
        for text in ["Subject: ä\n\nx\n", "Subject: ä\n\nx", "Subject: ä\r\n\r\nx\r\n"] {
            let plain = retr(text).1;
            let mut out = Vec::new();
            let mut encoder = Encoder::whole(Some(&wrapper), &mut out);
            encoder.push(text.as_bytes(), &mut out);
            let sent = encoder.finish(&mut out);
            assert_eq!(sent.octets, plain + wrapper.octets());
            assert_eq!(out.len() as u64, sent.octets + 3);
            assert!(out.ends_with(b"x\r\n\r\n--=_x--\r\n.\r\n"));
        }
    }

    fn text() -> impl Strategy<Value = Vec<u8>> {
        proptest::collection::vec(
            prop_oneof![Just(b'\n'), Just(b'\r'), Just(b'.'), Just(0), any::<u8>()],
            0..120,
        )
    }

    /// What a client does with a multi-line reply.
    fn unstuff(wire: &[u8]) -> Option<Vec<u8>> {
        let body = wire.strip_suffix(b".\r\n")?;
        let mut text = Vec::new();
        for line in body.split_inclusive(|&octet| octet == b'\n') {
            assert_ne!(line, b".\r\n", "ended early");
            text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
        }
        Some(text)
    }

    proptest! {
        #[test]
        fn any_cut_of_the_file_gives_the_same_reply(text in text(), cut in 0usize..120, lines in 0u64..4) {
            let cut = cut.min(text.len());
            let (head, tail) = text.split_at(cut);
            let whole = |out: &mut Vec<u8>| Encoder::whole(None, out);
            prop_assert_eq!(encode(whole, &[&text]), encode(whole, &[head, tail]));
            let mut one = Vec::new();
            let mut encoder = Encoder::top(lines, None, &mut one);
            encoder.push(&text, &mut one);
            encoder.finish(&mut one);
            let mut two = Vec::new();
            let mut encoder = Encoder::top(lines, None, &mut two);
            encoder.push(head, &mut two);
            encoder.push(tail, &mut two);
            encoder.finish(&mut two);
            prop_assert_eq!(one, two);
        }

        #[test]
        fn a_client_gets_the_octets_announced_and_never_an_early_end(text in text()) {
            let (wire, sent) = encode(|out| Encoder::whole(None, out), &[&text]);
            let received = unstuff(&wire).unwrap();
            prop_assert_eq!(received.len() as u64, sent.octets);
            prop_assert_eq!(sent.taken, text.len() as u64);
        }
    }
}

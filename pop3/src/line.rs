//! From octets to lines, whatever way the network has cut them.

use alloc::vec::Vec;

// Lines are short: asking the processor what it can (`memchr::memchr`) takes
// longer than it spares.
use memchr::arch::all::memchr::One;
use zeroize::Zeroize;

/// Longest command line, in octets with its CRLF (RFC 2449 section 4).
pub const COMMAND_LIMIT: usize = 255;

/// Longest line that may carry a credential (USER, PASS, AUTH and the
/// responses of a SASL exchange), in octets with its CRLF.
///
/// RFC 5034 section 4 wants room for every response that a mechanism may
/// produce; 12288 is the number that RFC 4954 gives for the same exchange, and
/// is above the 8191 octets that Courier keeps (ledger 101).
pub const CREDENTIAL_LIMIT: usize = 12_288;

/// One line as it came from the client.
#[derive(Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Its text, without the LF and the CRs before it.
    Text(&'a [u8]),
    /// It was longer than the limit. It has been swallowed whole.
    TooLong,
    /// It held a NUL (ledger 103).
    Nul,
}

/// Collects octets until a line is whole.
///
/// The memory it uses is bounded by its limit, and is wiped behind each line,
/// since a line may have been a password.
pub struct LineReader {
    text: Vec<u8>,
    limit: usize,
    too_long: bool,
    whole: bool,
}

impl LineReader {
    /// A reader for lines of at most `limit` octets, terminator included.
    #[must_use]
    pub fn new(limit: usize) -> Self {
        LineReader { text: Vec::with_capacity(limit), limit, too_long: false, whole: false }
    }

    /// Takes octets from the front of `input`, up to and including the first
    /// LF, and returns the line if that made one whole.
    ///
    /// What is left in `input` has not been looked at: a caller that only
    /// peeked at the octets knows exactly how many of them belong to the line.
    pub fn take<'a>(&'a mut self, input: &mut &[u8]) -> Option<Line<'a>> {
        if self.whole {
            self.forget();
        }
        let (part, rest, ended) = match One::new(b'\n').find(input) {
            Some(at) => (&input[..at], &input[at + 1..], true),
            None => (*input, &input[input.len()..], false),
        };
        *input = rest;
        if self.too_long || self.text.len() + part.len() + usize::from(ended) > self.limit {
            self.too_long = true;
            self.text.zeroize();
        } else {
            self.text.extend_from_slice(part);
        }
        if !ended {
            return None;
        }
        self.whole = true;
        Some(self.line())
    }

    fn line(&self) -> Line<'_> {
        if self.too_long {
            return Line::TooLong;
        }
        if One::new(0).find(&self.text).is_some() {
            return Line::Nul;
        }
        let end = self.text.iter().rposition(|&octet| octet != b'\r').map_or(0, |at| at + 1);
        Line::Text(&self.text[..end])
    }

    /// Forgets what has been read of the present line (for STLS: not even half
    /// a line may survive into TLS, RFC 2595 section 4).
    pub fn forget(&mut self) {
        // What is behind it was wiped when it was forgotten itself: the room for
        // a whole line is there from the beginning, and none is moved.
        self.text.as_mut_slice().zeroize();
        self.text.clear();
        self.too_long = false;
        self.whole = false;
    }
}

impl Drop for LineReader {
    fn drop(&mut self) {
        self.text.zeroize();
    }
}

#[cfg(test)]
mod tests {
    use alloc::string::String;
    use alloc::vec;
    use proptest::prelude::*;

    use super::*;

    /// All lines of `input`, which arrives in pieces that end at `cuts`.
    fn lines(limit: usize, input: &[u8], cuts: &[usize]) -> Vec<String> {
        let mut reader = LineReader::new(limit);
        let mut found = vec![];
        let mut start = 0;
        for &cut in cuts.iter().chain([&input.len()]) {
            let end = cut.clamp(start, input.len());
            let mut piece = &input[start..end];
            start = end;
            while !piece.is_empty() {
                if let Some(line) = reader.take(&mut piece) {
                    found.push(alloc::format!("{line:?}"));
                }
            }
        }
        found
    }

    #[test]
    fn a_line_ends_at_lf_and_cr_before_it_is_no_part_of_it() {
        let mut input: &[u8] = b"STAT\r\nLIST\nNOOP\r\r\nQUI";
        let mut reader = LineReader::new(COMMAND_LIMIT);
        assert_eq!(reader.take(&mut input), Some(Line::Text(b"STAT")));
        assert_eq!(reader.take(&mut input), Some(Line::Text(b"LIST")));
        assert_eq!(reader.take(&mut input), Some(Line::Text(b"NOOP")));
        assert_eq!(reader.take(&mut input), None);
        assert_eq!(reader.take(&mut &b"T\n"[..]), Some(Line::Text(b"QUIT")));
    }

    #[test]
    fn octets_behind_the_line_are_left_to_the_caller() {
        let mut input: &[u8] = b"PASS secret\r\nSTAT\r\n";
        let mut reader = LineReader::new(COMMAND_LIMIT);
        assert!(reader.take(&mut input).is_some());
        assert_eq!(input, b"STAT\r\n");
    }

    #[test]
    fn an_over_long_line_is_swallowed_whole_and_reported_once() {
        let mut input = vec![b'x'; 1000];
        input.extend_from_slice(b"\r\nNOOP\r\n");
        assert_eq!(lines(255, &input, &[300, 600]), ["TooLong", "Text([78, 79, 79, 80])"]);
    }

    #[test]
    fn the_limit_counts_the_terminator() {
        let mut input = vec![b'x'; 253];
        input.extend_from_slice(b"\r\n");
        assert_eq!(lines(255, &input, &[]).len(), 1);
        assert_ne!(lines(255, &input, &[])[0], "TooLong");
        input.insert(0, b'x');
        assert_eq!(lines(255, &input, &[]), ["TooLong"]);
    }

    #[test]
    fn a_nul_spoils_its_own_line_and_no_other() {
        assert_eq!(lines(255, b"NOOP\0\r\nA\r\n", &[]), ["Nul", "Text([65])"]);
    }

    proptest! {
        #[test]
        fn any_cut_of_the_input_gives_the_same_lines(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), Just(b'\r'), Just(0), any::<u8>()], 0..200),
            mut cuts in proptest::collection::vec(0usize..200, 0..8),
        ) {
            cuts.sort_unstable();
            prop_assert_eq!(lines(20, &input, &cuts), lines(20, &input, &[]));
        }
    }
}

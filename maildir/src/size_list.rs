//! The format of `courierpop3dsizelist` (maildir.md 4): lines in, values out,
//! and back. No file is opened here.
//!
//! ```text
//! /3 19 1795397094                                     version, next uid, uidvalidity
//! #postrider:exact-octets                              our mark, see [`Mark`]
//! 1000000014.M1P1.host,S=99:2, 57 14:1795397094:0      name, octets, uid:uidvalidity:utf8
//! ```

use std::io::{self, BufRead, Write};

use crate::find::{find, find_last};

/// The version that is written, and the newest that is understood.
const VERSION: u64 = 3;

/// The greatest uid and uidvalidity that is given or taken: what a signed C
/// `long` holds, so that Courier reads the same number.
pub(crate) const GREATEST: u64 = i64::MAX as u64;

/// The beginning of our mark.
const MARK: &[u8] = b"#postrider:exact-octets";

/// Bytes of the longest line that can be meant: a file name, four numbers,
/// and what is between them, with room to spare. Longer ones are skipped
/// (ledger 315).
const LONGEST_LINE: usize = 512;

/// The line by which a list says that its octets are those that are sent.
///
/// Courier counts otherwise, so a list that it wrote gives no exact octets. It
/// ignores this line, having no space in it, and drops it when it writes
/// (ledger 304).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// The next uid to give, if the first line has a later one: as
    /// `#postrider:exact-octets:19`. Those between are for lines that are added
    /// at the end (ledger 332).
    pub(crate) next: Option<u64>,
}

impl Mark {
    /// Reads the second line; `None` if it is not our mark.
    pub(crate) fn parse(line: &[u8]) -> Option<Mark> {
        match line.strip_prefix(MARK)? {
            b"" => Some(Mark { next: None }),
            next => Some(Mark { next: Some(number(next.strip_prefix(b":")?)?) }),
        }
    }
}

/// What a list says about uids to come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Numbers {
    /// The next uid to give.
    pub(crate) next: u64,
    /// Belongs to it.
    pub(crate) validity: u64,
    /// The one that the first line has. Up to it uids can be given without
    /// writing that line again.
    pub(crate) reserved: u64,
}

impl Numbers {
    /// Whether so many uids can be given by adding lines at the end.
    pub(crate) fn have_room_for(&self, uids: usize) -> bool {
        let uids = u64::try_from(uids).unwrap_or(u64::MAX);
        self.next.saturating_add(uids) <= self.reserved
    }
}

/// The first line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    /// 2 and 3 are understood.
    pub(crate) version: u64,
    /// The next uid to give.
    pub(crate) next: u64,
    /// Given to new messages; without it, the time of this login is used.
    pub(crate) validity: Option<u64>,
}

impl Header {
    /// Reads the first line; `None` if it is not one.
    pub(crate) fn parse(line: &[u8]) -> Option<Header> {
        let mut numbers =
            line.strip_prefix(b"/")?.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        let version = number(numbers.next()?)?;
        let next = number(numbers.next()?)?;
        let validity = numbers.next().and_then(number).filter(|validity| *validity <= GREATEST);
        Some(Header { version, next, validity })
    }

    /// Whether message lines may follow that this program understands.
    pub(crate) fn is_understood(&self) -> bool {
        (2..=VERSION).contains(&self.version)
    }

    /// Whether the list needs no rewriting on account of its version.
    pub(crate) fn is_current(&self) -> bool {
        self.version == VERSION
    }
}

/// A message's line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Line<'a> {
    /// File name with its flags at the time of writing.
    pub(crate) name: &'a [u8],
    /// Octets; `None` if the number cannot be any file's, as Courier's
    /// negative ones (ledger 306).
    pub(crate) octets: Option<u64>,
    /// Number of the message; 0 means that the name is the unique-id.
    pub(crate) uid: u64,
    /// Belongs to the uid.
    pub(crate) validity: u64,
    /// Whether a header has 8-bit bytes.
    pub(crate) utf8: bool,
}

impl Line<'_> {
    /// Reads a message's line; `None` if it is not one.
    pub(crate) fn parse(line: &[u8]) -> Option<Line<'_>> {
        let (rest, id) = split_last_space(line)?;
        let (name, octets) = split_last_space(rest)?;
        let mut numbers = id.split(|byte| *byte == b':');
        let uid = number(numbers.next()?)?;
        let validity = number(numbers.next()?)?;
        let utf8 = numbers.next().map_or(Some(0), number)?;
        let meant = !name.is_empty() && numbers.next().is_none() && uid <= GREATEST && validity <= GREATEST;
        meant.then_some(Line { name, octets: octets_of(octets)?, uid, validity, utf8: utf8 != 0 })
    }
}

fn split_last_space(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = find_last(b' ', line)?;
    Some((&line[..space], &line[space + 1..]))
}

/// A decimal number without sign.
fn number(digits: &[u8]) -> Option<u64> {
    let all_digits = !digits.is_empty() && digits.iter().all(u8::is_ascii_digit);
    std::str::from_utf8(digits).ok().filter(|_| all_digits)?.parse().ok()
}

/// `Some(None)` for a number that cannot be any file's.
fn octets_of(field: &[u8]) -> Option<Option<u64>> {
    let digits = field.strip_prefix(b"-").unwrap_or(field);
    if digits.is_empty() || !digits.iter().all(u8::is_ascii_digit) {
        return None;
    }
    Some(number(field).filter(|octets| *octets <= GREATEST))
}

/// Whether a message of this name can be written: an LF would end its line.
pub(crate) fn can_hold(name: &[u8]) -> bool {
    find(b'\n', name).is_none()
}

/// Writes the first line and the mark.
pub(crate) fn write_header(out: &mut impl Write, numbers: &Numbers) -> io::Result<()> {
    let Numbers { next, validity, reserved } = *numbers;
    writeln!(out, "/{VERSION} {} {validity}", next.max(reserved))?;
    out.write_all(MARK)?;
    if next < reserved {
        write!(out, ":{next}")?;
    }
    out.write_all(b"\n")
}

/// Writes a message's line. Octets that are not known are written as -1, so
/// that they are counted by whoever can read the file.
pub(crate) fn write_line(out: &mut impl Write, line: &Line<'_>) -> io::Result<()> {
    out.write_all(line.name)?;
    match line.octets {
        Some(octets) => write!(out, " {octets}")?,
        None => out.write_all(b" -1")?,
    }
    writeln!(out, " {}:{}:{}", line.uid, line.validity, u8::from(line.utf8))
}

/// Hands the lines of `input` without their LF to `each`, and whether they had
/// one; those that are too long to be meant are left out, and no more than one line
/// is held. Gives whether the input ends with an LF, if it is not empty.
pub(crate) fn for_each_line(input: &mut impl BufRead, mut each: impl FnMut(&[u8], bool)) -> io::Result<bool> {
    let mut part = Vec::with_capacity(LONGEST_LINE);
    let mut too_long = false;
    loop {
        let buffer = match input.fill_buf() {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            buffer => buffer?,
        };
        if buffer.is_empty() {
            break;
        }
        let mut start = 0;
        while let Some(length) = find(b'\n', &buffer[start..]) {
            let piece = &buffer[start..start + length];
            start += length + 1;
            if !too_long && part.len() + piece.len() <= LONGEST_LINE {
                if part.is_empty() {
                    each(piece, true);
                } else {
                    part.extend_from_slice(piece);
                    each(&part, true);
                }
            }
            part.clear();
            too_long = false;
        }
        let rest = &buffer[start..];
        too_long |= part.len() + rest.len() > LONGEST_LINE;
        if !too_long {
            part.extend_from_slice(rest);
        }
        let taken = buffer.len();
        input.consume(taken);
    }
    let is_whole = part.is_empty() && !too_long;
    if !is_whole && !too_long {
        each(&part, false);
    }
    Ok(is_whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn headers_are_read_as_courier_reads_them() {
        let header = |version, next, validity| Some(Header { version, next, validity });
        assert_eq!(Header::parse(b"/3 19 1795397094"), header(3, 19, Some(1_795_397_094)));
        assert_eq!(Header::parse(b"/3 10"), header(3, 10, None));
        assert_eq!(Header::parse(b"/4 10 1111111111"), header(4, 10, Some(1_111_111_111)));
        assert_eq!(Header::parse(b"/3 10 0"), header(3, 10, Some(0)));
        assert_eq!(Header::parse(b"3 10 11"), None);
        assert_eq!(Header::parse(b"/3"), None);
        assert_eq!(Header::parse(b""), None);
    }

    #[test]
    fn lines_are_split_at_their_last_two_spaces() {
        let line = Line::parse(b"a b:2, 56 8:1795397094:1").unwrap();
        assert_eq!(
            line,
            Line { name: b"a b:2,", octets: Some(56), uid: 8, validity: 1_795_397_094, utf8: true }
        );
        assert!(!Line::parse(b"a 56 8:17").unwrap().utf8);
    }

    #[test]
    fn what_courier_ignores_is_ignored() {
        for line in [
            b"a".as_slice(),
            b"a 56",
            b"a 56 8",
            b"a 56 8:",
            b"a 56 8:17:x",
            b"a abc 5:17:0",
            b"a 56 8:17:0:1",
            MARK,
            b" 1 2:3",
            b"",
            b"  ",
        ] {
            assert_eq!(Line::parse(line), None, "{}", line.escape_ascii());
        }
    }

    #[test]
    fn octets_that_no_file_has_are_not_believed() {
        assert_eq!(Line::parse(b"a -5 1:2:0").unwrap().octets, None);
        assert_eq!(Line::parse(b"a 18446744073709551611 1:2:0").unwrap().octets, None);
        assert_eq!(Line::parse(b"a 99999999999999999999999 1:2:0").unwrap().octets, None);
    }

    #[test]
    fn a_mark_may_have_the_next_number() {
        let mark = |next| Some(Mark { next });
        assert_eq!(Mark::parse(b"#postrider:exact-octets"), mark(None));
        assert_eq!(Mark::parse(b"#postrider:exact-octets:19"), mark(Some(19)));
        for other in
            [b"#postrider:exact-octets:".as_slice(), b"#postrider:exact-octets 1", b"#postrider:", b""]
        {
            assert_eq!(Mark::parse(other), None, "{}", other.escape_ascii());
        }
    }

    #[test]
    fn a_last_line_without_lf_is_told_of() {
        let is_whole = |input: &[u8]| for_each_line(&mut &input[..], |_, _| ()).unwrap();
        assert!(is_whole(b"") && is_whole(b"a\n") && is_whole(b"a\n\n"));
        assert!(!is_whole(b"a") && !is_whole(b"a\nb"));
        assert!(!is_whole(&[b'x'; 3 * LONGEST_LINE]));
    }

    fn lines_of(input: &[u8], buffer: usize) -> Vec<Vec<u8>> {
        let mut lines = Vec::new();
        let mut reader = io::BufReader::with_capacity(buffer, input);
        for_each_line(&mut reader, |line, _| lines.push(line.to_vec())).unwrap();
        lines
    }

    #[test]
    fn an_absurdly_long_line_is_skipped_and_the_next_one_is_read() {
        let mut input = vec![b'x'; 3 * LONGEST_LINE];
        input.extend(b"\nnext\n");
        assert_eq!(lines_of(&input, 100), [b"next".to_vec()]);
        assert_eq!(lines_of(&input, 100_000), [b"next".to_vec()]);
    }

    proptest! {
        #[test]
        fn a_written_line_is_read_back(
            name in proptest::collection::vec((1..=255_u8).prop_filter("no LF", |byte| *byte != b'\n'), 1..20),
            octets in proptest::option::of(0..=GREATEST), uid in 0..=GREATEST, validity in 0..=GREATEST,
            utf8: bool,
        ) {
            let line = Line { name: &name, octets, uid, validity, utf8 };
            let mut written = Vec::new();
            write_line(&mut written, &line).unwrap();
            prop_assert_eq!(written.pop(), Some(b'\n'));
            prop_assert_eq!(Line::parse(&written), Some(line));
            prop_assert_eq!(Mark::parse(&written), None);
        }

        #[test]
        fn lines_are_the_same_however_the_input_is_buffered(
            input in proptest::collection::vec(prop_oneof![Just(b'\n'), any::<u8>()], 0..200), buffer in 1..50_usize,
        ) {
            let mut whole: Vec<Vec<u8>> = input.split(|byte| *byte == b'\n').map(<[u8]>::to_vec).collect();
            if whole.last().is_some_and(Vec::is_empty) {
                whole.pop();
            }
            prop_assert_eq!(lines_of(&input, buffer), whole);
        }
    }
}

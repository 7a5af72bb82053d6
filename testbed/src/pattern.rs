//! Text of a dialogue: octets in printable form, with holes for what varies.
//!
//! `\r \n \t \0 \s \\ \{ \<` and `\xNN` stand for one octet each (`\s` is a
//! space, wanted at the end of a line); `{TEXT*COUNT}` repeats. A pattern may
//! also have the holes `{number}` (decimal digits) and `{any}` (anything up
//! to the line's end).

use crate::Outcome;

/// Octets, some of which may be left open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pattern {
    parts: Vec<Part>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Part {
    Octet(u8),
    Number,
    Any,
}

impl Pattern {
    /// Reads `text`.
    ///
    /// # Errors
    /// An escape or a hole that does not exist.
    pub fn parse(text: &str) -> Outcome<Pattern> {
        let mut parts = Vec::new();
        let mut rest = text.as_bytes();
        while let Some((&first, behind)) = rest.split_first() {
            rest = match first {
                b'\\' => {
                    let (octet, behind) = escape(behind)?;
                    parts.push(Part::Octet(octet));
                    behind
                }
                b'{' => {
                    let end = closing_brace(behind).ok_or("`{` without `}`; a brace itself is `\\{`")?;
                    hole(&behind[..end], &mut parts)?;
                    &behind[end + 1..]
                }
                octet => {
                    parts.push(Part::Octet(octet));
                    behind
                }
            };
        }
        Ok(Pattern { parts })
    }

    /// The octets, if nothing is left open.
    ///
    /// # Errors
    /// There is a hole, and this text must be exact.
    pub fn octets(&self) -> Outcome<Vec<u8>> {
        let octet = |part: &Part| match part {
            Part::Octet(octet) => Ok(*octet),
            Part::Number | Part::Any => Err("a hole like {any} makes no sense here".into()),
        };
        self.parts.iter().map(octet).collect()
    }

    /// The same followed by exactly `octets`.
    #[must_use]
    pub fn then(mut self, octets: &[u8]) -> Pattern {
        self.parts.extend(octets.iter().copied().map(Part::Octet));
        self
    }

    /// Whether `octets` fit the whole pattern.
    #[must_use]
    pub fn fits(&self, octets: &[u8]) -> bool {
        fits(&self.parts, octets)
    }

    /// Whether the octets end where a line ends.
    #[must_use]
    pub fn ends_line(&self) -> bool {
        self.parts.last() == Some(&Part::Octet(b'\n'))
    }
}

fn fits(mut parts: &[Part], mut octets: &[u8]) -> bool {
    while let Some((Part::Octet(wanted), behind)) = parts.split_first() {
        if octets.first() != Some(wanted) {
            return false;
        }
        (parts, octets) = (behind, &octets[1..]);
    }
    let Some((hole, parts)) = parts.split_first() else { return octets.is_empty() };
    let (least, filler): (usize, fn(&u8) -> bool) = match hole {
        Part::Number => (1, u8::is_ascii_digit),
        Part::Any | Part::Octet(_) => (0, |octet| !b"\r\n".contains(octet)),
    };
    let most = octets.iter().take_while(|octet| filler(octet)).count();
    (least..=most).any(|taken| fits(parts, &octets[taken..]))
}

/// Octets in the form that [`Pattern::parse`] reads, for messages.
#[must_use]
pub fn printable(octets: &[u8]) -> String {
    let mut text = String::new();
    for chunk in octets.utf8_chunks() {
        for character in chunk.valid().chars() {
            match character {
                '\r' => text.push_str("\\r"),
                '\n' => text.push_str("\\n"),
                '\t' => text.push_str("\\t"),
                '\0' => text.push_str("\\0"),
                '\\' => text.push_str("\\\\"),
                control if control.is_control() => text.push_str(&format!("\\x{:02x}", u32::from(control))),
                other => text.push(other),
            }
        }
        chunk.invalid().iter().for_each(|octet| text.push_str(&format!("\\x{octet:02x}")));
    }
    text
}

/// One octet from what follows a backslash, and the rest.
fn escape(text: &[u8]) -> Outcome<(u8, &[u8])> {
    let (&letter, rest) = text.split_first().ok_or("a backslash at the end of the line")?;
    let octet = match letter {
        b'r' => b'\r',
        b'n' => b'\n',
        b't' => b'\t',
        b'0' => b'\0',
        b's' => b' ',
        b'\\' | b'{' | b'}' | b'<' | b'*' => letter,
        b'x' => {
            let digits = rest.get(..2).and_then(|digits| std::str::from_utf8(digits).ok());
            let octet = digits.and_then(|digits| u8::from_str_radix(digits, 16).ok());
            return Ok((octet.ok_or("`\\x` wants two hexadecimal digits")?, &rest[2..]));
        }
        other => return Err(format!("no escape `\\{}`", char::from(other)).into()),
    };
    Ok((octet, rest))
}

/// Index of the `}` that ends what follows a `{`.
fn closing_brace(text: &[u8]) -> Option<usize> {
    let mut escaped = false;
    text.iter().position(|&octet| {
        let closing = octet == b'}' && !escaped;
        escaped = octet == b'\\' && !escaped;
        closing
    })
}

/// What stands between braces: a hole, or text and how often.
fn hole(inside: &[u8], parts: &mut Vec<Part>) -> Outcome {
    let inside = std::str::from_utf8(inside)?;
    match (inside, inside.rsplit_once('*')) {
        ("number", _) => parts.push(Part::Number),
        ("any", _) => parts.push(Part::Any),
        (_, Some((text, count))) => {
            let repeated = Pattern::parse(text)?.parts;
            let count: usize = count.parse().map_err(|_| format!("`{{{inside}}}`: no count behind `*`"))?;
            (0..count).for_each(|_| parts.extend_from_slice(&repeated));
        }
        _ => return Err(format!("no hole `{{{inside}}}`: number, any or TEXT*COUNT").into()),
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{Pattern, printable};

    fn pattern(text: &str) -> Pattern {
        Pattern::parse(text).unwrap()
    }

    #[test]
    fn every_escape_is_one_octet() {
        let octets = pattern(r"a\r\n\t\0\s\\\{\<\xfF").octets().unwrap();
        assert_eq!(octets, b"a\r\n\t\0 \\{<\xff");
    }

    #[test]
    fn a_repetition_repeats_its_text_as_often_as_it_says() {
        assert_eq!(pattern(r"x{ab\n*3}y").octets().unwrap(), b"xab\nab\nab\ny");
        assert_eq!(pattern(r"{\}*2}").octets().unwrap(), b"}}");
    }

    #[test]
    fn holes_take_what_they_are_for_and_nothing_else() {
        let unique_id = pattern("1 UID1-{number}");
        assert!(unique_id.fits(b"1 UID1-1795397094"));
        assert!(!unique_id.fits(b"1 UID1-"));
        assert!(!unique_id.fits(b"1 UID1-17a"));
        assert!(pattern("{number}0").fits(b"100"));
        assert!(pattern("-ERR {any}!").fits(b"-ERR wait! no!"));
        assert!(!pattern("-ERR {any}!").fits(b"-ERR one\r\ntwo!"));
    }

    #[test]
    fn a_text_with_holes_has_no_octets() {
        assert!(pattern("{any}").octets().is_err());
    }

    #[test]
    fn what_is_no_escape_and_no_hole_is_an_error() {
        for wrong in [r"\q", r"\x1", r"\", "{", "{nummer}", "{x*many}"] {
            assert!(Pattern::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn printed_octets_read_back_as_themselves() {
        let octets = b"caf\xc3\xa9 \xff\x01\\ \0\t\r\n";
        assert_eq!(pattern(&printable(octets)).octets().unwrap(), octets);
    }
}

//! A command line as words.

/// The keyword and what follows it.
///
/// Words are separated by spaces, TABs and CRs, as many as there are
/// (ledger 104, kept). Keywords are compared without regard to case.
pub(crate) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    pub(crate) fn new(text: &'a [u8]) -> Self {
        Words { rest: text }
    }

    /// The rest of the line behind **one** separator: the argument of USER
    /// and PASS, in which every further blank counts (RFC 1939 section 7).
    /// `None` if the line has ended.
    pub(crate) fn argument(&self) -> Option<&'a [u8]> {
        match self.rest {
            [separator, argument @ ..] if is_blank(*separator) && !argument.is_empty() => Some(argument),
            _ => None,
        }
    }

    /// Whether nothing but blanks is left.
    pub(crate) fn ended(&self) -> bool {
        self.rest.iter().copied().all(is_blank)
    }

    /// The last word: `Err` if another one follows it.
    pub(crate) fn only(&mut self) -> Result<Option<&'a [u8]>, Surplus> {
        let word = self.next();
        if self.ended() { Ok(word) } else { Err(Surplus) }
    }
}

/// There are more words than the command has arguments.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Surplus;

impl<'a> Iterator for Words<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let start = self.rest.iter().position(|&octet| !is_blank(octet))?;
        let word = &self.rest[start..];
        let end = word.iter().position(|&octet| is_blank(octet)).unwrap_or(word.len());
        self.rest = &word[end..];
        Some(&word[..end])
    }
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn runs_of_blanks_separate_words_once() {
        let mut words = Words::new(b"  TOP \t 1   2 ");
        assert_eq!(words.next(), Some(&b"TOP"[..]));
        assert_eq!(words.next(), Some(&b"1"[..]));
        assert_eq!(words.only(), Ok(Some(&b"2"[..])));
    }

    #[test]
    fn a_surplus_word_is_noticed() {
        let mut words = Words::new(b"1 2");
        assert_eq!(words.only(), Err(Surplus));
    }

    #[test]
    fn an_argument_keeps_its_blanks() {
        let mut words = Words::new(b"PASS  a b ");
        words.next();
        assert_eq!(words.argument(), Some(&b" a b "[..]));
        let mut words = Words::new(b"PASS ");
        words.next();
        assert_eq!(words.argument(), None);
    }
}

//! Search filters: as an administrator writes them (RFC 4515), and as they
//! travel (RFC 4511 section 4.5.1.7).
//!
//! A name from a client never becomes a part of the text: it gets into a filter
//! that was taken apart already, as the octets of a value. There is nothing to
//! escape.

use std::iter::Peekable;
use std::slice::Iter;

use super::ber::{self, Octets, element, elements, string};

/// How deep filters may lie in each other.
const DEPTH: usize = 50;

/// A filter, with places for names from outside in its values.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Filter {
    /// `(&…)` and `(|…)`, with the tag.
    List(u8, Vec<Filter>),
    /// `(!…)`
    Not(Box<Filter>),
    /// `(mail=*)`
    Present(Vec<u8>),
    /// `(mail=alice)`, `>=`, `<=` and `~=`, with the tag.
    Compare(u8, Vec<u8>, Value),
    /// `(mail=a*b*c)`: each part with its tag.
    Substrings(Vec<u8>, Vec<(u8, Value)>),
    /// `(cn:dn:rule:=alice)`
    Extensible { rule: Vec<u8>, attribute: Vec<u8>, value: Value, of_dn: bool },
}

/// A value: octets, and places for names from outside.
pub(crate) type Value = Vec<Piece>;

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Piece {
    Octets(Vec<u8>),
    /// `@user@`
    User,
    /// `@realm@`
    Realm,
}

/// What the places in a filter stand for.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Names<'a> {
    pub(crate) user: &'a [u8],
    pub(crate) realm: &'a [u8],
}

/// What is no filter: at which octet of the text it cannot go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct NoFilter(pub(crate) usize);

const AND: u8 = 0xa0;
const OR: u8 = 0xa1;
const NOT: u8 = 0xa2;
const EQUALITY: u8 = 0xa3;
const SUBSTRINGS: u8 = 0xa4;
const GREATER: u8 = 0xa5;
const LESS: u8 = 0xa6;
const PRESENT: u8 = 0x87;
const APPROXIMATE: u8 = 0xa8;
const EXTENSIBLE: u8 = 0xa9;
/// Parts of a substring filter, and of an extensible one.
const INITIAL: u8 = 0x80;
const ANY: u8 = 0x81;
const FINAL: u8 = 0x82;
const RULE: u8 = 0x81;
const TYPE: u8 = 0x82;
const MATCH_VALUE: u8 = 0x83;
const DN_ATTRIBUTES: u8 = 0x84;

impl Filter {
    /// The filter that `text` is. White space is allowed between filters.
    pub(crate) fn parse(text: &str) -> Result<Filter, NoFilter> {
        Parser::new(text, false).whole()
    }

    /// The same, with `@user@` and `@realm@` in values being places for names;
    /// an at sign that is none of these is `\40`.
    pub(crate) fn parse_with_places(text: &str) -> Result<Filter, NoFilter> {
        Parser::new(text, true).whole()
    }

    /// `(attribute=value)`, whatever is in the value.
    pub(crate) fn equal(attribute: &str, value: &[u8]) -> Filter {
        Filter::Compare(EQUALITY, attribute.into(), vec![Piece::Octets(value.to_vec())])
    }

    /// `(attribute=*)`
    pub(crate) fn present(attribute: &str) -> Filter {
        Filter::Present(attribute.into())
    }

    /// `(&…)`
    pub(crate) fn all(filters: Vec<Filter>) -> Filter {
        Filter::List(AND, filters)
    }

    /// As it travels, with `names` in their places.
    pub(crate) fn encode(&self, names: Names<'_>) -> Octets {
        match self {
            Filter::List(tag, filters) => {
                elements(*tag, &filters.iter().map(|filter| filter.encode(names)).collect::<Vec<_>>())
            }
            Filter::Not(filter) => element(NOT, &[&filter.encode(names)]),
            Filter::Present(attribute) => element(PRESENT, &[attribute]),
            Filter::Compare(tag, attribute, value) => {
                element(*tag, &[&string(attribute), &string(&filled(value, names))])
            }
            Filter::Substrings(attribute, parts) => {
                let parts = parts.iter().map(|(tag, value)| element(*tag, &[&filled(value, names)]));
                let parts = elements(ber::SEQUENCE, &parts.collect::<Vec<_>>());
                element(SUBSTRINGS, &[&string(attribute), &parts])
            }
            Filter::Extensible { rule, attribute, value, of_dn } => {
                let given = |tag, octets: &[u8]| {
                    if octets.is_empty() { Octets::default() } else { element(tag, &[octets]) }
                };
                let of_dn = if *of_dn { element(DN_ATTRIBUTES, &[&[0xff]]) } else { Octets::default() };
                let value = element(MATCH_VALUE, &[&filled(value, names)]);
                elements(EXTENSIBLE, &[given(RULE, rule), given(TYPE, attribute), value, of_dn])
            }
        }
    }
}

fn filled(value: &Value, names: Names<'_>) -> Vec<u8> {
    let pieces = value.iter().map(|piece| match piece {
        Piece::Octets(octets) => octets.as_slice(),
        Piece::User => names.user,
        Piece::Realm => names.realm,
    });
    pieces.collect::<Vec<_>>().concat()
}

struct Parser<'a> {
    text: Peekable<Iter<'a, u8>>,
    length: usize,
    has_places: bool,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str, has_places: bool) -> Self {
        Parser { text: text.trim().as_bytes().iter().peekable(), length: text.trim().len(), has_places }
    }

    fn whole(mut self) -> Result<Filter, NoFilter> {
        let filter = self.filter(DEPTH)?;
        if self.text.peek().is_some() { Err(self.stuck()) } else { Ok(filter) }
    }

    fn stuck(&self) -> NoFilter {
        NoFilter(self.length - self.text.len())
    }

    fn expect(&mut self, octet: u8) -> Result<(), NoFilter> {
        self.text.next_if(|next| **next == octet).map(|_| ()).ok_or_else(|| self.stuck())
    }

    fn skip_space(&mut self) {
        while self.text.next_if(|next| next.is_ascii_whitespace()).is_some() {}
    }

    fn filter(&mut self, depth: usize) -> Result<Filter, NoFilter> {
        let depth = depth.checked_sub(1).ok_or_else(|| self.stuck())?;
        self.expect(b'(')?;
        let filter = match self.text.peek() {
            Some(b'&') => self.list(AND, depth)?,
            Some(b'|') => self.list(OR, depth)?,
            Some(b'!') => {
                self.text.next();
                self.skip_space();
                let filter = self.filter(depth)?;
                self.skip_space();
                Filter::Not(Box::new(filter))
            }
            _ => self.item()?,
        };
        self.expect(b')')?;
        Ok(filter)
    }

    fn list(&mut self, tag: u8, depth: usize) -> Result<Filter, NoFilter> {
        self.text.next();
        let mut filters = Vec::new();
        self.skip_space();
        while self.text.peek() == Some(&&b'(') {
            filters.push(self.filter(depth)?);
            self.skip_space();
        }
        // An empty list is RFC 4526's, which not every server knows.
        if filters.is_empty() { Err(self.stuck()) } else { Ok(Filter::List(tag, filters)) }
    }

    fn item(&mut self) -> Result<Filter, NoFilter> {
        let attribute = self.word(|octet| octet.is_ascii_alphanumeric() || b"-.;".contains(&octet));
        let tag = match self.text.next() {
            Some(b'=') => EQUALITY,
            Some(b'>') => GREATER,
            Some(b'<') => LESS,
            Some(b'~') => APPROXIMATE,
            Some(b':') => return self.extensible(attribute),
            _ => return Err(self.stuck()),
        };
        if tag != EQUALITY {
            self.expect(b'=')?;
        }
        if attribute.is_empty() {
            return Err(self.stuck());
        }
        let mut parts = vec![self.value()?];
        while tag == EQUALITY && self.text.next_if(|next| **next == b'*').is_some() {
            parts.push(self.value()?);
        }
        Ok(match <[Value; 1]>::try_from(parts) {
            Ok([value]) => Filter::Compare(tag, attribute, value),
            Err(parts) if parts.len() == 2 && parts.iter().all(Vec::is_empty) => Filter::Present(attribute),
            Err(parts) => self.substrings(attribute, parts)?,
        })
    }

    fn substrings(&self, attribute: Vec<u8>, parts: Vec<Value>) -> Result<Filter, NoFilter> {
        let last = parts.len() - 1;
        let tagged = parts.into_iter().enumerate().map(|(index, value)| match index {
            0 => (INITIAL, value),
            _ if index == last => (FINAL, value),
            _ => (ANY, value),
        });
        // No part may be empty (RFC 4511): `a**b` is `a*b`.
        let parts: Vec<_> = tagged.filter(|(_, value)| !value.is_empty()).collect();
        if parts.is_empty() { Err(self.stuck()) } else { Ok(Filter::Substrings(attribute, parts)) }
    }

    /// What follows the attribute and a colon: `dn:rule:=value`.
    fn extensible(&mut self, attribute: Vec<u8>) -> Result<Filter, NoFilter> {
        let mut words = Vec::new();
        while self.text.peek() != Some(&&b'=') {
            words.push(self.word(|octet| octet.is_ascii_alphanumeric() || b"-.".contains(&octet)));
            self.expect(b':')?;
        }
        self.text.next();
        let of_dn = words.first().is_some_and(|word| word.eq_ignore_ascii_case(b"dn"));
        if of_dn {
            words.remove(0);
        }
        let rule = words.pop().unwrap_or_default();
        if !words.is_empty() || (attribute.is_empty() && rule.is_empty()) {
            return Err(self.stuck());
        }
        Ok(Filter::Extensible { rule, attribute, value: self.value()?, of_dn })
    }

    fn word(&mut self, belongs: impl Fn(u8) -> bool) -> Vec<u8> {
        let mut word = Vec::new();
        while let Some(octet) = self.text.next_if(|octet| belongs(**octet)) {
            word.push(*octet);
        }
        word
    }

    /// Up to what cannot be in a value.
    fn value(&mut self) -> Result<Value, NoFilter> {
        let (mut value, mut octets) = (Value::new(), Vec::new());
        while let Some(octet) = self.text.next_if(|octet| !b"*()\0".contains(octet)) {
            let place = if *octet == b'@' { self.place() } else { None };
            match (octet, place) {
                (_, Some(place)) => {
                    value.push(Piece::Octets(std::mem::take(&mut octets)));
                    value.push(place);
                }
                (b'\\', None) => octets.push(self.escaped()?),
                (octet, None) => octets.push(*octet),
            }
        }
        value.push(Piece::Octets(octets));
        value.retain(|piece| *piece != Piece::Octets(Vec::new()));
        Ok(value)
    }

    /// What stands behind an at sign, if it is a place.
    fn place(&mut self) -> Option<Piece> {
        if !self.has_places {
            return None;
        }
        let rest = self.text.clone().copied().take(6).collect::<Vec<u8>>();
        let (place, length) = match rest.as_slice() {
            [b'u', b's', b'e', b'r', b'@', ..] => (Piece::User, 5),
            b"realm@" => (Piece::Realm, 6),
            _ => return None,
        };
        self.text.nth(length - 1);
        Some(place)
    }

    /// Two hexadecimal digits.
    fn escaped(&mut self) -> Result<u8, NoFilter> {
        let mut digit = || self.text.next().and_then(|digit| char::from(*digit).to_digit(16));
        let octet = digit().zip(digit()).and_then(|(high, low)| u8::try_from(high * 16 + low).ok());
        octet.ok_or_else(|| self.stuck())
    }
}

#[cfg(test)]
mod tests {
    use super::{Filter, Names};
    use crate::ldap::ber::{self, Reader};
    use proptest::prelude::*;

    fn encoded(text: &str) -> Vec<u8> {
        Filter::parse(text).unwrap().encode(Names::default()).to_vec()
    }

    #[test]
    fn every_kind_of_filter_travels_as_the_rfc_says() {
        for (text, octets) in [
            ("(a=b)", b"\xa3\x06\x04\x01a\x04\x01b".as_slice()),
            ("(a=)", b"\xa3\x05\x04\x01a\x04\x00"),
            ("(a>=b)", b"\xa5\x06\x04\x01a\x04\x01b"),
            ("(a<=b)", b"\xa6\x06\x04\x01a\x04\x01b"),
            ("(a~=b)", b"\xa8\x06\x04\x01a\x04\x01b"),
            ("(a=*)", b"\x87\x01a"),
            ("(!(a=*))", b"\xa2\x03\x87\x01a"),
            (" (& (a=*) (|(b=*)(c=*) ) ) ", b"\xa0\x0b\x87\x01a\xa1\x06\x87\x01b\x87\x01c"),
            ("(a=b*)", b"\xa4\x08\x04\x01a\x30\x03\x80\x01b"),
            ("(a=*b)", b"\xa4\x08\x04\x01a\x30\x03\x82\x01b"),
            ("(a=b*c**d*e)", b"\xa4\x11\x04\x01a\x30\x0c\x80\x01b\x81\x01c\x81\x01d\x82\x01e"),
            ("(a=\\28\\2A\\5c\\00\\c3\\A4)", b"\xa3\x0b\x04\x01a\x04\x06(*\\\0\xc3\xa4"),
            ("(a=@user@)", b"\xa3\x0b\x04\x01a\x04\x06@user@"),
            ("(a:=b)", b"\xa9\x06\x82\x01a\x83\x01b"),
            ("(a:dn:1.2:=b)", b"\xa9\x0e\x81\x031.2\x82\x01a\x83\x01b\x84\x01\xff"),
            ("(:dn:1.2:=b)", b"\xa9\x0b\x81\x031.2\x83\x01b\x84\x01\xff"),
        ] {
            assert_eq!(encoded(text), octets, "{text}");
        }
        assert_eq!(encoded("(mail=älice)"), b"\xa3\x0e\x04\x04mail\x04\x06\xc3\xa4lice");
    }

    #[test]
    fn what_is_no_filter_is_said_to_be_none() {
        let deep = format!("{}(a=*){}", "(!".repeat(60), ")".repeat(60));
        for text in [
            "",
            "a=b",
            "(a=b",
            "(a=b))",
            "(a)",
            "(=b)",
            "(a>b)",
            "(a=b)(c=d)",
            "(&)",
            "(|)",
            "(&(a=b)",
            "(!)",
            "(!(a=b)(c=d))",
            "(a=b\\)",
            "(a=\\2)",
            "(a=\\zz)",
            "(a=(b))",
            "(a b=c)",
            "(:=b)",
            "(:dn:=b)",
            "(a:x:y:=b)",
            "(a=**)",
            "(a>=b*)",
            "()",
            &deep,
        ] {
            assert!(Filter::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn names_are_octets_of_values_whatever_they_hold() {
        let filter =
            Filter::parse_with_places("(&(userid=@user@)(m=*x@realm@*)(n=\\40user\\40@)(o=@us@))").unwrap();
        let names = Names { user: b"*)(uid=*\\2a\0", realm: b"@user@" };
        let encoded = filter.encode(names);
        let mut list = Reader::new(Reader::new(&encoded).expect(0xa0).unwrap());
        let mut equality = Reader::new(list.expect(0xa3).unwrap());
        assert_eq!(equality.expect(ber::OCTET_STRING), Ok(b"userid".as_slice()));
        assert_eq!(equality.expect(ber::OCTET_STRING), Ok(names.user));
        let mut substrings = Reader::new(list.expect(0xa4).unwrap());
        assert_eq!(substrings.expect(ber::OCTET_STRING), Ok(b"m".as_slice()));
        assert_eq!(substrings.expect(ber::SEQUENCE), Ok(b"\x81\x07x@user@".as_slice()));
        assert_eq!(list.expect(0xa3), Ok(b"\x04\x01n\x04\x07@user@@".as_slice()));
        assert_eq!(list.expect(0xa3), Ok(b"\x04\x01o\x04\x04@us@".as_slice()));
        assert!(list.is_empty());
    }

    #[test]
    fn filters_are_made_without_text_too() {
        let made = Filter::all(vec![Filter::present("mail"), Filter::equal("mail", b"*")]);
        assert_eq!(made.encode(Names::default()).to_vec(), encoded("(&(mail=*)(mail=\\2a))"));
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "[()&|!=*<>~:\\\\@a2 é]{0,40}") {
            for filter in [Filter::parse(&text), Filter::parse_with_places(&text)].into_iter().flatten() {
                let encoded = filter.encode(Names { user: b"u", realm: b"r" });
                prop_assert_eq!(ber::length(&encoded), Ok(Some(encoded.len())));
            }
        }

        #[test]
        fn a_name_stays_in_its_place(user in prop::collection::vec(any::<u8>(), 0..40)) {
            let filter = Filter::parse_with_places("(uid=@user@)").unwrap();
            let encoded = filter.encode(Names { user: &user, realm: b"" });
            prop_assert_eq!(encoded.to_vec(), Filter::equal("uid", &user).encode(Names::default()).to_vec());
        }
    }
}

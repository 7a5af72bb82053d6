//! A connection string of libpq, taken apart: `keyword=value …` or a URI
//! (PostgreSQL's documentation, "Connection Strings").
//!
//! Any part of it may be a password, so an error tells where it is and not
//! what.

use zeroize::Zeroizing;

/// A keyword and its value.
pub(crate) type Pair = (String, Zeroizing<String>);

/// What is wrong with a connection string.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Malformed {
    /// The word of this number, from 1, has no `=` behind it.
    NoValue(usize),
    /// The value of this number has no end.
    NoEnd(usize),
    /// A `%` without two hexadecimal digits, or what they say is no text.
    Escape,
    /// A `[` without its `]`.
    Bracket,
}

impl std::fmt::Display for Malformed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Malformed::NoValue(number) => write!(formatter, "keyword {number} has no ="),
            Malformed::NoEnd(number) => write!(formatter, "value {number} has no end"),
            Malformed::Escape => formatter.write_str("a % without two hexadecimal digits"),
            Malformed::Bracket => formatter.write_str("a [ without ]"),
        }
    }
}

/// Keywords and values in the order of `text`.
pub(crate) fn parse(text: &str) -> Result<Vec<Pair>, Malformed> {
    for scheme in ["postgresql://", "postgres://"] {
        if let Some(rest) = text.strip_prefix(scheme) {
            return uri(rest);
        }
    }
    words(text)
}

/// `keyword = value keyword = 'value'`; a backslash takes away the meaning of
/// the character behind it.
fn words(text: &str) -> Result<Vec<Pair>, Malformed> {
    let mut pairs = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let number = pairs.len() + 1;
        let (keyword, behind) = rest.split_once('=').ok_or(Malformed::NoValue(number))?;
        let keyword = keyword.trim_end();
        if keyword.is_empty() || keyword.contains(char::is_whitespace) {
            return Err(Malformed::NoValue(number));
        }
        let (value, behind) = value(behind.trim_start()).ok_or(Malformed::NoEnd(number))?;
        pairs.push((keyword.to_owned(), value));
        rest = behind.trim_start();
    }
    Ok(pairs)
}

/// The value that `text` begins with, and what is behind it.
fn value(text: &str) -> Option<(Zeroizing<String>, &str)> {
    let is_quoted = text.starts_with('\'');
    let text = text.strip_prefix('\'').unwrap_or(text);
    let mut value = Zeroizing::new(String::with_capacity(text.len()));
    let mut characters = text.char_indices();
    while let Some((at, character)) = characters.next() {
        match character {
            '\\' => value.push(characters.next()?.1),
            '\'' if is_quoted => return Some((value, &text[at + 1..])),
            _ if !is_quoted && character.is_whitespace() => return Some((value, &text[at..])),
            _ => value.push(character),
        }
    }
    (!is_quoted).then_some((value, ""))
}

/// `[user[:password]@][host[:port],…][/dbname][?keyword=value&…]`
fn uri(text: &str) -> Result<Vec<Pair>, Malformed> {
    let mut pairs = Vec::new();
    let mut add = |keyword: &str, value: &str| -> Result<(), Malformed> {
        pairs.push((keyword.to_owned(), decoded(value)?));
        Ok(())
    };
    let (text, query) = text.split_once('?').unwrap_or((text, ""));
    let (authority, dbname) = text.split_once('/').unwrap_or((text, ""));
    let (who, hosts) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = who.split_once(':').unwrap_or((who, ""));
    let places: Vec<(&str, &str)> = hosts.split(',').map(place).collect::<Result<_, _>>()?;
    let list = |part: fn(&(&str, &str)) -> String| places.iter().map(part).collect::<Vec<_>>().join(",");
    let (hosts, ports) = (list(|place| place.0.to_owned()), list(|place| place.1.to_owned()));
    for (keyword, value) in [
        ("user", user),
        ("password", password),
        ("host", hosts.trim_matches(',')),
        ("port", if ports.trim_matches(',').is_empty() { "" } else { &ports }),
        ("dbname", dbname),
    ] {
        if !value.is_empty() {
            add(keyword, value)?;
        }
    }
    for (index, parameter) in query.split('&').filter(|parameter| !parameter.is_empty()).enumerate() {
        match parameter.split_once('=').ok_or(Malformed::NoValue(index + 1))? {
            // As JDBC writes it.
            ("ssl", "true") => add("sslmode", "require")?,
            (keyword, value) => add(keyword, value)?,
        }
    }
    Ok(pairs)
}

/// Host and port of one place; IPv6 addresses stand in brackets.
fn place(text: &str) -> Result<(&str, &str), Malformed> {
    if let Some(inner) = text.strip_prefix('[') {
        let (address, port) = inner.split_once(']').ok_or(Malformed::Bracket)?;
        return Ok((address, port.strip_prefix(':').unwrap_or_default()));
    }
    Ok(text.split_once(':').unwrap_or((text, "")))
}

/// `text` with its `%XX` resolved.
fn decoded(text: &str) -> Result<Zeroizing<String>, Malformed> {
    let mut octets = Zeroizing::new(Vec::with_capacity(text.len()));
    let mut rest = text.as_bytes();
    while let Some((&octet, behind)) = rest.split_first() {
        rest = behind;
        if octet != b'%' {
            octets.push(octet);
            continue;
        }
        let (digits, behind) = rest.split_at_checked(2).ok_or(Malformed::Escape)?;
        let digits = std::str::from_utf8(digits).map_err(|_| Malformed::Escape)?;
        let is_hex = digits.bytes().all(|digit| digit.is_ascii_hexdigit());
        let octet = u8::from_str_radix(digits, 16).ok().filter(|_| is_hex);
        octets.push(octet.filter(|octet| *octet != 0).ok_or(Malformed::Escape)?);
        rest = behind;
    }
    let text = std::str::from_utf8(&octets).map_err(|_| Malformed::Escape)?;
    Ok(Zeroizing::new(text.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::{Malformed, parse};
    use proptest::prelude::*;

    fn pairs(text: &str) -> Vec<(String, String)> {
        let plain = |(keyword, value): super::Pair| (keyword, value.to_string());
        parse(text).unwrap().into_iter().map(plain).collect()
    }

    fn expected(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(keyword, value)| ((*keyword).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn words_are_keywords_and_values() {
        for (text, wanted) in [
            ("", [].as_slice()),
            ("  host=a  port = 5 ", &[("host", "a"), ("port", "5")]),
            (r"password='a b\'\\c' user=x", &[("password", r"a b'\c"), ("user", "x")]),
            (r"password=a\ b\=c user=''", &[("password", "a b=c"), ("user", "")]),
            ("user= dbname", &[("user", "dbname")]),
            ("options='-c a=b'", &[("options", "-c a=b")]),
        ] {
            assert_eq!(pairs(text), expected(wanted), "{text}");
        }
    }

    #[test]
    fn a_uri_says_the_same() {
        for (text, wanted) in [
            ("postgres://", [].as_slice()),
            ("postgresql://h", &[("host", "h")]),
            ("postgresql:///d", &[("dbname", "d")]),
            (
                "postgresql://u:p%40%2f@h:5/d?sslmode=verify-full&application_name=a%20b",
                &[
                    ("user", "u"),
                    ("password", "p@/"),
                    ("host", "h"),
                    ("port", "5"),
                    ("dbname", "d"),
                    ("sslmode", "verify-full"),
                    ("application_name", "a b"),
                ],
            ),
            ("postgresql://a:1,b,[::1]:3/", &[("host", "a,b,::1"), ("port", "1,,3")]),
            (
                "postgresql://%2Frun%2Fpg/d?ssl=true",
                &[("host", "/run/pg"), ("dbname", "d"), ("sslmode", "require")],
            ),
        ] {
            assert_eq!(pairs(text), expected(wanted), "{text}");
        }
    }

    #[test]
    fn what_is_none_is_an_error_that_tells_no_secret() {
        for (text, flaw) in [
            ("host", Malformed::NoValue(1)),
            ("host=a password=b c", Malformed::NoValue(3)),
            ("host=a password=b c=d e", Malformed::NoValue(4)),
            ("=a", Malformed::NoValue(1)),
            ("password='a", Malformed::NoEnd(1)),
            (r"password=a\", Malformed::NoEnd(1)),
            ("postgresql://h/d%4", Malformed::Escape),
            ("postgresql://h/d%zz", Malformed::Escape),
            ("postgresql://h/d%+1", Malformed::Escape),
            ("postgresql://h/d%00", Malformed::Escape),
            ("postgresql://h/d%ff", Malformed::Escape),
            ("postgresql://[::1/d", Malformed::Bracket),
            ("postgresql://h/d?x", Malformed::NoValue(1)),
        ] {
            assert_eq!(parse(text), Err(flaw), "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "(postgresql://|)[ a-z='\\\\@:/?&%0-9,\\[\\]é]{0,60}") {
            if let Ok(pairs) = parse(&text) {
                prop_assert!(pairs.iter().all(|(keyword, _)| !keyword.contains(' ')) || text.contains("://"));
            }
        }

        #[test]
        fn a_quoted_value_reads_back(value in "\\PC{0,40}") {
            let quoted = value.replace('\\', "\\\\").replace('\'', "\\'");
            let pairs = parse(&format!("user='{quoted}' dbname = x")).unwrap();
            prop_assert_eq!(pairs[0].1.as_str(), value.as_str());
        }
    }
}

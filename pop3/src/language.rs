//! LANG (RFC 6856 section 3): we speak English, also under its default name.

use alloc::vec::Vec;

use crate::reply::{self, put_line};

/// Tags and names, in the order of the listing; the first is what `*` means.
const LANGUAGES: [(&str, &str); 2] = [("en", "English"), ("i-default", "Default language")];

/// Answers LANG with its argument, if it had one.
pub(crate) fn answer(range: Option<&[u8]>, out: &mut Vec<u8>) {
    match range {
        None => list(out),
        Some(range) => match look_up(range) {
            Some((tag, name)) => put_line!(out, "+OK {tag} {name}"),
            None => reply::put(reply::NO_SUCH_LANGUAGE, out),
        },
    }
}

fn list(out: &mut Vec<u8>) {
    reply::put(reply::LANGUAGES, out);
    for (tag, name) in LANGUAGES {
        put_line!(out, "{tag} {name}");
    }
    reply::end(out);
}

/// The look-up of RFC 4647 section 3.4: `en-GB-oed`, then `en-GB`, then `en`.
fn look_up(range: &[u8]) -> Option<(&'static str, &'static str)> {
    if range == b"*" {
        return LANGUAGES.first().copied();
    }
    let mut range = range;
    loop {
        if let Some(found) = LANGUAGES.iter().find(|(tag, _)| tag.as_bytes().eq_ignore_ascii_case(range)) {
            return Some(*found);
        }
        range = &range[..range.iter().rposition(|&octet| octet == b'-')?];
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_narrower_range_finds_the_language_above_it() {
        for (range, tag) in [
            ("*", Some("en")),
            ("en", Some("en")),
            ("EN-gb", Some("en")),
            ("i-default", Some("i-default")),
            ("de", None),
            ("english", None),
            ("", None),
        ] {
            assert_eq!(look_up(range.as_bytes()).map(|found| found.0), tag, "{range}");
        }
    }
}

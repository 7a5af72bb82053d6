//! Foreign text made harmless for a log line or a message.

use std::io;

/// Most octets of one foreign text that are shown.
pub const LIMIT: usize = 256;

/// `octets` as one short line of printable ASCII.
///
/// Every octet that is not printable ASCII becomes a `.`, as Courier shows a
/// user name (reference: wire 13), so a name cannot forge a line, move a
/// terminal's cursor or hide itself. What exceeds [`LIMIT`] octets is cut.
#[must_use]
pub fn printable(octets: &[u8]) -> String {
    octets
        .iter()
        .take(LIMIT)
        .map(|&octet| if is_printable(octet) { char::from(octet) } else { '.' })
        .collect()
}

/// Whether `octets` hold an octet below 0x20, or 0x7f.
#[must_use]
pub fn has_control(octets: &[u8]) -> bool {
    octets.iter().any(u8::is_ascii_control)
}

/// What `error` says, without Rust's note of its number: the words of
/// strerror(3), which people's log filters know.
#[must_use]
pub fn reason(error: &io::Error) -> String {
    let words = error.to_string();
    match words.split_once(" (os error ") {
        Some((reason, _)) => reason.to_owned(),
        None => words,
    }
}

fn is_printable(octet: u8) -> bool {
    octet == b' ' || octet.is_ascii_graphic()
}

#[cfg(test)]
mod tests {
    use super::{LIMIT, printable, reason};

    #[test]
    fn nothing_but_one_line_of_ascii_comes_out() {
        assert_eq!(printable(b"bob@example.com"), "bob@example.com");
        assert_eq!(printable(b"a\r\nERR: b\x1b[2J\xc3\xa9\0"), "a..ERR: b.[2J...");
        assert_eq!(printable(&[b'x'; 9000]).len(), LIMIT);
    }

    #[test]
    fn a_reason_is_what_strerror_says() {
        assert_eq!(reason(&std::io::Error::from_raw_os_error(111)), "Connection refused");
        assert_eq!(reason(&std::io::Error::other("nothing")), "nothing");
    }
}

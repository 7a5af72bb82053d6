//! The fields that say where headers are: MIME-Version, and of Content-Type the
//! type and the boundary (RFC 2045 sections 4 and 5.1, RFC 2046 sections 5.1 and 5.2).

/// What a part's body is.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// Parts.
    Multipart {
        /// What is between them.
        boundary: Vec<u8>,
        /// Whether they are messages if they do not say otherwise.
        is_digest: bool,
    },
    /// A message with its own header.
    Message,
    /// Nothing that has headers.
    Other,
}

/// Whether the value of a MIME-Version field is the one that there is: 1.0 (RFC
/// 2045 section 4). As with Courier, the number before the dot decides.
pub(crate) fn is_version_1(value: &[u8]) -> bool {
    let version = Items(value).next_item().unwrap_or_default();
    version.split(|byte| !byte.is_ascii_digit()).next() == Some(b"1")
}

/// Reads the value of a Content-Type field, unfolded.
pub(crate) fn kind_of(value: &[u8]) -> Kind {
    let mut items = Items(value);
    let Some(media_type) = items.next_item() else { return Kind::Other };
    let media_type = media_type.to_ascii_lowercase();
    if matches!(media_type.as_slice(), b"message/rfc822" | b"message/global") {
        return Kind::Message;
    }
    if !media_type.starts_with(b"multipart/") {
        return Kind::Other;
    }
    while let Some(parameter) = items.next_item() {
        let Some(equals) = memchr::memchr(b'=', &parameter) else { continue };
        let (name, boundary) = (&parameter[..equals], parameter[equals + 1..].trim_ascii());
        if name.trim_ascii().eq_ignore_ascii_case(b"boundary") && !boundary.is_empty() {
            // A delimiter cannot end in white space (RFC 2046 section 5.1.1).
            let is_digest = media_type == b"multipart/digest";
            return Kind::Multipart { boundary: boundary.to_vec(), is_digest };
        }
    }
    Kind::Other
}

/// The rest of a field value, taken item by item at its semicolons.
struct Items<'a>(&'a [u8]);

impl Items<'_> {
    /// The next item without its quotes and comments and the white space around it.
    fn next_item(&mut self) -> Option<Vec<u8>> {
        if self.0.is_empty() {
            return None;
        }
        let (mut item, mut quoted, mut comments) = (Vec::new(), false, 0_u32);
        while let Some((byte, rest)) = self.0.split_first() {
            self.0 = rest;
            match byte {
                b'\\' if quoted || comments > 0 => {
                    let Some((escaped, rest)) = self.0.split_first() else { break };
                    self.0 = rest;
                    item.extend((comments == 0).then_some(escaped));
                }
                b'"' if comments == 0 => quoted = !quoted,
                b'(' if !quoted => comments = comments.saturating_add(1),
                b')' if !quoted && comments > 0 => comments -= 1,
                b';' if !quoted && comments == 0 => break,
                _ if comments > 0 => {}
                byte => item.push(*byte),
            }
        }
        Some(item.trim_ascii().to_vec())
    }
}

#[cfg(test)]
mod tests {
    use super::{Kind, is_version_1, kind_of};

    fn multipart(boundary: &[u8]) -> Kind {
        Kind::Multipart { boundary: boundary.to_vec(), is_digest: false }
    }

    #[test]
    fn boundaries_are_found_among_parameters() {
        assert_eq!(kind_of(b" multipart/mixed; boundary=abc"), multipart(b"abc"));
        assert_eq!(
            kind_of(b"Multipart/Mixed; charset=x; BOUNDARY=\"a;b \\\" c\" ; y=z"),
            multipart(b"a;b \" c")
        );
        assert_eq!(kind_of(b"multipart/mixed (a ; (b)) ; boundary=abc (c)"), multipart(b"abc"));
        assert_eq!(kind_of(b"multipart/mixed; boundary = abc"), multipart(b"abc"));
    }

    #[test]
    fn without_a_boundary_there_are_no_parts() {
        for value in [
            b"multipart/mixed".as_slice(),
            b"multipart/mixed; boundary=",
            b"text/plain; boundary=x",
            b"",
            b";",
        ] {
            assert_eq!(kind_of(value), Kind::Other, "{}", value.escape_ascii());
        }
    }

    #[test]
    fn messages_are_messages() {
        assert_eq!(kind_of(b"message/rfc822"), Kind::Message);
        assert_eq!(kind_of(b" MESSAGE/Global; x=y"), Kind::Message);
        assert_eq!(kind_of(b"message/partial"), Kind::Other);
    }

    #[test]
    fn there_is_one_version_of_mime() {
        for value in [b" 1.0".as_slice(), b"1.0 (made by x)", b"(y) 1.0", b"1"] {
            assert!(is_version_1(value), "{}", value.escape_ascii());
        }
        for value in [b"".as_slice(), b" 2.0", b"x", b"10", b"(1.0)"] {
            assert!(!is_version_1(value), "{}", value.escape_ascii());
        }
    }
}

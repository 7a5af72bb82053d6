//! Unique-ids as UIDL shows them (maildir.md 5, RFC 1939 section 7).

use std::fmt::{self, Display, Formatter, Write};

/// Octets of the longest unique-id that RFC 1939 allows.
const LONGEST: usize = 70;

/// What makes a message's unique-id, together with its file name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Id {
    /// Given by us or by Courier: `UID<uid>-<validity>`, or `UID<uid>` if the
    /// validity is 0.
    Numbered { uid: u64, validity: u64 },
    /// From a very old list, or for a name that no list can hold: the unique
    /// name. The validity is only carried along.
    Name { validity: u64 },
    /// For a message that cannot be given anything better.
    File { modified: i64, device: u64, inode: u64 },
}

/// A unique-id, to be written out.
#[derive(Clone, Copy)]
pub struct UniqueId<'a> {
    pub(crate) id: Id,
    pub(crate) unique: &'a [u8],
}

impl UniqueId<'_> {
    /// Whether RFC 1939 would take it: 1 to 70 octets.
    pub(crate) fn is_short(&self) -> bool {
        let length = escaped_length(self.unique);
        !matches!(self.id, Id::Name { .. }) || (1..=LONGEST).contains(&length)
    }

    /// The uid and validity that look like this unique-id, if any do.
    pub(crate) fn as_numbered(&self) -> Option<(u64, u64)> {
        match self.id {
            Id::Numbered { uid, validity } => Some((uid, validity)),
            Id::Name { .. } => looks_numbered(self.unique),
            Id::File { .. } => None,
        }
    }
}

impl Display for UniqueId<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        match self.id {
            Id::Numbered { uid, validity: 0 } => write!(out, "UID{uid}"),
            Id::Numbered { uid, validity } => write!(out, "UID{uid}-{validity}"),
            Id::Name { .. } => escape(self.unique, out),
            // The form that Courier shows when it cannot save its list.
            Id::File { modified, device, inode } => {
                write!(out, "ENOMEM-{modified:016X}-{device:016X}-{inode:016X}")
            }
        }
    }
}

impl fmt::Debug for UniqueId<'_> {
    fn fmt(&self, out: &mut Formatter<'_>) -> fmt::Result {
        Display::fmt(self, out)
    }
}

/// Whether Courier writes this byte of a name as it is.
fn is_plain(byte: u8) -> bool {
    matches!(byte, 0x21..=0x7E) && !matches!(byte, b'\'' | b'"' | b'+')
}

fn escape(unique: &[u8], out: &mut Formatter<'_>) -> fmt::Result {
    unique.iter().try_for_each(|byte| match is_plain(*byte) {
        true => out.write_char(char::from(*byte)),
        false => write!(out, "+{byte:02X}"),
    })
}

fn escaped_length(unique: &[u8]) -> usize {
    unique.iter().map(|byte| if is_plain(*byte) { 1 } else { 3 }).sum()
}

/// `UID<uid>` or `UID<uid>-<validity>` as numbers, if written just so.
fn looks_numbered(text: &[u8]) -> Option<(u64, u64)> {
    let text = std::str::from_utf8(text).ok()?;
    let mut parts = text.strip_prefix("UID")?.splitn(2, '-').map(str::parse);
    let uid = parts.next()?.ok()?;
    let validity = parts.next().unwrap_or(Ok(0)).ok()?;
    let id = Id::Numbered { uid, validity };
    let same = UniqueId { id, unique: b"" }.to_string() == text;
    same.then_some((uid, validity))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(id: Id, unique: &[u8]) -> String {
        UniqueId { id, unique }.to_string()
    }

    #[test]
    fn ids_look_as_couriers_do() {
        assert_eq!(shown(Id::Numbered { uid: 19, validity: 1_795_397_094 }, b"x"), "UID19-1795397094");
        assert_eq!(shown(Id::Numbered { uid: 4, validity: 0 }, b"x"), "UID4");
        assert_eq!(shown(Id::Name { validity: 5 }, b"2a+'\"b c"), "2a+2B+27+22b+20c");
        assert_eq!(
            shown(Id::File { modified: 0x6B03_98C1, device: 0xFE00, inode: 0x9B_46CA }, b"x"),
            "ENOMEM-000000006B0398C1-000000000000FE00-00000000009B46CA"
        );
    }

    #[test]
    fn every_form_that_we_give_is_short_enough() {
        let greatest = Id::Numbered { uid: u64::MAX, validity: u64::MAX };
        assert!(shown(greatest, b"").len() <= LONGEST);
        let file = Id::File { modified: i64::MIN, device: u64::MAX, inode: u64::MAX };
        assert!(shown(file, b"").len() <= LONGEST);
        assert!(UniqueId { id: Id::Name { validity: 0 }, unique: &[b'x'; LONGEST] }.is_short());
        assert!(!UniqueId { id: Id::Name { validity: 0 }, unique: &[b' '; LONGEST] }.is_short());
        assert!(!UniqueId { id: Id::Name { validity: 0 }, unique: b"" }.is_short());
    }

    #[test]
    fn a_name_that_looks_like_a_number_is_recognised() {
        let name = |unique| UniqueId { id: Id::Name { validity: 0 }, unique }.as_numbered();
        assert_eq!(name(b"UID5-17"), Some((5, 17)));
        assert_eq!(name(b"UID5"), Some((5, 0)));
        for other in
            [b"UID05-17".as_slice(), b"UID5-017", b"UID5-0", b"UID+5", b"UID", b"UID5-", b"uid5", b"UID5-1-2"]
        {
            assert_eq!(name(other), None, "{}", other.escape_ascii());
        }
    }
}

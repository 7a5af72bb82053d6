//! How many octets RETR sends for a file: one rule, in one place.

/// Counts the octets that a file becomes on the wire, as it is read in pieces.
///
/// Each LF is sent as CR LF, unless the file has the CR already; a file that
/// does not end in LF gets a CR LF; an empty file is sent as nothing. So there
/// are as many octets as bytes, one more for each LF without CR, and two more
/// for a missing end. Byte-stuffing and the termination octet do not count
/// (RFC 1939 section 11). Courier counts otherwise (ledger 304).
#[derive(Debug, Clone, Copy, Default)]
pub struct Octets {
    bytes: u64,
    bare_line_feeds: u64,
    last: Option<u8>,
}

impl Octets {
    /// Nothing read yet.
    #[must_use]
    pub fn new() -> Octets {
        Octets::default()
    }

    /// Takes the next bytes of the file, cut anywhere.
    pub fn feed(&mut self, bytes: &[u8]) {
        let (Some(first), Some(last)) = (bytes.first(), bytes.last()) else { return };
        self.bare_line_feeds += u64::from(*first == b'\n' && self.last != Some(b'\r'));
        self.bare_line_feeds += bare_line_feeds(bytes);
        self.bytes += bytes.len() as u64;
        self.last = Some(*last);
    }

    /// The octets sent for what was read, if the file ends here.
    #[must_use]
    pub fn total(&self) -> u64 {
        let missing_end = match self.last {
            None | Some(b'\n') => 0,
            Some(_) => 2,
        };
        self.bytes + self.bare_line_feeds + missing_end
    }
}

/// LFs behind another byte than CR; the first byte has none before it.
///
/// Written so that the compiler compares many bytes at once: counted in bytes,
/// in blocks that are not too long for that.
fn bare_line_feeds(bytes: &[u8]) -> u64 {
    const BLOCK: usize = 240;
    let behind = bytes.get(1..).unwrap_or_default();
    let blocks = behind.chunks(BLOCK).zip(bytes.chunks(BLOCK));
    let in_block = |(behind, bytes): (&[u8], &[u8])| {
        let pairs = behind.iter().zip(bytes);
        pairs.fold(0, |count, (byte, before)| count + u8::from((*byte == b'\n') & (*before != b'\r')))
    };
    blocks.map(|block| u64::from(in_block(block))).sum()
}

#[cfg(test)]
mod tests {
    use super::Octets;
    use proptest::prelude::*;

    fn octets(file: &[u8]) -> u64 {
        let mut octets = Octets::new();
        octets.feed(file);
        octets.total()
    }

    /// The file as RETR sends it, byte-stuffing left out.
    fn sent(file: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        for byte in file {
            if *byte == b'\n' && out.last() != Some(&b'\r') {
                out.push(b'\r');
            }
            out.push(*byte);
        }
        if !out.is_empty() && out.last() != Some(&b'\n') {
            out.extend(b"\r\n");
        }
        out
    }

    #[test]
    fn every_kind_of_line_end_is_counted_as_it_is_sent() {
        assert_eq!(octets(b""), 0);
        assert_eq!(octets(b"\n"), 2);
        assert_eq!(octets(b"x"), 3);
        assert_eq!(octets(b"a\r\nb\r\n"), 6);
        assert_eq!(octets(b"a\nb"), 6);
        assert_eq!(octets(b"a\r"), 4);
        assert_eq!(octets(b"a\r\r\n"), 4);
        assert_eq!(octets(b"Subject: t1\nFrom: a@example.com\n\nLine 1\nLine 2\nLine 3\n"), 60);
    }

    proptest! {
        #[test]
        fn the_count_is_what_is_sent_however_the_file_is_cut(
            pieces in proptest::collection::vec(
                proptest::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), any::<u8>()], 0..9), 0..9),
        ) {
            let mut octets = Octets::new();
            for piece in &pieces {
                octets.feed(piece);
            }
            prop_assert_eq!(octets.total(), sent(&pieces.concat()).len() as u64);
        }
    }
}

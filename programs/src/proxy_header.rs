//! The header of the PROXY protocol, versions 1 and 2, by which somebody who
//! stands in front of a server says where a client is
//! (<https://www.haproxy.org/download/2.8/doc/proxy-protocol.txt>).
//!
//! It is read without one octet more than it has, so that what follows, a
//! command or TLS, is left for whom it is meant.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

/// Begins a header of version 1.
const WORD: &[u8] = b"PROXY ";
/// Longest header of version 1, with its CRLF (section 2.1).
const LONGEST_LINE: usize = 107;
/// Begins one of version 2 (section 2.2).
const SIGNATURE: &[u8; 12] = b"\r\n\r\n\0\r\nQUIT\n";
/// Octets of version 2 that say how many there are.
const FIXED: usize = 16;
/// Longest header of version 2 that is believed. Those that are sent have some
/// hundred octets.
const LONGEST: usize = 4096;
/// Octets of two addresses of UNIX sockets.
const UNIX: usize = 216;

/// What a header says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Header {
    /// The connection is the sender's own, or it does not know whose (LOCAL,
    /// UNKNOWN, or no addresses of TCP).
    Senders,
    /// It is a client's.
    Clients {
        /// Where the client is.
        source: SocketAddr,
        /// Where the client has connected to.
        destination: SocketAddr,
    },
}

/// What has come is no header.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("malformed PROXY statement")]
pub struct Malformed;

/// A header that has come in part.
#[derive(Debug, Default)]
pub struct Reader {
    seen: Vec<u8>,
}

impl Reader {
    /// Takes from `input` what belongs to the header; says what that says when it
    /// is complete, and `None` if more has to come.
    ///
    /// # Errors
    /// It is none.
    pub fn take(&mut self, input: &mut &[u8]) -> Result<Option<Header>, Malformed> {
        while !input.is_empty() {
            let wanted = self.wanted(input).min(input.len());
            let (octets, rest) = input.split_at(wanted);
            self.seen.extend_from_slice(octets);
            *input = rest;
            if let Some(header) = self.read()? {
                return Ok(Some(header));
            }
        }
        Ok(None)
    }

    /// How many more octets belong to the header for certain.
    fn wanted(&self, input: &[u8]) -> usize {
        if self.seen.first().or(input.first()) == Some(&WORD[0]) {
            let end = input.iter().position(|octet| *octet == b'\n').map_or(input.len(), |end| end + 1);
            return end.min(LONGEST_LINE.saturating_sub(self.seen.len()).max(1));
        }
        self.length().unwrap_or(FIXED) - self.seen.len()
    }

    /// How long a header of version 2 is, if that is known.
    fn length(&self) -> Option<usize> {
        let [.., high, low] = *self.seen.first_chunk::<FIXED>()?;
        Some(FIXED + usize::from(u16::from_be_bytes([high, low])))
    }

    fn read(&self) -> Result<Option<Header>, Malformed> {
        let begins = |with: &[u8]| self.seen.iter().zip(with).all(|(one, other)| one == other);
        if begins(WORD) {
            return match self.seen.strip_suffix(b"\n") {
                Some(line) => line_says(line).map(Some).ok_or(Malformed),
                None if self.seen.len() >= LONGEST_LINE => Err(Malformed),
                None => Ok(None),
            };
        }
        if !begins(SIGNATURE) {
            return Err(Malformed);
        }
        match self.length() {
            Some(length) if length > LONGEST => Err(Malformed),
            Some(length) if length == self.seen.len() => says(&self.seen).map(Some).ok_or(Malformed),
            Some(_) | None => Ok(None),
        }
    }
}

/// What a header of version 1 says, without its LF.
fn line_says(line: &[u8]) -> Option<Header> {
    let line = std::str::from_utf8(line.strip_suffix(b"\r")?).ok()?;
    let mut words = line.split(' ').skip(1);
    let is_four = match words.next()? {
        "UNKNOWN" => return Some(Header::Senders),
        "TCP4" => true,
        "TCP6" => false,
        _ => return None,
    };
    let words: Vec<&str> = words.collect();
    let [source, destination, source_port, destination_port] = *words.as_slice() else { return None };
    let address = |ip: &str, port: &str| {
        let ip: IpAddr = ip.parse().ok().filter(|ip: &IpAddr| ip.is_ipv4() == is_four)?;
        let is_number = port.bytes().all(|octet| octet.is_ascii_digit());
        Some(SocketAddr::new(ip, port.parse().ok().filter(|_| is_number)?))
    };
    Some(Header::Clients {
        source: address(source, source_port)?,
        destination: address(destination, destination_port)?,
    })
}

/// What a complete header of version 2 says. What stands behind the addresses
/// (TLVs) is not looked at.
fn says(header: &[u8]) -> Option<Header> {
    let (fixed, rest) = header.split_at_checked(FIXED)?;
    match (fixed[12], fixed[13]) {
        // LOCAL: whatever addresses there are, they are to be ignored.
        (0x20, _) | (0x21, 0x00) => Some(Header::Senders),
        (0x21, 0x11) => {
            let (source, rest) = rest.split_first_chunk::<4>()?;
            let (destination, rest) = rest.split_first_chunk::<4>()?;
            clients(Ipv4Addr::from(*source).into(), Ipv4Addr::from(*destination).into(), rest)
        }
        (0x21, 0x21) => {
            let (source, rest) = rest.split_first_chunk::<16>()?;
            let (destination, rest) = rest.split_first_chunk::<16>()?;
            clients(Ipv6Addr::from(*source).into(), Ipv6Addr::from(*destination).into(), rest)
        }
        (0x21, 0x31) => (rest.len() >= UNIX).then_some(Header::Senders),
        _ => None,
    }
}

fn clients(source: IpAddr, destination: IpAddr, rest: &[u8]) -> Option<Header> {
    let [high, low, to_high, to_low] = *rest.first_chunk::<4>()?;
    Some(Header::Clients {
        source: SocketAddr::new(source, u16::from_be_bytes([high, low])),
        destination: SocketAddr::new(destination, u16::from_be_bytes([to_high, to_low])),
    })
}

#[cfg(test)]
mod tests {
    use super::{Header, LONGEST, LONGEST_LINE, Malformed, Reader, SIGNATURE};
    use proptest::prelude::*;

    /// What the header is, and what is left behind it.
    fn read(octets: &[u8]) -> Result<(Option<Header>, &[u8]), Malformed> {
        let mut rest = octets;
        Ok((Reader::default().take(&mut rest)?, rest))
    }

    fn clients(source: &str, destination: &str) -> Option<Header> {
        let (source, destination) = (source.parse().unwrap(), destination.parse().unwrap());
        Some(Header::Clients { source, destination })
    }

    fn second(command: u8, family: u8, rest: &[u8]) -> Vec<u8> {
        let length = u16::try_from(rest.len()).unwrap().to_be_bytes();
        [&SIGNATURE[..], &[command, family], &length, rest].concat()
    }

    const FOUR: &[u8] = &[192, 0, 2, 1, 192, 0, 2, 2, 4, 210, 0, 110];

    #[test]
    fn version_1_is_a_line() {
        let line = b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 110\r\nUSER alice\r\n";
        assert_eq!(read(line), Ok((clients("192.0.2.1:1234", "192.0.2.2:110"), &b"USER alice\r\n"[..])));
        let line = b"PROXY TCP6 2001:db8::1 ::1 0 65535\r\n";
        assert_eq!(read(line), Ok((clients("[2001:db8::1]:0", "[::1]:65535"), &b""[..])));
        for line in ["PROXY UNKNOWN\r\nx", "PROXY UNKNOWN ffff::1 anything 1 2 3\r\nx"] {
            assert_eq!(read(line.as_bytes()), Ok((Some(Header::Senders), &b"x"[..])));
        }
    }

    #[test]
    fn version_2_is_octets_and_what_stands_behind_the_addresses_is_skipped() {
        let expected = clients("192.0.2.1:1234", "192.0.2.2:110");
        let header = [&second(0x21, 0x11, FOUR)[..], b"\x16\x03"].concat();
        assert_eq!(read(&header), Ok((expected, &b"\x16\x03"[..])));
        let with_tlv = [FOUR, &[0xea, 0, 3, 1, 2, 3]].concat();
        assert_eq!(read(&second(0x21, 0x11, &with_tlv)), Ok((expected, &b""[..])));
        let six = [&[0x20, 1, 0xd, 0xb8][..], &[0; 12], &[0; 16], &[0, 1, 0, 2]].concat();
        assert_eq!(read(&second(0x21, 0x21, &six)), Ok((clients("[2001:db8::]:1", "[::]:2"), &b""[..])));
        for local in [second(0x20, 0x11, FOUR), second(0x20, 0, b""), second(0x21, 0, b"xyz")] {
            assert_eq!(read(&local), Ok((Some(Header::Senders), &b""[..])));
        }
        assert_eq!(read(&second(0x21, 0x31, &[0; 216])), Ok((Some(Header::Senders), &b""[..])));
    }

    #[test]
    fn what_is_no_header_is_refused_as_soon_as_that_is_seen() {
        for wrong in [
            &b"U"[..],
            b"PROXX",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 110\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 110 5\r\n",
            b"PROXY TCP4 192.0.2.1  192.0.2.2 1234 110\r\n",
            b"PROXY TCP4 ::1 ::1 1234 110\r\n",
            b"PROXY TCP6 192.0.2.1 ::1 1234 110\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 +1 110\r\n",
            b"PROXY TCP4 192.0.2.1 192.0.2.2 65536 110\r\n",
            b"PROXY UDP4 192.0.2.1 192.0.2.2 1 110\r\n",
            b"PROXY \r\n",
            b"\r\n\r\n\0\r\nQUIX",
        ] {
            assert_eq!(read(wrong), Err(Malformed), "{}", wrong.escape_ascii());
        }
        let long = [b"PROXY UNKNOWN ", &[b'x'; LONGEST_LINE][..]].concat();
        assert_eq!(read(&long), Err(Malformed));
        for (command, family, rest) in [
            (0x11, 0x11, FOUR),
            (0x22, 0x11, FOUR),
            (0x21, 0x12, FOUR),
            (0x21, 0x11, &FOUR[1..]),
            (0x21, 0x31, FOUR),
        ] {
            assert_eq!(read(&second(command, family, rest)), Err(Malformed));
        }
        assert_eq!(read(&second(0x20, 0, &[0; LONGEST])), Err(Malformed));
    }

    proptest! {
        #[test]
        fn a_header_may_come_in_any_pieces(cuts in prop::collection::vec(1usize..9, 0..40), version in 0..2) {
            let header = match version {
                0 => b"PROXY TCP4 192.0.2.1 192.0.2.2 1234 110\r\n".to_vec(),
                _ => second(0x21, 0x11, &[FOUR, &[4, 0, 1, 0]].concat()),
            };
            let all = [&header[..], b"STAT"].concat();
            let (mut reader, mut rest, mut found) = (Reader::default(), &all[..], None);
            for cut in cuts.into_iter().chain([all.len(); 1]) {
                let cut = cut.min(rest.len());
                let (mut piece, later) = rest.split_at(cut);
                let length = piece.len();
                found = reader.take(&mut piece).unwrap();
                if found.is_some() {
                    rest = &rest[length - piece.len()..];
                    break;
                }
                prop_assert!(piece.is_empty());
                rest = later;
            }
            prop_assert_eq!(found, clients("192.0.2.1:1234", "192.0.2.2:110"));
            prop_assert_eq!(rest, b"STAT");
        }

        #[test]
        fn anything_is_read_without_harm(octets in any::<Vec<u8>>(), signed: bool) {
            let octets = if signed { [&SIGNATURE[..], &octets].concat() } else { octets };
            let _ = read(&octets);
        }
    }
}

//! The multi-line encoder: what a client makes of the reply has the octets that
//! were announced, and the size list's rule says the same number.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3::{Encoder, Wrapper};

/// What a client gets: dots removed, the termination found.
fn received(wire: &[u8]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut lines = wire.split_inclusive(|&octet| octet == b'\n');
    for line in lines.by_ref() {
        if line == b".\r\n" {
            break;
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    assert_eq!(lines.next(), None, "octets behind the termination");
    text
}

fuzz_target!(|input: (u8, Option<u8>, bool, &[u8])| {
    let (cut, top, wrapped, text) = input;
    let wrapper = Wrapper::new("=_b", "message/global");
    let wrapper = wrapped.then_some(&wrapper);
    let (head, tail) = text.split_at(usize::from(cut).min(text.len()));
    let mut out = Vec::new();
    let mut encoder = match top {
        Some(lines) => Encoder::top(u64::from(lines), wrapper, &mut out),
        None => Encoder::whole(wrapper, &mut out),
    };
    encoder.push(head, &mut out);
    encoder.push(tail, &mut out);
    let sent = encoder.finish(&mut out);
    assert_eq!(received(&out).len() as u64, sent.octets);
    if top.is_none() {
        let mut octets = maildir::Octets::new();
        octets.feed(head);
        octets.feed(tail);
        assert_eq!(octets.total() + wrapper.map_or(0, Wrapper::octets), sent.octets);
    }
});

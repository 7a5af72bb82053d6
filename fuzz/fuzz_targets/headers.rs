//! The scanner for 8-bit headers: any cut of the message gives the same answer.

#![no_main]

use libfuzzer_sys::fuzz_target;
use maildir::Headers;

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, text) = input;
    let (head, tail) = text.split_at(usize::from(cut).min(text.len()));
    let answer = |pieces: &[&[u8]]| {
        let mut headers = Headers::new();
        pieces.iter().for_each(|piece| headers.feed(piece));
        headers.are_utf8()
    };
    assert_eq!(answer(&[text]), answer(&[head, tail]));
    assert!(!text.is_ascii() || !answer(&[text]));
});

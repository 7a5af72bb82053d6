//! The line reader: any cut of the input gives the same lines, each no longer
//! than the limit.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3::{Line, LineReader};

const LIMIT: usize = 64;

fn lines(pieces: &[&[u8]]) -> Vec<Option<Vec<u8>>> {
    let mut reader = LineReader::new(LIMIT);
    let mut lines = Vec::new();
    for piece in pieces {
        let mut rest = *piece;
        while !rest.is_empty() {
            if let Some(line) = reader.take(&mut rest) {
                lines.push(match line {
                    Line::Text(text) => Some(text.to_vec()),
                    Line::TooLong | Line::Nul => None,
                });
            }
        }
    }
    lines
}

fuzz_target!(|input: (u8, &[u8])| {
    let (cut, text) = input;
    let (head, tail) = text.split_at(usize::from(cut).min(text.len()));
    let whole = lines(&[text]);
    assert_eq!(whole, lines(&[head, tail]));
    assert_eq!(whole.len(), text.iter().filter(|&&octet| octet == b'\n').count());
    assert!(whole.iter().flatten().all(|line| line.len() < LIMIT && !line.contains(&0)));
});

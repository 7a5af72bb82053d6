//! The TRANSACTION state: STAT and LIST agree, marked messages are never named,
//! and what QUIT leaves is what DELE said.

#![no_main]

use libfuzzer_sys::fuzz_target;
use pop3::{COMMAND_LIMIT, LineReader, Maildrop, Transaction, TransactionAction as Action, Wrapper};

struct Sizes(Vec<(u32, bool)>);

impl Maildrop for Sizes {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn octets(&self, place: usize) -> u64 {
        u64::from(self.0[place].0)
    }
    fn is_utf8(&self, place: usize) -> bool {
        self.0[place].1
    }
    fn put_unique_id(&self, place: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(format!("UID{place}").as_bytes());
    }
}

fn say(session: &mut Transaction<Sizes>, command: &[u8]) -> String {
    let mut out = Vec::new();
    let mut reader = LineReader::new(COMMAND_LIMIT);
    let line = reader.take(&mut &command[..]).expect("a line");
    if let Action::List(mut listing) = session.line(&line, &mut out) {
        while !session.list(&mut listing, out.len() + 1, &mut out) {}
    }
    String::from_utf8(out).expect("replies are text")
}

/// Count and octets, as the scan listing gives them.
fn sum_of_listing(session: &mut Transaction<Sizes>) -> (u64, u64) {
    let listing = say(session, b"LIST\r\n");
    let lines = listing.lines().skip(1).take_while(|line| *line != ".");
    lines.fold((0, 0), |(count, sum), line| {
        let octets: u64 = line.split(' ').nth(1).and_then(|word| word.parse().ok()).expect("octets");
        (count + 1, sum + octets)
    })
}

fuzz_target!(|input: (Vec<(u32, bool)>, bool, &[u8])| {
    let (sizes, utf8, mut text) = input;
    let count = sizes.len();
    let mut session = Transaction::new(Sizes(sizes), utf8, Wrapper::new("=_b", "message/global"));
    let mut reader = LineReader::new(COMMAND_LIMIT);
    while let Some(line) = reader.take(&mut text) {
        let mut out = Vec::new();
        match session.line(&line, &mut out) {
            Action::Continue => assert!(out.ends_with(b"\r\n")),
            Action::List(mut listing) => {
                while !session.list(&mut listing, out.len() + 1, &mut out) {}
                assert!(out.ends_with(b".\r\n"));
            }
            Action::Retrieve(retrieval) => {
                assert!(out.is_empty() && retrieval.message.place() < count);
                let encoder = session.begin(retrieval, 1, &mut out);
                encoder.finish(&mut out);
                assert!(out.ends_with(b".\r\n"));
            }
            Action::Update => break,
            Action::Drop => return,
        }
    }
    let (left, octets) = sum_of_listing(&mut session);
    assert_eq!(say(&mut session, b"STAT\r\n"), format!("+OK {left} {octets}\r\n"));
    let (_, update) = session.into_update();
    assert_eq!(update.into_places().count() as u64 + left, count as u64);
});

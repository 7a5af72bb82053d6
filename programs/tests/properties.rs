//! What holds for every file and every way of sending commands, not only for
//! those that a dialogue shows.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod support;

use proptest::prelude::*;
use proptest::test_runner::Config;

use crate::support::Home;

/// Commands that make sense, that do not, and that are cut short.
const COMMANDS: [&str; 20] = [
    "STAT", "LIST", "LIST 2", "LIST 9", "UIDL", "UIDL 1", "RETR 1", "RETR 2", "RETR 4", "TOP 1 0", "TOP 2 1",
    "DELE 1", "DELE 2", "DELE 1x", "RSET", "NOOP", "CAPA", "XYZZY", "", "LANG en",
];

/// Files that matter to the encoder: line ends of all kinds, dots, nothing.
fn file() -> impl Strategy<Value = Vec<u8>> {
    let octet = prop_oneof![
        3 => Just(b'\n'),
        2 => Just(b'\r'),
        2 => Just(b'.'),
        1 => Just(0),
        1 => Just(b':'),
        4 => any::<u8>(),
    ];
    proptest::collection::vec(octet, 0..300)
}

/// The text of a multi-line reply as a client takes it, and what is behind it.
fn take_text(reply: &[u8]) -> (Vec<u8>, &[u8]) {
    let mut text = Vec::new();
    let mut rest = reply;
    while let Some(end) = rest.windows(2).position(|pair| pair == b"\r\n") {
        let (line, behind) = rest.split_at(end + 2);
        rest = behind;
        if line == b".\r\n" {
            return (text, rest);
        }
        text.extend_from_slice(line.strip_prefix(b".").unwrap_or(line));
    }
    panic!("no termination octet in {:?}", String::from_utf8_lossy(reply));
}

/// The first line of `reply`, and what is behind it.
fn take_line(reply: &[u8]) -> (String, &[u8]) {
    let end = reply.iter().position(|&octet| octet == b'\n').expect("a line") + 1;
    (String::from_utf8_lossy(&reply[..end]).trim_end().to_owned(), &reply[end..])
}

fn word(line: &str, number: usize) -> u64 {
    line.split(' ').nth(number).and_then(|word| word.parse().ok()).unwrap_or_else(|| panic!("{line}"))
}

/// Splits `input` at `cuts`.
fn pieces<'a>(input: &'a [u8], cuts: &[usize]) -> Vec<&'a [u8]> {
    let mut cuts: Vec<usize> = cuts.iter().map(|cut| cut % (input.len() + 1)).collect();
    cuts.sort_unstable();
    let mut start = 0;
    let mut pieces = Vec::new();
    for cut in cuts.into_iter().chain([input.len()]) {
        pieces.push(&input[start..cut]);
        start = cut;
    }
    pieces
}

/// A maildrop of three messages whose unique-ids are given already, so that
/// two sessions see the same.
fn maildrop() -> Home {
    let home = Home::new().unwrap();
    home.put("cur/1000000001.a.h:2,S", b"Subject: one\n\nfirst\n.dot\n").unwrap();
    home.put("cur/1000000002.b.h:2,S", b"Subject: two\r\n\r\nno end").unwrap();
    home.put("cur/1000000003.c.h:2,S", b"").unwrap();
    let list = b"/3 4 1795397094\n1000000001.a.h:2,S 26 1:1795397094:0\n\
        1000000002.b.h:2,S 22 2:1795397094:0\n1000000003.c.h:2,S 0 3:1795397094:0\n";
    home.put("courierpop3dsizelist", list).unwrap();
    home
}

proptest! {
    #![proptest_config(Config { cases: 2000, failure_persistence: None, ..Config::default() })]

    #[test]
    fn the_size_list_and_the_encoder_count_alike(text in file(), cut in 0usize..300) {
        let (head, tail) = text.split_at(cut.min(text.len()));
        let mut octets = maildir::Octets::new();
        octets.feed(head);
        octets.feed(tail);
        let mut out = Vec::new();
        let mut encoder = pop3::Encoder::whole(None, &mut out);
        encoder.push(&text, &mut out);
        prop_assert_eq!(encoder.finish(&mut out).octets, octets.total());
    }
}

proptest! {
    #![proptest_config(Config { cases: 24, failure_persistence: None, ..Config::default() })]

    #[test]
    fn octets_announced_are_octets_sent_for_any_file(text in file()) {
        let home = Home::new().unwrap();
        home.put("new/1000000001.a.h", &text).unwrap();
        let replies = home.session(&[b"STAT\r\nLIST 1\r\nRETR 1\r\nQUIT\r\n"]).unwrap();
        let (_, rest) = take_line(&replies);
        let (stat, rest) = take_line(rest);
        let (list, rest) = take_line(rest);
        let (retr, rest) = take_line(rest);
        let (received, rest) = take_text(rest);
        let octets = received.len() as u64;
        prop_assert_eq!((word(&stat, 2), word(&list, 2), word(&retr, 1)), (octets, octets, octets));
        prop_assert_eq!(rest, b"+OK Bye-bye.\r\n");
    }

    #[test]
    fn any_cut_of_a_script_gives_the_same_replies(
        script in proptest::collection::vec(proptest::sample::select(&COMMANDS[..]), 1..12),
        cuts in proptest::collection::vec(any::<usize>(), 0..8),
    ) {
        let lines: Vec<String> = script.iter().chain([&"QUIT"]).map(|line| format!("{line}\r\n")).collect();
        let input = lines.concat().into_bytes();
        let at_once = maildrop().session(&[&input]).unwrap();
        let cut = maildrop().session(&pieces(&input, &cuts)).unwrap();
        prop_assert_eq!(String::from_utf8_lossy(&at_once), String::from_utf8_lossy(&cut));
        let line_by_line: Vec<&[u8]> = lines.iter().map(|line| line.as_bytes()).collect();
        let slowly = maildrop().session(&line_by_line).unwrap();
        prop_assert_eq!(at_once, slowly);
    }
}

#[test]
fn a_message_of_many_chunks_is_sent_whole() {
    // Longer than what is read at once and than what is gathered, with lines
    // that straddle every boundary.
    let mut text = b"Subject: long\n\n".to_vec();
    for number in 0..60_000 {
        text.extend_from_slice(format!(".line {number}\n").as_bytes());
    }
    let home = Home::new().unwrap();
    home.put("new/1000000001.a.h", &text).unwrap();
    let replies = home.session(&[b"LIST 1\r\nRETR 1\r\nTOP 1 59000\r\nQUIT\r\n"]).unwrap();
    let (_, rest) = take_line(&replies);
    let (list, rest) = take_line(rest);
    let (retr, rest) = take_line(rest);
    let (received, rest) = take_text(rest);
    assert_eq!((word(&list, 2), word(&retr, 1)), (received.len() as u64, received.len() as u64));
    let expected: Vec<u8> = text
        .iter()
        .flat_map(|&octet| if octet == b'\n' { vec![b'\r', b'\n'] } else { vec![octet] })
        .collect();
    assert!(received == expected);
    let (_, rest) = take_line(rest);
    let (top, rest) = take_text(rest);
    assert!(expected.starts_with(&top) && top.iter().filter(|&&octet| octet == b'\n').count() == 59_002);
    assert_eq!(rest, b"+OK Bye-bye.\r\n");
}

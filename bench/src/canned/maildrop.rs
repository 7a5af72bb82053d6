//! A maildrop whose every reply lies ready.

use anyhow::{Context, Result};

use crate::mail::{Account, Mail, message, on_the_wire};

/// Beyond so many messages a maildrop is for polling: each has the body of the
/// first.
const MOST_BODIES: usize = 2000;

/// The replies.
pub(super) struct Maildrop {
    pub(super) stat: Vec<u8>,
    pub(super) list: Vec<u8>,
    pub(super) uidl: Vec<u8>,
    pub(super) messages: Vec<Vec<u8>>,
}

/// The line that [`read`] reads.
pub(crate) fn line(account: &Account) -> String {
    format!("{} {} {}\n", account.name, account.mail.count, account.mail.octets)
}

/// Reads `NAME COUNT OCTETS`.
pub(super) fn read(line: &str) -> Result<(String, Maildrop)> {
    let mut words = line.split(' ');
    let mut word = || words.next().context("NAME COUNT OCTETS");
    let (name, count, octets) = (word()?.to_owned(), word()?.parse()?, word()?.parse()?);
    Ok((name, Maildrop::new(Mail { count, octets })))
}

impl Maildrop {
    fn new(mail: Mail) -> Maildrop {
        let bodies = if mail.count > MOST_BODIES { 1 } else { mail.count };
        let texts = (0..bodies).map(|number| message(number, mail.octets));
        // What is announced is without the dots that are doubled.
        let sizes = texts.map(|text| (text.len() + memchr::memchr_iter(b'\n', &text).count(), text));
        let (octets, messages): (Vec<_>, Vec<_>) = sizes
            .map(|(octets, text)| {
                let mut reply = format!("+OK {octets} octets follow.\r\n").into_bytes();
                reply.extend_from_slice(&on_the_wire(&text));
                (octets, reply)
            })
            .unzip();
        let of = |at: usize| octets[at % bodies.max(1)];
        let all: usize = (0..mail.count).map(of).sum();
        let (mut list, mut uidl) = (b"+OK\r\n".to_vec(), b"+OK\r\n".to_vec());
        for at in 0..mail.count {
            list.extend_from_slice(format!("{} {}\r\n", at + 1, of(at)).as_bytes());
            uidl.extend_from_slice(format!("{} UID{}-1700000000\r\n", at + 1, at + 1).as_bytes());
        }
        list.extend_from_slice(b".\r\n");
        uidl.extend_from_slice(b".\r\n");
        Maildrop { stat: format!("+OK {} {all}\r\n", mail.count).into_bytes(), list, uidl, messages }
    }

    /// The reply to RETR of the message with this message-number.
    pub(super) fn message(&self, number: usize) -> Option<&[u8]> {
        let at = number.checked_sub(1)?;
        self.messages.get(at).or_else(|| self.messages.first()).map(Vec::as_slice)
    }
}

//! RETR and TOP: a message file on its way to the client.
//!
//! A message that is not longer than a chunk is read, answered and done with in
//! one go. A longer one is counted first, then sent chunk by chunk.

use std::io;

use authlib::printable::reason;
use maildir::{Octets, OpenError};
use pop3::reply::{self, Reply};
use pop3::{Encoder, Retrieval, Sent, Transaction};

use super::adapter::Listing;
use super::buffers::{self, For};
use super::text::Text;
use crate::log::{self, Harmless};

/// Octets of the first chunk for TOP, which mostly wants no more than a header.
const TOP_CHUNK: usize = 16 * 1024;

/// Octets that are counted at once.
const COUNTED: usize = 64 * 1024;

/// A message of which a part has been sent.
pub(super) struct Sending {
    retrieval: Retrieval,
    name: Vec<u8>,
    text: Text,
    encoder: Encoder,
}

/// What a step has come to.
pub(super) enum Progress {
    /// There is more.
    More(Box<Sending>),
    /// The reply is complete.
    Done(Retrieval, Sent),
    /// The file cannot be read to its end, or is not what was announced; the
    /// reply has begun and cannot be ended.
    Broken,
}

/// Begins the answer in `out`.
///
/// # Errors
/// Nothing has been said: this is the reply.
pub(super) fn begin(
    transaction: &mut Transaction<Listing>,
    retrieval: Retrieval,
    out: &mut Vec<u8>,
) -> Result<Progress, Reply> {
    let maildrop = &mut transaction.maildrop_mut().0;
    let place = maildrop.place(retrieval.message.place()).ok_or(reply::MESSAGE_GONE)?;
    let mut text = maildrop.open_message(place).map(Text::of).map_err(|error| match error {
        OpenError::Gone => reply::MESSAGE_GONE,
        OpenError::Io(error) => unreadable(maildrop.name(place), &error),
    })?;
    let mut chunk = match retrieval.top {
        None => buffers::take(For::Chunk),
        Some(_) => Vec::with_capacity(TOP_CHUNK),
    };
    let begun = match text.fill(&mut chunk) {
        Ok(true) => Ok(Progress::Done(retrieval, transaction.retrieve(retrieval, &chunk, out))),
        Ok(false) => begin_long(transaction, retrieval, text, &chunk, out),
        Err(error) => Err(unreadable(maildrop.name(place), &error)),
    };
    if retrieval.top.is_none() {
        buffers::keep(For::Chunk, chunk);
    }
    begun
}

/// Begins with a message of which `chunk` is the first part. RETR announces what
/// it is about to send, the file as it is now: so it reads it to its end, and then
/// again.
fn begin_long(
    transaction: &Transaction<Listing>,
    retrieval: Retrieval,
    mut text: Text,
    chunk: &[u8],
    out: &mut Vec<u8>,
) -> Result<Progress, Reply> {
    let maildrop = &transaction.maildrop().0;
    let name = maildrop.place(retrieval.message.place()).map(|place| maildrop.name(place).to_vec());
    let name = name.unwrap_or_default();
    let octets = match retrieval.top {
        None => count(&mut text, chunk).map_err(|error| unreadable(&name, &error))?,
        Some(_) => 0,
    };
    let mut encoder = transaction.begin(retrieval, octets, out);
    encoder.push(chunk, out);
    let sending = Box::new(Sending { retrieval, name, text, encoder });
    Ok(if sending.encoder.satisfied() { sending.finish(out) } else { Progress::More(sending) })
}

/// Octets of the whole message as RETR sends it; `text` is where it was again.
fn count(text: &mut Text, chunk: &[u8]) -> io::Result<u64> {
    let mut octets = Octets::new();
    octets.feed(chunk);
    let mut buffer = Vec::with_capacity(COUNTED);
    loop {
        let ended = text.fill(&mut buffer)?;
        octets.feed(&buffer);
        buffer.clear();
        if ended {
            text.go_back_to(chunk.len());
            return Ok(octets.total());
        }
    }
}

impl Sending {
    /// Appends the next chunk to `out`, and with the last one the end of the
    /// reply, so that it is not torn from it.
    pub(super) fn go_on(mut self: Box<Self>, out: &mut Vec<u8>) -> Progress {
        let mut chunk = buffers::take(For::Chunk);
        let filled = self.text.fill(&mut chunk);
        self.encoder.push(&chunk, out);
        buffers::keep(For::Chunk, chunk);
        match filled {
            Ok(false) if !self.encoder.satisfied() => Progress::More(self),
            Ok(_) => self.finish(out),
            Err(error) => {
                unreadable(&self.name, &error);
                Progress::Broken
            }
        }
    }

    fn finish(self, out: &mut Vec<u8>) -> Progress {
        let begin_of_end = out.len();
        let sent = self.encoder.finish(out);
        if sent.is_as_announced() {
            return Progress::Done(self.retrieval, sent);
        }
        out.truncate(begin_of_end);
        let name = Harmless(&self.name);
        log::error(&format_args!("message file cur/{name} has changed while it was being sent"));
        Progress::Broken
    }
}

/// Logs that a message file cannot be read, and gives what the client hears.
fn unreadable(name: &[u8], error: &io::Error) -> Reply {
    let (name, reason) = (Harmless(name), reason(error));
    log::error(&format_args!("I/O error while reading message file cur/{name}: {reason}"));
    reply::MESSAGE_UNREADABLE
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, clippy::panic, reason = "tests")]

    use std::fs;

    use maildir::{Maildir, Sharing};
    use pop3::{COMMAND_LIMIT, LineReader, TransactionAction, Wrapper};
    use tempfile::TempDir;

    use super::buffers::CHUNK;
    use super::*;

    const FILE: &str = "cur/1000000001.a.h:2,S";

    /// A session with one message, whose file is `text`.
    fn session(text: &[u8]) -> (TempDir, Transaction<Listing>) {
        let place = tempfile::tempdir().unwrap();
        let path = place.path().join("Maildir");
        Maildir::create(&path, Sharing::Private).unwrap();
        fs::write(path.join(FILE), text).unwrap();
        let maildrop = Maildir::open(&path).unwrap().open_maildrop(1_800_000_000, &mut |_| {}).unwrap();
        (place, Transaction::new(Listing(maildrop), false, Wrapper::new("=_b", "message/global")))
    }

    fn asked(session: &mut Transaction<Listing>, command: &str) -> Retrieval {
        let mut reader = LineReader::new(COMMAND_LIMIT);
        let line = reader.take(&mut command.as_bytes()).unwrap();
        match session.line(&line, &mut Vec::new()) {
            TransactionAction::Retrieve(retrieval) => retrieval,
            other => panic!("{other:?}"),
        }
    }

    fn begun(session: &mut Transaction<Listing>, command: &str, out: &mut Vec<u8>) -> Progress {
        let retrieval = asked(session, command);
        begin(session, retrieval, out).unwrap()
    }

    /// The whole answer to `command`.
    fn answer(session: &mut Transaction<Listing>, command: &str) -> Vec<u8> {
        let mut out = Vec::new();
        let mut progress = begun(session, command, &mut out);
        while let Progress::More(sending) = progress {
            progress = sending.go_on(&mut out);
        }
        assert!(matches!(progress, Progress::Done(..)));
        out
    }

    fn expected(text: &[u8]) -> Vec<u8> {
        let text = String::from_utf8(text.to_vec()).unwrap().replace('\n', "\r\n");
        format!("+OK {} octets follow.\r\n{text}.\r\n", text.len()).into_bytes()
    }

    #[test]
    fn a_message_about_as_long_as_a_chunk_is_sent_whole() {
        for length in [1, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK, 3 * CHUNK + 7] {
            let mut text = b"a line\n".repeat(length / 7 + 1);
            text.truncate(length - 1);
            text.push(b'\n');
            let (_place, mut session) = session(&text);
            assert!(answer(&mut session, "RETR 1\r\n") == expected(&text), "{length}");
        }
    }

    #[test]
    fn top_ends_where_it_should_in_a_long_message() {
        let text = [b"A: 1\n\n", b"line\n".repeat(CHUNK).as_slice()].concat();
        let (_place, mut session) = session(&text);
        assert_eq!(answer(&mut session, "TOP 1 1\r\n"), b"+OK headers follow.\r\nA: 1\r\n\r\nline\r\n.\r\n");
        for lines in [TOP_CHUNK / 5 - 1, TOP_CHUNK, CHUNK - 1, CHUNK, 2 * CHUNK] {
            let sent = answer(&mut session, &format!("TOP 1 {lines}\r\n"));
            let lines_sent = sent.iter().filter(|octet| **octet == b'\n').count();
            assert_eq!(lines_sent, 1 + 2 + lines.min(CHUNK) + 1, "{lines}");
        }
    }

    #[test]
    fn a_message_is_announced_as_it_is_now() {
        let (place, mut session) = session(b"as it was listed\n");
        let path = place.path().join("Maildir").join(FILE);
        for text in [&b"long\nlonger\n"[..], b"x\n", b""] {
            fs::write(&path, text).unwrap();
            assert_eq!(answer(&mut session, "RETR 1\r\n"), expected(text));
        }
    }

    #[test]
    fn a_message_that_changes_while_it_is_sent_is_not_ended() {
        let text = b"line\n".repeat(CHUNK);
        let changed = [
            text.repeat(2),
            text[..text.len() / 2].to_vec(),
            // As long as before.
            b"x\n\n\n\n".repeat(CHUNK),
        ];
        for changed in changed {
            let (place, mut session) = session(&text);
            let mut out = Vec::new();
            let mut progress = begun(&mut session, "RETR 1\r\n", &mut out);
            fs::write(place.path().join("Maildir").join(FILE), changed).unwrap();
            while let Progress::More(sending) = progress {
                progress = sending.go_on(&mut out);
            }
            assert!(matches!(progress, Progress::Broken) && !out.ends_with(b"\r\n.\r\n"));
        }
    }
}

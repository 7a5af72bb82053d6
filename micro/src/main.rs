//! `micro NAME`: one hot function at work, between preparations that do not
//! count. `cargo xtask micro` runs it in callgrind (valgrind(1)) and reads how
//! many instructions were executed inside [`measured`]: as many on a busy
//! machine as on a quiet one.
//!
//! For development only. Without a name it says which there are.

use std::fs;
use std::hint::black_box;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use authlib::Record;
use maildir::{Headers, Maildir, Octets};
use pop3::{COMMAND_LIMIT, Encoder, LineReader, Maildrop, Transaction, TransactionAction as Action, Wrapper};

/// Prepares a function, and runs it once [`measured`].
type Prepare = fn() -> Result<()>;

/// All of them, with their names.
const ALL: &[(&str, Prepare)] = &[
    ("encoder", encoder),
    ("line-reader", line_reader),
    ("octets", octets),
    ("headers", headers),
    ("listings", listings),
    ("opening", opening),
    ("record", record),
];

/// What is outside this does not count. The test command knows its name.
#[inline(never)]
fn measured(run: &mut dyn FnMut()) {
    run();
}

fn main() -> Result<()> {
    let Some(name) = std::env::args().nth(1) else {
        ALL.iter().for_each(|(name, _)| println!("{name}"));
        return Ok(());
    };
    let (_, prepare) = ALL.iter().find(|(known, _)| *known == name).context("no such function")?;
    prepare()
}

/// A message of 64 KiB in lines of usual length, some with a dot in front.
fn text() -> Vec<u8> {
    let mut text = b"From: somebody@example\nSubject: a message\n\n".to_vec();
    for number in 0..1000 {
        let line: &[u8] = if number % 50 == 0 {
            b".a line with a dot in front\n"
        } else {
            b"A line of a message as people and programs write them, no longer\n"
        };
        text.extend_from_slice(line);
    }
    text
}

/// RETR: LF becomes CRLF, dots are doubled.
fn encoder() -> Result<()> {
    let text = text();
    let mut out = Vec::with_capacity(2 * text.len());
    measured(&mut || {
        let mut encoder = Encoder::whole(None, &mut out);
        encoder.push(black_box(&text), &mut out);
        encoder.finish(&mut out);
    });
    ensure!(out.len() > text.len());
    Ok(())
}

/// A thousand commands that came at once.
fn line_reader() -> Result<()> {
    let commands: Vec<u8> = (1..=1000).flat_map(|number| format!("RETR {number}\r\n").into_bytes()).collect();
    let mut lines = 0;
    measured(&mut || {
        let (mut reader, mut rest) = (LineReader::new(COMMAND_LIMIT), black_box(commands.as_slice()));
        while reader.take(&mut rest).is_some() {
            lines += 1;
        }
    });
    ensure!(lines == 1000);
    Ok(())
}

/// How many octets a file is on the wire.
fn octets() -> Result<()> {
    let (text, mut total) = (text(), 0);
    measured(&mut || {
        let mut octets = Octets::new();
        octets.feed(black_box(&text));
        total = octets.total();
    });
    ensure!(total > text.len() as u64);
    Ok(())
}

/// Whether a header has 8-bit bytes.
fn headers() -> Result<()> {
    let header = b"Received: from somewhere by somewhere else with SMTP id 0123456789\n".repeat(50);
    let mut utf8 = true;
    measured(&mut || {
        let mut headers = Headers::new();
        headers.feed(black_box(&header));
        utf8 = headers.are_utf8();
    });
    ensure!(!utf8);
    Ok(())
}

/// So many messages of the same size.
struct Many(usize);

impl Maildrop for Many {
    fn count(&self) -> usize {
        self.0
    }
    fn octets(&self, _: usize) -> u64 {
        4096
    }
    fn is_utf8(&self, _: usize) -> bool {
        false
    }
    fn put_unique_id(&self, _: usize, out: &mut Vec<u8>) {
        out.extend_from_slice(b"UID1-1700000000");
    }
}

/// STAT, UIDL and LIST of a thousand messages.
fn listings() -> Result<()> {
    // More than it comes to.
    const AT_ONCE: usize = 1 << 20;
    let mut transaction = Transaction::new(Many(1000), false, Wrapper::new("=_b", "message/global"));
    let mut out = Vec::with_capacity(1 << 16);
    measured(&mut || {
        let mut reader = LineReader::new(COMMAND_LIMIT);
        let mut rest: &[u8] = black_box(b"STAT\r\nUIDL\r\nLIST\r\n");
        while let Some(line) = reader.take(&mut rest) {
            if let Action::List(mut listing) = transaction.line(&line, &mut out) {
                while !transaction.list(&mut listing, AT_ONCE, &mut out) {}
            }
        }
    });
    ensure!(out.ends_with(b"\r\n.\r\n"));
    Ok(())
}

/// A maildrop of a thousand messages whose list is there: directory, list,
/// listing.
fn opening() -> Result<()> {
    let directory = tempfile::tempdir()?;
    let path: &Path = directory.path();
    for name in ["cur", "new", "tmp"] {
        fs::create_dir(path.join(name))?;
    }
    for number in 0..1000 {
        let name = format!("{}.M{number}P7.host,S=13:2,S", 1_700_000_000 + number);
        fs::write(path.join("cur").join(name), "Subject: x\n\nx\n")?;
    }
    let open = || Maildir::open(path)?.open_maildrop(1_800_000_000, &mut |_| {});
    ensure!(open()?.len() == 1000);
    let mut opened = 0;
    measured(&mut || opened = open().map_or(0, |maildrop| maildrop.len()));
    ensure!(opened == 1000);
    Ok(())
}

/// A login's record, written and read.
fn record() -> Result<()> {
    let mut same = false;
    measured(&mut || {
        let record = Record::login(b"pop3", black_box(b"alice@example.org"), b"secret");
        let read = record.ok().and_then(|record| Record::decode(record.encode().expose()).ok());
        same = read.is_some_and(|record| record.credentials().is_some());
    });
    if !same {
        bail!("a record has been lost");
    }
    Ok(())
}

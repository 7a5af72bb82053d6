//! Clients that nobody here wrote, on the demo's Maildir, through our whole
//! chain: each message arrives as it lies on disk (line ends aside), stays or
//! goes as the client wishes, and is not fetched twice by those that remember
//! unique-ids.

mod built;
#[path = "clients/programs.rs"]
mod programs;

use std::fs;
use std::path::Path;

use testbed::chain::Chain;
use testbed::maildrop::{Change, Entry, Kind, lay_out, names};
use testbed::stand::{self, Cast, Stand, make_public};
use testbed::{Outcome, courier, root};

use programs::{Client, Errand, Login};

#[test]
fn curl() -> Outcome {
    serves(&programs::CURL)
}

#[test]
fn fetchmail() -> Outcome {
    serves(&programs::FETCHMAIL)
}

#[test]
fn getmail() -> Outcome {
    serves(&programs::GETMAIL)
}

#[test]
fn mpop() -> Outcome {
    serves(&programs::MPOP)
}

#[test]
fn perls_net_pop3() -> Outcome {
    serves(&programs::NET_POP3)
}

#[test]
fn pythons_poplib() -> Outcome {
    serves(&programs::POPLIB)
}

#[test]
fn curl_with_cram_md5() -> Outcome {
    serves_with(&programs::CURL, Login::CramMd5)
}

#[test]
fn fetchmail_with_cram_md5() -> Outcome {
    serves_with(&programs::FETCHMAIL, Login::CramMd5)
}

#[test]
fn mpop_with_cram_md5() -> Outcome {
    serves_with(&programs::MPOP, Login::CramMd5)
}

#[test]
fn pythons_poplib_with_cram_md5() -> Outcome {
    serves_with(&programs::POPLIB, Login::CramMd5)
}

#[test]
fn mpop_with_scram_sha_1() -> Outcome {
    serves_with(&programs::MPOP, Login::ScramSha1)
}

#[test]
fn mpop_with_scram_sha_256() -> Outcome {
    serves_with(&programs::MPOP, Login::ScramSha256)
}

#[test]
fn mpop_with_apop() -> Outcome {
    serves_with(&programs::MPOP, Login::Apop)
}

#[test]
fn pythons_poplib_with_apop() -> Outcome {
    serves_with(&programs::POPLIB, Login::Apop)
}

#[test]
fn perls_net_pop3_with_apop() -> Outcome {
    serves_with(&programs::NET_POP3, Login::Apop)
}

fn serves(client: &Client) -> Outcome {
    serves_with(client, Login::Password)
}

/// Lets `client` fetch and keep, fetch again, fetch what is new, and fetch and
/// delete.
fn serves_with(client: &Client, login: Login) -> Outcome {
    if let Some(reason) = client.missing() {
        return courier::leave_out(&reason);
    }
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir()?;
    make_public(directory.path())?;
    let programs = built::programs(&directory.path().join("programs"))?;
    let mut stand = Stand::new(&directory.path().join("stand"), &programs, false)?;
    let mut messages = demo_messages()?;
    let expected = |messages: &[Vec<u8>]| messages.iter().cloned().map(client.rewrites).collect::<Vec<_>>();
    let entry = |(number, octets): (usize, &Vec<u8>)| Entry {
        path: format!("new/{}", name(number)),
        kind: Kind::File(octets.clone()),
    };
    let entries: Vec<Entry> = messages.iter().enumerate().map(entry).collect();
    let account = stand.account().clone();
    lay_out(&account.home, &entries, account.owner)?;
    let mut chain = chain(&mut stand, login)?;
    // The chain listens from here on; a session without a word does no harm.
    drop(chain.connect()?);

    let mut errand = Errand::new(&directory.path().join("client"), chain.address(), login)?;
    let fetched = client.run(&errand)?;
    same(&fetched, &expected(&messages)).map_err(|fault| format!("kept: {fault}"))?;

    let late = b"Return-Path: <a@example.com>\nSubject: late\n\nlate\n".to_vec();
    if client.remembers {
        same(&client.run(&errand)?, &[]).map_err(|fault| format!("fetched twice: {fault}"))?;
        Change::Write("new/1900000000.M1P1.host".to_owned(), late.clone())
            .apply(&account.maildir(), account.owner)?;
        same(&client.run(&errand)?, std::slice::from_ref(&late)).map_err(|fault| format!("new: {fault}"))?;
        messages.push(late);
    }

    errand = Errand::new(&directory.path().join("deleting"), chain.address(), login)?.deleting();
    same(&client.run(&errand)?, &expected(&messages)).map_err(|fault| format!("deleted: {fault}"))?;
    let left = names(&account.maildir().join("cur"))?;
    if left.is_empty() { Ok(()) } else { Err(format!("still there: {}", left.join(" ")).into()) }
}

/// A chain that serves whoever logs in so. An account that shall use CRAM gets
/// in with nothing else.
fn chain(stand: &mut Stand, login: Login) -> Outcome<Chain> {
    const DAEMON: Cast = Cast { login: stand::Login::OurSocket, ..Cast::OURS };
    let (cast, (name, value), password) = match login {
        Login::Password => return stand.chain(Cast::OURS, &[], &[]),
        Login::CramMd5 => (Cast::OURS, ("POP3AUTH", "PLAIN LOGIN CRAM-MD5"), "*"),
        Login::ScramSha1 => (DAEMON, ("POP3AUTH", "PLAIN SCRAM-SHA-1"), "{PLAIN}secret"),
        Login::ScramSha256 => (DAEMON, ("POP3AUTH", "PLAIN SCRAM-SHA-256"), KEYS),
        Login::Apop => (Cast::OURS, ("POP3_APOP", "YES"), "{PLAIN}secret"),
    };
    stand.chain(cast, &[(name.to_owned(), value.to_owned())], &[format!("pop3pw={password}")])
}

/// Keys for SCRAM of the password `secret`.
const KEYS: &str = "SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:\
    0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=";

/// The demo's messages, in the order of their files' names.
fn demo_messages() -> Outcome<Vec<Vec<u8>>> {
    let directory = root().join("demo/messages");
    let read = |name: &String| Ok(fs::read(directory.join(name))?);
    names(&directory)?.iter().map(read).collect()
}

fn name(number: usize) -> String {
    format!("{}.M1P1.host", 1_500_000_000 + number)
}

/// Whether exactly `messages` have arrived, in whatever order.
fn same(fetched: &[Vec<u8>], messages: &[Vec<u8>]) -> Outcome {
    let mut fetched: Vec<_> = fetched.iter().map(|octets| unwrapped(&with_lf(octets))).collect();
    let mut messages: Vec<_> = messages.iter().map(|octets| with_lf(octets)).collect();
    fetched.sort();
    messages.sort();
    if fetched.len() != messages.len() {
        return Err(format!("{} messages instead of {}", fetched.len(), messages.len()).into());
    }
    match fetched.iter().zip(&messages).find(|(fetched, message)| fetched != message) {
        None => Ok(()),
        Some((fetched, message)) => {
            let text = |octets: &[u8]| String::from_utf8_lossy(octets).into_owned();
            Err(format!("fetched\n{}\ninstead of\n{}", text(fetched), text(message)).into())
        }
    }
}

fn with_lf(octets: &[u8]) -> Vec<u8> {
    let mut lines = octets.to_vec();
    let mut index = 0;
    lines.retain(|&octet| {
        index += 1;
        !(octet == b'\r' && octets.get(index) == Some(&b'\n'))
    });
    lines
}

/// None of these clients says UTF8, so a message whose header is in UTF-8
/// comes wrapped, and the attachment is the message (RFC 6856 section 7).
fn unwrapped(message: &[u8]) -> Vec<u8> {
    let find = |needle: &[u8]| message.windows(needle.len()).position(|window| window == needle);
    let head = b"\nContent-Type: message/global\nContent-Transfer-Encoding: 8bit\n\n";
    let (Some(start), Some(end)) = (find(head), find(b"--\n").filter(|end| end + 3 == message.len())) else {
        return message.to_vec();
    };
    let inside = &message[start + head.len()..end];
    let boundary = inside.windows(3).rposition(|window| window == b"\n--").unwrap_or(inside.len());
    inside[..boundary].to_vec()
}

/// Every file of a directory.
fn files(directory: &Path) -> Outcome<Vec<Vec<u8>>> {
    names(directory)?.iter().map(|name| Ok(fs::read(directory.join(name))?)).collect()
}

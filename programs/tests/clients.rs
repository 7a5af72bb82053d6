//! Clients that nobody here wrote, on the demo's Maildir, through our whole
//! chain and through `postrider serve`: each message arrives as it lies on disk (line ends aside), stays or
//! goes as the client wishes, and is not fetched twice by those that remember
//! unique-ids.

mod built;
#[path = "clients/programs.rs"]
mod programs;
#[path = "clients/server.rs"]
mod server;

use std::fs;
use std::path::Path;

use testbed::maildrop::{Change, Entry, Kind, lay_out, names};
use testbed::stand::{Stand, make_public};
use testbed::{Outcome, courier, root};

use programs::{Client, Login, Security};
use server::Server;

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

/// Each client in clear, by STLS and from the first octet on, as far as it can.
macro_rules! by_the_service {
    ($($name:ident: $client:ident $security:ident,)*) => {
        $(#[test]
        fn $name() -> Outcome {
            serves_at(&programs::$client, Login::Password, Some(Security::$security))
        })*
    };
}

by_the_service! {
    service_curl: CURL Clear,
    service_curl_stls: CURL Stls,
    service_curl_tls: CURL Tls,
    service_fetchmail: FETCHMAIL Clear,
    service_fetchmail_stls: FETCHMAIL Stls,
    service_fetchmail_tls: FETCHMAIL Tls,
    service_getmail: GETMAIL Clear,
    service_getmail_tls: GETMAIL Tls,
    service_mpop: MPOP Clear,
    service_mpop_stls: MPOP Stls,
    service_mpop_tls: MPOP Tls,
    service_perls_net_pop3: NET_POP3 Clear,
    service_perls_net_pop3_stls: NET_POP3 Stls,
    service_perls_net_pop3_tls: NET_POP3 Tls,
    service_pythons_poplib: POPLIB Clear,
    service_pythons_poplib_stls: POPLIB Stls,
    service_pythons_poplib_tls: POPLIB Tls,
}

fn serves(client: &Client) -> Outcome {
    serves_with(client, Login::Password)
}

fn serves_with(client: &Client, login: Login) -> Outcome {
    serves_at(client, login, None)
}

/// Lets `client` fetch and keep, fetch again, fetch what is new, and fetch and
/// delete: by the chain, or by the service with this much TLS.
fn serves_at(client: &Client, login: Login, service: Option<Security>) -> Outcome {
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
    let mut server = match service {
        None => Server::chain(&mut stand, login)?,
        Some(security) => Server::service(&mut stand, security, &directory.path().join("certificates"))?,
    };
    let mut errand = server.errand(&directory.path().join("client"), login)?;
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

    errand = server.errand(&directory.path().join("deleting"), login)?.deleting();
    same(&client.run(&errand)?, &expected(&messages)).map_err(|fault| format!("deleted: {fault}"))?;
    server.judge(&fs::read_to_string(stand.log())?)?;
    let left = names(&account.maildir().join("cur"))?;
    if left.is_empty() { Ok(()) } else { Err(format!("still there: {}", left.join(" ")).into()) }
}

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

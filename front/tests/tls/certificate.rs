//! `postrider cert` and what becomes of certificates that are none: openssl(1)
//! and a service judge.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;
use std::process::{Command, Output};
use std::thread;
use std::time::{Duration, Instant};

use testbed::PATIENCE;
use testbed::certificates::Certificates;
use testbed::client::Client;
use testbed::tls::Tls;

use crate::house::{House, text};

const CERT: &str = env!("CARGO_BIN_EXE_postrider-cert");

fn cert(words: &[&str], file: &Path) -> Output {
    let (first, rest) = words.split_first().unwrap();
    let mut command = Command::new(CERT);
    match *first {
        "make" => command.arg("make").arg("--file").arg(file),
        first => command.arg(first).arg(file),
    };
    command.args(rest).output().unwrap()
}

pub(crate) fn openssl(words: &[&str], file: &Path) -> String {
    let output = Command::new("openssl").args(words).arg("-in").arg(file).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout)
}

#[test]
fn a_certificate_is_made_once_for_its_owner_alone_and_is_what_its_line_says() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pop3d.pem");
    let wish = ["make", "--name", "mail.example.com", "--name", "192.0.2.1", "--days", "30"];
    let made = cert(&wish, &file);
    assert!(made.status.success(), "{}", text(&made.stderr));
    let said = text(&made.stdout);
    assert!(said.contains(": for mail.example.com, 192.0.2.1, good until 20"), "{said}");
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o600);
    let shown = openssl(&["x509", "-noout", "-text"], &file);
    for part in [
        "Subject: CN = mail.example.com",
        "DNS:mail.example.com, IP Address:192.0.2.1",
        "ecdsa-with-SHA256",
        "prime256v1",
        "TLS Web Server Authentication",
        "CA:FALSE",
    ] {
        assert!(shown.contains(part), "{part} is not in {shown}");
    }
    openssl(&["pkey", "-noout"], &file);
    assert_eq!(said, text(&cert(&["check"], &file).stdout));
    let before = fs::read(&file).unwrap();
    let again = cert(&wish, &file);
    assert!(!again.status.success() && text(&again.stderr).contains("it is there already"));
    assert_eq!(fs::read(&file).unwrap(), before);
}

#[test]
fn rsa_and_a_group_that_may_read_are_had_for_the_asking() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("rsa.pem");
    let group = fs::metadata(directory.path()).unwrap().gid().to_string();
    let made = cert(&["make", "--rsa", "--group", &group], &file);
    assert!(made.status.success(), "{}", text(&made.stderr));
    assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o7777, 0o640);
    let shown = openssl(&["x509", "-noout", "-text"], &file);
    assert!(shown.contains("Public-Key: (3072 bit)") && shown.contains("DNS:localhost"), "{shown}");
}

#[test]
fn what_is_wrong_with_a_certificate_is_said_in_one_line() {
    let directory = tempfile::tempdir().unwrap();
    let certificates = Certificates::make(directory.path(), [127, 0, 0, 1].into(), "alice").unwrap();
    let ((chain, key), (_, others)) = (certificates.server(), certificates.client());
    let check = |chain: &Path, key: &Path| {
        let output = Command::new(CERT).arg("check").arg(chain).arg(key).output().unwrap();
        let said = text(&output.stdout) + &text(&output.stderr);
        assert_eq!(said.lines().count(), 1, "{said}");
        (output.status.success(), said)
    };
    let (good, said) = check(&chain, &key);
    assert!(good && said.contains("for localhost, 127.0.0.1, good until 20"), "{said}");
    let late = directory.path().join("late.pem");
    let mut expired = Command::new("openssl");
    expired.args(["x509", "-days", "-1", "-copy_extensions", "copy"]).arg("-in").arg(&chain);
    expired.arg("-signkey").arg(&key).arg("-out").arg(&late);
    assert!(expired.output().unwrap().status.success());
    for (chain, key, wrong) in [
        (&chain, &others, "the private key is another certificate's"),
        (&key, &key, "the certificate: there is none in the file"),
        (&chain, &chain, "the private key: "),
        (&late, &key, "it was good until "),
        (&directory.path().join("missing"), &key, "missing: No such file or directory"),
    ] {
        let (good, said) = check(chain, key);
        assert!(!good && said.contains(wrong), "{wrong}: {said}");
    }
}

#[test]
fn a_certificate_that_was_made_serves_and_clients_that_trust_it_get_their_mail() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let file = house.directory().join("own.pem");
    assert!(cert(&["make"], &file).status.success());
    house.serve_again(&file, &file);
    drop(house.service.connect_for_tls().unwrap());
    let address = house.service.tls_address();
    let (ip, port) = (address.ip(), address.port());
    let output = Command::new("curl")
        .args(["-sS", "-u", "alice:secret", "--cacert"])
        .arg(&file)
        .args(["--resolve", &format!("localhost:{port}:{ip}"), &format!("pop3s://localhost:{port}/1")])
        .output()
        .unwrap();
    assert_eq!(text(&output.stdout), "Subject: one\r\n\r\nhello\r\n", "{}", text(&output.stderr));
}

#[test]
fn a_certificate_that_is_none_ends_the_start_with_its_reason() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let ((chain, _), (_, others)) = (house.certificates.server(), house.certificates.client());
    house.serve_again(&chain, &others);
    let end = Instant::now() + PATIENCE;
    while house.service.ended().unwrap().is_none() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(house.service.ended().unwrap().unwrap().code(), Some(1), "{}", house.log());
    let log = house.log();
    assert_eq!(log.matches("ERR: TLS: the private key is another certificate's").count(), 1, "{log}");
    assert!(log.contains("ERR: postrider: there is no TLS\n"), "{log}");
}

#[test]
fn a_front_that_is_started_later_has_the_certificate_that_was_found_good() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    Client::log_in(house.implicit()).unwrap().quit().unwrap();
    // Somebody writes into the file, and has not finished yet.
    fs::write(house.certificates.server().0, "-----BEGIN CERTIFICATE-----\n").unwrap();
    for pid in house.processes("postrider-front") {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    let end = Instant::now() + PATIENCE;
    let tls = loop {
        let begun = house.service.connect_for_tls().and_then(|it| Tls::begin(it, &house.certificates));
        match begun {
            Ok(tls) => break tls,
            Err(fault) => assert!(Instant::now() < end, "{fault}\n{}", house.log()),
        }
        thread::sleep(Duration::from_millis(20));
    };
    Client::log_in(tls).unwrap().quit().unwrap();
}

//! Certificates for single names and addresses, beside the usual one.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::chain::own_address;

use crate::house::{House, text};

const CERT: &str = env!("CARGO_BIN_EXE_postrider-cert");

/// `path` with a dot and `name` behind it.
fn beside(path: &Path, name: &str) -> PathBuf {
    PathBuf::from(format!("{}.{name}", path.display()))
}

impl House {
    /// Makes a certificate for `subject` that is shown to who asks for `name`.
    fn add(&self, name: &str, subject: &str) {
        let (chain, key) = self.certificates.server();
        let file = beside(&chain, name);
        let made =
            Command::new(CERT).args(["make", "--name", subject, "--file"]).arg(&file).output().unwrap();
        assert!(made.status.success(), "{}", text(&made.stderr));
        fs::copy(&file, beside(&key, name)).unwrap();
    }

    fn reload(&mut self) {
        let before = self.log().matches("the settings were read again and are in force").count();
        kill(Pid::from_raw(self.service.pid().cast_signed()), Signal::SIGHUP).unwrap();
        self.until_log_has("the settings were read again and are in force", before + 1);
    }

    /// For whom the certificate is that openssl(1) is shown, which logs in.
    fn shown(&mut self, words: &[&str], stls: bool) -> String {
        let said = self.openssl(words, stls);
        assert!(said.contains("+OK logged in."), "{said}");
        let subject = said.lines().find_map(|line| line.strip_prefix("subject=CN = ")).unwrap();
        subject.to_owned()
    }
}

#[test]
fn a_client_is_shown_the_certificate_of_the_name_that_it_asks_for() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    house.until_ready();
    house.add("mail.example.org", "mail.example.org");
    // Only now are they looked at.
    let asking = ["-servername", "mail.example.org"];
    assert_eq!(house.shown(&asking, true), "localhost");
    house.reload();
    for stls in [true, false] {
        for version in ["-tls1_2", "-tls1_3"] {
            assert_eq!(house.shown(&[&asking[..], &[version]].concat(), stls), "mail.example.org");
            assert_eq!(house.shown(&["-servername", "MAIL.Example.ORG", version], stls), "mail.example.org");
            assert_eq!(house.shown(&["-servername", "other.example.org", version], stls), "localhost");
            assert_eq!(house.shown(&["-noservername", version], stls), "localhost");
        }
    }
}

#[test]
fn an_address_may_have_a_certificate_of_its_own_and_a_name_counts_more() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    house.until_ready();
    let own = house.service.tls_address().ip().to_string();
    house.add(&own, &own);
    house.add("mail.example.org", "mail.example.org");
    house.reload();
    assert_eq!(house.shown(&["-noservername"], false), own);
    assert_eq!(house.shown(&["-servername", "other.example.org"], false), own);
    assert_eq!(house.shown(&["-servername", "mail.example.org"], false), "mail.example.org");
    // The other port has another address.
    assert_eq!(house.shown(&["-noservername"], true), "localhost");
}

#[test]
fn one_that_is_not_good_is_said_to_be_none_and_the_others_are_shown() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    house.until_ready();
    house.add("mail.example.org", "mail.example.org");
    house.add("wrong.example.org", "right.example.org");
    let chain = house.certificates.server().0;
    fs::write(beside(&chain, "broken.example.org"), "-----BEGIN CERTIFICATE-----\n").unwrap();
    fs::create_dir(beside(&chain, "directory.example.org")).unwrap();
    house.reload();
    for line in [
        "TLS: nobody is shown the certificate of broken.example.org: ",
        "TLS: the certificate of wrong.example.org is for other names\n",
        "server.pem.directory.example.org: ",
    ] {
        assert!(house.log().contains(line), "{line}: {}", house.log());
    }
    assert_eq!(house.shown(&["-servername", "mail.example.org"], true), "mail.example.org");
    assert_eq!(house.shown(&["-servername", "broken.example.org"], true), "localhost");
    // Before any of that somebody can ask.
    let (chain, key) = house.certificates.server();
    let output = Command::new(Path::new(CERT).with_file_name("postrider"))
        .args(["check", "--listen", &own_address().to_string(), "--listen-tls", &own_address().to_string()])
        .arg("--certificate")
        .arg(&chain)
        .arg("--key")
        .arg(&key)
        .arg("--directory")
        .arg(house.directory().join("new"))
        .output()
        .unwrap();
    let said = text(&output.stdout);
    assert!(!output.status.success());
    assert!(said.contains("server.pem.mail.example.org: for mail.example.org, good until 20"), "{said}");
    let wrong = said.lines().find(|line| line.starts_with("WRONG certificate: ")).unwrap();
    assert!(wrong.contains("server.pem.broken.example.org: the certificate: "), "{said}");
}

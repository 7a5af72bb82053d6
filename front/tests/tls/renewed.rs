//! Certificates that are renewed while the service runs: nobody tells it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;
use std::time::Duration;

use testbed::client::Client;

use crate::house::{House, text};
use crate::resumed::{clients, resume};

const RENEWED: &str = "INFO: the certificates were renewed";
const REFUSED: &str = "WARN: the certificates stay as they were: ";

fn house() -> House {
    House::new(b"Subject: one\n\nhello\n", &[("POSTRIDER_TLS_LOOK_EVERY", "1")])
}

/// A certificate with its key in one file, for somebody of this name.
fn certificate(house: &House, name: &str) -> PathBuf {
    let file = house.directory().join(name);
    let mut make = Command::new(env!("CARGO_BIN_EXE_postrider-cert"));
    let made = make.args(["make", "--name", name, "--file"]).arg(&file).output().unwrap();
    assert!(made.status.success(), "{}", text(&made.stderr));
    file
}

/// For whom the certificate is that a client is shown.
fn shown(house: &mut House) -> String {
    let said = house.openssl(&[], false);
    assert!(said.contains("+OK logged in."), "{said}\n{}", house.log());
    said.lines().find_map(|line| line.strip_prefix("subject=")).unwrap().replace(' ', "")
}

/// Puts a copy of `from` in the place of `to`, as certbot(1) does.
fn rename_over(from: &Path, to: &Path) {
    let new = to.with_extension("new");
    fs::copy(from, &new).unwrap();
    fs::rename(new, to).unwrap();
}

#[test]
fn one_that_is_renamed_into_its_place_is_shown_and_sessions_notice_nothing() {
    let mut house = house();
    let mut session = Client::log_in(house.implicit()).unwrap();
    assert_eq!(shown(&mut house), "CN=localhost");
    let (chain, key) = house.certificates.server();
    for (times, name) in [(1, "first.example.com"), (2, "second.example.com")] {
        let renewed = certificate(&house, name);
        rename_over(&renewed, &chain);
        rename_over(&renewed, &key);
        house.until_log_has(RENEWED, times);
        assert_eq!(shown(&mut house), format!("CN={name}"));
    }
    assert_eq!(session.command("STAT").unwrap(), "+OK 1 23");
    session.quit().unwrap();
    assert!(!house.log().contains("settings were read again"), "{}", house.log());
    let clients = clients(&mut house);
    assert!(resume(&mut house, &clients));
    // Fronts that come later have it too.
    for pid in house.processes("postrider-front") {
        nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid), nix::sys::signal::Signal::SIGKILL).unwrap();
    }
    assert_eq!(shown(&mut house), "CN=second.example.com");
}

#[test]
fn one_that_is_rewritten_in_its_place_is_shown_when_it_is_whole_and_not_before() {
    let mut house = house();
    assert_eq!(shown(&mut house), "CN=localhost");
    let (chain, key) = house.certificates.server();
    let renewed = fs::read(certificate(&house, "whole.example.com")).unwrap();

    fs::write(&chain, &renewed[..renewed.len() / 2]).unwrap();
    house.until_log_has(REFUSED, 1);
    thread::sleep(Duration::from_secs(4));
    assert_eq!(house.log().matches(REFUSED).count(), 1, "it is said more than once: {}", house.log());
    assert_eq!(shown(&mut house), "CN=localhost");

    // Its key is still the other one's.
    fs::write(&chain, &renewed).unwrap();
    house.until_log_has("ERR: TLS: the private key is another certificate's", 1);
    assert_eq!(shown(&mut house), "CN=localhost");

    fs::remove_file(&key).unwrap();
    house.until_log_has("server.key: No such file or directory", 1);
    fs::write(&key, &renewed).unwrap();
    house.until_log_has(RENEWED, 1);
    assert_eq!(shown(&mut house), "CN=whole.example.com");
    assert_eq!(house.log().matches(REFUSED).count(), 3, "{}", house.log());
}

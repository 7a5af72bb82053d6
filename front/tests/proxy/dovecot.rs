//! Dovecot behind the proxy: how it is reached, by what it lets us in, and how
//! it hears where clients are.

use std::io::Write;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testbed::cells::{Credentials, Mechanism};
use testbed::courier::leave_out;
use testbed::dovecot::{self, Dovecot, MASTER};

use super::house::{House, PROXY, message};
use super::{CONNECTED, LOGIN, TEMPORARY, conversation, conversation_kept_open};

/// Dovecot, and where it lies.
struct Place {
    dovecot: Dovecot,
    directory: TempDir,
}

/// Where alice's password is `password` and XCLIENT is believed from `trusted`;
/// `None`, with a line that says why, where there is no Dovecot.
fn place(password: &str, trusted: &str) -> Option<Place> {
    let unpacked = Path::new(PROXY).ancestors().nth(2).unwrap().join("dovecot-pop3d");
    if let Some(reason) = dovecot::missing(&unpacked) {
        leave_out(&format!("Dovecot as a back-end: {reason}")).unwrap();
        return None;
    }
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
    testbed::stand::make_public(directory.path()).unwrap();
    let files = directory.path().join("dovecot");
    Some(Place {
        dovecot: Dovecot::start(&unpacked, &files, message(), password, trusted).unwrap(),
        directory,
    })
}

/// A proxy before `address`, which is Dovecot's, with that TLS.
fn proxy(dovecot: &Dovecot, address: SocketAddr, tls: &str, more: &[(&str, &str)]) -> House {
    let authority = dovecot.certificates().authority();
    let own = [("POSTRIDER_PROXY_TLS", tls), ("POSTRIDER_PROXY_TRUSTCERTS", authority.to_str().unwrap())];
    House::at(address, &[&own[..], more].concat())
}

/// What a proxy in front of ours says before a client of 192.0.2.7 speaks.
const HEADER: &str = "PROXY TCP4 192.0.2.7 192.0.2.1 4321 110\r\n";

#[test]
fn dovecot_is_reached_in_clear_by_stls_and_by_tls() {
    let Some(Place { dovecot, directory: _directory }) = place("secret", "") else { return };
    for (tls, address) in
        [("none", dovecot.address()), ("stls", dovecot.address()), ("tls", dovecot.tls_address())]
    {
        let mut house = proxy(&dovecot, address, tls, &[]);
        let said = conversation(
            house.service.connect().unwrap(),
            "CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nUIDL\r\nQUIT\r\n",
        );
        let behind = said.split_once(CONNECTED).unwrap_or_else(|| panic!("{tls}: {said}\n{}", house.log())).1;
        assert!(behind.starts_with("+OK 1 23\r\n"), "{tls}: {said}");
        assert!(behind.contains("\r\nSubject: one\r\n\r\nhello\r\n.\r\n"), "{tls}: {said}");
        assert!(behind.ends_with("+OK Logging out.\r\n"), "{said}");
        house.until_log_has("], protocol=POP3\n", 1);
    }
    let log = dovecot.log().unwrap();
    assert_eq!(log.matches("Login: user=<alice>, method=PLAIN").count(), 3, "{log}");
    assert_eq!(log.matches("TLSv1.3").count(), 2, "{log}");
}

#[test]
fn a_password_that_dovecot_does_not_take_is_a_failed_login() {
    let Some(Place { dovecot, directory: _directory }) = place("another", "") else { return };
    let mut house = proxy(&dovecot, dovecot.address(), "stls", &[]);
    let said = conversation(house.service.connect().unwrap(), &format!("{LOGIN}QUIT\r\n"));
    assert!(said.ends_with("-ERR [AUTH] Login failed.\r\n+OK Better luck next time.\r\n"), "{said}");
    house.until_log_has("WARN: Login password rejected by 127.", 1);
    house.until_log_has("LOGIN FAILED, user=alice", 1);
}

#[test]
fn dovecot_trusts_a_master_user_whatever_the_client_has_proved_it_by() {
    let Some(Place { dovecot, directory }) = place("another", "") else { return };
    let file = |name: &str, words: &str| secret(directory.path(), name, words);
    let good = file("good", &format!("{}\n{}\n", MASTER.0, MASTER.1));
    let wrong = file("wrong", &format!("{}\nguessed\n", MASTER.0));
    let with = |master: &Path| {
        let master = [
            ("POSTRIDER_PROXY_LOGIN", "master"),
            ("POSTRIDER_PROXY_MASTER", master.to_str().unwrap()),
            ("POP3AUTH", "CRAM-SHA256"),
        ];
        proxy(&dovecot, dovecot.address(), "stls", &master)
    };
    let mut house = with(&good);
    for mechanism in [Mechanism::Pass, Mechanism::CramSha256] {
        let entered = mechanism.enter(house.service.connect().unwrap(), &Credentials::default());
        assert!(entered.unwrap(), "{mechanism:?}");
        let wrong = Credentials::default().wrong();
        assert!(!mechanism.enter(house.service.connect().unwrap(), &wrong).unwrap(), "{mechanism:?}");
    }
    assert!(!house.log().contains(MASTER.1));
    // It is not the client's fault.
    let mut house = with(&wrong);
    let said = conversation(house.service.connect().unwrap(), &format!("{LOGIN}QUIT\r\n"));
    assert!(said.contains(TEMPORARY), "{said}");
    house.until_log_has("WARN: AUTH rejected by 127.", 1);
}

#[test]
fn dovecot_knows_us_by_our_certificate() {
    let Some(Place { dovecot, directory: _directory }) = place("another", "") else { return };
    let (certificate, key) = dovecot.certificates().client();
    let external = [
        ("POSTRIDER_PROXY_LOGIN", "external"),
        ("POSTRIDER_PROXY_CERTFILE", certificate.to_str().unwrap()),
        ("POSTRIDER_PROXY_KEYFILE", key.to_str().unwrap()),
        ("POP3AUTH", "CRAM-SHA256"),
    ];
    for (tls, address) in [("stls", dovecot.address()), ("tls", dovecot.tls_address())] {
        let mut house = proxy(&dovecot, address, tls, &external);
        let entered = Mechanism::CramSha256.enter(house.service.connect().unwrap(), &Credentials::default());
        assert!(entered.unwrap(), "{}", house.log());
    }
    let log = dovecot.log().unwrap();
    assert_eq!(log.matches("Login: user=<alice>, method=EXTERNAL").count(), 2, "{log}");
}

#[test]
fn dovecot_hears_where_clients_are() {
    let Some(Place { dovecot, directory: _directory }) = place("secret", "127.0.0.0/8") else { return };
    for (forward, tls, address) in [
        ("proxy2", "none", dovecot.haproxy_address()),
        ("proxy2", "stls", dovecot.haproxy_address()),
        ("xclient", "none", dovecot.address()),
        ("xclient", "stls", dovecot.address()),
        ("xclient", "tls", dovecot.tls_address()),
    ] {
        let environment = [("POSTRIDER_PROXY_FORWARD", forward), ("POSTRIDER_PROXY_AT", "*")];
        let mut house = proxy(&dovecot, address, tls, &environment);
        let before = dovecot.log().unwrap().len();
        let said = conversation_behind(&mut house, HEADER);
        assert!(said.contains(CONNECTED), "{forward} {tls}: {said}\n{}", house.log());
        house.until("Dovecot has heard of it", |_| {
            dovecot.log().unwrap()[before..].contains("user=<alice>, method=PLAIN, rip=192.0.2.7, rport=4321")
        });
    }
}

#[test]
fn dovecot_that_would_not_believe_where_clients_are_gives_no_session() {
    let Some(Place { dovecot, directory: _directory }) = place("secret", "192.0.2.0/24") else { return };
    let mut house = proxy(&dovecot, dovecot.address(), "none", &[("POSTRIDER_PROXY_FORWARD", "xclient")]);
    let said = conversation_kept_open(house.service.connect().unwrap());
    assert!(said.ends_with(TEMPORARY), "{said}");
    house.until_log_has("WARN: XCLIENT rejected by 127.", 1);
}

/// What a client hears that logs in and leaves behind a header of the PROXY
/// protocol.
fn conversation_behind(house: &mut House, header: &str) -> String {
    let mut stream = house.service.connect().unwrap();
    stream.write_all(header.as_bytes()).unwrap();
    conversation(stream, &format!("{LOGIN}STAT\r\nQUIT\r\n"))
}

/// A file with `words`, for its owner alone.
fn secret(directory: &Path, name: &str, words: &str) -> PathBuf {
    use std::os::unix::fs::OpenOptionsExt;
    let path = directory.join(name);
    let mut options = std::fs::OpenOptions::new();
    let mut file = options.write(true).create_new(true).mode(0o600).open(&path).unwrap();
    file.write_all(words.as_bytes()).unwrap();
    path
}

//! Clients that show certificates, and log in by them.

use std::fs;
use std::os::unix::fs::symlink;
use std::process::Command;
use std::time::{Duration, Instant};

use testbed::PATIENCE;
use testbed::client::Client;
use testbed::courier::leave_out;
use testbed::tls::{Hello, Tls};

use crate::house::{House, text};

const EXTERNAL: (&str, &str) = ("TLS_EXTERNAL", "CN");

/// A client that shows the certificate of `alice`.
fn alice(house: &mut House) -> Hello {
    Hello { certificate: Some(house.certificates.client()), ..Hello::default() }
}

fn begin(house: &mut House, hello: &Hello) -> testbed::Outcome<Client<Tls>> {
    let stream = house.service.connect_for_tls().unwrap();
    Client::greeted(hello.begin(stream, &house.certificates)?)
}

#[test]
fn a_client_is_whom_its_certificate_names() {
    let mut house = House::asking(&[EXTERNAL]);
    let hello = alice(&mut house);
    for only_1_2 in [true, false] {
        let hello = Hello { only_1_2, ..hello.clone() };
        let mut client = begin(&mut house, &hello).unwrap();
        assert!(client.listing("CAPA").unwrap().contains(&"SASL PLAIN LOGIN EXTERNAL".to_owned()));
        // Not `bob`; then itself, by an empty response and by name.
        assert!(client.command("AUTH EXTERNAL Ym9i").unwrap_err().to_string().contains("-ERR [AUTH]"));
        client.command("AUTH EXTERNAL =").unwrap();
        assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
        client.quit().unwrap();
        let mut client = begin(&mut house, &hello).unwrap();
        client.command("AUTH EXTERNAL YWxpY2U=").unwrap();
        client.quit().unwrap();
    }
    house.until_log_has("INFO: LOGIN, user=alice", 4);
}

#[test]
fn who_shows_no_certificate_or_a_strangers_is_nobody() {
    let mut house = House::asking(&[EXTERNAL, ("TLS_VERIFYPEER", "PEER")]);
    let mut client = begin(&mut house, &Hello::default()).unwrap();
    assert!(client.listing("CAPA").unwrap().contains(&"SASL PLAIN LOGIN".to_owned()));
    assert!(client.command("AUTH EXTERNAL YWxpY2U=").is_err());
    client.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==").unwrap();
    client.quit().unwrap();
    for only_1_2 in [true, false] {
        let hello = Hello { only_1_2, certificate: Some(house.certificates.impostor()) };
        assert!(begin(&mut house, &hello).is_err());
    }
    house.until_log_has("invalid peer certificate: UnknownIssuer", 2);
    // In clear nobody has one.
    let mut client = Client::greeted(house.service.connect().unwrap()).unwrap();
    assert!(client.command("AUTH EXTERNAL YWxpY2U=").is_err());
}

#[test]
fn where_certificates_are_required_nobody_comes_without() {
    let mut house = House::asking(&[("TLS_VERIFYPEER", "REQUIREPEER")]);
    assert!(begin(&mut house, &Hello::default()).is_err());
    assert!(!house.openssl(&["-tls1_2"], true).contains("+OK logged in."));
    let hello = alice(&mut house);
    let mut client = begin(&mut house, &hello).unwrap();
    // It is no more than a ticket to the door: EXTERNAL is not set up.
    assert!(client.listing("CAPA").unwrap().contains(&"SASL PLAIN LOGIN".to_owned()));
    assert!(client.command("AUTH EXTERNAL YWxpY2U=").is_err());
    client.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==").unwrap();
    client.quit().unwrap();
}

#[test]
fn nobody_is_asked_unless_somebody_may_sign() {
    let mut house = House::asking(&[EXTERNAL, ("TLS_VERIFYPEER", "NONE")]);
    let hello = alice(&mut house);
    let mut client = begin(&mut house, &hello).unwrap();
    assert!(client.command("AUTH EXTERNAL YWxpY2U=").is_err());
    assert!(house.openssl(&[], false).contains("No client certificate CA names sent"));
    let mut house = House::asking(&[]);
    let said = house.openssl(&[], false);
    assert!(said.contains("Acceptable client certificate CA names\nCN = test authority\n"), "{said}");
}

#[test]
fn curl_and_mpop_log_in_by_certificate() {
    let mut house = House::asking(&[EXTERNAL]);
    drop((house.service.connect_for_tls().unwrap(), house.service.connect().unwrap()));
    let (certificate, key) = house.certificates.client();
    let places = [("pop3", house.service.address()), ("pop3s", house.service.tls_address())];
    for (scheme, address) in places {
        let (ip, port) = (address.ip(), address.port());
        let output = Command::new("curl")
            .args(["-sS", "--ssl-reqd", "-u", "alice:", "--login-options", "AUTH=EXTERNAL", "--cacert"])
            .arg(house.certificates.authority())
            .arg("--cert")
            .arg(&certificate)
            .arg("--key")
            .arg(&key)
            .args(["--resolve", &format!("localhost:{port}:{ip}"), &format!("{scheme}://localhost:{port}/1")])
            .output()
            .unwrap();
        assert_eq!(text(&output.stdout), "Subject: one\r\n\r\nhello\r\n", "{}", text(&output.stderr));
    }
    house.until_log_has("INFO: LOGIN, user=alice", 2);
    let delivered = house.directory().join("delivered");
    let mut mpop = Command::new("mpop");
    mpop.args(["--file=/dev/null", "--auth=external", "--user=alice", "--tls=on", "--tls-starttls=on"]);
    mpop.arg("--tls-host-override=localhost");
    mpop.arg(format!("--host={}", house.service.address().ip()));
    mpop.arg(format!("--port={}", house.service.address().port()));
    for (word, path) in [
        ("tls-trust-file", &house.certificates.authority()),
        ("tls-cert-file", &certificate),
        ("tls-key-file", &key),
        ("delivery=mbox,", &delivered),
        ("uidls-file", &house.directory().join("uidls")),
    ] {
        let separator = if word.ends_with(',') { "" } else { "=" };
        mpop.arg(format!("--{word}{separator}{}", path.display()));
    }
    let Ok(output) = mpop.output() else { return leave_out("mpop, which is not there").unwrap() };
    assert!(output.status.success(), "{}\n{}", text(&output.stderr), house.log());
    assert!(fs::read_to_string(delivered).unwrap().contains("\nhello\n"));
}

#[test]
fn who_may_sign_may_stand_in_a_directory_by_hash() {
    let directory = tempfile::tempdir().unwrap();
    testbed::stand::make_public(directory.path()).unwrap();
    let place = directory.path().to_str().unwrap().to_owned();
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let hash = crate::certificate::openssl(&["x509", "-noout", "-hash"], &house.certificates.authority());
    symlink(house.certificates.authority(), directory.path().join(format!("{}.0", hash.trim()))).unwrap();
    fs::write(directory.path().join("README"), "no certificate").unwrap();
    house.start_again(&[EXTERNAL, ("TLS_TRUSTCERTS", &place)]);
    let hello = alice(&mut house);
    begin(&mut house, &hello).unwrap().command("AUTH EXTERNAL =").unwrap();
}

#[test]
fn settings_that_mean_nothing_end_the_start_with_their_reason() {
    for (environment, reason) in [
        (vec![("TLS_VERIFYPEER", "REQUIREPEER")], "TLS_TRUSTCERTS does not say who may sign"),
        (vec![("TLS_VERIFYPEER", "yes"), ("TLS_TRUSTCERTS", "/dev/null")], "it is NONE, PEER or REQUIREPEER"),
        (vec![("TLS_TRUSTCERTS", "/dev/null")], "TLS_TRUSTCERTS: there is no certificate in it"),
        (vec![("TLS_TRUSTCERTS", "/nowhere")], "/nowhere: No such file or directory"),
    ] {
        let mut house = House::with_message(b"");
        house.start_again(&environment);
        let end = Instant::now() + PATIENCE;
        while house.service.ended().unwrap().is_none() && Instant::now() < end {
            std::thread::sleep(Duration::from_millis(10));
        }
        assert_eq!(house.service.ended().unwrap().unwrap().code(), Some(1), "{}", house.log());
        assert!(house.log().contains(reason), "{reason}: {}", house.log());
    }
}

//! What a handshake may take, in time and in protocols.

use std::io::{Read, Write};
use std::time::Instant;

use testbed::PATIENCE;
use testbed::client::Client;

use crate::house::{House, text};

const MESSAGE: &[u8] = b"Subject: one\n\nhello\n";

#[test]
fn a_handshake_has_a_time_of_its_own_which_is_shorter_than_a_logins() {
    let mut house = House::new(MESSAGE, &[("POSTRIDER_HANDSHAKE_TIMEOUT", "1")]);
    let came_first = house.service.connect().unwrap();
    let implicit = house.service.connect_for_tls().unwrap();
    let mut by_stls = house.service.connect().unwrap();
    by_stls.write_all(b"STLS\r\n").unwrap();
    for mut silent in [implicit, by_stls] {
        silent.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut heard = Vec::new();
        silent.read_to_end(&mut heard).unwrap();
        assert!(heard.is_empty() || text(&heard).ends_with("negotiation now.\r\n"), "{}", text(&heard));
    }
    house.until_log_has(": timeout\n", 2);
    assert_eq!(house.log().matches("DEBUG: TLS handshake failed, ").count(), 2);
    Client::log_in(came_first).unwrap().quit().unwrap();
    // Who has shaken hands has the rest of the minute.
    let shaken = house.implicit();
    let before = Instant::now();
    while before.elapsed().as_secs() < 2 {
        Client::log_in(house.by_stls()).unwrap().quit().unwrap();
    }
    Client::log_in(shaken).unwrap().quit().unwrap();
}

#[test]
fn who_offers_other_protocols_than_pop3_is_refused() {
    let mut house = House::with_message(MESSAGE);
    for stls in [true, false] {
        for offer in ["pop3", "imap,pop3"] {
            let said = house.openssl(&["-alpn", offer], stls);
            assert!(said.contains("ALPN protocol: pop3") && said.contains("+OK logged in."), "{said}");
        }
        for version in ["-tls1_2", "-tls1_3"] {
            let said = house.openssl(&["-alpn", "imap,smtp,POP3", version], stls);
            assert!(said.contains("alert no application protocol"), "{said}");
            assert!(!said.contains("+OK logged in."), "{said}");
        }
    }
    let said = house.openssl(&[], true);
    assert!(said.contains("No ALPN negotiated") && said.contains("+OK logged in."), "{said}");
}

#[test]
fn the_administrator_may_name_other_protocols() {
    let mut house = House::new(MESSAGE, &[("TLS_ALPN", "mail pop3")]);
    assert!(house.openssl(&["-alpn", "mail"], false).contains("ALPN protocol: mail"));
    assert!(house.openssl(&["-alpn", "imap"], false).contains("alert no application protocol"));
}

#[test]
fn version_1_2_can_be_switched_off_also_behind_stls_alone() {
    let mut house =
        House::new(MESSAGE, &[("TLS_PROTOCOL", "TLSv1.3"), ("TLS_STARTTLS_PROTOCOL", "TLSv1.2++")]);
    for (version, stls, is_spoken) in [
        ("-tls1_3", false, true),
        ("-tls1_2", false, false),
        ("-tls1_3", true, true),
        ("-tls1_2", true, true),
    ] {
        let said = house.openssl(&[version], stls);
        assert_eq!(said.contains("+OK logged in."), is_spoken, "{version}: {said}");
    }
    let mut house = House::new(MESSAGE, &[("TLS_PROTOCOL", "SSL3")]);
    assert!(house.openssl(&["-tls1_2"], true).contains("+OK logged in."));
    assert_eq!(house.log().matches("TLS_PROTOCOL=SSL3: 1.2 and 1.3 are spoken").count(), 1);
}

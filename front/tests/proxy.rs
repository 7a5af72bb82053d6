//! `postrider serve` as a POP3 proxy, with real servers behind it: Courier,
//! Dovecot, another `postrider serve`, and servers that do what none should.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "proxy/courier.rs"]
mod courier;
#[path = "proxy/dovecot.rs"]
mod dovecot;
#[path = "proxy/house.rs"]
mod house;
#[path = "proxy/impostor.rs"]
mod impostor;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::client::Client;
use testbed::tls::Tls;
use testbed::wire::Wire;

use house::{Backend, House, end, text};
use impostor::{Impostor, at_localhost};

const CONNECTED: &str = "+OK Connected to proxy server.\r\n";
const TEMPORARY: &str = "-ERR [SYS/TEMP] Temporary problem, please try again later\r\n";

/// All that a server says to `words`, said in one packet and followed by the
/// end, behind its greeting.
fn conversation(mut stream: TcpStream, words: &str) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    text(&heard).strip_prefix("+OK Hello there.\r\n").unwrap().to_owned()
}

const LOGIN: &str = "USER alice\r\nPASS secret\r\n";
const WHOLE: &str = "USER alice\r\nPASS secret\r\nSTAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n";

#[test]
fn a_whole_session_in_one_packet_reaches_the_back_end() {
    let mut backend = Backend::new(&[], &[]);
    let mut house = House::before(&backend, &[], &[]);
    let said = conversation(house.service.connect().unwrap(), WHOLE);
    let behind = said.split_once(CONNECTED).unwrap().1;
    assert!(
        behind.starts_with("+OK 1 23\r\n+OK 23 octets follow.\r\nSubject: one\r\n\r\nhello\r\n.\r\n"),
        "{said}"
    );
    assert!(behind.ends_with("+OK Deleted.\r\n+OK Bye-bye.\r\n"), "{said}");
    house.until_log_has("INFO: LOGIN, user=alice, ip=[::ffff:127.0.0.1], port=[", 1);
    house.until_log_has("], protocol=POP3\n", 1);
    house.until_log_has("DEBUG: Disconnected, user=alice", 1);
    assert!(!house.log().contains("secret"));
    drop(backend.service.connect().unwrap());
}

#[test]
fn an_account_without_a_mailhost_or_with_ours_is_served_here() {
    let backend = Backend::new(&[], &[]);
    for (host, warned) in [("", true), ("front.example.com", false)] {
        let environment = [("PROXY_HOSTNAME", "front.example.com")];
        let mut house = House::with_mailhost(&backend, host, &environment);
        let said = conversation(house.service.connect().unwrap(), &format!("{LOGIN}QUIT\r\n"));
        assert!(said.contains("+OK logged in.\r\n"), "{said}");
        let line = "WARN: proxy enabled, but no proxy host defined for alice";
        assert_eq!(house.log().contains(line), warned, "{}", house.log());
    }
}

#[test]
fn clients_in_tls_reach_a_back_end_in_clear_and_the_other_way_round() {
    let backend = Backend::new(&[], &[]);
    let mut house = House::before(&backend, &[], &[]);
    let mut client = Tls::begin(house.service.connect_for_tls().unwrap(), &house.certificates).unwrap();
    client.send(format!("{LOGIN}STAT\r\nQUIT\r\n").as_bytes()).unwrap();
    let mut heard = Vec::new();
    loop {
        match client.receive().unwrap() {
            octets if octets.is_empty() => break,
            octets => heard.extend(octets),
        }
    }
    let heard = text(&heard);
    assert!(heard.contains(CONNECTED) && heard.ends_with("+OK 1 23\r\n+OK Bye-bye.\r\n"), "{heard}");
    house.until_log_has(", protocol=POP3, stls=1\n", 1);

    let secured = Backend::new(&[("POP3_TLS_REQUIRED", "1")], &[]);
    for (tls, address) in [("stls", secured.service.address()), ("tls", secured.service.tls_address())] {
        let (authority, port) = (secured.certificates.authority(), at_localhost(address));
        let environment = [
            ("POSTRIDER_PROXY_TLS", tls),
            ("POSTRIDER_PROXY_PORT", port.as_str()),
            ("POSTRIDER_PROXY_TRUSTCERTS", authority.to_str().unwrap()),
        ];
        let mut house = House::with_mailhost(&secured, "localhost", &environment);
        let said = conversation(house.service.connect().unwrap(), WHOLE.replace("DELE 1\r\n", "").as_str());
        assert!(
            said.contains(CONNECTED) && said.ends_with("+OK Bye-bye.\r\n"),
            "{tls}: {said}\n{}",
            house.log()
        );
    }
}

#[test]
fn a_back_end_whose_certificate_is_another_ones_hears_no_password() {
    let backend = Backend::new(&[("DEBUG_LOGIN", "1")], &[]);
    let (own, stranger) = (backend.certificates.authority(), backend.certificates.stranger());
    let (itself, _) = backend.certificates.server();
    let port = at_localhost(backend.service.address());
    // Signed by somebody else; for that name or address; for another one; trusted itself.
    for (host, trusted, is_good) in [
        ("localhost", &stranger, false),
        ("localhost", &own, true),
        ("127.0.0.1", &own, true),
        ("0.0.0.0", &own, false),
        ("0.0.0.0", &itself, true),
    ] {
        let environment = [
            ("POSTRIDER_PROXY_TLS", "stls"),
            ("POSTRIDER_PROXY_PORT", port.as_str()),
            ("POSTRIDER_PROXY_TRUSTCERTS", trusted.to_str().unwrap()),
        ];
        let mut house = House::with_mailhost(&backend, host, &environment);
        let said = conversation(house.service.connect().unwrap(), &format!("{LOGIN}QUIT\r\n"));
        assert_eq!(said.contains(CONNECTED), is_good, "{host}: {said}\n{}", house.log());
        if !is_good {
            assert!(said.ends_with(TEMPORARY), "{said}");
            house.until_log_has(&format!("WARN: TLS with {host}: "), 1);
        }
    }
}

#[test]
fn a_back_end_in_trouble_is_a_temporary_problem_and_the_log_says_which() {
    for (impostor, line) in [
        (Impostor::Absent, "WARN: cannot connect to 127."),
        (Impostor::Says(b"-ERR no\r\n"), "WARN: Did not receive greeting from 127."),
        (Impostor::Says(b"220 smtp\r\n"), "WARN: Did not receive greeting from 127."),
        (Impostor::Says(b""), "WARN: Did not receive greeting from 127."),
        (Impostor::Says(b"+OK\r\n"), "has closed the connection"),
        (Impostor::Says(b"+OK\r\nwhat?\r\n"), "has said what is no reply"),
        (Impostor::Says(b"+OK\r\n+OK\r\n-ERR [SYS/TEMP] later\r\n"), "WARN: Login password rejected by 127."),
        (
            Impostor::Says(b"+OK\r\n+OK\r\n-ERR Temporary problem\r\n"),
            "WARN: Login password rejected by 127.",
        ),
        (Impostor::Silent, "WARN: Did not receive greeting from 127."),
        (Impostor::Endless, "WARN: Did not receive greeting from 127."),
        (Impostor::Long, "WARN: Did not receive greeting from 127."),
    ] {
        let address = impostor.start();
        let mut house = House::at(address, &[]);
        let said = conversation_kept_open(house.service.connect().unwrap());
        assert!(said.ends_with(TEMPORARY), "{impostor:?}: {said}\n{}", house.log());
        house.until_log_has(line, 1);
        assert!(!house.log().contains("LOGIN FAILED"), "{}", house.log());
    }
}

#[test]
fn a_password_that_a_back_end_does_not_take_is_a_failed_login_and_its_words_are_in_the_log() {
    let address = Impostor::Says(b"+OK\r\n+OK\r\n-ERR [AUTH] not\x07you\r\n").start();
    let mut house = House::at(address, &[]);
    let said = conversation(house.service.connect().unwrap(), &format!("{LOGIN}{LOGIN}QUIT\r\n"));
    assert_eq!(said.matches("-ERR [AUTH] Login failed.\r\n").count(), 2, "{said}");
    assert!(said.ends_with("+OK Better luck next time.\r\n"), "{said}");
    house.until_log_has(&format!("rejected by {}: -ERR [AUTH] not.you\n", address.ip()), 2);
    house.until_log_has("LOGIN FAILED, user=alice", 2);
}

#[test]
fn a_back_end_whose_certificate_has_expired_hears_no_password() {
    let backend = Backend::new(&[], &[]);
    let (authority, (good, key)) = (backend.certificates.authority(), backend.certificates.server());
    for (certificate, line) in [
        (
            backend.certificates.expired().unwrap(),
            "WARN: TLS with localhost: invalid peer certificate: certificate expired",
        ),
        // The same server, but for that.
        (good, "WARN: Did not receive greeting from localhost"),
    ] {
        let (address, _server) = impostor::openssl(&certificate, &key);
        let port = at_localhost(address);
        let environment = [
            ("POSTRIDER_PROXY_TLS", "tls"),
            ("POSTRIDER_PROXY_PORT", port.as_str()),
            ("POSTRIDER_PROXY_TRUSTCERTS", authority.to_str().unwrap()),
        ];
        let mut house = House::named("localhost", &environment);
        let said = conversation(house.service.connect().unwrap(), LOGIN);
        assert!(said.ends_with(TEMPORARY), "{said}");
        house.until_log_has(line, 1);
    }
}

#[test]
fn a_service_of_ours_hears_where_clients_are() {
    let backend = Backend::new(&[("POSTRIDER_PROXY_AT", "*")], &[]);
    let environment = [("POSTRIDER_PROXY_FORWARD", "proxy2"), ("POSTRIDER_PROXY_AT", "*")];
    let mut house = House::before(&backend, &environment, &[]);
    let mut stream = house.service.connect().unwrap();
    stream.write_all(b"PROXY TCP6 2001:db8::7 2001:db8::1 4321 110\r\n").unwrap();
    let said = conversation(stream, WHOLE);
    assert!(said.ends_with("+OK Deleted.\r\n+OK Bye-bye.\r\n"), "{said}");
    assert!(
        backend.log().contains("INFO: LOGIN, user=alice, ip=[2001:db8::7], port=[4321]"),
        "{}",
        backend.log()
    );
}

/// What a client hears that logs in and waits.
fn conversation_kept_open(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(format!("{LOGIN}RETR 1\r\n").as_bytes()).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    text(&heard)
}

#[test]
fn what_a_back_end_leaves_unsaid_is_not_made_up() {
    // In the middle of RETR it goes away.
    let address = Impostor::Says(b"+OK\r\n+OK\r\n+OK logged in.\r\n+OK 100 octets follow.\r\nhal").start();
    let mut house = House::at(address, &[]);
    let said = conversation_kept_open(house.service.connect().unwrap());
    assert!(said.ends_with(&format!("{CONNECTED}+OK 100 octets follow.\r\nhal")), "{said}");
}

#[test]
fn an_account_that_may_not_use_pop3_hears_so_and_no_back_end_hears_of_it() {
    let backend = Backend::new(&[("DEBUG_LOGIN", "1")], &[]);
    for (option, sentence) in [
        ("disablepop3=1", "-ERR [SYS/PERM] POP3 access disabled for this account.\r\n"),
        ("disableinsecurepop3=1", "-ERR [SYS/PERM] POP3 access disabled via insecure connection.\r\n"),
    ] {
        let mut house = House::before(&backend, &[("DEFAULTOPTIONS", option)], &[]);
        let said = conversation_kept_open(house.service.connect().unwrap());
        assert!(said.ends_with(sentence), "{said}\n{}", house.log());
    }
    assert!(!backend.log().contains("USER"), "{}", backend.log());
}

#[test]
fn a_hundred_sessions_at_once_and_one_whose_client_has_gone() {
    let backend = Backend::new(&[], &[]);
    let mut house = House::before(&backend, &[], &[]);
    // It goes while it is being logged in.
    let mut gone = house.service.connect().unwrap();
    gone.write_all(LOGIN.as_bytes()).unwrap();
    drop(gone);
    let streams: Vec<_> = (0..100).map(|_| house.service.connect().unwrap()).collect();
    let clients: Vec<_> =
        streams.into_iter().map(|stream| thread::spawn(move || Client::log_in(stream).unwrap())).collect();
    let clients: Vec<_> = clients.into_iter().map(|client| client.join().unwrap()).collect();
    for mut client in clients {
        assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
        client.quit().unwrap();
    }
}

#[test]
fn a_proxy_process_that_ends_takes_its_sessions_along_and_nobody_elses() {
    let backend = Backend::new(&[], &[]);
    let mut house = House::before(&backend, &[], &[]);
    let mut client = Client::log_in(house.service.connect().unwrap()).unwrap();
    client.command("DELE 1").unwrap();
    end(&house.processes("postrider-proxy"));
    assert!(client.command("STAT").is_err());
    let mut client = house.log_in_again();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    // Sessions outlive the front and auth.
    end(&house.processes("postrider-front"));
    end(&house.processes("postrider-auth"));
    thread::sleep(Duration::from_millis(100));
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
}

#[test]
fn a_proxy_process_without_anybody_to_look_names_up_is_replaced_and_its_sessions_stay() {
    let backend = Backend::new(&[], &[]);
    let port = at_localhost(backend.service.address());
    let environment = [("POSTRIDER_PROXY_PORT", port.as_str()), ("POSTRIDER_PROXY_TLS", "none")];
    let mut house = House::named("localhost", &environment);
    let mut client = house.log_in_again();
    let proxies = house.processes("postrider-proxy");
    let names: Vec<i32> = proxies.iter().flat_map(|pid| house::children(*pid)).collect();
    end(&names);
    house.until_log_has("ERR: a proxy process leaves: who looks names up for it has gone", proxies.len());
    house.log_in_again().quit().unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
    house.until("the old ones are gone", |house| {
        let there = house.processes("postrider-proxy");
        there.len() == proxies.len() && there.iter().all(|pid| !proxies.contains(pid))
    });
}

#[test]
fn settings_are_read_again_and_sessions_that_go_through_stay() {
    let backend = Backend::new(&[], &[]);
    let trusted = backend.stand.log().with_file_name("authorities.pem");
    std::fs::copy(backend.certificates.authority(), &trusted).unwrap();
    let environment = [("POSTRIDER_PROXY_TRUSTCERTS", trusted.to_str().unwrap())];
    let mut house = House::before(&backend, &environment, &[]);
    let mut client = Client::log_in(house.service.connect().unwrap()).unwrap();
    let before = house.processes("postrider-proxy");
    house.reload();
    house.until_log_has("INFO: the settings were read again and are in force", 1);
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    house.log_in_again().quit().unwrap();
    std::fs::write(&trusted, "-----BEGIN CERTIFICATE-----\nMIIB").unwrap();
    house.reload();
    house.until_log_has("ERR: the settings stay as they were: a proxy process: the authorities: ", 1);
    house.log_in_again().quit().unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
    // Whoever has nobody left goes.
    house.until("the old ones are gone", |house| {
        house.processes("postrider-proxy").iter().all(|pid| !before.contains(pid))
    });
}

#[test]
fn sessions_that_go_through_are_counted_with_the_others_and_end_with_the_service() {
    let backend = Backend::new(&[], &[]);
    let environment = [("POSTRIDER_MAXPERACCOUNT", "1"), ("POSTRIDER_FAREWELL", "0")];
    let mut house = House::before(&backend, &environment, &[]);
    let mut first = Client::log_in(house.service.connect().unwrap()).unwrap();
    let refused = Client::log_in(house.service.connect().unwrap()).err().unwrap().to_string();
    assert!(refused.contains("[IN-USE]"), "{refused}");
    assert_eq!(first.command("DELE 1").unwrap(), "+OK Deleted.");
    first.quit().unwrap();
    let mut next = house.log_in_again();
    assert_eq!(next.command("STAT").unwrap(), "+OK 0 0");
    let pid = house.service.pid().cast_signed();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    house.until("the session ends", |_| next.command("STAT").is_err());
    house.until("the end", |house| house.service.ended().unwrap().is_some());
    house.until_log_has("DEBUG: Disconnected, user=alice", 2);
}

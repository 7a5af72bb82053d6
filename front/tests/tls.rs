//! TLS in front of `postrider serve`: real clients, what is refused, and that
//! mail comes through a tunnel as it lies on disk.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

#[path = "tls/binding.rs"]
mod binding;
#[path = "tls/certificate.rs"]
mod certificate;
#[path = "tls/clients.rs"]
mod clients;
#[path = "tls/handshake.rs"]
mod handshake;
#[path = "tls/house.rs"]
mod house;
#[path = "tls/names.rs"]
mod names;
#[path = "tls/own.rs"]
mod own;
#[path = "tls/renewed.rs"]
mod renewed;
#[path = "tls/resumed.rs"]
mod resumed;
#[path = "tls/scanners.rs"]
mod scanners;

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::client::Client;
use testbed::tls::Tls;
use testbed::wire::Wire;

use house::{House, text};

const SUBJECT: &[u8] = b"Subject: one\n\nhello\n";

#[test]
fn curl_fetches_by_stls_and_by_implicit_tls() {
    let mut house = House::with_message(SUBJECT);
    drop(house.service.connect_for_tls().unwrap());
    drop(house.service.connect().unwrap());
    let places = [("pop3", house.service.address()), ("pop3s", house.service.tls_address())];
    for (scheme, address) in places {
        let (ip, port) = (address.ip(), address.port());
        let output = Command::new("curl")
            .args(["-sS", "--ssl-reqd", "-u", "alice:secret", "--cacert"])
            .arg(house.certificates.authority())
            .args(["--resolve", &format!("localhost:{port}:{ip}"), &format!("{scheme}://localhost:{port}/1")])
            .output()
            .unwrap();
        assert!(output.status.success(), "{}\n{}", text(&output.stderr), house.log());
        assert_eq!(text(&output.stdout), "Subject: one\r\n\r\nhello\r\n", "{scheme}");
    }
    assert_eq!(house.log().matches("INFO: LOGIN, user=alice").count(), 2);
    for line in house.log().lines().filter(|line| line.contains("user=alice")) {
        assert!(line.ends_with(", stls=1"), "{line}");
    }
}

#[test]
fn openssl_speaks_tls_1_2_and_1_3_and_nothing_older() {
    let mut house = House::with_message(SUBJECT);
    for stls in [true, false] {
        for version in ["-tls1_2", "-tls1_3"] {
            let said = house.openssl(&[version], stls);
            assert!(said.contains("+OK logged in.\r\n") || said.contains("+OK logged in.\n"), "{said}");
        }
        // What openssl(1) itself would refuse is asked of it all the same.
        for version in ["-tls1", "-tls1_1"] {
            let said = house.openssl(&[version, "-cipher", "ALL:@SECLEVEL=0"], stls);
            assert!(!said.contains("+OK logged in.") && !said.contains("Cipher is ECDHE"), "{said}");
        }
    }
    let refused = house.log().matches("DEBUG: TLS handshake failed").count();
    assert!(refused >= 2, "{}", house.log());
}

#[test]
fn nothing_that_was_said_in_clear_survives_stls() {
    let mut house = House::with_message(SUBJECT);
    let mut stream = house.service.connect().unwrap();
    // A name, UTF8, and what somebody may have put behind STLS in the same packet.
    stream.write_all(b"UTF8\r\nUSER mallory\r\nSTLS\r\nUSER mallory\r\nUSER mall").unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"negotiation now.\r\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet).unwrap();
        heard.push(octet[0]);
    }
    let mut tls = Tls::begin(stream, &house.certificates).unwrap();
    tls.send(b"PASS secret\r\nSTLS\r\nCAPA\r\nQUIT\r\n").unwrap();
    let mut said = Vec::new();
    loop {
        let octets = tls.receive().unwrap();
        if octets.is_empty() {
            break;
        }
        said.extend(octets);
    }
    let said = text(&said);
    let (refused, capabilities) = said.split_once("+OK Here's what I can do:\r\n").unwrap();
    assert_eq!(refused, "-ERR USER/PASS required.\r\n-ERR TLS support not available.\r\n");
    assert!(
        !capabilities.contains("STLS") && capabilities.ends_with("+OK Better luck next time.\r\n"),
        "{said}"
    );
}

#[test]
fn who_requires_tls_offers_it_and_lets_nobody_in_without() {
    let environment =
        [("POP3_TLS_REQUIRED", "1"), ("POP3AUTH", "PLAIN"), ("POP3AUTH_TLS", "PLAIN OAUTHBEARER")];
    let mut house = House::new(SUBJECT, &environment);
    let mut client = Client::greeted(house.service.connect().unwrap()).unwrap();
    assert!(client.listing("CAPA").unwrap().contains(&"STLS".to_owned()));
    assert!(client.command("USER alice").is_err());
    assert!(client.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==").is_err());
    let mut client = Client::greeted(house.by_stls()).unwrap();
    let capabilities = client.listing("CAPA").unwrap();
    assert!(capabilities.contains(&"SASL PLAIN OAUTHBEARER".to_owned()), "{capabilities:?}");
    client.command("AUTH PLAIN AGFsaWNlAHNlY3JldA==").unwrap();
    client.quit().unwrap();
}

#[test]
fn where_starttls_is_switched_off_only_the_other_port_speaks_tls() {
    let mut house = House::new(SUBJECT, &[("POP3_STARTTLS", "NO")]);
    let mut client = Client::greeted(house.service.connect().unwrap()).unwrap();
    assert!(!client.listing("CAPA").unwrap().contains(&"STLS".to_owned()));
    assert!(client.command("STLS").is_err());
    client.quit().unwrap();
    Client::log_in(house.implicit()).unwrap().quit().unwrap();
}

#[test]
fn a_failed_handshake_ends_the_connection() {
    let mut house = House::with_message(SUBJECT);
    let mut clear = house.service.connect_for_tls().unwrap();
    clear.write_all(b"USER alice\r\nPASS secret\r\nSTAT\r\n").unwrap();
    let mut after_stls = house.service.connect().unwrap();
    after_stls.write_all(b"STLS\r\n").unwrap();
    let mut heard = [0; 18];
    after_stls.read_exact(&mut heard).unwrap();
    let mut negotiation = [0; 36];
    after_stls.read_exact(&mut negotiation).unwrap();
    after_stls.write_all(b"USER alice\r\nPASS secret\r\nSTAT\r\n").unwrap();
    for mut stream in [clear, after_stls] {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut rest = Vec::new();
        // Whether it ends in EOF or in a reset, it must end.
        let _ = stream.read_to_end(&mut rest);
        assert!(!text(&rest).contains("+OK"), "{}", text(&rest));
    }
}

#[test]
fn a_long_message_comes_through_octet_by_octet_to_a_slow_reader() {
    // About 20 MB, no two lines alike.
    let lines: Vec<String> =
        (0..400_000_u64).map(|number| format!("{number:08} {:040x}", number * 7919)).collect();
    let mut message = b"Subject: long\n\n".to_vec();
    message.extend(lines.join("\n").into_bytes());
    message.push(b'\n');
    assert!(message.len() > 19_000_000);
    let mut house = House::with_message(&message);
    let mut slow = Client::log_in(house.implicit()).unwrap();
    slow.say("RETR 1").unwrap();
    // It does not read; others are served meanwhile.
    for _ in 0..5 {
        Client::log_in(house.by_stls()).unwrap().quit().unwrap();
    }
    let (pids, limit) = (house.processes("postrider-front"), 200_000);
    assert!(pids.iter().all(|pid| house::resident_kilobytes(*pid) < limit), "the message is in memory");
    let announced = message.len() + 400_000 + 2;
    assert_eq!(slow.line().unwrap(), format!("+OK {announced} octets follow."));
    assert_eq!((slow.line().unwrap().as_str(), slow.line().unwrap().as_str()), ("Subject: long", ""));
    for line in &lines {
        assert_eq!(&slow.line().unwrap(), line);
    }
    assert_eq!(slow.line().unwrap(), ".");
    slow.quit().unwrap();
}

#[test]
fn the_end_of_a_client_ends_its_session() {
    let mut house = House::with_message(SUBJECT);
    // With and without the words of TLS, in the middle of a reply and after one.
    for closes in [true, false] {
        let mut tls = house.implicit();
        tls.send(b"USER alice\r\nPASS secret\r\nDELE 1\r\n").unwrap();
        while !text(&tls.receive().unwrap()).contains("+OK Deleted.") {}
        if closes {
            tls.finish().unwrap();
            assert_eq!(text(&tls.receive().unwrap()), "");
        } else {
            tls.into_stream().shutdown(Shutdown::Both).unwrap();
        }
    }
    house.until_log_has("INFO: DISCONNECTED, user=alice", 2);
    // Nothing was deleted.
    let mut client = Client::log_in(house.implicit()).unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
}

#[test]
fn who_says_all_and_closes_its_side_hears_all() {
    let mut house = House::with_message(SUBJECT);
    let mut tls = house.by_stls();
    tls.send(b"USER alice\r\nPASS secret\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n").unwrap();
    tls.finish().unwrap();
    let mut said = Vec::new();
    loop {
        let octets = tls.receive().unwrap();
        if octets.is_empty() {
            break;
        }
        said.extend(octets);
    }
    let said = text(&said);
    assert!(
        said.contains("Subject: one\r\n\r\nhello\r\n.\r\n") && said.ends_with("+OK Bye-bye.\r\n"),
        "{said}"
    );
    assert_eq!(std::fs::read_dir(house.stand.account().maildir().join("cur")).unwrap().count(), 0);
}

#[test]
fn a_record_is_heard_to_its_end_before_a_login_and_behind_it() {
    let mut house = House::with_message(SUBJECT);
    // More than is read at once on either side of the login, and all in one record.
    const TIMES: usize = 500;
    let said = ["USER alice\r\n".repeat(TIMES), "PASS secret\r\n".into(), "RSET\r\n".repeat(2 * TIMES)];
    let said = [said.concat(), "QUIT\r\n".into()].concat();
    assert!(said.len() < 16 * 1024);
    for mut tls in [house.implicit(), house.by_stls()] {
        tls.send(said.as_bytes()).unwrap();
        let mut heard = Vec::new();
        loop {
            match tls.receive().unwrap() {
                octets if octets.is_empty() => break,
                octets => heard.extend(octets),
            }
        }
        let heard = text(&heard);
        assert_eq!(heard.matches("+OK Password required.\r\n").count(), TIMES, "{}", house.log());
        assert_eq!(heard.matches("+OK Resurrected.\r\n").count(), 2 * TIMES, "{}", house.log());
        assert!(heard.ends_with("+OK Bye-bye.\r\n"), "{}", house.log());
    }
}

#[test]
fn a_thousand_handshakes_that_never_come_hold_up_nobody() {
    let mut house = House::with_message(SUBJECT);
    let mut strangers: Vec<TcpStream> = Vec::new();
    // The beginning of a record of a handshake, or less of it.
    const HELLO: &[u8] = b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03";
    for number in 0..1000 {
        let stranger = match number % 2 {
            0 => {
                let mut stranger = house.service.connect_for_tls().unwrap();
                stranger.write_all(&HELLO[..number / 2 % HELLO.len()]).unwrap();
                stranger
            }
            _ => {
                let mut stranger = house.service.connect().unwrap();
                stranger.write_all(b"STLS\r\n").unwrap();
                stranger
            }
        };
        strangers.push(stranger);
    }
    for _ in 0..10 {
        Client::log_in(house.implicit()).unwrap().quit().unwrap();
        Client::log_in(house.by_stls()).unwrap().quit().unwrap();
    }
    // Their time ends, however long they have said nothing.
    let last = strangers.last_mut().unwrap();
    last.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut heard = Vec::new();
    last.read_to_end(&mut heard).unwrap();
    assert!(text(&heard).ends_with("+OK Begin SSL/TLS negotiation now.\r\n"), "{}", text(&heard));
    let implicit = &mut strangers[0];
    implicit.set_read_timeout(Some(PATIENCE)).unwrap();
    assert_eq!(implicit.read(&mut [0; 8]).unwrap(), 0);
}

#[test]
fn sessions_inside_tls_may_finish_when_the_service_ends_and_when_auth_has_gone() {
    let mut house = House::with_message(SUBJECT);
    let mut client = Client::log_in(house.by_stls()).unwrap();
    for pid in house.processes("postrider-auth") {
        kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
    }
    // New fronts with the certificate come; the old one stays for its session.
    let end = Instant::now() + PATIENCE;
    while house
        .service
        .connect_for_tls()
        .and_then(|stream| Tls::begin(stream, &house.certificates))
        .and_then(Client::log_in)
        .is_err()
    {
        assert!(Instant::now() < end, "{}", house.log());
        thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    let pid = i32::try_from(house.service.pid()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    while TcpStream::connect(house.service.tls_address()).is_ok() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    client.command("DELE 1").unwrap();
    client.quit().unwrap();
    while house.service.ended().unwrap().is_none() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(house.service.ended().unwrap().unwrap().success(), "{}", house.log());
}

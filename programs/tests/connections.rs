//! How clients get to `postrider serve`.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::net::{AddressFamily, SocketType};
use testbed::PATIENCE;
use testbed::client::Client;
use testbed::process::Running;
use testbed::tls::Tls;
use testbed::wire::Wire;

use house::{House, end};

/// The session of a client over `wire`, from the greeting to QUIT.
fn session(wire: impl Wire) {
    let mut client = Client::log_in(wire).unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    client.quit().unwrap();
}

#[test]
fn a_client_comes_over_ipv6() {
    let mut house = House::new().served(&[], &["--listen", "[::1]:0"]);
    let address = house.other_address("[::1]:");
    session(TcpStream::connect(&address).unwrap());
    assert!(house.log().contains("INFO: LOGIN, user=alice, ip=[::1], port=["), "{}", house.log());
}

#[test]
fn every_address_is_one_socket_for_ipv6_and_ipv4() {
    let mut house = House::new().served(&[], &["--listen", "[::]:0"]);
    let port = house.other_address("*:")[2..].parse().unwrap();
    session(TcpStream::connect(("::1", port)).unwrap());
    session(TcpStream::connect(("127.0.0.1", port)).unwrap());
    assert!(house.log().contains("user=alice, ip=[::ffff:127.0.0.1]"), "{}", house.log());
}

#[test]
fn a_client_comes_over_a_unix_socket_and_is_one_of_this_machine() {
    let house = House::new();
    let (directory, _) = house.accounts();
    let path = directory.join("pop3");
    let words = ["--listen", &format!("unix:0666:{}", path.display())];
    let mut house = house.served(&[], &words);
    house.other_address("unix:");
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o666);
    session(UnixStream::connect(&path).unwrap());
    assert!(house.log().contains("INFO: LOGIN, user=alice, ip=[127.0.0.1], port=[unix]"), "{}", house.log());
    // What it leaves when it ends is no hindrance.
    let mut house = house.served(&[], &words);
    // The port is there a moment sooner.
    house.service.connect().unwrap();
    let end = Instant::now() + PATIENCE;
    while UnixStream::connect(&path).is_err() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    session(UnixStream::connect(&path).unwrap());
}

#[test]
fn systemd_opens_the_sockets_and_nobody_else_hears_of_them() {
    let address = testbed::chain::own_address();
    let activated = |program| {
        let mut command = Command::new("/usr/bin/systemd-socket-activate");
        command.args(["-l", &address.to_string(), "--fdname=postrider.socket"]).arg(program);
        command
    };
    let mut house = House::new().served_by(activated, &[], &[]);
    // The first client is the one for whom it starts.
    session(house.service.connect_at(address).unwrap());
    session(house.service.connect().unwrap());
    for name in ["postrider-front", "postrider-auth", "postrider-mailbox"] {
        let pids = house.processes(name);
        assert!(!pids.is_empty(), "{name}");
        for pid in pids {
            let environment = fs::read(format!("/proc/{pid}/environ")).unwrap();
            let environment = String::from_utf8_lossy(&environment).into_owned();
            assert!(!environment.contains("LISTEN_"), "{name}: {environment}");
        }
    }
}

#[test]
fn a_socket_for_tls_is_not_served_without_a_certificate() {
    let address = testbed::chain::own_address();
    let activated = |program| {
        let mut command = Command::new("/usr/bin/systemd-socket-activate");
        command.args(["-l", &address.to_string(), "--fdname=postrider-tls.socket"]).arg(program);
        command
    };
    let mut house = House::new().served_by(activated, &[], &[]);
    let _client = house.service.connect_at(address).unwrap();
    house.await_log("ERR: postrider: a socket for TLS was passed");
    assert!(!house.ended().success());
}

/// A header of version 1 that names a client.
const HEADER: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 4321 110\r\n";

/// A service that expects a proxy at the address that comes with it.
fn behind_a_proxy(environment: &[(&str, &str)]) -> (House, SocketAddr) {
    let address = testbed::chain::own_address();
    let text = address.to_string();
    let mut environment = environment.to_vec();
    environment.push(("POSTRIDER_PROXY_AT", &text));
    let mut house = House::new().served(&environment, &["--listen", &text]);
    house.service.connect_at(address).unwrap();
    (house, address)
}

/// Everything that the server says until it closes.
fn all(mut stream: TcpStream) -> String {
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut said = String::new();
    stream.read_to_string(&mut said).unwrap();
    said
}

#[test]
fn a_client_is_where_its_proxy_says_and_what_follows_the_header_is_kept() {
    let (mut house, address) = behind_a_proxy(&[]);
    let login = b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n";
    let second = [
        b"\r\n\r\n\0\r\nQUIT\n\x21\x11\0\x12\xc0\0\x02\x08\xc0\0\x02\x01\x10\xe1\0\x6e",
        &b"\xea\0\x03abc"[..],
    ];
    let unknown = b"PROXY UNKNOWN\r\n";
    let local = b"\r\n\r\n\0\r\nQUIT\n\x20\0\0\0";
    for (header, shown) in [
        (HEADER.to_vec(), "ip=[::ffff:192.0.2.7], port=[4321]"),
        (second.concat(), "ip=[::ffff:192.0.2.8], port=[4321]"),
        (unknown.to_vec(), "ip=[::ffff:127.0.0.1], port=["),
        (local.to_vec(), "ip=[::ffff:127.0.0.1], port=["),
    ] {
        let login = &login[..];
        // In one piece, and octet by octet.
        for size in [1000, 1] {
            let mut stream = house.service.connect_at(address).unwrap();
            for piece in [&header[..], login].concat().chunks(size) {
                stream.write_all(piece).unwrap();
            }
            let said = all(stream);
            assert!(said.ends_with("+OK 1 23\r\n+OK Bye-bye.\r\n"), "{said}");
            house.await_log(&format!("INFO: LOGIN, user=alice, {shown}"));
        }
    }
}

#[test]
fn who_says_no_header_is_sent_away_and_holds_up_nobody() {
    let (mut house, address) = behind_a_proxy(&[("POSTRIDER_PROXY_TIMEOUT", "2")]);
    let silent = house.service.connect_at(address).unwrap();
    let mut gone = house.service.connect_at(address).unwrap();
    gone.write_all(&HEADER[..9]).unwrap();
    drop(gone);
    let mut direct = house.service.connect_at(address).unwrap();
    direct.write_all(b"CAPA\r\n").unwrap();
    assert_eq!(all(direct), "");
    house.await_log("WARN: haproxy: malformed PROXY statement, ip=[::ffff:127.0.0.1]");
    house.await_log("WARN: haproxy: connection closed, ip=[::ffff:127.0.0.1]");
    let mut stream = house.service.connect_at(address).unwrap();
    stream.write_all(HEADER).unwrap();
    session(stream);
    assert_eq!(all(silent), "");
    house.await_log("WARN: haproxy: timeout, ip=[::ffff:127.0.0.1]");
}

#[test]
fn who_is_no_proxy_is_not_believed() {
    let elsewhere = ("POSTRIDER_PROXY_FROM", "192.0.2.0/24");
    let (mut house, address) = behind_a_proxy(&[elsewhere]);
    assert_eq!(all(house.service.connect_at(address).unwrap()), "");
    house.await_log("WARN: haproxy: not from a trusted network, ip=[::ffff:127.0.0.1]");
    let (mut house, address) = behind_a_proxy(&[elsewhere, ("POSTRIDER_PROXY_OTHERS", "serve")]);
    session(house.service.connect_at(address).unwrap());
    // A header is just a command that makes no sense then.
    let mut liar = house.service.connect_at(address).unwrap();
    liar.write_all(&[HEADER, b"QUIT\r\n"].concat()).unwrap();
    assert!(all(liar).contains("-ERR"));
    assert!(!house.log().contains("192.0.2.7"), "{}", house.log());
}

#[test]
fn settings_that_make_no_sense_keep_the_service_from_starting() {
    for (name, value) in [
        ("POSTRIDER_PROXY_FROM", "everybody"),
        ("POSTRIDER_PROXY_AT", "host:x"),
        ("POSTRIDER_PROXY_OTHERS", "perhaps"),
    ] {
        let mut house = House::new().served(&[(name, value)], &[]);
        house.await_log(&format!("ERR: postrider: {name}"));
        assert!(!house.ended().success());
    }
}

#[test]
fn a_real_haproxy_says_where_its_clients_are_before_clear_text_and_before_tls() {
    let names = ["clear", "tls"].map(|_| testbed::chain::own_address().to_string());
    let [clear, tls] = &names;
    let at = format!("{clear},{tls}");
    let words = ["--listen", clear, "--listen-tls", tls];
    let house = House::new();
    let certificates = house.certificates();
    let mut house = house.served_with(&certificates, &[("POSTRIDER_PROXY_AT", &at)], &words);
    let doors = [(); 3].map(|()| testbed::chain::own_address());
    let door = |number: usize, server: &str, how: &str| {
        format!("listen door{number}\n bind {}\n server s {server} {how}\n", doors[number])
    };
    let configuration = [
        "defaults\n mode tcp\n timeout connect 30s\n timeout client 60s\n timeout server 60s\n".to_owned(),
        door(0, clear, "send-proxy"),
        door(1, clear, "send-proxy-v2"),
        door(2, tls, "send-proxy-v2"),
    ];
    let (directory, log) = house.accounts();
    let (file, haproxy_log) = (directory.join("haproxy.cfg"), log.with_extension("haproxy"));
    fs::write(&file, configuration.concat()).unwrap();
    let mut command = testbed::process::daemon("/usr/sbin/haproxy");
    command.args(["-db", "-f"]).arg(&file);
    let mut haproxy = Running::start_logging(&mut command, &haproxy_log).unwrap();
    for address in [clear, tls] {
        house.service.connect_at(address.parse().unwrap()).unwrap();
    }
    for (number, source) in ["127.7.7.1", "127.7.7.2", "127.7.7.3"].into_iter().enumerate() {
        haproxy.connect("haproxy", &haproxy_log, doors[number]).unwrap();
        let stream = connect_from(source, doors[number]);
        match number {
            2 => session(Tls::begin(stream, &certificates).unwrap()),
            _ => session(stream),
        }
        house.await_log(&format!("INFO: LOGIN, user=alice, ip=[::ffff:{source}], port=["));
    }
}

/// What a client from `source` hears first.
fn greeting(source: &str, to: SocketAddr) -> (String, TcpStream) {
    let stream = connect_from(source, to);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut line = String::new();
    BufReader::new(&stream).read_line(&mut line).unwrap();
    (line, stream)
}

/// Another client from there, as soon as there may be one more.
fn greeting_again(source: &str, to: SocketAddr) -> TcpStream {
    let end = Instant::now() + PATIENCE;
    loop {
        let (line, stream) = greeting(source, to);
        if line.starts_with("+OK") {
            return stream;
        }
        assert!(Instant::now() < end, "{line}");
        thread::sleep(Duration::from_millis(20));
    }
}

const TOO_MANY: &str = "-ERR [SYS/TEMP] Too many connections from your address.\r\n";

#[test]
fn an_address_has_its_limit_over_all_fronts_strangers_and_sessions_alike() {
    let limits = [("MAXPERIP", "3"), ("POSTRIDER_MAXPERIP_EXEMPT", "")];
    let mut house = House::new().served(&limits, &[]);
    house.service.connect().unwrap();
    let (to, one) = (house.service.address(), "127.8.8.1");
    let mut session = Client::log_in(connect_from(one, to)).unwrap();
    let strangers: Vec<_> = (0..2).map(|_| greeting(one, to)).collect();
    assert!(strangers.iter().all(|(line, _)| line.starts_with("+OK")), "{strangers:?}");
    for other in 2..7 {
        assert_eq!(greeting(one, to).0, TOO_MANY);
        assert!(greeting(&format!("127.8.8.{other}"), to).0.starts_with("+OK"));
    }
    house.await_log("ALERT: Maximum connection limit reached for ::ffff:127.8.8.1");
    // A front that is killed has forgotten its strangers, and nobody the session.
    end(&house.processes("postrider-front"));
    for (_, stranger) in strangers {
        assert_eq!(all(stranger), "");
    }
    house.await_log("ERR: a front is gone");
    let mut again = vec![greeting_again(one, to), greeting_again(one, to)];
    assert_eq!(greeting(one, to).0, TOO_MANY);
    // So has a mailbox process its sessions.
    session.command("NOOP").unwrap();
    end(&house.processes("postrider-mailbox"));
    again.push(greeting_again(one, to));
    assert_eq!(greeting(one, to).0, TOO_MANY);
    drop(again);
    greeting_again(one, to);
}

#[test]
fn a_network_has_its_limit_and_before_tls_nobody_hears_why() {
    let limits = [("POSTRIDER_MAXPERC", "2"), ("POSTRIDER_MAXPERIP_EXEMPT", "")];
    let house = House::new();
    let certificates = house.certificates();
    let mut house = house.served_with(&certificates, &limits, &[]);
    house.service.connect_for_tls().unwrap();
    let (clear, tls) = (house.service.address(), house.service.tls_address());
    let _present = ["127.8.8.1", "127.8.8.2"].map(|source| greeting_again(source, clear));
    assert_eq!(greeting("127.8.8.3", clear).0, TOO_MANY);
    assert_eq!(greeting("127.8.8.4", tls).0, "");
    assert!(greeting("127.8.9.1", clear).0.starts_with("+OK"));
}

#[test]
fn an_account_has_its_limit_and_its_user_hears_that_the_maildrop_is_in_use() {
    let mut house = House::new().served(&[("POSTRIDER_MAXPERACCOUNT", "2")], &[]);
    let first = house.log_in_again();
    let mut second = house.log_in_again();
    for _ in 0..3 {
        let refused = house.log_in().err().unwrap().to_string();
        assert_eq!(refused, "to PASS secret: -ERR [IN-USE] Too many sessions, please try again later.");
    }
    house.await_log("ALERT: Maximum session limit reached for alice");
    first.quit().unwrap();
    second.command("NOOP").unwrap();
    house.log_in_again().quit().unwrap();
}

#[test]
fn where_the_service_is_full_strangers_go_and_sessions_stay() {
    let mut house = House::new().served(&[("MAXDAEMONS", "10")], &[]);
    let mut sessions = Vec::new();
    for _ in 0..10 {
        let _strangers: Vec<_> = (0..20).map(|_| house.service.connect().unwrap()).collect();
        sessions.push(house.log_in_again());
    }
    for session in &mut sessions {
        session.command("NOOP").unwrap();
    }
    house.await_log("ALERT: 10 maximum active connections.");
    house.await_log("WARN: ");
    // There are nothing but sessions.
    let refused = house.log_in().err().unwrap().to_string();
    assert_eq!(refused, "to the greeting: -ERR [SYS/TEMP] Too many connections, please try again later.");
    sessions.pop().unwrap().quit().unwrap();
    sessions.push(house.log_in_again());
    for session in sessions {
        session.quit().unwrap();
    }
}

#[test]
fn five_thousand_who_are_silent_do_not_keep_a_hundred_from_their_mail() {
    // The connections are on this side too.
    let _ = programs::descriptors::most();
    let mut house = House::new().served(&[("MAXDAEMONS", "3000")], &[]);
    let to = house.service.connect().unwrap().peer_addr().unwrap();
    let mut strangers: Vec<TcpStream> = (0..5000)
        .map(|number| connect_from(&format!("127.5.{}.{}", number % 7, 1 + number % 250), to))
        .collect();
    let clients: Vec<_> =
        (0..100).map(|_| thread::spawn(move || session(connect_from("127.6.0.1", to)))).collect();
    clients.into_iter().for_each(|client| client.join().unwrap());
    // The first of them have gone, the last are there.
    let mut last = strangers.pop().unwrap();
    last.write_all(b"QUIT\r\n").unwrap();
    assert!(all(last).ends_with("+OK Better luck next time.\r\n"));
    let first = strangers.swap_remove(0);
    assert!(!all(first).contains("-ERR"));
    assert_eq!(house.log().matches("INFO: LOGOUT, user=alice").count(), 100);
}

#[test]
fn a_client_that_says_no_more_is_answered_to_the_end() {
    let mut house = House::new();
    for (words, end) in [
        (&b"USER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n"[..], "+OK Bye-bye.\r\n"),
        (b"USER alice\r\nPASS secret\r\nSTAT\r\nNO", "+OK 1 23\r\n"),
        (b"CAPA\r\nQUIT\r\n", "+OK Better luck next time.\r\n"),
    ] {
        let mut client = house.service.connect().unwrap();
        client.write_all(words).unwrap();
        client.shutdown(std::net::Shutdown::Write).unwrap();
        let said = all(client);
        assert!(said.ends_with(end), "{said}");
    }
}

/// A connection from one of this machine's many addresses.
fn connect_from(source: &str, to: SocketAddr) -> TcpStream {
    let socket = rustix::net::socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    let source = SocketAddr::new(source.parse().unwrap(), 0);
    rustix::net::bind(&socket, &source).unwrap();
    rustix::net::connect(&socket, &to).unwrap();
    TcpStream::from(socket)
}

#[test]
fn a_front_whose_descriptors_sessions_have_leaves_clients_to_the_others() {
    let house = House::new();
    let certificates = house.certificates();
    let few_descriptors = |program| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 160 && exec \"$0\" \"$@\""]).arg(program);
        command
    };
    let mut house = house.restarted(few_descriptors, Some(&certificates), &[], &[]);
    // One has room for sixteen sessions inside TLS, and a client that comes alone
    // usually comes to the same one.
    let fronts = house.processes("postrider-front").len();
    let sessions: Vec<_> = (0..14 * fronts)
        .map(|_| {
            let tls = Tls::begin(house.service.connect_for_tls().unwrap(), &certificates).unwrap();
            Client::log_in(tls).unwrap()
        })
        .collect();
    sessions.into_iter().for_each(|session| session.quit().unwrap());
}

#[test]
fn who_says_an_octet_at_a_time_has_no_more_time_than_others() {
    let deadlines = [("POSTRIDER_LOGIN_WITHIN", "2"), ("POSTRIDER_AUTOLOGOUT", "2")];
    let mut house = House::new().served(&deadlines, &[]);
    let stranger = house.service.connect().unwrap();
    let mut session = house.service.connect().unwrap();
    session.write_all(b"USER alice\r\nPASS secret\r\n").unwrap();
    for mut slow in [stranger, session] {
        slow.set_read_timeout(Some(Duration::from_millis(100))).unwrap();
        let mut is_over = false;
        for _ in 0..600 {
            // One that is reset is over as well.
            let _ = slow.write_all(b"N");
            match slow.read(&mut [0; 512]) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Ok(said) if said > 0 => {}
                Ok(_) | Err(_) => {
                    is_over = true;
                    break;
                }
            }
        }
        assert!(is_over, "{}", house.log());
        house.log_in().unwrap().quit().unwrap();
    }
    house.await_log("INFO: TIMEOUT, user=alice");
}

#[test]
fn those_who_never_stop_do_not_keep_the_silent_from_being_ended() {
    let mut house = House::new().served(&[("POSTRIDER_AUTOLOGOUT", "2")], &[]);
    let to = house.service.connect().unwrap().peer_addr().unwrap();
    let end = Instant::now() + PATIENCE;
    let is_over = Arc::new(AtomicBool::new(false));
    let busy: Vec<_> = (0..16)
        .map(|_| {
            let is_over = Arc::clone(&is_over);
            thread::spawn(move || {
                let mut client = Client::log_in(connect_from("127.0.0.1", to)).unwrap();
                while !is_over.load(Ordering::Relaxed) && Instant::now() < end {
                    client.command("NOOP").unwrap();
                }
                client.quit().unwrap();
            })
        })
        .collect();
    let _silent = house.log_in().unwrap();
    house.await_log("INFO: TIMEOUT, user=alice");
    is_over.store(true, Ordering::Relaxed);
    busy.into_iter().for_each(|client| client.join().unwrap());
}

#[test]
fn a_client_that_never_reads_a_hundred_megabytes_costs_little_memory_and_is_ended() {
    let message = "sixty-three octets of a line that nobody is ever going to read\n".repeat(1_600_000);
    let house = House::with_message(message.as_bytes());
    let certificates = house.certificates();
    let mut house = house.served_with(&certificates, &[("POSTRIDER_AUTOLOGOUT", "3")], &[]);
    let mut clear = house.log_in().unwrap();
    let mut tls =
        Client::log_in(Tls::begin(house.service.connect_for_tls().unwrap(), &certificates).unwrap()).unwrap();
    clear.say("RETR 1").unwrap();
    tls.say("RETR 1").unwrap();
    let processes = [house.processes("postrider-mailbox"), house.processes("postrider-front")].concat();
    let end = Instant::now() + PATIENCE;
    while house.log().matches("INFO: TIMEOUT, user=alice").count() < 2 {
        assert!(Instant::now() < end, "{}", house.log());
        thread::sleep(Duration::from_millis(50));
    }
    for pid in processes {
        let most = most_memory(pid);
        assert!(most < 40_000, "process {pid} has had {most} kB");
    }
    house.log_in().unwrap().quit().unwrap();
}

/// The most memory that a process has had at a time, in kB.
fn most_memory(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with("VmHWM:")).unwrap();
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

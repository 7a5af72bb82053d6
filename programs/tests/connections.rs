//! How clients get to `postrider serve`.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::process::Command;

use testbed::client::Client;
use testbed::wire::Wire;

use house::House;

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
    house.service.connect().unwrap();
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

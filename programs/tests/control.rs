//! `postrider reload`, `stop` and `status`: a word to a service that runs.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, Output, Stdio};

use house::House;
use testbed::chain::own_address;
use testbed::client::Client;
use testbed::process::Running;

fn socket(house: &House) -> PathBuf {
    house.accounts().0.join("postrider.control")
}

/// `postrider` with a word for the service in `house`.
fn postrider(house: &House, word: &str) -> Command {
    let mut command = Command::new(house.program());
    command.arg(word).arg("--directory").arg(house.accounts().0);
    command
}

fn asked(house: &House, word: &str) -> Output {
    postrider(house, word).output().unwrap()
}

/// What a word that must succeed has printed.
fn said(house: &House, word: &str) -> String {
    let output = asked(house, word);
    assert!(output.status.success(), "{output:?}");
    String::from_utf8(output.stdout).unwrap()
}

/// What a word that must fail has printed.
fn complaint(output: &Output) -> String {
    assert!(!output.status.success() && output.stdout.is_empty(), "{output:?}");
    String::from_utf8(output.stderr.clone()).unwrap()
}

#[test]
fn a_status_says_how_the_service_is() {
    let mut house = House::new();
    house.await_ready();
    let _session = house.log_in().unwrap();
    let _other_session = house.log_in().unwrap();
    let _stranger = Client::greeted(house.service.connect().unwrap()).unwrap();
    let status = said(&house, "status");
    let has = |line: &str| status.lines().any(|one| one == line);
    assert!(has(&format!("pid: {}", house.service.pid())), "{status}");
    assert!(has(&format!("listening: {}", house.service.address())), "{status}");
    for line in ["generation: 1", "sessions: 2 of 1 accounts", "before login: 1", "state: serving"] {
        assert!(has(line), "{line}: {status}");
    }
    assert!(status.contains("processes: auth 1, fronts ") && status.contains("uptime: "), "{status}");
    assert!(!status.contains("refused"), "{status}");
}

#[test]
fn a_reload_waits_until_the_settings_are_in_force_or_says_why_they_are_not() {
    let mut house = House::new();
    house.await_ready();
    assert_eq!(said(&house, "reload"), "the settings were read again and are in force\n");
    assert!(said(&house, "status").contains("\ngeneration: 2\n"));
    let authdaemonrc = house.accounts().0.join("authdaemonrc");
    fs::write(&authdaemonrc, "authmodulelist=\"authnobody\"\ndaemons=2\n").unwrap();
    let refused = complaint(&asked(&house, "reload"));
    assert!(
        refused.contains("the settings stay as they were: ") && refused.contains("authnobody"),
        "{refused}"
    );
    let status = said(&house, "status");
    assert!(status.contains("\ngeneration: 2\n") && status.contains("\nrefused settings: "), "{status}");
    house.log_in().unwrap().quit().unwrap();
    fs::remove_file(&authdaemonrc).unwrap();
    said(&house, "reload");
    let status = said(&house, "status");
    assert!(!status.contains("refused"), "{status}");
}

#[test]
fn several_who_ask_for_a_reload_at_once_all_hear_of_one() {
    let mut house = House::new();
    house.await_ready();
    let asking: Vec<_> =
        (0..6).map(|_| postrider(&house, "reload").stdout(Stdio::null()).spawn().unwrap()).collect();
    for mut one in asking {
        assert!(one.wait().unwrap().success(), "{}", house.log());
    }
}

#[test]
fn a_stop_waits_until_the_service_has_ended() {
    let mut house = House::new().served(&[("POSTRIDER_FAREWELL", "1")], &[]);
    house.await_ready();
    let mut client = house.log_in().unwrap();
    assert_eq!(said(&house, "stop"), "The service has ended.\n");
    assert!(house.ended().success());
    assert!(client.line().is_err());
    assert!(complaint(&asked(&house, "status")).contains("no service runs in /"));
}

#[test]
fn a_reload_of_a_service_that_ends_is_refused() {
    let mut house = House::new().served(&[("POSTRIDER_FAREWELL", "3600")], &[]);
    house.await_ready();
    let client = house.log_in().unwrap();
    let stop = postrider(&house, "stop").stdout(Stdio::null()).spawn().unwrap();
    house.await_log("INFO: shutting down");
    assert!(complaint(&asked(&house, "reload")).contains("shutting down"));
    assert!(said(&house, "status").contains("\nstate: shutting down\n"));
    client.quit().unwrap();
    assert!(stop.wait_with_output().unwrap().status.success());
    assert!(house.ended().success());
}

#[test]
fn nobody_but_its_user_and_root_is_heard() {
    let mut house = House::new();
    house.await_ready();
    let path = socket(&house);
    assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    if !nix::unistd::geteuid().is_root() {
        return;
    }
    let as_nobody = || postrider(&house, "stop").uid(65_534).gid(65_534).output().unwrap();
    assert!(complaint(&as_nobody()).contains("Permission denied"));
    // Who came past the rights of the socket is seen too.
    fs::set_permissions(&path, Permissions::from_mode(0o666)).unwrap();
    assert!(complaint(&as_nobody()).contains("only who runs the service and root may ask"));
    house.log_in().unwrap().quit().unwrap();
}

#[test]
fn whoever_says_nothing_or_nonsense_holds_up_nobody() {
    let mut house = House::new();
    house.await_ready();
    let connect = || UnixStream::connect(socket(&house)).unwrap();
    for nonsense in [&b"reboot\n"[..], &[b'x'; 1000], b"\xff\x00\n", b"status now\n"] {
        let mut stream = connect();
        stream.write_all(nonsense).unwrap();
        let mut answer = Vec::new();
        // What was not read resets the connection.
        let _ = stream.read_to_end(&mut answer);
        assert!(answer.starts_with(b"-ERR\nwhat is "), "{}", String::from_utf8_lossy(&answer));
    }
    let mut slow = connect();
    slow.write_all(b"sta").unwrap();
    let mut in_parts = connect();
    in_parts.write_all(b"stat").unwrap();
    let silent: Vec<_> = (0..40).map(|_| connect()).collect();
    house.log_in().unwrap().quit().unwrap();
    in_parts.write_all(b"us\n").unwrap();
    let mut answer = String::new();
    in_parts.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("+OK\npid: "), "{answer}");
    // Each has his time, and then there is room again.
    for mut one in silent.into_iter().chain([slow]) {
        let _ended = one.read(&mut [0]);
    }
    said(&house, "status");
}

#[test]
fn a_second_service_in_the_same_directory_leaves_the_first_one_its_socket() {
    let mut house = House::new();
    house.await_ready();
    let pid = house.service.pid();
    let mut other = Command::new(house.program());
    other.args(["serve", "--listen", &own_address().to_string(), "--directory"]);
    let (directory, log) = house.accounts();
    let log = log.with_extension("other");
    let mut other = Running::start_logging(other.arg(directory), &log).unwrap();
    let said_so =
        || Ok(fs::read_to_string(&log)?.contains("postrider.control: Address already in use").then_some(()));
    other.await_answer("postrider", &log, said_so).unwrap();
    assert!(said(&house, "status").starts_with(&format!("pid: {pid}\n")));
}

#[test]
fn at_a_reload_addresses_come_and_go_sessions_stay_and_a_port_of_the_systems_choice_stays() {
    let mut house = House::new();
    house.end();
    let (directory, _) = house.accounts();
    let (old, new) = (own_address(), own_address());
    let (config, log) = (directory.join("postrider.toml"), directory.join("log"));
    let write = |address: SocketAddr| {
        let directory = directory.display();
        let text = format!("directory = '{directory}'\n[listen]\nclear = ['127.0.0.1:0', '{address}']\n");
        fs::write(&config, text).unwrap();
    };
    write(old);
    let mut service = Command::new(house.program());
    service.args(["serve", "--config"]).arg(&config);
    let mut service = Running::start_logging(&mut service, &log).unwrap();
    let mut session = Client::log_in(service.connect("postrider", &log, old).unwrap()).unwrap();
    let listening = || -> Vec<String> {
        let status = said(&house, "status");
        status.lines().filter_map(|line| line.strip_prefix("listening: ")).map(str::to_owned).collect()
    };
    let before = listening();
    let chosen: SocketAddr = before[0].parse().unwrap();
    assert_ne!(chosen.port(), 0);
    write(new);
    said(&house, "reload");
    assert_eq!(listening(), [chosen.to_string(), new.to_string()]);
    for address in [chosen, new] {
        Client::log_in(TcpStream::connect(address).unwrap()).unwrap().quit().unwrap();
    }
    // The old fronts close it when they have heard of it.
    service.await_answer("postrider", &log, || Ok(TcpStream::connect(old).is_err().then_some(()))).unwrap();
    assert_eq!(session.command("NOOP").unwrap(), "+OK Yup.");
    session.quit().unwrap();
}

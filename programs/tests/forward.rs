//! courierpop3login as a POP3 proxy, in clear, before another chain of ours and
//! before servers that do what none should.

#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

mod built;

use std::fs;
use std::io::{Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::chain::{Chain, own_address};
use testbed::client::Client;
use testbed::courier::{COURIERPOP3LOGIN, leave_out, missing_authdaemond};
use testbed::maildrop::{Entry, Kind, lay_out};
use testbed::stand::{Cast, Login, Programs, Stand, make_public};

/// A chain, and where it lies.
struct Place {
    stand: Stand,
    programs: Programs,
    _directory: TempDir,
}

impl Place {
    fn new(couriers_authdaemond: bool) -> Place {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        make_public(directory.path()).unwrap();
        let programs = built::programs(&directory.path().join("bin")).unwrap();
        let stand = Stand::new(&directory.path().join("stand"), &programs, couriers_authdaemond).unwrap();
        let octets = b"Subject: one\n\nhello\n".to_vec();
        let message = Entry { path: "new/1.message".to_owned(), kind: Kind::File(octets) };
        lay_out(&stand.account().home, &[message], stand.account().owner).unwrap();
        Place { stand, programs, _directory: directory }
    }

    /// A proxy before whoever is at `address`.
    fn proxy(&mut self, login: Login, address: SocketAddr, more: &[(&str, &str)], options: &str) -> Chain {
        let port = address.port().to_string();
        let own = [("POP3_PROXY", "1"), ("POSTRIDER_PROXY_PORT", port.as_str())];
        let environment = [&own[..], more].concat();
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect();
        let options = format!("options={options}{}", address.ip());
        let mut chain = self.stand.chain(Cast { login, ..Cast::OURS }, &environment, &[options]).unwrap();
        drop(chain.connect().unwrap());
        chain
    }

    /// Waits until `words` are in the log.
    fn await_log(&self, words: &str) {
        let end = Instant::now() + PATIENCE;
        while !self.log().contains(words) {
            assert!(Instant::now() < end, "{words}: {}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn log(&self) -> String {
        fs::read_to_string(self.stand.log()).unwrap()
    }
}

/// All that a client hears that says `words` in one packet, and their end.
fn conversation(chain: &mut Chain, words: &str) -> String {
    let mut stream = chain.connect().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(words.as_bytes()).unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut heard = Vec::new();
    stream.read_to_end(&mut heard).unwrap();
    String::from_utf8_lossy(&heard).into_owned()
}

/// A server that says these lines, each to one that it hears, and goes.
fn server(lines: &'static [&'static str]) -> SocketAddr {
    let address = own_address();
    serve(address, lines);
    address
}

fn serve(address: SocketAddr, lines: &'static [&'static str]) {
    let listener = TcpListener::bind(address).unwrap();
    thread::spawn(move || {
        for client in listener.incoming() {
            let mut client = client.unwrap();
            for line in lines {
                // The client may have gone.
                let _ = client.write_all(format!("{line}\r\n").as_bytes());
                let mut heard = [0];
                while matches!(client.read(&mut heard), Ok(1)) && heard != *b"\n" {}
            }
        }
    });
}

const LOGIN: &str = "USER alice\r\nPASS secret\r\n";
const CONNECTED: &str = "+OK Connected to proxy server.\r\n";
const TEMPORARY: &str = "-ERR [SYS/TEMP] Temporary problem, please try again later\r\n";

#[test]
fn a_whole_session_in_one_packet_reaches_the_back_end() {
    for couriers_authdaemond in [false, true] {
        let login = if couriers_authdaemond { Login::Socket } else { Login::OurSocket };
        if let Some(reason) = missing_authdaemond().filter(|_| couriers_authdaemond) {
            leave_out(&reason).unwrap();
            continue;
        }
        let mut back = Place::new(false);
        let mut backend = back.stand.chain(Cast::OURS, &[], &[]).unwrap();
        drop(backend.connect().unwrap());
        let mut front = Place::new(couriers_authdaemond);
        let mut proxy = front.proxy(login, backend.address(), &[], "mailhost=");
        let said = conversation(&mut proxy, &format!("{LOGIN}STAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n"));
        let log = front.log();
        let behind = said.split_once(CONNECTED).unwrap_or_else(|| panic!("{said}\n{log}")).1;
        assert!(behind.starts_with("+OK 1 23\r\n"), "{said}");
        assert!(behind.ends_with("\r\nhello\r\n.\r\n+OK Deleted.\r\n+OK Bye-bye.\r\n"), "{said}");
        assert!(log.contains("INFO: LOGIN, user=alice, ip=["), "{log}");
        assert!(log.contains("], protocol=POP3\n"), "{log}");
        front.await_log(", protocol=POP3, rcvd=");
        assert_eq!(fs::read_dir(back.stand.account().maildir().join("cur")).unwrap().count(), 0);
    }
}

#[test]
fn who_passes_octets_on_is_the_accounts_user() {
    let mut back = Place::new(false);
    let mut backend = back.stand.chain(Cast::OURS, &[], &[]).unwrap();
    drop(backend.connect().unwrap());
    let mut front = Place::new(false);
    let mut proxy = front.proxy(Login::OurSocket, backend.address(), &[], "mailhost=");
    let mut client = Client::log_in(proxy.connect().unwrap()).unwrap();
    assert_eq!(client.command("STAT").unwrap(), "+OK 1 23");
    let owners = owners(&front.programs.path("courierpop3login"));
    assert_eq!(owners, [front.stand.account().owner.0], "{}", front.log());
    client.quit().unwrap();
}

/// Whose the processes of `program` are that have a client (couriertcpd's fork
/// server has none).
fn owners(program: &Path) -> Vec<u32> {
    let processes = fs::read_dir("/proc").unwrap().map(|entry| entry.unwrap().path());
    let its = processes.filter(|path| fs::read_link(path.join("exe")).is_ok_and(|exe| exe == program));
    let has_client =
        |path: &PathBuf| fs::read_link(path.join("fd/1")).is_ok_and(|file| file != Path::new("/dev/null"));
    its.filter(has_client).map(|path| fs::metadata(path.join("task")).unwrap().uid()).collect()
}

#[test]
fn an_account_without_a_mailhost_is_served_here() {
    let mut front = Place::new(false);
    let mut proxy = front.proxy(Login::OurSocket, own_address(), &[], "other=");
    let said = conversation(&mut proxy, &format!("{LOGIN}STAT\r\nQUIT\r\n"));
    assert!(said.contains("+OK logged in.\r\n+OK 1 23\r\n"), "{said}");
    assert!(front.log().contains("WARN: proxy enabled, but no proxy host defined for alice"));
}

#[test]
fn a_password_that_the_back_end_does_not_take_is_a_failed_login_and_the_last() {
    let mut front = Place::new(false);
    let address = server(&["+OK", "+OK", "-ERR not you"]);
    let mut proxy = front.proxy(Login::OurSocket, address, &[], "mailhost=");
    let said = conversation(&mut proxy, &format!("{LOGIN}{LOGIN}QUIT\r\n"));
    assert!(said.ends_with("+OK Password required.\r\n-ERR [AUTH] Login failed.\r\n"), "{said}");
    assert_eq!(said.matches("-ERR").count(), 1, "{said}");
    let log = front.log();
    assert!(
        log.contains(&format!("WARN: Login password rejected by {}: -ERR not you", address.ip())),
        "{log}"
    );
    assert!(log.contains("INFO: LOGIN FAILED, user=alice"), "{log}");
}

#[test]
fn a_back_end_in_trouble_is_a_temporary_problem_and_so_is_one_that_wants_tls() {
    for (address, tls, line) in [
        (own_address(), "", "WARN: cannot connect to 127."),
        (server(&["-ERR busy"]), "", "WARN: Did not receive greeting from 127."),
        (server(&["+OK", "+OK", "-ERR [IN-USE] busy"]), "", "WARN: Login password rejected by 127."),
        (server(&["+OK", "+OK"]), "stls", "WARN: TLS with 127."),
        (server(&["+OK"]), "tls", "WARN: TLS with 127."),
    ] {
        let mut front = Place::new(false);
        let mut proxy = front.proxy(Login::OurSocket, address, &[("POSTRIDER_PROXY_TLS", tls)], "mailhost=");
        let said = conversation(&mut proxy, &format!("{LOGIN}STAT\r\n"));
        assert!(said.ends_with(TEMPORARY), "{line}: {said}\n{}", front.log());
        assert!(front.log().contains(line), "{line}: {}", front.log());
        assert!(!front.log().contains("LOGIN FAILED"), "{}", front.log());
    }
}

#[test]
fn what_may_not_be_used_here_is_not_forwarded() {
    let mut front = Place::new(false);
    let address = server(&["+OK", "+OK", "+OK"]);
    let mut proxy = front.proxy(Login::OurSocket, address, &[], "disablepop3=1,mailhost=");
    let said = conversation(&mut proxy, LOGIN);
    assert!(said.ends_with("-ERR [SYS/PERM] POP3 access disabled for this account.\r\n"), "{said}");
}

#[test]
fn where_it_cannot_forward_it_logs_nobody_in() {
    for (login, more, line) in [
        (Login::Chain, ("PROTOCOL", "POP3"), "ERR: POP3_PROXY: modules on the command line"),
        (Login::OurSocket, ("POSTRIDER_PROXY_TLS", "yes"), "ERR: POSTRIDER_PROXY_TLS is \"yes\""),
        (Login::OurSocket, ("POSTRIDER_PROXY_FORWARD", "x"), "ERR: POSTRIDER_PROXY_FORWARD is \"x\""),
    ] {
        let mut front = Place::new(false);
        let mut proxy = front.proxy(login, own_address(), &[more], "mailhost=");
        assert_eq!(conversation(&mut proxy, LOGIN), TEMPORARY);
        assert!(front.log().contains(line), "{}", front.log());
    }
}

#[test]
fn couriers_own_login_program_says_the_same() {
    if let Some(reason) = missing_authdaemond() {
        return leave_out(&reason).unwrap();
    }
    // Courier knows one port.
    let address = SocketAddr::new(own_address().ip(), 110);
    serve(address, &["+OK", "+OK", "+OK", "+OK 0 0"]);
    let said = [Login::Courier, Login::Socket].map(|login| {
        let mut front = Place::new(true);
        let mut proxy = front.proxy(login, address, &[("PROTOCOL", "POP3")], "mailhost=");
        let mut client = Client::log_in(proxy.connect().unwrap()).unwrap();
        if login == Login::Courier {
            assert!(owners(Path::new(COURIERPOP3LOGIN)).contains(&0), "ledger 881 is not so any more");
        }
        let said = client.command("STAT").unwrap();
        let log = front.log();
        let line = log.lines().find(|line| line.starts_with("INFO: LOGIN")).unwrap_or_default();
        let (before, behind) = (line.split("port=").next().unwrap(), line.split("], ").last().unwrap());
        format!("{said} {before} {behind}")
    });
    assert_eq!(said[0], said[1]);
    assert_eq!(said[0], "+OK 0 0 INFO: LOGIN, user=alice, ip=[::ffff:127.0.0.1],  protocol=POP3");
}

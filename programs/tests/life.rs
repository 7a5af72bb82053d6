//! The life of `postrider serve`: a start that fails where it should, settings
//! that are read again while people log in, and the end.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::certificates::Certificates;
use testbed::client::Client;
use testbed::maildrop::{Entry, Kind, lay_out};
use testbed::service::Service;
use testbed::stand::Stand;
use testbed::tls::Tls;

/// A service with one account, whose maildrop has one message.
struct House {
    service: Service,
    stand: Stand,
    directory: tempfile::TempDir,
    certificates: Certificates,
}

impl House {
    fn new(environment: &[(&str, &str)]) -> House {
        let house = House::prepared(environment, |_, _| {});
        house.await_log("INFO: ready, pid=", 1);
        house
    }

    /// The same; `prepare` sees the directory of the service, and the
    /// certificates, before it starts.
    fn prepared(environment: &[(&str, &str)], prepare: impl Fn(&PathBuf, &Certificates)) -> House {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        testbed::stand::make_public(directory.path()).unwrap();
        let programs = built::programs(&directory.path().join("bin")).unwrap();
        let mut stand = Stand::new(&directory.path().join("stand"), &programs, false).unwrap();
        let message = Entry { path: "new/1.message".to_owned(), kind: Kind::File(b"\nhello\n".to_vec()) };
        lay_out(&stand.account().home, &[message], stand.account().owner).unwrap();
        let ip = "127.0.0.1".parse().unwrap();
        let certificates = Certificates::make(&directory.path().join("certificates"), ip, "client").unwrap();
        prepare(&directory.path().join("stand/postrider"), &certificates);
        let environment: Vec<_> =
            environment.iter().map(|(name, value)| ((*name).into(), (*value).into())).collect();
        let service = stand.service(false, &environment, &[], Some(&certificates)).unwrap();
        House { service, stand, directory, certificates }
    }

    fn signal(&mut self, signal: Signal) {
        kill(Pid::from_raw(i32::try_from(self.service.pid()).unwrap()), signal).unwrap();
    }

    fn log(&self) -> String {
        fs::read_to_string(self.stand.log()).unwrap()
    }

    /// Waits until the log has `text` `times`.
    fn await_log(&self, text: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.log().matches(text).count() < times {
            assert!(Instant::now() < end, "no {text:?} in\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Waits until it ends; whether well.
    fn await_end(&mut self) -> bool {
        let end = Instant::now() + 2 * PATIENCE;
        loop {
            if let Some(status) = self.service.ended().unwrap() {
                return status.success();
            }
            assert!(Instant::now() < end, "it goes on\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    fn certificate(&self) -> PathBuf {
        self.directory.path().join("certificates/server.pem")
    }

    /// While `work` is done, people log in, in clear and inside TLS, look at
    /// their mail and leave; how many have. If one of them fails, the test does.
    fn while_people_log_in(&mut self, work: impl FnOnce(&mut House)) -> usize {
        let (address, tls_address) = (self.service.address(), self.service.tls_address());
        let certificates = self.certificates.clone();
        let (is_over, sessions) = (AtomicBool::new(false), AtomicUsize::new(0));
        thread::scope(|scope| {
            let clear = || {
                while !is_over.load(Ordering::Relaxed) {
                    let mut client = Client::log_in(std::net::TcpStream::connect(address).unwrap()).unwrap();
                    assert_eq!(client.command("STAT").unwrap(), "+OK 1 9");
                    client.quit().unwrap();
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            };
            let inside_tls = || {
                while !is_over.load(Ordering::Relaxed) {
                    let stream = std::net::TcpStream::connect(tls_address).unwrap();
                    let mut client = Client::log_in(Tls::begin(stream, &certificates).unwrap()).unwrap();
                    assert_eq!(client.command("STAT").unwrap(), "+OK 1 9");
                    client.quit().unwrap();
                    sessions.fetch_add(1, Ordering::Relaxed);
                }
            };
            let people =
                [scope.spawn(clear), scope.spawn(clear), scope.spawn(inside_tls), scope.spawn(inside_tls)];
            work(self);
            is_over.store(true, Ordering::Relaxed);
            for one in people {
                assert!(one.join().is_ok(), "{}", self.log());
            }
        });
        sessions.into_inner()
    }
}

#[test]
fn it_does_not_start_with_a_certificate_that_is_none() {
    let mut house = House::prepared(&[], |_, certificates| {
        fs::write(certificates.server().0, "no certificate\n").unwrap();
    });
    assert!(!house.await_end());
    let log = house.log();
    assert_eq!(log.matches("ERR: postrider: there is no TLS").count(), 1, "{log}");
    assert!(!log.contains("listening on"), "{log}");
}

#[test]
fn it_does_not_start_with_an_authdaemonrc_that_names_no_module_of_ours() {
    let mut house = House::prepared(&[], |directory, _| {
        fs::write(directory.join("authdaemonrc"), "authmodulelist=\"authnobody\"\ndaemons=2\n").unwrap();
    });
    assert!(!house.await_end());
    let log = house.log();
    assert!(log.contains("ERR: postrider: auth: ") && log.contains("authnobody"), "{log}");
}

#[test]
fn settings_are_read_again_while_people_log_in_and_nobody_notices() {
    let mut house = House::new(&[]);
    let mut old = Client::log_in(house.service.connect().unwrap()).unwrap();
    let stream = house.service.connect_for_tls().unwrap();
    let mut old_tls = Client::log_in(Tls::begin(stream, &house.certificates).unwrap()).unwrap();
    let mut halfway = Client::greeted(house.service.connect().unwrap()).unwrap();
    halfway.command("USER alice").unwrap();
    let sessions = house.while_people_log_in(|house| {
        for time in 1..=10 {
            house.signal(Signal::SIGHUP);
            house.await_log("INFO: the settings were read again and are in force", time);
        }
    });
    assert!(sessions > 20, "{sessions}");
    halfway.command("PASS secret").unwrap();
    for client in [&mut old, &mut halfway] {
        assert_eq!(client.command("STAT").unwrap(), "+OK 1 9");
    }
    assert_eq!(old_tls.command("STAT").unwrap(), "+OK 1 9");
    old_tls.quit().unwrap();
    halfway.quit().unwrap();
    old.quit().unwrap();
}

#[test]
fn settings_that_are_wrong_are_not_taken_and_the_old_ones_serve() {
    let mut house = House::new(&[]);
    let sessions = house.while_people_log_in(|house| {
        let good = fs::read(house.certificate()).unwrap();
        fs::write(house.certificate(), "no certificate\n").unwrap();
        house.signal(Signal::SIGHUP);
        house.await_log("ERR: the settings stay as they were: there is no TLS", 1);
        fs::write(house.certificate(), good).unwrap();
        house.signal(Signal::SIGHUP);
        house.await_log("are in force", 1);
    });
    assert!(sessions > 0);
}

#[test]
fn on_sigterm_strangers_hear_why_and_sessions_end_when_their_time_is_over() {
    let mut house = House::new(&[("POSTRIDER_FAREWELL", "1")]);
    let mut idle = Client::log_in(house.service.connect().unwrap()).unwrap();
    idle.command("DELE 1").unwrap();
    let mut halfway = Client::greeted(house.service.connect().unwrap()).unwrap();
    halfway.command("USER alice").unwrap();
    let mut silent = Client::greeted(house.service.connect().unwrap()).unwrap();
    let stream = house.service.connect_for_tls().unwrap();
    let mut silent_tls = Client::greeted(Tls::begin(stream, &house.certificates).unwrap()).unwrap();
    let mut unfinished = house.service.connect_for_tls().unwrap();
    unfinished.write_all(b"\x16\x03\x01").unwrap();
    house.signal(Signal::SIGTERM);
    let shutting_down = "-ERR [SYS/TEMP] The server is shutting down, please try again later";
    assert_eq!(halfway.line().unwrap(), shutting_down);
    assert_eq!(silent.line().unwrap(), shutting_down);
    assert_eq!(silent_tls.line().unwrap(), shutting_down);
    // There is time for a word more.
    assert_eq!(idle.command("NOOP").unwrap(), "+OK Yup.");
    assert!(house.await_end(), "{}", house.log());
    assert!(idle.line().is_err());
    assert!(house.log().contains("INFO: TIMEOUT, user=alice"), "{}", house.log());
    // Without QUIT nothing is deleted.
    assert_eq!(fs::read_dir(house.stand.account().maildir().join("cur")).unwrap().count(), 1);
}

#[test]
fn a_second_sigterm_ends_it_at_once() {
    let mut house = House::new(&[("POSTRIDER_FAREWELL", "3600")]);
    let mut client = Client::log_in(house.service.connect().unwrap()).unwrap();
    house.signal(Signal::SIGTERM);
    house.await_log("shutting down", 1);
    client.command("NOOP").unwrap();
    house.signal(Signal::SIGTERM);
    assert!(house.await_end());
    assert!(client.line().is_err());
}

//! `postrider serve` with one account, for tests that look at the service
//! itself.

#![allow(dead_code, reason = "no test needs all of it")]

use std::fs;
use std::net::TcpStream;
use std::path::PathBuf;
use std::process::{Command, ExitStatus};
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::certificates::Certificates;
use testbed::client::Client;
use testbed::maildrop::{Entry, Kind, lay_out};
use testbed::service::Service;
use testbed::stand::Stand;
use testbed::{Outcome, PATIENCE};

use crate::built;

mod load;

/// A service with one account, whose maildrop has one message.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) stand: Stand,
    directory: tempfile::TempDir,
}

impl House {
    pub(crate) fn with_message(octets: &[u8]) -> House {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        testbed::stand::make_public(directory.path()).unwrap();
        let programs = built::programs(&directory.path().join("bin")).unwrap();
        let mut stand = Stand::new(&directory.path().join("stand"), &programs, false).unwrap();
        let message = Entry { path: "new/1.message".to_owned(), kind: Kind::File(octets.to_vec()) };
        lay_out(&stand.account().home, &[message], stand.account().owner).unwrap();
        let service = stand.service(false, &[], &[], None).unwrap();
        House { service, stand, directory }
    }

    pub(crate) fn new() -> House {
        House::with_message(b"Subject: one\n\nhello\n")
    }

    /// The house again, its service started with `environment` and with `words`
    /// behind those of its command line.
    pub(crate) fn served(self, environment: &[(&str, &str)], words: &[&str]) -> House {
        self.served_by(Command::new, environment, words)
    }

    /// The same, with a program that somebody else starts.
    pub(crate) fn served_by(
        self,
        command: impl FnOnce(PathBuf) -> Command,
        environment: &[(&str, &str)],
        words: &[&str],
    ) -> House {
        self.restarted(command, None, environment, words)
    }

    /// The same with TLS.
    pub(crate) fn served_with(
        self,
        certificates: &Certificates,
        environment: &[(&str, &str)],
        words: &[&str],
    ) -> House {
        self.restarted(Command::new, Some(certificates), environment, words)
    }

    /// Certificates for it.
    pub(crate) fn certificates(&self) -> Certificates {
        let directory = self.directory.path().join("certificates");
        Certificates::make(&directory, self.service.address().ip(), "client").unwrap()
    }

    /// The same with all that.
    pub(crate) fn restarted(
        mut self,
        command: impl FnOnce(PathBuf) -> Command,
        certificates: Option<&Certificates>,
        environment: &[(&str, &str)],
        words: &[&str],
    ) -> House {
        self.end();
        let (directory, log) = self.accounts();
        let mut command = command(self.program());
        command.env_clear().env("PATH", "/usr/bin:/bin").envs(environment.iter().copied());
        self.service = Service::start_with(command, &directory, &log, certificates, words).unwrap();
        self
    }

    /// Has the service end, and waits for that.
    pub(crate) fn end(&mut self) -> ExitStatus {
        kill(Pid::from_raw(self.service.pid().cast_signed()), Signal::SIGTERM).unwrap();
        self.ended()
    }

    /// How the service has ended, as soon as it has.
    pub(crate) fn ended(&mut self) -> ExitStatus {
        let end = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = self.service.ended().unwrap() {
                return status;
            }
            assert!(Instant::now() < end, "{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where the service listens too, which is what the last line of its log about
    /// an address that begins with `beginning` says.
    pub(crate) fn other_address(&mut self, beginning: &str) -> String {
        let line = self.await_log(&format!("INFO: listening on {beginning}"));
        let address = line.trim_start_matches("INFO: listening on ");
        address.split(',').next().unwrap().to_owned()
    }

    /// Waits until the service serves.
    pub(crate) fn await_ready(&mut self) {
        let pid = self.service.pid();
        self.await_log(&format!("INFO: ready, pid={pid}"));
    }

    /// The last line of the log that begins with `beginning`, as soon as there is one.
    pub(crate) fn await_log(&mut self, beginning: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let has_ended = self.service.ended().unwrap().is_some();
            let log = self.log();
            if let Some(line) = log.lines().rev().find(|line| line.starts_with(beginning)) {
                return line.to_owned();
            }
            assert!(!has_ended && Instant::now() < end, "no {beginning}: {log}");
            thread::sleep(Duration::from_millis(10));
        }
    }

    pub(crate) fn log_in(&mut self) -> Outcome<Client<TcpStream>> {
        Client::log_in(self.service.connect()?)
    }

    /// Logs in, as soon as that can be done again.
    pub(crate) fn log_in_again(&mut self) -> Client<TcpStream> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.log_in() {
                Ok(client) => return client,
                Err(fault) => assert!(Instant::now() < end, "{fault}\n{}", self.log()),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }

    /// The processes called `name` that the service has started, as soon as
    /// there are any.
    pub(crate) fn processes(&mut self, name: &str) -> Vec<i32> {
        let end = Instant::now() + PATIENCE;
        loop {
            let found = children(self.service.pid(), name);
            if !found.is_empty() || Instant::now() > end {
                return found;
            }
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Where its accounts are, and its log.
    pub(crate) fn accounts(&self) -> (PathBuf, PathBuf) {
        (self.directory.path().join("stand/postrider"), self.stand.log())
    }

    pub(crate) fn program(&self) -> PathBuf {
        self.directory.path().join("bin/postrider")
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.stand.log()).unwrap()
    }
}

pub(crate) fn children(pid: u32, name: &str) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let is_called = |pid: &i32| {
        // The kernel keeps fifteen octets of a name.
        let shown = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
        name.starts_with(shown.trim_end()) && !shown.trim().is_empty() && shown.trim() != "postrider"
    };
    children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_called).collect()
}

/// Kills processes.
pub(crate) fn end(pids: &[i32]) {
    for pid in pids {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
    }
}

//! Two services: one where the mail is, and one that knows where.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::certificates::Certificates;
use testbed::client::Client;
use testbed::maildrop::{Entry, Kind, lay_out};
use testbed::service::Service;
use testbed::stand::{Programs, Stand, make_public};

pub(crate) const PROXY: &str = env!("CARGO_BIN_EXE_postrider-proxy");

/// A service with one account, whose maildrop has one message.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) stand: Stand,
    pub(crate) certificates: Certificates,
    _directory: TempDir,
}

/// One where the mail is.
pub(crate) type Backend = House;

impl House {
    /// A service with `environment`, whose account has `fields`.
    pub(crate) fn new(environment: &[(&str, &str)], fields: &[&str]) -> House {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        make_public(directory.path()).unwrap();
        let beside = Path::new(PROXY).parent().unwrap();
        let mut built = testbed::cells::built(Path::new(PROXY)).unwrap().to_vec();
        built.extend([beside.join("makeuserdb"), beside.join("postrider-proxy")]);
        let programs = Programs::copy(&built, &directory.path().join("bin")).unwrap();
        let mut stand = Stand::new(&directory.path().join("stand"), &programs, false).unwrap();
        lay_out(&stand.account().home, &[message()], stand.account().owner).unwrap();
        let made = directory.path().join("certificates");
        let certificates = Certificates::make(&made, [127, 0, 0, 1].into(), "alice").unwrap();
        let own = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        let environment: Vec<_> = environment.iter().map(own).collect();
        let fields: Vec<_> = fields.iter().map(|field| (*field).to_owned()).collect();
        let mut service = stand.service(false, &environment, &fields, Some(&certificates)).unwrap();
        drop(service.connect().unwrap());
        House { service, stand, certificates, _directory: directory }
    }

    /// A proxy whose account's mail is on `backend`.
    pub(crate) fn before(backend: &Backend, environment: &[(&str, &str)], fields: &[&str]) -> House {
        House::to(backend.service.address(), None, environment, fields)
    }

    /// The same, where the account says `host`.
    pub(crate) fn with_mailhost(backend: &Backend, host: &str, environment: &[(&str, &str)]) -> House {
        House::to(backend.service.address(), Some(host), environment, &[])
    }

    /// A proxy whose account says `host`, with all the rest in `environment`.
    pub(crate) fn named(host: &str, environment: &[(&str, &str)]) -> House {
        House::to(([0, 0, 0, 0], 0).into(), Some(host), environment, &[])
    }

    /// A proxy before whoever is at `address`.
    pub(crate) fn at(address: SocketAddr, environment: &[(&str, &str)]) -> House {
        House::to(address, None, environment, &[])
    }

    fn to(address: SocketAddr, host: Option<&str>, environment: &[(&str, &str)], fields: &[&str]) -> House {
        let (ip, port) = (address.ip().to_string(), address.port().to_string());
        let own = [("POP3_PROXY", "1"), ("POSTRIDER_PROXY_PORT", port.as_str())];
        let own = own.into_iter().filter(|(name, _)| environment.iter().all(|(other, _)| other != name));
        let environment: Vec<_> = own.chain(environment.iter().copied()).collect();
        let mailhost = match host.unwrap_or(&ip) {
            "" => None,
            host => Some(format!("options=mailhost={host}")),
        };
        let fields: Vec<&str> = mailhost.as_deref().into_iter().chain(fields.iter().copied()).collect();
        House::new(&environment, &fields)
    }

    /// What the service has said beside the protocol.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.stand.log()).unwrap()
    }

    /// Waits until `words` are so many times in the log.
    pub(crate) fn until_log_has(&mut self, words: &str, times: usize) {
        self.until(words, |house| house.log().matches(words).count() >= times);
    }

    /// Waits until `is_so`, which is called `what`.
    pub(crate) fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut House) -> bool) {
        let end = Instant::now() + PATIENCE;
        while !is_so(self) {
            assert!(Instant::now() < end, "{what:?} is not so:\n{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }

    /// Has the settings read again.
    pub(crate) fn reload(&mut self) {
        kill(Pid::from_raw(self.service.pid().cast_signed()), Signal::SIGHUP).unwrap();
    }

    /// The processes called `name` that the service has started.
    pub(crate) fn processes(&mut self, name: &str) -> Vec<i32> {
        let is_called = |pid: &i32| {
            // The kernel keeps fifteen octets of a name.
            let shown = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with(shown.trim_end()) && shown.len() > "postrider\n".len()
        };
        children(self.service.pid().cast_signed()).into_iter().filter(is_called).collect()
    }

    /// Logs in, as soon as that can be done again.
    pub(crate) fn log_in_again(&mut self) -> Client<TcpStream> {
        let end = Instant::now() + PATIENCE;
        loop {
            match self.service.connect().and_then(Client::log_in) {
                Ok(client) => return client,
                Err(fault) => assert!(Instant::now() < end, "{fault}\n{}", self.log()),
            }
            thread::sleep(Duration::from_millis(50));
        }
    }
}

/// The message of the one maildrop.
pub(crate) fn message() -> Entry {
    let octets = b"Subject: one\n\nhello\n".to_vec();
    Entry { path: "new/1.message".to_owned(), kind: Kind::File(octets) }
}

/// The processes that `pid` has started.
pub(crate) fn children(pid: i32) -> Vec<i32> {
    let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    children.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

/// Ends processes at once.
pub(crate) fn end(pids: &[i32]) {
    assert!(!pids.is_empty());
    for pid in pids {
        kill(Pid::from_raw(*pid), Signal::SIGKILL).unwrap();
    }
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

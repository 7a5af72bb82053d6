//! A service that speaks TLS, with one account.

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use tempfile::TempDir;
use testbed::PATIENCE;
use testbed::certificates::Certificates;
use testbed::maildrop::{Entry, Kind, lay_out};
use testbed::service::Service;
use testbed::stand::{Programs, Stand, make_public};
use testbed::tls::Tls;

const FRONT: &str = env!("CARGO_BIN_EXE_postrider-front");

/// The service and its account, whose maildrop has one message.
pub(crate) struct House {
    pub(crate) service: Service,
    pub(crate) stand: Stand,
    pub(crate) certificates: Certificates,
    environment: Vec<(String, String)>,
    directory: TempDir,
}

impl House {
    pub(crate) fn with_message(octets: &[u8]) -> House {
        House::new(octets, &[])
    }

    pub(crate) fn new(octets: &[u8], environment: &[(&str, &str)]) -> House {
        House::set_up(octets, environment, false)
    }

    /// The same where the authority may sign clients' certificates.
    pub(crate) fn asking(environment: &[(&str, &str)]) -> House {
        House::set_up(b"Subject: one\n\nhello\n", environment, true)
    }

    fn set_up(octets: &[u8], environment: &[(&str, &str)], trusts: bool) -> House {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        make_public(directory.path()).unwrap();
        let beside = Path::new(FRONT).parent().unwrap();
        let mut built = testbed::cells::built(Path::new(FRONT)).unwrap().to_vec();
        built.push(beside.join("makeuserdb"));
        let programs = Programs::copy(&built, &directory.path().join("bin")).unwrap();
        let mut stand = Stand::new(&directory.path().join("stand"), &programs, false).unwrap();
        let message = Entry { path: "new/1.message".to_owned(), kind: Kind::File(octets.to_vec()) };
        lay_out(&stand.account().home, &[message], stand.account().owner).unwrap();
        let localhost = [127, 0, 0, 1].into();
        let certificates =
            Certificates::make(&directory.path().join("certificates"), localhost, "alice").unwrap();
        let mut environment = owned(environment);
        if trusts {
            environment.push(("TLS_TRUSTCERTS".to_owned(), certificates.authority().display().to_string()));
        }
        let service = stand.service(false, &environment, &fields(), Some(&certificates)).unwrap();
        House { service, stand, certificates, environment, directory }
    }

    /// Ends the service and starts it with another certificate, or the same one.
    pub(crate) fn serve_again(&mut self, chain: &Path, key: &Path) {
        self.until_ready();
        let (own_chain, own_key) = self.certificates.server();
        for (from, to) in [(chain, own_chain), (key, own_key)] {
            fs::write(to, fs::read(from).unwrap()).unwrap();
        }
        self.start();
    }

    /// Ends the service and starts it with other settings.
    pub(crate) fn start_again(&mut self, environment: &[(&str, &str)]) {
        self.until_ready();
        self.environment = owned(environment);
        self.start();
    }

    fn start(&mut self) {
        let (stand, certificates) = (&mut self.stand, Some(&self.certificates));
        self.service = stand.service(false, &self.environment, &fields(), certificates).unwrap();
    }

    /// Where its files are.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// A client that has said STLS; the greeting has not been heard.
    pub(crate) fn by_stls(&mut self) -> Tls {
        Tls::begin_by_stls(self.service.connect().unwrap(), &self.certificates).unwrap()
    }

    /// A client that has begun with TLS.
    pub(crate) fn implicit(&mut self) -> Tls {
        Tls::begin(self.service.connect_for_tls().unwrap(), &self.certificates).unwrap()
    }

    /// What openssl(1) hears and says as a client that logs in and goes.
    pub(crate) fn openssl(&mut self, words: &[&str], stls: bool) -> String {
        // It listens from here on; a connection without a word does no harm.
        let connected = if stls { self.service.connect() } else { self.service.connect_for_tls() };
        let address = connected.unwrap().peer_addr().unwrap();
        let (input, output) = (self.directory.path().join("input"), self.directory.path().join("output"));
        fs::File::create(&input).unwrap().write_all(b"USER alice\r\nPASS secret\r\nQUIT\r\n").unwrap();
        let mut command = Command::new("openssl");
        command.args(["s_client", "-ign_eof", "-connect", &address.to_string()]).args(words);
        if stls {
            command.args(["-starttls", "pop3"]);
        }
        let written = fs::File::create(&output).unwrap();
        command.stdin(Stdio::from(fs::File::open(input).unwrap()));
        command.stdout(written.try_clone().unwrap()).stderr(written).status().unwrap();
        text(&fs::read(output).unwrap())
    }

    /// The processes called `name` that the service has started.
    pub(crate) fn processes(&mut self, name: &str) -> Vec<i32> {
        let pid = self.service.pid();
        let children = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
        let is_called = |pid: &i32| {
            // The kernel keeps fifteen octets of a name.
            let shown = fs::read_to_string(format!("/proc/{pid}/comm")).unwrap_or_default();
            name.starts_with(shown.trim_end()) && shown.len() > "postrider\n".len()
        };
        children.split_whitespace().map(|pid| pid.parse().unwrap()).filter(is_called).collect()
    }

    pub(crate) fn log(&self) -> String {
        fs::read_to_string(self.stand.log()).unwrap()
    }

    /// Waits until it lets clients in: it has read its files then, which it has
    /// not when it begins to listen.
    pub(crate) fn until_ready(&self) {
        self.until_log_has("INFO: ready, pid=", 1);
    }

    /// Waits until `words` are so many times in the log.
    pub(crate) fn until_log_has(&self, words: &str, times: usize) {
        let end = Instant::now() + PATIENCE;
        while self.log().matches(words).count() < times {
            assert!(Instant::now() < end, "{}", self.log());
            thread::sleep(Duration::from_millis(10));
        }
    }
}

fn owned(environment: &[(&str, &str)]) -> Vec<(String, String)> {
    environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

/// What the account's record has besides, for SCRAM.
fn fields() -> [String; 1] {
    ["pop3pw={PLAIN}secret".to_owned()]
}

/// How much memory a process holds.
pub(crate) fn resident_kilobytes(pid: i32) -> u64 {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

pub(crate) fn text(octets: &[u8]) -> String {
    String::from_utf8_lossy(octets).into_owned()
}

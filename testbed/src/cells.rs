//! The table of modules, places and mechanisms in `docs/authentication.md`,
//! played cell by cell.
//!
//! A cell says what a client finds that logs in with a mechanism where a
//! module is asked in a place: `yes`, the right credentials open the maildrop
//! and wrong ones do not; `no`, they are rejected. The table is the one that
//! administrators read, so a cell that is not true fails.

mod mechanism;
mod table;

use std::ffi::OsString;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::thread;

use tempfile::TempDir;

use crate::authdaemond::OurAuthdaemond;
use crate::certificates::Certificates;
use crate::chain::{Account, Chain};
use crate::maildrop::{Entry, Kind, lay_out};
use crate::process::{self, command_behind};
use crate::service::Service;
use crate::stand::{PATH, Programs, make_public};
use crate::tls::Hello;
use crate::wire::Wire;
use crate::{Fault, Outcome};
pub use mechanism::{Credentials, Mechanism};
use table::Cell;

/// The programs of ours that a cell takes.
const OURS: [&str; 10] = [
    "authdaemond",
    "authtest",
    "courierpop3d",
    "courierpop3login",
    "couriertcpd",
    "postrider",
    "postrider-auth",
    "postrider-cert",
    "postrider-front",
    "postrider-mailbox",
];

/// Where a module can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// As a program between login program and mail program.
    Chain,
    /// In the authmodulelist of our authdaemond.
    Authdaemond,
    /// Under the auth process of `postrider serve`, in the same list.
    Service,
    /// By `authtest`, through that.
    Authtest,
}

impl Place {
    const ALL: [Place; 4] = [Place::Chain, Place::Authdaemond, Place::Service, Place::Authtest];

    /// As in the table.
    fn name(self) -> &'static str {
        match self {
            Place::Chain => "chain",
            Place::Authdaemond => "authdaemond",
            Place::Service => "service",
            Place::Authtest => "authtest",
        }
    }
}

/// What a client can connect to.
trait Server: Send {
    fn connect(&mut self) -> Outcome<Box<dyn Wire>>;
}

impl Server for Chain {
    fn connect(&mut self) -> Outcome<Box<dyn Wire>> {
        Ok(Box::new(Chain::connect(self)?))
    }
}

/// The service, whose clients show a certificate.
struct InsideTls(Service, Certificates);

impl Server for InsideTls {
    fn connect(&mut self) -> Outcome<Box<dyn Wire>> {
        let InsideTls(service, certificates) = self;
        let hello = Hello { certificate: Some(certificates.client()), ..Hello::default() };
        Ok(Box::new(hello.begin(service.connect_for_tls()?, certificates)?))
    }
}

/// A server for each place that has one.
type Servers = [(Place, Mutex<Box<dyn Server>>); 3];

/// A module, an account of its back-end, and everything around them.
#[derive(Debug)]
pub struct Cells {
    module: String,
    programs: Programs,
    account: Account,
    credentials: Credentials,
    environment: Vec<(String, String)>,
    behind: Vec<OsString>,
    modules: String,
    daemon: OurAuthdaemond,
    directory: TempDir,
}

impl Cells {
    /// For the module whose program cargo has built at `module`. The account is
    /// `alice` with the password `secret`; the caller tells the back-end of it.
    ///
    /// # Errors
    /// A file cannot be written, or our programs cannot be built.
    pub fn of(module: &Path) -> Outcome<Cells> {
        let name = module.file_name().and_then(|name| name.to_str()).ok_or("a module without a name")?;
        let directory = tempfile::tempdir()?;
        make_public(directory.path())?;
        let mut programs = built(module)?;
        programs.push(module.to_owned());
        let programs = Programs::copy(&programs, &directory.path().join("bin"))?;
        let account = Account::new(directory.path().join("alice"));
        let message = Kind::File(b"Subject: a cell\n\nIt is true.\n".to_vec());
        lay_out(&account.home, &[Entry { path: "new/1.cell".to_owned(), kind: message }], account.owner)?;
        Ok(Cells {
            module: name.to_owned(),
            daemon: OurAuthdaemond::new(&programs.path("authdaemond"), directory.path())?,
            programs,
            account,
            credentials: Credentials::default(),
            environment: Vec::new(),
            behind: Vec::new(),
            modules: name.to_owned(),
            directory,
        })
    }

    /// The account: what its home and its ids have to be.
    #[must_use]
    pub fn account(&self) -> &Account {
        &self.account
    }

    /// The configuration directory, for the module's settings.
    #[must_use]
    pub fn configuration(&self) -> PathBuf {
        self.daemon.configuration()
    }

    /// A directory for files of the caller.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The same with `value` in the environment of every program.
    #[must_use]
    pub fn with(mut self, name: &str, value: &str) -> Cells {
        self.environment.push((name.to_owned(), value.to_owned()));
        self
    }

    /// The same with these credentials in place of a name and a password.
    #[must_use]
    pub fn with_credentials(mut self, credentials: Credentials) -> Cells {
        self.credentials = credentials;
        self
    }

    /// The same with every program run by `words`, which run what follows
    /// them.
    #[must_use]
    pub fn behind(mut self, words: &[OsString]) -> Cells {
        words.clone_into(&mut self.behind);
        self
    }

    /// The same with another program put beside the module: `program` is where
    /// cargo has built it.
    ///
    /// # Errors
    /// It cannot be copied.
    pub fn with_program(self, program: &Path) -> Outcome<Cells> {
        Programs::copy(&[program], &self.directory.path().join("bin"))?;
        Ok(self)
    }

    /// Plays every cell of the table that is about the module.
    ///
    /// # Errors
    /// All cells that are not true, or what could not be started.
    pub fn play(mut self) -> Outcome {
        let row = table::of_module(&self.module)?;
        fs::write(self.log(), "")?;
        self.start_daemon()?;
        let servers: Servers = [
            (Place::Chain, Mutex::new(Box::new(self.chain(Place::Chain)?))),
            (Place::Authdaemond, Mutex::new(Box::new(self.chain(Place::Authdaemond)?))),
            (Place::Service, Mutex::new(Box::new(self.service()?))),
        ];
        let wrong = Mutex::new(Vec::new());
        thread::scope(|scope| {
            for cell in &row {
                let (cells, servers, wrong) = (&self, &servers, &wrong);
                scope.spawn(move || {
                    if let Err(fault) = cells.play_one(cell, servers)
                        && let Ok(mut wrong) = wrong.lock()
                    {
                        wrong.push(format!("{}: {cell}: {fault}", cells.module));
                    }
                });
            }
        });
        let wrong = wrong.into_inner().unwrap_or_default();
        if wrong.is_empty() {
            return Ok(());
        }
        let log = fs::read_to_string(self.log())?;
        Err(format!("{}\n{log}\n{}", wrong.join("\n"), self.daemon.log()?).into())
    }

    /// A super-server as the cells of `place` have it, for other clients than
    /// theirs.
    ///
    /// # Errors
    /// It, or authdaemond, cannot be started.
    pub fn serve(&mut self, place: Place) -> Outcome<Chain> {
        fs::write(self.log(), "")?;
        if place != Place::Chain {
            self.start_daemon()?;
        }
        self.chain(place)
    }

    fn play_one(&self, cell: &Cell, servers: &Servers) -> Outcome {
        let [good, bad] = match servers.iter().find(|(place, _)| *place == cell.place) {
            None => [self.authtest(true)?, self.authtest(false)?],
            Some((_, server)) => {
                let connect = || server.lock().map_err(|_| Fault::from("a cell has panicked"))?.connect();
                let enter = |credentials: &Credentials| cell.mechanism.enter(connect()?, credentials);
                [enter(&self.credentials)?, enter(&self.credentials.wrong())?]
            }
        };
        match (good, bad) {
            (_, true) => Err("wrong credentials open the maildrop".into()),
            (good, false) if good == cell.serves => Ok(()),
            (true, _) => Err("the right credentials open the maildrop, and the table says no".into()),
            (false, _) => Err("the right credentials are rejected".into()),
        }
    }

    fn start_daemon(&mut self) -> Outcome {
        let settings: String =
            self.environment.iter().map(|(name, value)| format!("{name}=\"{value}\"\n")).collect();
        let rc = format!("authmodulelist=\"{}\"\ndaemons=3\n{settings}", self.modules);
        self.daemon.start_behind(&self.behind, &rc)
    }

    /// A super-server for one of the two places.
    fn chain(&self, place: Place) -> Outcome<Chain> {
        let program = |name| self.programs.path(name).into_os_string();
        let mut words = vec![program("courierpop3login")];
        if place == Place::Chain {
            words.push(program(&self.module));
        }
        words.extend([program("courierpop3d"), "./Maildir".into()]);
        Chain::start(self.server("couriertcpd"), &words, &self.log())
    }

    /// The integrated service, with the settings of our authdaemond.
    fn service(&self) -> Outcome<InsideTls> {
        let directory = self.directory.path().join("certificates");
        let certificates =
            Certificates::make(&directory, Ipv4Addr::LOCALHOST.into(), &self.credentials.user)?;
        let mut command = self.server("postrider");
        command.env("TLS_TRUSTCERTS", certificates.authority());
        let (configuration, log) = (self.configuration(), self.log());
        let service = Service::start(command, &configuration, &log, Some(&certificates))?;
        Ok(InsideTls(service, certificates))
    }

    /// The first program of a server that offers every mechanism.
    fn server(&self, program: &str) -> Command {
        let mut command = self.command(program);
        command
            .env("POP3AUTH", Mechanism::names().join(" "))
            .env("POP3_TOKEN_IN_CLEAR", "1")
            .env("POP3_APOP", "YES")
            // As behind couriertls, with a client whose certificate has this name.
            .envs([("POP3_TLS", "1"), ("TLS_EXTERNAL", "cn"), ("TLS_SUBJECT_CN", &self.credentials.user)])
            .envs(self.environment.iter().cloned());
        command
    }

    fn authtest(&self, right: bool) -> Outcome<bool> {
        let password = if right { "secret" } else { "wrong" };
        let mut command = self.command("authtest");
        let output = command.args(["-s", "pop3", "alice", password]).stdin(Stdio::null()).output()?;
        let (said, home) = (String::from_utf8_lossy(&output.stdout), self.account.home.display().to_string());
        match (output.status.success(), said.contains(&home)) {
            (true, false) => Err(format!("authtest shows another account:\n{said}").into()),
            (succeeded, _) => Ok(succeeded),
        }
    }

    /// One of our programs, in this place.
    fn command(&self, program: &str) -> Command {
        let mut command = command_behind(&self.behind, &self.programs.path(program));
        command.env_clear().env("PATH", PATH).envs(self.environment.iter().cloned());
        self.daemon.at_home(&mut command);
        command
    }

    fn log(&self) -> PathBuf {
        self.directory.path().join("log-of-sessions")
    }
}

/// Our programs, beside the module's whose program cargo has built at `module`;
/// made if they are not there.
///
/// # Errors
/// They cannot be built.
pub fn built(module: &Path) -> Outcome<Vec<PathBuf>> {
    let programs: Vec<PathBuf> = OURS.iter().map(|name| module.with_file_name(name)).collect();
    if !programs.iter().all(|program| program.exists()) {
        process::build(&["programs", "front"])?;
    }
    Ok(programs)
}

/// Our authdaemond there, which finds `module` beside itself.
///
/// # Errors
/// As [`built`].
pub fn built_authdaemond(module: &Path) -> Outcome<PathBuf> {
    built(module)?;
    Ok(module.with_file_name("authdaemond"))
}

//! A PostgreSQL server that is thrown away, on a UNIX socket and a loopback
//! address of its own, with TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::chain::own_address;
use crate::process::{Running, said};
use crate::sql::Server;
use crate::stand::make_public;
use crate::{Outcome, ordinary};

/// The user that programs log in as.
pub const USER: &str = "mail";
/// The password of every user.
pub const PASSWORD: &str = "the server's secret";
/// A user who is let in over TLS only.
pub const ONLY_TLS: &str = "only_tls";
/// A user who is let in without TLS only.
pub const WITHOUT_TLS: &str = "without_tls";
/// A user who is let in by the client certificate, without a password.
pub const BY_CERTIFICATE: &str = "by_certificate";

const CLIENTS: &str = "\
local all postgres trust
hostssl all only_tls 0.0.0.0/0 scram-sha-256
host all only_tls 0.0.0.0/0 reject
hostnossl all without_tls 0.0.0.0/0 scram-sha-256
host all without_tls 0.0.0.0/0 reject
hostssl all by_certificate 0.0.0.0/0 cert
local all all scram-sha-256
host all all 0.0.0.0/0 scram-sha-256
";

/// A running server.
#[derive(Debug)]
pub struct Postgres {
    server: Option<Running>,
    address: SocketAddr,
    programs: PathBuf,
    certificates: Certificates,
    directory: TempDir,
}

/// Where Debian has put the server's programs, those of the latest version.
fn programs() -> Outcome<PathBuf> {
    let versions = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let directories = versions.map(|version| version.path().join("bin"));
    let latest = directories.filter(|directory| directory.join("initdb").exists()).max();
    latest.ok_or_else(|| "/usr/lib/postgresql is not there (Debian: postgresql)".into())
}

impl Server for Postgres {
    const PREFIX: &'static str = "PGSQL_";
    const RC: &'static str = "authpgsqlrc";
    const END_SESSIONS: &'static str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mail' AND datname = current_database()";
    const COURIER_ON_UID_0: [&str; 2] = ["UID=0\n", "UID=0\n"];
    const COURIER_ON_NO_HOME: [&str; 2] = ["HOME=\n", "FAIL\n"];

    fn missing() -> Option<String> {
        programs().err().map(|reason| reason.to_string())
    }

    fn start() -> Outcome<Postgres> {
        let (directory, address) = (tempfile::tempdir()?, own_address());
        make_public(directory.path())?;
        let path = |name: &str| directory.path().join(name);
        let certificates = Certificates::make(&path("tls"), address.ip(), BY_CERTIFICATE)?;
        ordinary::give(&certificates.server().1)?;
        ordinary::directory(&path("data"))?;
        let programs = programs()?;
        let mut initdb = ordinary::command(programs.join("initdb"))?;
        initdb.args(["--username=postgres", "--auth=trust", "--encoding=UTF8", "--locale=C"]);
        initdb.args(["--no-sync", "--no-instructions", "--pgdata"]).arg(path("data"));
        let made = initdb.current_dir(directory.path()).stdin(Stdio::null()).output()?;
        if !made.status.success() {
            return Err(format!("initdb: {}", String::from_utf8_lossy(&made.stderr)).into());
        }
        fs::write(path("data/pg_hba.conf"), CLIENTS)?;
        ordinary::directory(&path("socket"))?;
        make_public(&path("socket"))?;
        let mut server = Postgres { server: None, address, programs, certificates, directory };
        server.start_again()?;
        for user in [USER, ONLY_TLS, WITHOUT_TLS, BY_CERTIFICATE] {
            let password = PASSWORD.replace('\'', "''");
            server.sql("postgres", &format!("CREATE ROLE {user} LOGIN PASSWORD '{password}'"))?;
        }
        Ok(server)
    }

    fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            // SIGTERM would wait for the clients.
            server.end_by(Signal::SIGINT);
        }
    }

    fn start_again(&mut self) -> Outcome {
        let directory = self.directory.path();
        let mut command = ordinary::command(self.programs.join("postgres"))?;
        command.arg("-D").arg(directory.join("data")).current_dir(directory);
        let (certificate, key) = self.certificates.server();
        for setting in [
            format!("listen_addresses={}", self.address.ip()),
            format!("port={}", self.address.port()),
            format!("unix_socket_directories={}", self.socket_directory().display()),
            "fsync=off".to_owned(),
            "full_page_writes=off".to_owned(),
            "synchronous_commit=off".to_owned(),
            "max_connections=100".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "ssl=on".to_owned(),
            format!("ssl_cert_file={}", certificate.display()),
            format!("ssl_key_file={}", key.display()),
            format!("ssl_ca_file={}", self.certificates.authority().display()),
        ] {
            command.arg("-c").arg(setting);
        }
        let log = directory.join("log");
        let mut server = Running::start_logging(&mut command, &log)?;
        server.await_answer("PostgreSQL", &log, || {
            Ok(self.client("pg_isready").arg("--quiet").status()?.success().then_some(()))
        })?;
        self.server = Some(server);
        Ok(())
    }

    fn create(&self, name: &str) -> Outcome {
        self.sql("postgres", &format!("CREATE DATABASE {name}"))?;
        let users = [USER, ONLY_TLS, WITHOUT_TLS, BY_CERTIFICATE].join(", ");
        let rights = format!("ALTER DEFAULT PRIVILEGES GRANT ALL ON TABLES TO {users}");
        self.sql(name, &rights).map(|_| ())
    }

    fn sql(&self, database: &str, text: &str) -> Outcome<String> {
        let mut command = self.client("psql");
        command.args(["--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1"]);
        command.arg(database);
        let printed = said(&mut command, text)?;
        Ok(printed.strip_suffix('\n').unwrap_or(&printed).to_owned())
    }

    fn connection(&self, database: &str, port: Option<u16>) -> String {
        let (address, password) = (self.address(), PASSWORD.replace('\'', "\\'"));
        format!(
            "PGSQL_CONNECTION hostaddr={} port={} \\\n  user={} password='{password}' dbname={database} sslmode=disable\n",
            address.ip(),
            port.unwrap_or(address.port()),
            USER
        )
    }
}

impl Postgres {
    /// Address and port that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// The directory of its UNIX socket.
    #[must_use]
    pub fn socket_directory(&self) -> PathBuf {
        self.directory.path().join("socket")
    }

    /// Its certificates; the client's is that of [`BY_CERTIFICATE`].
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }

    /// What it has logged.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(self.directory.path().join("log"))?)
    }

    fn client(&self, program: &str) -> Command {
        let mut command = Command::new(Path::new(&self.programs).join(program));
        command.arg("--host").arg(self.socket_directory());
        command.args(["--port", &self.address.port().to_string(), "--username=postgres"]);
        command
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        self.stop();
    }
}

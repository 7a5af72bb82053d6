//! A MariaDB server that is thrown away, on a UNIX socket and a loopback
//! address of its own, with TLS.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

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
/// A user who is let in with the client certificate only, and the password.
pub const BY_CERTIFICATE: &str = "by_certificate";

const SERVER: &str = "/usr/sbin/mariadbd";
const INSTALL: &str = "/usr/bin/mariadb-install-db";
const CLIENT: &str = "/usr/bin/mariadb";

/// A running server.
#[derive(Debug)]
pub struct Mariadb {
    server: Option<Running>,
    address: SocketAddr,
    certificates: Certificates,
    directory: TempDir,
}

impl Server for Mariadb {
    const PREFIX: &'static str = "MYSQL_";
    const RC: &'static str = "authmysqlrc";
    const END_SESSIONS: &'static str = "KILL USER mail";
    const COURIER_ON_UID_0: [&str; 2] = ["FAIL\n", ""];
    const COURIER_ON_NO_HOME: [&str; 2] = ["FAIL\n", ""];

    fn missing() -> Option<String> {
        let absent = [SERVER, INSTALL, CLIENT].into_iter().find(|program| !Path::new(program).exists())?;
        Some(format!("{absent} is not there (Debian: mariadb-server)"))
    }

    fn start() -> Outcome<Mariadb> {
        let (directory, address) = (tempfile::tempdir()?, own_address());
        make_public(directory.path())?;
        let path = |name: &str| directory.path().join(name);
        let certificates = Certificates::make(&path("tls"), address.ip(), BY_CERTIFICATE)?;
        ordinary::give(&certificates.server().1)?;
        for name in ["data", "run"] {
            ordinary::directory(&path(name))?;
        }
        make_public(&path("run"))?;
        let mut install = ordinary::command(INSTALL)?;
        install.args(["--no-defaults", "--auth-root-authentication-method=normal", "--skip-test-db"]);
        install.arg(option("datadir", &path("data"))).current_dir(directory.path());
        let made = install.stdin(Stdio::null()).output()?;
        if !made.status.success() {
            let said = [made.stdout, made.stderr].concat();
            return Err(format!("mariadb-install-db: {}", String::from_utf8_lossy(&said)).into());
        }
        let mut server = Mariadb { server: None, address, certificates, directory };
        server.start_again()?;
        let password = PASSWORD.replace('\'', "''");
        for (user, condition) in [(USER, ""), (ONLY_TLS, "REQUIRE SSL"), (BY_CERTIFICATE, "REQUIRE X509")] {
            server.sql(
                "mysql",
                &format!(
                    "CREATE USER {user} IDENTIFIED BY '{password}' {condition}; GRANT ALL ON *.* TO {user}"
                ),
            )?;
        }
        Ok(server)
    }

    fn stop(&mut self) {
        self.server = None;
    }

    fn start_again(&mut self) -> Outcome {
        let directory = self.directory.path();
        let mut command = ordinary::command(SERVER)?;
        command.args(["--no-defaults", "--skip-name-resolve", "--performance-schema=off"]);
        command.args(["--innodb-flush-log-at-trx-commit=0", "--innodb-buffer-pool-size=16M"]);
        command.args(["--innodb-use-native-aio=0", "--max-connections=100"]);
        let (certificate, key) = self.certificates.server();
        for (name, path) in [
            ("datadir", directory.join("data")),
            ("socket", self.socket()),
            ("pid-file", directory.join("run/pid")),
            ("tmpdir", directory.join("run")),
            ("ssl-ca", self.certificates.authority()),
            ("ssl-cert", certificate),
            ("ssl-key", key),
        ] {
            command.arg(option(name, &path));
        }
        command.arg(format!("--bind-address={}", self.address.ip()));
        command.arg(format!("--port={}", self.address.port())).current_dir(directory);
        let log = directory.join("log");
        let mut server = Running::start_logging(&mut command, &log)?;
        server.await_answer("MariaDB", &log, || Ok(self.sql("mysql", "SELECT 1").ok()))?;
        self.server = Some(server);
        Ok(())
    }

    fn create(&self, name: &str) -> Outcome {
        self.sql("mysql", &format!("CREATE DATABASE {name}")).map(|_| ())
    }

    fn sql(&self, database: &str, text: &str) -> Outcome<String> {
        let mut command = self.client();
        command.arg(database);
        let printed = said(&mut command, text)?;
        Ok(printed.strip_suffix('\n').unwrap_or(&printed).to_owned())
    }

    fn connection(&self, database: &str, port: Option<u16>) -> String {
        let address = self.address();
        format!(
            "MYSQL_SERVER {}\nMYSQL_PORT {}\nMYSQL_OPT 0\nMYSQL_USERNAME {}\nMYSQL_PASSWORD {}\nMYSQL_DATABASE {database}\n",
            address.ip(),
            port.unwrap_or(address.port()),
            USER,
            PASSWORD
        )
    }
}

impl Mariadb {
    /// Address and port that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its UNIX socket.
    #[must_use]
    pub fn socket(&self) -> PathBuf {
        self.directory.path().join("run/socket")
    }

    /// Its certificates.
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

    fn client(&self) -> Command {
        let mut command = Command::new(CLIENT);
        command.args(["--no-defaults", "--batch", "--skip-column-names", "--user=root"]);
        command.args(["--default-character-set=utf8mb4"]).arg(option("socket", &self.socket()));
        command
    }
}

fn option(name: &str, path: &Path) -> std::ffi::OsString {
    let mut option = std::ffi::OsString::from(format!("--{name}="));
    option.push(path);
    option
}

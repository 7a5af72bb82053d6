//! PgBouncer between a module and PostgreSQL: each transaction of a session
//! may meet another session of the server.

use std::fs;
use std::net::SocketAddr;
use std::path::Path;

use tempfile::TempDir;

use crate::chain::own_address;
use crate::postgres::{PASSWORD, Postgres, USER};
use crate::process::Running;
use crate::stand::make_public;
use crate::{Outcome, ordinary};

const PROGRAM: &str = "/usr/sbin/pgbouncer";

/// A running pooler.
#[derive(Debug)]
pub struct Pgbouncer {
    address: SocketAddr,
    _pooler: Running,
    _directory: TempDir,
}

/// Why there can be none here, if so.
#[must_use]
pub fn missing() -> Option<String> {
    (!Path::new(PROGRAM).exists()).then(|| format!("{PROGRAM} is not there (Debian: pgbouncer)"))
}

impl Pgbouncer {
    /// One that shares `sessions` sessions of `server`, transaction by
    /// transaction.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(server: &Postgres, sessions: usize) -> Outcome<Pgbouncer> {
        let (directory, address) = (tempfile::tempdir()?, own_address());
        make_public(directory.path())?;
        let path = |name: &str| directory.path().join(name);
        fs::write(path("users"), format!("\"{USER}\" \"{PASSWORD}\"\n"))?;
        let settings = format!(
            "[databases]\n* = host={} port={}\n[pgbouncer]\nlisten_addr = {}\nlisten_port = {}\n\
            unix_socket_dir =\nauth_type = scram-sha-256\nauth_file = {}\npool_mode = transaction\n\
            default_pool_size = {sessions}\nserver_round_robin = 1\n",
            server.address().ip(),
            server.address().port(),
            address.ip(),
            address.port(),
            path("users").display(),
        );
        fs::write(path("ini"), settings)?;
        let mut command = ordinary::command(PROGRAM)?;
        let mut pooler = Running::start_logging(command.arg(path("ini")), &path("log"))?;
        drop(pooler.connect("PgBouncer", &path("log"), address)?);
        Ok(Pgbouncer { address, _pooler: pooler, _directory: directory })
    }

    /// Address and port that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

//! `postrider serve`, on a loopback address of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::chain::own_address;
use crate::process::Running;

/// A running service.
#[derive(Debug)]
pub struct Service {
    running: Running,
    address: SocketAddr,
    log: PathBuf,
}

impl Service {
    /// Starts `postrider`, in which the caller has put environment and program,
    /// with its accounts in `directory` and its log in `log`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut postrider: Command, directory: &Path, log: &Path) -> Outcome<Service> {
        let address = own_address();
        postrider
            .args(["serve", "--listen", &address.to_string(), "--directory"])
            .arg(directory)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().append(true).open(log)?);
        Ok(Service { running: Running::start(&mut postrider)?, address, log: log.to_owned() })
    }

    /// Where it listens.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Its first process.
    pub fn pid(&mut self) -> u32 {
        self.running.child().id()
    }

    /// How it ended, if it has.
    ///
    /// # Errors
    /// What waitpid(2) reports.
    pub fn ended(&mut self) -> std::io::Result<Option<std::process::ExitStatus>> {
        self.running.ended()
    }

    /// A connection, as soon as it listens.
    ///
    /// # Errors
    /// It has ended, with its log; or it does not listen.
    pub fn connect(&mut self) -> Outcome<TcpStream> {
        self.running.connect("postrider", &self.log, self.address)
    }
}

//! `postrider serve`, on a loopback address of its own.

use std::fs;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::certificates::Certificates;
use crate::chain::own_address;
use crate::process::Running;

/// A running service.
#[derive(Debug)]
pub struct Service {
    running: Running,
    address: SocketAddr,
    tls_address: SocketAddr,
    log: PathBuf,
}

impl Service {
    /// Starts `postrider`, in which the caller has put environment and program,
    /// with its accounts in `directory` and its log in `log`; with TLS if there
    /// are `certificates`.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(
        postrider: Command,
        directory: &Path,
        log: &Path,
        certificates: Option<&Certificates>,
    ) -> Outcome<Service> {
        Service::start_with(postrider, directory, log, certificates, &[])
    }

    /// The same with `words` behind those of the command line.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start_with(
        mut postrider: Command,
        directory: &Path,
        log: &Path,
        certificates: Option<&Certificates>,
        words: &[&str],
    ) -> Outcome<Service> {
        let (address, tls_address) = (own_address(), own_address());
        postrider
            .args(["serve", "--listen", &address.to_string(), "--directory"])
            .arg(directory)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().append(true).open(log)?);
        if let Some((certificate, key)) = certificates.map(Certificates::server) {
            postrider.arg("--certificate").arg(certificate).arg("--key").arg(key);
            postrider.args(["--listen-tls", &tls_address.to_string()]);
        }
        Ok(Service { running: Running::start(&mut postrider)?, address, tls_address, log: log.to_owned() })
    }

    /// Where it listens for clients that begin with TLS.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        self.tls_address
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

    /// The same at another address that it has been given.
    ///
    /// # Errors
    /// As [`connect`](Service::connect).
    pub fn connect_at(&mut self, address: SocketAddr) -> Outcome<TcpStream> {
        self.running.connect("postrider", &self.log, address)
    }

    /// The same for clients that begin with TLS.
    ///
    /// # Errors
    /// As [`connect`](Service::connect).
    pub fn connect_for_tls(&mut self) -> Outcome<TcpStream> {
        self.running.connect("postrider", &self.log, self.tls_address)
    }
}

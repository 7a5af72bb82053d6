//! The program that serves one connection, and what it is told about it.

use std::ffi::{CString, OsStr, OsString};
use std::fmt;
use std::io;
use std::net::{SocketAddr, TcpStream};
use std::os::fd::AsFd;
use std::os::unix::ffi::OsStringExt;

use super::forks::Forks;
use super::limits::Client;
use super::spawn::{Executable, Group};
use crate::forkserver;

/// What we tell, or do not tell, the program about its connection. Our own
/// environment may hold these names too, if another super-server has started
/// us; that is about another connection, so it goes no further (ledger 507).
const ABOUT_CONNECTION: [&str; 7] = [
    "TCPREMOTEIP",
    "TCPREMOTEPORT",
    "TCPREMOTEHOST",
    "TCPREMOTEINFO",
    "TCPLOCALIP",
    "TCPLOCALPORT",
    "TCPLOCALHOST",
];

/// What is started for each connection.
#[derive(Debug)]
pub(super) struct Program {
    executable: Executable,
    environment: Vec<CString>,
    stderr: Stderr,
    forks: Forks,
}

/// Where descriptor 2 of the program leads.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stderr {
    /// Where ours leads.
    Log,
    /// To the client, as 0 and 1 (`-stderr=socket`).
    Client,
}

/// The two ends of a connection.
#[derive(Clone, Copy, Debug)]
pub(super) struct Ends {
    /// Ours.
    pub(super) local: SocketAddr,
    /// The client's.
    pub(super) remote: SocketAddr,
}

impl Program {
    /// `word` is the program's path as written, `environment` what it gets
    /// beside the variables about its connection.
    ///
    /// # Errors
    /// A NUL in a word, which no command line holds.
    pub(super) fn new(
        word: &OsStr,
        arguments: &[OsString],
        environment: Vec<CString>,
        stderr: Stderr,
    ) -> io::Result<Self> {
        let executable = Executable::new(word, arguments.iter().map(OsString::as_os_str))?;
        Ok(Program { executable, environment, stderr, forks: Forks::default() })
    }

    /// Starts the program with `connection` as its descriptors 0 and 1, or has it
    /// make a copy of itself, and gives the process id. Our own descriptor of the
    /// connection is closed in any case.
    ///
    /// # Errors
    /// What fork(2) and exec(2) report.
    pub(super) fn start(&mut self, connection: TcpStream, ends: Ends) -> io::Result<u32> {
        let (connection, about) = (connection.as_fd(), about(ends)?);
        if self.stderr == Stderr::Log
            && let Some(copy) = self.forks.start(&self.executable, &self.environment, connection, &about)
        {
            return copy;
        }
        let mut environment = self.environment.clone();
        environment.extend(about);
        let descriptors = [(connection, 0), (connection, 1), (connection, 2)];
        let descriptors = match self.stderr {
            Stderr::Log => &descriptors[..2],
            Stderr::Client => &descriptors[..],
        };
        self.executable.start(&environment, descriptors, Group::Ours)
    }

    /// Process `pid` has ended; perhaps it was the one that makes copies.
    pub(super) fn ended(&mut self, pid: u32) {
        self.forks.ended(pid);
    }
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.executable.fmt(f)
    }
}

/// Everything that our own environment holds, but nothing about connections, or
/// about us alone.
///
/// # Errors
/// A NUL, which no environment holds.
pub(super) fn environment() -> io::Result<Vec<CString>> {
    let ours =
        |name: &OsString| name == forkserver::VARIABLE || ABOUT_CONNECTION.iter().any(|ours| name == ours);
    let foreign = std::env::vars_os().filter(|(name, _)| !ours(name));
    foreign.map(|(name, value)| variable(name, value)).collect()
}

/// The variables of reference couriertcpd.md 11; no host names (ledger 506),
/// no ident (ledger 502).
fn about(Ends { local, remote }: Ends) -> io::Result<[CString; 4]> {
    Ok([
        variable("TCPREMOTEIP", Client::from(remote.ip()).to_string())?,
        variable("TCPREMOTEPORT", remote.port().to_string())?,
        variable("TCPLOCALIP", Client::from(local.ip()).to_string())?,
        variable("TCPLOCALPORT", local.port().to_string())?,
    ])
}

fn variable(name: impl Into<OsString>, value: impl Into<OsString>) -> io::Result<CString> {
    let mut variable = name.into();
    variable.push("=");
    variable.push(value.into());
    Ok(CString::new(variable.into_vec())?)
}

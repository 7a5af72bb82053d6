//! Dovecot, as Debian packages it, for one account whose maildrop has one
//! message.
//!
//! Debian lets only one POP3 server be installed, so dovecot-core is, and
//! dovecot-pop3d is unpacked below target (`cargo xtask test` does both).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use crate::Outcome;
use crate::certificates::Certificates;
use crate::chain::{Account, own_address};
use crate::maildrop::{Entry, lay_out};
use crate::process::{self, Running, daemon};
use crate::stand::make_public;

/// Dovecot's first process.
pub const DOVECOT: &str = "/usr/sbin/dovecot";

/// Who may be everybody, and his password.
pub const MASTER: (&str, &str) = ("proxy", "of all");

/// Why Dovecot cannot run here, if so; its package for POP3 is unpacked at
/// `unpacked`.
#[must_use]
pub fn missing(unpacked: &Path) -> Option<String> {
    if !nix::unistd::geteuid().is_root() {
        return Some("Dovecot needs root".to_owned());
    }
    if !Path::new(DOVECOT).exists() {
        return Some(format!("{DOVECOT} is not there (Debian: dovecot-core)"));
    }
    let absent = programs(unpacked).into_iter().find(|program| !program.exists())?;
    Some(format!("{} is not there (Debian: dovecot-pop3d, unpacked)", absent.display()))
}

/// Puts its programs for POP3 into `directory`, where others can reach them.
///
/// # Errors
/// They cannot be copied.
pub fn install(unpacked: &Path, directory: &Path) -> Outcome {
    programs(unpacked).iter().try_for_each(|program| {
        process::install(program, &directory.join(program.file_name().unwrap_or_default()))
    })
}

fn programs(unpacked: &Path) -> [PathBuf; 2] {
    ["pop3", "pop3-login"].map(|name| unpacked.join("usr/lib/dovecot").join(name))
}

/// A running Dovecot.
#[derive(Debug)]
pub struct Dovecot {
    _running: Running,
    address: SocketAddr,
    certificates: Certificates,
    log: PathBuf,
}

impl Dovecot {
    /// Starts it for `alice`, whose password is `password` and who has
    /// `message`, with its files in `directory`, which is made. It trusts its
    /// certificates' client as it does [`MASTER`], and what the networks
    /// `trusted` say with XCLIENT.
    ///
    /// # Errors
    /// A file cannot be written, or it does not listen.
    pub fn start(
        unpacked: &Path,
        directory: &Path,
        message: Entry,
        password: &str,
        trusted: &str,
    ) -> Outcome<Dovecot> {
        make_public(directory)?;
        install(unpacked, directory)?;
        let account = Account::new(directory.join("alice"));
        lay_out(&account.home, &[message], account.owner)?;
        let address = own_address();
        let certificates = Certificates::make(&directory.join("certificates"), address.ip(), MASTER.0)?;
        let ((uid, gid), home) = (account.owner, account.home.display());
        let users = format!("alice:{{PLAIN}}{password}:{uid}:{gid}::{home}::\n");
        // Dovecot reads them as a user of its own.
        fs::write(directory.join("users"), users)?;
        fs::write(directory.join("masters"), format!("{}:{{PLAIN}}{}\n", MASTER.0, MASTER.1))?;
        let (certificate, key) = certificates.server();
        let text = include_str!("dovecot.conf")
            .replace("@DIRECTORY@", &directory.display().to_string())
            .replace("@CERTIFICATE@", &certificate.display().to_string())
            .replace("@KEY@", &key.display().to_string())
            .replace("@AUTHORITY@", &certificates.authority().display().to_string())
            .replace("@TRUSTED@", trusted)
            .replace("@ADDRESS@", &address.ip().to_string())
            .replace("@PORT@", &address.port().to_string())
            .replace("@TLS_PORT@", &(address.port() + 1000).to_string())
            .replace("@HAPROXY_PORT@", &(address.port() + 2000).to_string());
        let (configuration, log) = (directory.join("dovecot.conf"), directory.join("log"));
        fs::write(&configuration, text)?;
        fs::write(&log, "")?;
        let mut command = daemon(DOVECOT);
        command.args(["-F", "-c"]).arg(&configuration);
        let mut running = Running::start_logging(&mut command, &directory.join("errors"))?;
        drop(running.connect("dovecot", &log, address)?);
        Ok(Dovecot { _running: running, address, certificates, log })
    }

    /// Where it listens, for clear text and STLS.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it listens for clients that begin with TLS.
    #[must_use]
    pub fn tls_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + 1000)
    }

    /// Where clients begin with a header of the PROXY protocol.
    #[must_use]
    pub fn haproxy_address(&self) -> SocketAddr {
        SocketAddr::new(self.address.ip(), self.address.port() + 2000)
    }

    /// What it has said beside the protocol.
    ///
    /// # Errors
    /// The log cannot be read.
    pub fn log(&self) -> Outcome<String> {
        Ok(fs::read_to_string(&self.log)?)
    }

    /// Its certificate, and that of a client whom it trusts.
    #[must_use]
    pub fn certificates(&self) -> &Certificates {
        &self.certificates
    }
}

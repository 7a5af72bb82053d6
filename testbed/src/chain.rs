//! A super-server and the programs behind it, on a loopback address of their
//! own.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread::sleep;
use std::time::{Duration, Instant};
use std::{fs, process};

use crate::process::Running;
use crate::{Outcome, PATIENCE};

/// The account that every test logs in to; its password is `secret`.
#[derive(Debug, Clone)]
pub struct Account {
    /// Home directory; the Maildir is `Maildir` below it.
    pub home: PathBuf,
    /// uid and gid.
    pub owner: (u32, u32),
}

impl Account {
    /// An account with the home directory `home`. Root gives it ids that are
    /// nobody's, everybody else his own.
    #[must_use]
    pub fn new(home: PathBuf) -> Account {
        let ids = (nix::unistd::geteuid().as_raw(), nix::unistd::getegid().as_raw());
        Account { home, owner: if ids.0 == 0 { (64_110, 64_111) } else { ids } }
    }

    /// The Maildir.
    #[must_use]
    pub fn maildir(&self) -> PathBuf {
        self.home.join("Maildir")
    }

    /// The account's line of a `userdb` file, with `fields` added.
    #[must_use]
    pub fn record(&self, fields: &[String]) -> String {
        let (uid, gid) = self.owner;
        let home = self.home.display();
        let added: String = fields.iter().map(|field| format!("|{field}")).collect();
        format!("alice\tuid={uid}|gid={gid}|home={home}|systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1{added}\n")
    }
}

/// A running super-server with what it starts for each connection.
#[derive(Debug)]
pub struct Chain {
    super_server: Running,
    address: SocketAddr,
    log: PathBuf,
}

impl Chain {
    /// Starts `couriertcpd`, ours or Courier's, which runs `words` for each
    /// connection with its log in `log`. The caller has put environment and
    /// program into the command; options and words are added here.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn start(mut couriertcpd: Command, words: &[OsString], log: &Path) -> Outcome<Chain> {
        let address = own_address()?;
        fs::write(log, "")?;
        let mut stderr = OsString::from("-stderr=");
        stderr.push(log);
        couriertcpd
            .args(["-nodnslookup", "-maxprocs=200", "-maxperip=200"])
            .arg(stderr)
            .arg(format!("-address={}", address.ip()))
            .arg(address.port().to_string())
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(fs::OpenOptions::new().append(true).open(log)?);
        Ok(Chain { super_server: Running::start(&mut couriertcpd)?, address, log: log.to_owned() })
    }

    /// Address and port that it listens on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }

    /// A connection, as soon as it listens.
    ///
    /// # Errors
    /// It has ended, with its log; or it does not listen.
    pub fn connect(&mut self) -> Outcome<TcpStream> {
        let end = Instant::now() + PATIENCE;
        loop {
            match TcpStream::connect(self.address) {
                Err(error) if error.kind() == ErrorKind::ConnectionRefused && Instant::now() < end => {
                    if let Some(status) = self.super_server.ended()? {
                        let log = fs::read_to_string(&self.log).unwrap_or_default();
                        return Err(format!("couriertcpd has ended, {status}\n{log}").into());
                    }
                    sleep(Duration::from_millis(5));
                }
                result => return Ok(result?),
            }
        }
    }
}

/// A loopback address that nobody else uses, made from our process id and a
/// counter (so chains of parallel runs do not meet), and a port that is free.
///
/// # Errors
/// No port is free.
pub fn own_address() -> Outcome<SocketAddr> {
    static COUNTER: AtomicU32 = AtomicU32::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let [_, high, low, _] = (process::id() << 8).to_be_bytes();
    let [.., third] = (count % 250 + 2).to_be_bytes();
    let free = TcpListener::bind((Ipv4Addr::new(127, high, low, third), 0))?;
    Ok(free.local_addr()?)
}

#[cfg(test)]
mod tests {
    use super::own_address;

    #[test]
    fn no_two_chains_share_an_address() {
        let (one, other) = (own_address().unwrap(), own_address().unwrap());
        assert_ne!(one.ip(), other.ip());
        assert!(one.ip().is_loopback());
    }
}

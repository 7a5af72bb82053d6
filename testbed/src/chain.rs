//! A super-server and the programs behind it, on a loopback address of their
//! own.

use std::ffi::OsString;
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::{fs, process};

use crate::Outcome;
use crate::process::Running;

/// The account that every test logs in to; its password is `secret`.
#[derive(Debug, Clone)]
pub struct Account {
    /// Home directory; the Maildir is `Maildir` below it.
    pub home: PathBuf,
    /// uid and gid.
    pub owner: (u32, u32),
}

/// The password `secret`, as userdbpw writes it with -md5, -hmac-md5,
/// -hmac-sha1 and -hmac-sha256.
const SECRETS: &str = "systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1\
    |hmac-md5pw=cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56\
    |hmac-sha1pw=091e0f4c6cb5277ee2beb639a60d0831b5c8adcdaee172433df3e96ba4f00fb1b6a490c3929d2034\
    |hmac-sha256pw=5a84072aab37d22275b139adf7a92564c7f674be98e77d991f6f689d29e05245\
    72804f31b042016804d3dea2f4e991a21b1c8906be161594b202fb74afc8ceb3";

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

    /// The account's line of a `userdb` file, with `fields` added. It has what
    /// each mechanism needs.
    #[must_use]
    pub fn record(&self, fields: &[String]) -> String {
        let (uid, gid) = self.owner;
        let home = self.home.display();
        let added: String = fields.iter().map(|field| format!("|{field}")).collect();
        format!("alice\tuid={uid}|gid={gid}|home={home}|{SECRETS}{added}\n")
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
        let address = own_address();
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
        self.super_server.connect("couriertcpd", &self.log, self.address)
    }
}

/// A loopback address that nobody else uses, made from our process id and a
/// counter, so that chains of parallel runs do not meet.
///
/// The port is not asked for by binding it first: another thread that is just
/// starting a program has a copy of every socket for a moment, so a socket that
/// is closed here may go on listening, and would take our client's connection.
#[must_use]
pub fn own_address() -> SocketAddr {
    const PORT: u16 = 11_110;
    static COUNTER: AtomicU16 = AtomicU16::new(0);
    let count = COUNTER.fetch_add(1, Ordering::Relaxed);
    let [.., high, low] = process::id().to_be_bytes();
    let [_, last] = (count % 250 + 2).to_be_bytes();
    SocketAddr::from(([127, high, low, last], PORT + count / 250))
}

#[cfg(test)]
mod tests {
    use super::own_address;

    #[test]
    fn no_two_chains_share_an_address() {
        let (one, other) = (own_address(), own_address());
        assert_ne!(one.ip(), other.ip());
        assert!(one.ip().is_loopback());
    }
}

//! One client of a POP3 server, in clear or inside TLS.

use std::io::{self, ErrorKind, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, SocketAddrV4, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result, bail, ensure};
use rustix::net::{AddressFamily, SocketFlags, SocketType, bind, connect, socket_with, sockopt};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, ClientConnection, RootCertStore, StreamOwned};
use testbed::certificates::Certificates;

/// Where a server is entered, and how.
#[derive(Clone, Debug)]
pub(crate) struct Door {
    pub(crate) address: SocketAddr,
    /// TLS from the first octet on.
    pub(crate) tls: Option<Arc<ClientConfig>>,
    /// Acknowledge at once what has come, instead of up to 40 ms later
    /// (TCP_QUICKACK, tcp(7)).
    pub(crate) acknowledge_at_once: bool,
}

/// TLS that believes the server of `certificates`, and makes a full handshake
/// each time.
///
/// # Errors
/// The certificate cannot be read.
pub(crate) fn tls(certificates: &Certificates) -> Result<Arc<ClientConfig>> {
    let mut authorities = RootCertStore::empty();
    authorities.add(CertificateDer::from_pem_file(certificates.authority())?)?;
    let mut config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()?
        .with_root_certificates(authorities)
        .with_no_client_auth();
    config.resumption = Resumption::disabled();
    Ok(Arc::new(config))
}

enum Wire {
    Clear(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
}

/// A client.
pub(crate) struct Client {
    wire: Wire,
    acknowledge_at_once: bool,
    /// What has come; of that, what has been used.
    arrived: Vec<u8>,
    used: usize,
    room: usize,
}

/// Octets asked for in one read, by clients that talk and by those that fetch.
const TALK: usize = 4096;
const FETCH: usize = 256 * 1024;

/// Nobody is waited for any longer than this.
const PATIENCE: Duration = Duration::from_secs(120);

/// Clients come from this many addresses in turns, as they do where limits are
/// set by address.
const ADDRESSES: u32 = 2000;

fn source() -> SocketAddrV4 {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    let next = NEXT.fetch_add(1, Ordering::Relaxed) % ADDRESSES;
    SocketAddrV4::new(Ipv4Addr::from_bits(0x7fc8_0000 + next / 250 * 256 + next % 250 + 2), 0)
}

impl Client {
    /// Connects. Nothing has been read yet.
    ///
    /// # Errors
    /// It cannot connect, or TLS fails.
    pub(crate) fn connect(door: &Door) -> Result<Client> {
        let socket = socket_with(AddressFamily::INET, SocketType::STREAM, SocketFlags::CLOEXEC, None)?;
        bind(&socket, &source()).context("bind")?;
        connect(&socket, &door.address).context("connect")?;
        let stream = TcpStream::from(socket);
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        let wire = match &door.tls {
            None => Wire::Clear(stream),
            Some(config) => {
                let session = ClientConnection::new(Arc::clone(config), ServerName::try_from("localhost")?)?;
                Wire::Tls(Box::new(StreamOwned::new(session, stream)))
            }
        };
        let acknowledge_at_once = door.acknowledge_at_once;
        Ok(Client { wire, acknowledge_at_once, arrived: Vec::new(), used: 0, room: TALK })
    }

    /// Connects and hears the greeting.
    ///
    /// # Errors
    /// As [`connect`](Client::connect), or the server says anything but `+OK`.
    pub(crate) fn greeted(door: &Door) -> Result<Client> {
        let mut client = Client::connect(door)?;
        client.ok("the greeting")?;
        Ok(client)
    }

    /// The same, and never waits longer than `patience`.
    ///
    /// # Errors
    /// As [`greeted`](Client::greeted).
    pub(crate) fn impatient(door: &Door, patience: Duration) -> Result<Client> {
        let mut client = Client::connect(door)?;
        client.stream().set_read_timeout(Some(patience))?;
        client.ok("the greeting")?;
        Ok(client)
    }

    fn stream(&self) -> &TcpStream {
        match &self.wire {
            Wire::Clear(stream) => stream,
            Wire::Tls(stream) => &stream.sock,
        }
    }

    /// Is logged in as `user`.
    ///
    /// # Errors
    /// As [`greeted`](Client::greeted).
    pub(crate) fn logged_in(door: &Door, user: &str) -> Result<Client> {
        let mut client = Client::greeted(door)?;
        client.log_in(user)?;
        Ok(client)
    }

    /// Logs in.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub(crate) fn log_in(&mut self, user: &str) -> Result<()> {
        self.command(&format!("USER {user}"))?;
        self.command("PASS secret")
    }

    /// Gives a command that is answered by one line.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub(crate) fn command(&mut self, command: &str) -> Result<()> {
        self.say(format!("{command}\r\n").as_bytes())?;
        self.ok(command)
    }

    /// Gives a command that is answered by a list; how many lines that has.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub(crate) fn list(&mut self, command: &str) -> Result<usize> {
        self.command(command)?;
        self.room = FETCH;
        while !(self.arrived() == b".\r\n" || self.arrived().ends_with(b"\r\n.\r\n")) {
            ensure!(self.take_more()? > 0, "to {command}: the server has gone");
        }
        self.room = TALK;
        let lines = memchr::memchr_iter(b'\n', self.arrived()).count() - 1;
        self.used = self.arrived.len();
        Ok(lines)
    }

    /// Says QUIT and waits until the server has closed.
    ///
    /// # Errors
    /// The server says anything but `+OK`.
    pub(crate) fn quit(mut self) -> Result<()> {
        self.command("QUIT")?;
        while self.take_more().unwrap_or(0) > 0 {}
        Ok(())
    }

    /// Sends octets.
    ///
    /// # Errors
    /// The server has gone.
    pub(crate) fn say(&mut self, octets: &[u8]) -> io::Result<()> {
        match &mut self.wire {
            Wire::Clear(stream) => stream.write_all(octets),
            Wire::Tls(stream) => stream.write_all(octets),
        }
    }

    fn ok(&mut self, to: &str) -> Result<()> {
        loop {
            if let Some(at) = find_line(&self.arrived[self.used..]) {
                let line = &self.arrived[self.used..self.used + at];
                self.used += at;
                if line.starts_with(b"+OK") {
                    return Ok(());
                }
                bail!("to {to}: {}", String::from_utf8_lossy(line).trim_end());
            }
            ensure!(self.take_more()? > 0, "to {to}: the server has gone");
        }
    }

    /// What has come and has not been used.
    pub(super) fn arrived(&self) -> &[u8] {
        &self.arrived[self.used..]
    }

    /// Uses so many octets of that.
    pub(super) fn uses(&mut self, octets: usize) {
        self.used += octets;
    }

    /// From now on large parts are read at once.
    pub(super) fn fetches(&mut self) {
        self.room = FETCH;
    }

    /// Waits for more; how much has come, 0 at the end.
    ///
    /// # Errors
    /// The server is silent for too long, or has gone.
    pub(super) fn take_more(&mut self) -> io::Result<usize> {
        self.arrived.drain(..self.used);
        self.used = 0;
        let kept = self.arrived.len();
        self.arrived.resize(kept + self.room, 0);
        let taken = loop {
            let taken = match &mut self.wire {
                Wire::Clear(stream) => stream.read(&mut self.arrived[kept..]),
                Wire::Tls(stream) => stream.read(&mut self.arrived[kept..]),
            };
            match taken {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                // Courier's and others' servers may leave TLS without saying so.
                Err(error) if error.kind() == ErrorKind::UnexpectedEof => break Ok(0),
                taken => break taken,
            }
        };
        self.arrived.truncate(kept + taken.as_ref().map_or(0, |taken| *taken));
        if self.acknowledge_at_once
            && let Wire::Clear(stream) = &self.wire
        {
            sockopt::set_tcp_quickack(stream, true)?;
        }
        taken
    }

    /// Gives back what a client that waits does not need.
    pub(crate) fn rests(&mut self) {
        self.arrived = Vec::new();
        self.used = 0;
    }
}

/// How long the first line is, with its end, if it is whole.
pub(super) fn find_line(octets: &[u8]) -> Option<usize> {
    memchr::memchr(b'\n', octets).map(|at| at + 1)
}

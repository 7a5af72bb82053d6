//! Servers that do what none should.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use testbed::chain::own_address;
use testbed::process::Running;

/// What one does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Impostor {
    /// There is none.
    Absent,
    /// It says this, a line to each that it hears, and goes.
    Says(&'static [u8]),
    /// It says nothing.
    Silent,
    /// It says a line without an end.
    Endless,
    /// Its greeting is longer than any line.
    Long,
}

impl Impostor {
    /// Starts it, for one client after another, and gives its address.
    pub(crate) fn start(self) -> SocketAddr {
        let address = own_address();
        if !matches!(self, Impostor::Absent) {
            let listener = TcpListener::bind(address).unwrap();
            thread::spawn(move || listener.incoming().for_each(|client| self.serve(client.unwrap())));
        }
        address
    }

    fn serve(self, mut client: TcpStream) {
        // The client may have gone at any time.
        let _ = match self {
            Impostor::Absent => Ok(()),
            Impostor::Says(words) => say(&mut client, words),
            Impostor::Silent => client.read_to_end(&mut Vec::new()).map(drop),
            Impostor::Long => say(&mut client, format!("+OK {}\r\n", "x".repeat(4000)).as_bytes()),
            Impostor::Endless => loop {
                if let Err(error) = client.write_all(&[b'+'; 1000]) {
                    break Err(error);
                }
            },
        };
    }
}

fn say(client: &mut TcpStream, words: &[u8]) -> std::io::Result<()> {
    let lines: Vec<&[u8]> = words.split_inclusive(|&octet| octet == b'\n').collect();
    for (number, line) in lines.iter().enumerate() {
        if (1..4).contains(&number) {
            let mut heard = [0];
            while client.read(&mut heard)? > 0 && heard != *b"\n" {}
        }
        client.write_all(line)?;
    }
    Ok(())
}

/// A server of openssl(1), which shakes hands and says what is no greeting; it
/// ends with what is returned beside its address.
pub(crate) fn openssl(certificate: &Path, key: &Path) -> (SocketAddr, Running) {
    let address = own_address();
    let mut command = Command::new("openssl");
    command
        .args(["s_server", "-accept", &address.to_string(), "-cert"])
        .arg(certificate)
        .arg("-key")
        .arg(key);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut server = Running::start(&mut command).unwrap();
    server.child().stdin.as_mut().unwrap().write_all(b"220 smtp\n").unwrap();
    let mut said = BufReader::new(server.child().stdout.take().unwrap()).lines();
    assert!(said.any(|line| line.unwrap() == "ACCEPT"), "openssl(1) does not listen");
    thread::spawn(move || said.for_each(drop));
    (address, server)
}

/// The port of 127.0.0.1 at which octets are passed on from and to whoever is
/// at `address`: certificates have names that lead there.
pub(crate) fn at_localhost(address: SocketAddr) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port().to_string();
    thread::spawn(move || {
        for client in listener.incoming() {
            let (client, server) = (client.unwrap(), TcpStream::connect(address).unwrap());
            pass_on(client.try_clone().unwrap(), server.try_clone().unwrap());
            pass_on(server, client);
        }
    });
    port
}

fn pass_on(mut from: TcpStream, mut to: TcpStream) {
    thread::spawn(move || {
        // Either may have gone.
        let _ = std::io::copy(&mut from, &mut to);
        let _ = to.shutdown(Shutdown::Write);
    });
}

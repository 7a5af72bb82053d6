//! A client that speaks TLS, with rustls.

use std::io::{self, ErrorKind, Read, Write};
use std::net::TcpStream;
use std::path::PathBuf;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, ClientConnection, RootCertStore};

use crate::certificates::Certificates;
use crate::wire::Wire;
use crate::{Outcome, PATIENCE};

/// How a client begins TLS.
#[derive(Clone, Debug, Default)]
pub struct Hello {
    /// It speaks version 1.2 and nothing newer.
    pub only_1_2: bool,
    /// The certificate that it shows if it is asked for one, and its key.
    pub certificate: Option<(PathBuf, PathBuf)>,
}

impl Hello {
    /// Shakes hands on `stream` with the server of `certificates`.
    ///
    /// # Errors
    /// The handshake fails, or the server is another one.
    pub fn begin(&self, mut stream: TcpStream, certificates: &Certificates) -> Outcome<Tls> {
        let mut authorities = RootCertStore::empty();
        authorities.add(CertificateDer::from_pem_file(certificates.authority())?)?;
        let versions: &[_] = if self.only_1_2 { &[&TLS12] } else { &[&TLS12, &TLS13] };
        let config = ClientConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
            .with_protocol_versions(versions)?
            .with_root_certificates(authorities);
        let config = match &self.certificate {
            None => config.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = CertificateDer::pem_file_iter(certificate)?.collect::<Result<_, _>>()?;
                config.with_client_auth_cert(chain, PrivateKeyDer::from_pem_file(key)?)?
            }
        };
        let mut session = ClientConnection::new(Arc::new(config), ServerName::try_from("localhost")?)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        stream.set_write_timeout(Some(PATIENCE))?;
        while session.is_handshaking() {
            session.complete_io(&mut stream)?;
        }
        Ok(Tls { stream, session, heard: Vec::new() })
    }
}

/// A connection inside TLS.
#[derive(Debug)]
pub struct Tls {
    stream: TcpStream,
    session: ClientConnection,
    /// What the server has said in clear, to be heard first.
    heard: Vec<u8>,
}

impl Tls {
    /// Shakes hands on `stream` with the server of `certificates`, as most
    /// clients do.
    ///
    /// # Errors
    /// The handshake fails, or the server is another one.
    pub fn begin(stream: TcpStream, certificates: &Certificates) -> Outcome<Tls> {
        Hello::default().begin(stream, certificates)
    }

    /// What binds to this session (`tls-exporter`, RFC 9266), as the client knows
    /// it.
    ///
    /// # Errors
    /// The session is not ready.
    pub fn exported(&self) -> Outcome<[u8; 32]> {
        Ok(self.session.export_keying_material([0; 32], b"EXPORTER-Channel-Binding", Some(b""))?)
    }

    /// The certificate that the server has shown, in DER.
    ///
    /// # Errors
    /// It has shown none.
    pub fn server_certificate(&self) -> Outcome<&[u8]> {
        let chain = self.session.peer_certificates().and_then(<[_]>::first);
        Ok(chain.ok_or("the server has shown no certificate")?)
    }

    /// Says STLS on `stream`, then the same. The greeting is kept.
    ///
    /// # Errors
    /// As [`begin`](Tls::begin), or STLS is refused.
    pub fn begin_by_stls(mut stream: TcpStream, certificates: &Certificates) -> Outcome<Tls> {
        stream.set_read_timeout(Some(PATIENCE))?;
        let greeting = line(&mut stream)?;
        stream.write_all(b"STLS\r\n")?;
        let answer = line(&mut stream)?;
        if answer != b"+OK Begin SSL/TLS negotiation now.\r\n" {
            return Err(format!("to STLS: {}", String::from_utf8_lossy(&answer)).into());
        }
        Ok(Tls { heard: greeting, ..Tls::begin(stream, certificates)? })
    }

    /// Keeps only the socket, whose next octets are no TLS or none.
    #[must_use]
    pub fn into_stream(self) -> TcpStream {
        self.stream
    }
}

/// A line, octet by octet: none of what follows it is taken.
fn line(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let mut line = Vec::new();
    while !line.ends_with(b"\n") {
        let mut octet = [0];
        stream.read_exact(&mut octet)?;
        line.push(octet[0]);
    }
    Ok(line)
}

impl Wire for Tls {
    fn send(&mut self, octets: &[u8]) -> io::Result<()> {
        let mut stream = rustls::Stream::new(&mut self.session, &mut self.stream);
        match stream.write_all(octets) {
            Err(error) if has_closed(&error) => Ok(()),
            result => result,
        }
    }

    fn finish(&mut self) -> io::Result<()> {
        self.session.send_close_notify();
        while self.session.wants_write() {
            match self.session.write_tls(&mut self.stream) {
                Err(error) if has_closed(&error) => return Ok(()),
                result => result?,
            };
        }
        Ok(())
    }

    fn receive(&mut self) -> io::Result<Vec<u8>> {
        if !self.heard.is_empty() {
            return Ok(std::mem::take(&mut self.heard));
        }
        let mut octets = vec![0; 64 * 1024];
        loop {
            match self.session.reader().read(&mut octets) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                Err(error) if has_closed(&error) => return Ok(Vec::new()),
                received => {
                    octets.truncate(received?);
                    return Ok(octets);
                }
            }
            match self.session.read_tls(&mut self.stream) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) if has_closed(&error) => return Ok(Vec::new()),
                result => {
                    result?;
                    self.session.process_new_packets().map_err(io::Error::other)?;
                }
            }
        }
    }
}

fn has_closed(error: &io::Error) -> bool {
    matches!(error.kind(), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset | ErrorKind::NotConnected)
}

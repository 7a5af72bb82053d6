//! A session of rustls, of either side, as the event loops of `programs` see
//! one.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use authlib::sasl::Channel;
use programs::service::front::tls::Session;
use rustls::Connection;

use crate::binding::bindings;
use crate::choice::Choice;
use crate::subject::Field;

/// One session.
pub(crate) struct Rustls {
    pub(crate) connection: Connection,
    /// What the client was shown, at a server's side.
    pub(crate) choice: Option<Arc<Choice>>,
    /// What names the account of a client that shows a certificate.
    pub(crate) field: Option<Field>,
}

impl Rustls {
    /// What binds to the certificate that the client was shown.
    fn end_point(&self) -> Option<&[u8]> {
        let Connection::Server(server) = &self.connection else { return None };
        self.choice.as_ref()?.end_point(server.server_name()).as_deref()
    }

    /// The name in the client's certificate, which was verified before it was
    /// taken.
    fn certificate_name(&self) -> Option<Vec<u8>> {
        self.field?.of(self.connection.peer_certificates()?.first()?)
    }
}

impl Session for Rustls {
    fn read_tls(&mut self, network: &mut dyn Read) -> io::Result<usize> {
        let octets = self.connection.read_tls(network)?;
        self.connection
            .process_new_packets()
            .map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(octets)
    }

    fn write_tls(&mut self, network: &mut dyn Write) -> io::Result<usize> {
        self.connection.write_tls(network)
    }

    fn wants_read(&self) -> bool {
        self.connection.wants_read()
    }

    fn wants_write(&self) -> bool {
        self.connection.wants_write()
    }

    fn is_handshaking(&self) -> bool {
        self.connection.is_handshaking()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.connection.reader().read(buffer) {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // Whoever closes without close_notify has said nothing more either.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.connection.writer().write_all(octets)
    }

    fn close(&mut self) {
        self.connection.send_close_notify();
    }

    fn channel(&self) -> Channel {
        let bindings = bindings(&self.connection, self.end_point());
        Channel { bindings, certificate_name: self.certificate_name(), ..Channel::default() }
    }
}

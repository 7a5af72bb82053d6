//! A session of rustls, of either side, as the event loops of `programs` see
//! one.

use std::io::{self, ErrorKind, Read, Write};

use authlib::sasl::channel::{EXPORTER_LABEL, EXPORTER_LENGTH};
use authlib::sasl::{Binding, BindingKind, Channel};
use programs::service::front::tls::Session;
use rustls::{Connection, ProtocolVersion};

/// One session.
pub(crate) struct Rustls(pub(crate) Connection);

impl Session for Rustls {
    fn read_tls(&mut self, network: &mut dyn Read) -> io::Result<usize> {
        let octets = self.0.read_tls(network)?;
        self.0.process_new_packets().map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        Ok(octets)
    }

    fn write_tls(&mut self, network: &mut dyn Write) -> io::Result<usize> {
        self.0.write_tls(network)
    }

    fn wants_read(&self) -> bool {
        self.0.wants_read()
    }

    fn wants_write(&self) -> bool {
        self.0.wants_write()
    }

    fn is_handshaking(&self) -> bool {
        self.0.is_handshaking()
    }

    fn read(&mut self, buffer: &mut [u8]) -> io::Result<Option<usize>> {
        match self.0.reader().read(buffer) {
            Ok(octets) => Ok(Some(octets)),
            Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(None),
            // Whoever closes without close_notify has said nothing more either.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Some(0)),
            Err(error) => Err(error),
        }
    }

    fn write(&mut self, octets: &[u8]) -> io::Result<()> {
        self.0.writer().write_all(octets)
    }

    fn close(&mut self) {
        self.0.send_close_notify();
    }

    /// Before TLS 1.3 nothing is exported that is surely this channel's alone
    /// (RFC 9266 section 4.2).
    fn channel(&self) -> Channel {
        let mut exported = vec![0; EXPORTER_LENGTH];
        let is_bound = self.0.protocol_version() == Some(ProtocolVersion::TLSv1_3)
            && self.0.export_keying_material(&mut exported, EXPORTER_LABEL, Some(b"")).is_ok();
        let binding = is_bound.then_some(Binding { kind: BindingKind::TlsExporter, data: exported });
        Channel { bindings: binding.into_iter().collect(), ..Channel::default() }
    }
}

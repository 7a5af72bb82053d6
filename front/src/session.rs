//! TLS by rustls: versions 1.2 and 1.3 (ledger 140), without client certificates.

use std::io::{self, ErrorKind, Read, Write};
use std::sync::Arc;

use authlib::sasl::channel::{EXPORTER_LABEL, EXPORTER_LENGTH};
use authlib::sasl::{Binding, BindingKind, Channel};
use programs::service::front::tls::{Server, Session};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ProtocolVersion, ServerConfig, ServerConnection};

/// What all sessions have in common.
struct Certified(Arc<ServerConfig>);

/// One session.
struct Rustls(ServerConnection);

/// Makes a server of a certificate chain and its private key, both in PEM.
///
/// # Errors
/// What is wrong with them.
pub(crate) fn make_server(certificate: &[u8], key: &[u8]) -> Result<Box<dyn Server>, String> {
    let chain: Vec<_> = CertificateDer::pem_slice_iter(certificate)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("the certificate: {error}"))?;
    if chain.is_empty() {
        return Err("the certificate: there is none in the file".to_owned());
    }
    let key = PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("the private key: {error}"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(aws_lc_rs::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, key))
        .map_err(|error| format!("the certificate and its key: {error}"))?;
    Ok(Box::new(Certified(Arc::new(config))))
}

impl Server for Certified {
    fn session(&self) -> Result<Box<dyn Session>, String> {
        let session = ServerConnection::new(Arc::clone(&self.0)).map_err(|error| error.to_string())?;
        Ok(Box::new(Rustls(session)))
    }
}

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

#[cfg(test)]
mod tests {
    use super::make_server;

    #[test]
    fn what_is_no_certificate_or_no_key_is_said_to_be_none() {
        let wrong = |certificate: &[u8], key: &[u8]| make_server(certificate, key).err().unwrap();
        assert_eq!(wrong(b"", b""), "the certificate: there is none in the file");
        const BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB";
        assert!(wrong(BEGINNING, b"").starts_with("the certificate: "));
        const OTHER: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n";
        assert!(wrong(OTHER, b"").starts_with("the private key: "));
        const KEY: &[u8] = b"-----BEGIN PRIVATE KEY-----\nMIIB\n-----END PRIVATE KEY-----\n";
        assert!(wrong(OTHER, KEY).starts_with("the certificate and its key: "));
    }
}

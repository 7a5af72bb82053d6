//! The server's side of TLS: versions 1.2 and 1.3 (ledger 140), without client
//! certificates.

use std::sync::Arc;

use programs::service::front::tls::{Server, Session};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection};

use crate::session::Rustls;

/// What all sessions have in common.
struct Certified(Arc<ServerConfig>);

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
        Ok(Box::new(Rustls(session.into())))
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

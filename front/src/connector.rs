//! The client's side of TLS: back-ends show a certificate of their name, signed
//! by an authority that is trusted; or one that is itself among those in the
//! file of authorities, whatever its name (ledger 871).

use std::sync::Arc;

use programs::service::proxy::tls::{Connector, Session};
use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::{ClientConfig, ClientConnection, DigitallySignedStruct, RootCertStore, SignatureScheme};

use crate::session::Rustls;

/// What all sessions have in common.
struct Configured(Arc<ClientConfig>);

/// Makes a connector of authorities and, if there is one, our own certificate
/// chain and its key, all in PEM.
///
/// # Errors
/// What is wrong with them.
pub fn make_connector(
    authorities: &[u8],
    identity: Option<(&[u8], &[u8])>,
) -> Result<Box<dyn Connector>, String> {
    let trusted = certificates(authorities, "the authorities")?;
    let mut roots = RootCertStore::empty();
    roots.add_parsable_certificates(trusted.iter().cloned());
    let provider = Arc::new(aws_lc_rs::default_provider());
    let by_name = WebPkiServerVerifier::builder_with_provider(Arc::new(roots), Arc::clone(&provider))
        .build()
        .map_err(|error| format!("the authorities: {error}"))?;
    let verifier = Arc::new(Verifier { trusted, by_name });
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| format!("TLS: {error}"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match identity {
        None => builder.with_no_client_auth(),
        Some((chain, key)) => {
            let chain = certificates(chain, "our certificate")?;
            let key =
                PrivateKeyDer::from_pem_slice(key).map_err(|error| format!("our private key: {error}"))?;
            let config = builder.with_client_auth_cert(chain, key);
            config.map_err(|error| format!("our certificate and its key: {error}"))?
        }
    };
    Ok(Box::new(Configured(Arc::new(config))))
}

fn certificates(pem: &[u8], whose: &str) -> Result<Vec<CertificateDer<'static>>, String> {
    let all: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("{whose}: {error}"))?;
    if all.is_empty() { Err(format!("{whose}: there is no certificate in the file")) } else { Ok(all) }
}

impl Connector for Configured {
    fn session(&self, host: &str) -> Result<Box<dyn Session>, String> {
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(host.to_owned()).map_err(|_| "it has no name for a certificate")?;
        let session = ClientConnection::new(Arc::clone(&self.0), name).map_err(|error| error.to_string())?;
        // Nothing is bound to this channel.
        Ok(Box::new(Rustls { connection: session.into(), choice: None, field: None }))
    }
}

/// Takes what an authority has signed for that name, and what is trusted as it
/// is.
#[derive(Debug)]
struct Verifier {
    trusted: Vec<CertificateDer<'static>>,
    by_name: Arc<WebPkiServerVerifier>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if self.trusted.iter().any(|trusted| trusted.as_ref() == end_entity.as_ref()) {
            return Ok(ServerCertVerified::assertion());
        }
        self.by_name.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_name.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        self.by_name.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.by_name.supported_verify_schemes()
    }
}

#[cfg(test)]
mod tests {
    use super::make_connector;

    #[test]
    fn what_is_no_certificate_is_named() {
        let wrong = make_connector(b"", None).err().unwrap();
        assert_eq!(wrong, "the authorities: there is no certificate in the file");
        const BEGINNING: &[u8] = b"-----BEGIN CERTIFICATE-----\nMIIB";
        assert!(make_connector(BEGINNING, None).err().unwrap().starts_with("the authorities: "));
    }
}

//! TLS as libpq's parameters describe it (PostgreSQL's documentation, "SSL
//! Support").

use std::fmt::Debug;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authlib::Unavailable;
use authlib::printable::printable;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::{verify_server_cert_signed_by_trust_anchor, verify_server_name};
use rustls::crypto::{CryptoProvider, aws_lc_rs, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme, SupportedProtocolVersion};

use crate::parameters::{Parameters, wrong};

/// The authorities of the system, where distributions put them.
const SYSTEM: [&str; 3] =
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

/// How to speak with a server, in one attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// Without TLS.
    Plain,
    /// With TLS if the server can.
    Prefer,
    /// With TLS.
    Tls,
}

/// `sslmode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum SslMode {
    Disable,
    Allow,
    Prefer,
    Require,
    VerifyCa,
    VerifyFull,
}

/// Whether, with which certificates, and how far to trust the server's.
#[derive(Debug)]
pub(crate) struct Settings {
    mode: SslMode,
    authorities: Option<PathBuf>,
    certificate: Option<(PathBuf, PathBuf)>,
    sni: bool,
    versions: Vec<&'static SupportedProtocolVersion>,
}

impl Settings {
    /// What `parameters` say; `usual` tells where a file is that nobody names.
    ///
    /// # Errors
    /// A value that means nothing, or one that contradicts another.
    pub(crate) fn new(
        parameters: &Parameters,
        usual: &dyn Fn(&str) -> PathBuf,
    ) -> Result<Settings, Unavailable> {
        let authorities = parameters.get("sslrootcert");
        let is_system = authorities == Some("system");
        let mode = parameters.one_of(
            "sslmode",
            &[
                (
                    if is_system { "verify-full" } else { "prefer" },
                    if is_system { SslMode::VerifyFull } else { SslMode::Prefer },
                ),
                ("disable", SslMode::Disable),
                ("allow", SslMode::Allow),
                ("prefer", SslMode::Prefer),
                ("require", SslMode::Require),
                ("verify-ca", SslMode::VerifyCa),
                ("verify-full", SslMode::VerifyFull),
            ],
        )?;
        if is_system && mode != SslMode::VerifyFull {
            return Err(wrong(&"sslrootcert=system is for sslmode=verify-full"));
        }
        let named =
            |keyword: &str, file: &str| parameters.get(keyword).map_or_else(|| usual(file), PathBuf::from);
        let (certificate, key) = (named("sslcert", "postgresql.crt"), named("sslkey", "postgresql.key"));
        let has_certificate = parameters.get("sslcert").is_some() || certificate.exists();
        let authorities = match authorities {
            Some("system") => SYSTEM.iter().map(PathBuf::from).find(|path| path.exists()),
            Some(path) => Some(path.into()),
            None => Some(usual("root.crt")).filter(|path| path.exists()),
        };
        if authorities.is_none() && matches!(mode, SslMode::VerifyCa | SslMode::VerifyFull) {
            return Err(wrong(&"sslmode asks for a certificate to verify with, and sslrootcert names none"));
        }
        Ok(Settings {
            mode,
            authorities,
            certificate: has_certificate.then_some((certificate, key)),
            sni: parameters.one_of("sslsni", &[("1", true), ("0", false)])?,
            versions: versions(parameters)?,
        })
    }

    /// The attempts to make, in this order.
    pub(crate) fn modes(&self) -> &'static [Mode] {
        match self.mode {
            SslMode::Disable => &[Mode::Plain],
            SslMode::Allow => &[Mode::Plain, Mode::Tls],
            // The second for a server that talks TLS and lets us in without only.
            SslMode::Prefer => &[Mode::Prefer, Mode::Plain],
            SslMode::Require | SslMode::VerifyCa | SslMode::VerifyFull => &[Mode::Tls],
        }
    }

    /// A configuration for connections, with the certificates as they are now.
    ///
    /// # Errors
    /// A file cannot be read or holds something else.
    pub(crate) fn client(&self) -> Result<ClientConfig, Unavailable> {
        let provider = Arc::new(aws_lc_rs::default_provider());
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions).map_err(|error| tls(&error))?;
        let verifier = Verifier {
            authorities: self.authorities.as_deref().map(authorities).transpose()?,
            name: self.mode == SslMode::VerifyFull,
            provider,
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let mut config = match &self.certificate {
            None => builder.with_no_client_auth(),
            Some((certificate, key)) => {
                let chain = certificates(certificate)?;
                let key = PrivateKeyDer::from_pem_file(key).map_err(|error| unreadable(key, &error))?;
                builder.with_client_auth_cert(chain, key).map_err(|error| tls(&error))?
            }
        };
        config.enable_sni = self.sni;
        Ok(config)
    }
}

/// From `ssl_min_protocol_version` to `ssl_max_protocol_version`; there is
/// nothing below 1.2.
fn versions(parameters: &Parameters) -> Result<Vec<&'static SupportedProtocolVersion>, Unavailable> {
    let least = parameters.one_of(
        "ssl_min_protocol_version",
        &[("TLSv1.2", 2), ("TLSv1.3", 3), ("TLSv1.1", 2), ("TLSv1", 2)],
    )?;
    let most = parameters.one_of("ssl_max_protocol_version", &[("TLSv1.3", 3), ("TLSv1.2", 2)])?;
    let versions: Vec<_> = [(3, &TLS13), (2, &TLS12)]
        .into_iter()
        .filter(|(number, _)| (least..=most).contains(number))
        .map(|(_, version)| version)
        .collect();
    if versions.is_empty() {
        return Err(wrong(&"ssl_min_protocol_version is above ssl_max_protocol_version"));
    }
    Ok(versions)
}

fn authorities(path: &Path) -> Result<RootCertStore, Unavailable> {
    let mut store = RootCertStore::empty();
    for certificate in certificates(path)? {
        store.add(certificate).map_err(|error| unreadable(path, &error))?;
    }
    Ok(store)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unavailable> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| unreadable(path, &error))?;
    if certificates.is_empty() { Err(unreadable(path, &"no certificate in it")) } else { Ok(certificates) }
}

fn unreadable(path: &Path, error: &dyn std::fmt::Display) -> Unavailable {
    let path = printable(path.as_os_str().as_encoded_bytes());
    Unavailable::new(format!("{path}: {}", printable(error.to_string().as_bytes())))
}

fn tls(error: &rustls::Error) -> Unavailable {
    Unavailable::new(format!("TLS: {}", printable(error.to_string().as_bytes())))
}

/// Trusts a server's certificate as far as `sslmode` asks for.
#[derive(Debug)]
struct Verifier {
    /// Who has to have signed it; anybody if there are none.
    authorities: Option<RootCertStore>,
    /// Whether it has to be for the server's name.
    name: bool,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        _ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        if let Some(authorities) = &self.authorities {
            let parsed = ParsedCertificate::try_from(end_entity)?;
            let algorithms = self.provider.signature_verification_algorithms.all;
            verify_server_cert_signed_by_trust_anchor(&parsed, authorities, intermediates, now, algorithms)?;
            if self.name {
                verify_server_name(&parsed, server_name)?;
            }
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signed, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

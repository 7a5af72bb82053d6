//! TLS as libpq's parameters describe it (PostgreSQL's documentation, "SSL
//! Support").

use std::path::{Path, PathBuf};
use std::sync::Arc;

use authlib::Unavailable;
use rustls::version::{TLS12, TLS13};
use rustls::{ClientConfig, RootCertStore, SupportedProtocolVersion};
use tlsclient::{DEBIANS_AUTHORITIES, Verifier, certificates, provider, unreadable, unusable, with_identity};

use crate::parameters::{Parameters, wrong};

/// The authorities of the system, where distributions put them.
const SYSTEM: [&str; 3] = [DEBIANS_AUTHORITIES, "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"];

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
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider));
        let builder = builder.with_protocol_versions(&self.versions).map_err(|error| unusable(&error))?;
        let verifier = match &self.authorities {
            Some(path) => Verifier::new(authorities(path)?, self.mode == SslMode::VerifyFull, provider),
            None => Verifier::of_nothing(provider),
        };
        let builder = builder.dangerous().with_custom_certificate_verifier(Arc::new(verifier));
        let identity = self.certificate.as_ref().map(|(file, key)| (file.as_path(), key.as_path()));
        let mut config = with_identity(builder, identity)?;
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

//! What modules share that speak TLS with their servers: certificates and keys
//! in files, and a [`Verifier`] that trusts as far as settings say.

mod verifier;

use std::fmt::Display;
use std::path::Path;
use std::sync::Arc;

use authlib::Unavailable;
use authlib::printable::{printable, reason};
use rustls::ClientConfig;
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

pub use verifier::Verifier;

/// The authorities that the machine trusts, where Debian keeps them.
pub const DEBIANS_AUTHORITIES: &str = "/etc/ssl/certs/ca-certificates.crt";

/// Which cryptography there is, for the whole tree.
#[must_use]
pub fn provider() -> Arc<CryptoProvider> {
    Arc::new(aws_lc_rs::default_provider())
}

/// The certificates in the file `path`, in PEM; one at least.
///
/// # Errors
/// It cannot be read, or holds none.
pub fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>, Unavailable> {
    let certificates = CertificateDer::pem_file_iter(path).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let certificates = certificates.map_err(|error| no_pem(path, &error))?;
    if certificates.is_empty() {
        return Err(unreadable(path, &"it holds no certificate"));
    }
    Ok(certificates)
}

/// A configuration that shows the certificates in the file of that name, with
/// the key in the other, to servers that ask who we are.
///
/// # Errors
/// A file cannot be read or holds something else, or the two do not fit.
pub fn with_identity(
    builder: rustls::ConfigBuilder<ClientConfig, rustls::client::WantsClientCert>,
    identity: Option<(&Path, &Path)>,
) -> Result<ClientConfig, Unavailable> {
    let Some((certificate, key)) = identity else { return Ok(builder.with_no_client_auth()) };
    let chain = certificates(certificate)?;
    let private = PrivateKeyDer::from_pem_file(key).map_err(|error| no_pem(key, &error))?;
    builder.with_client_auth_cert(chain, private).map_err(|error| unreadable(certificate, &error))
}

fn no_pem(path: &Path, error: &pem::Error) -> Unavailable {
    match error {
        pem::Error::Io(error) => unreadable(path, &reason(error)),
        other => unreadable(path, other),
    }
}

/// What is wrong with the file `path`.
#[must_use]
pub fn unreadable(path: &Path, error: &dyn Display) -> Unavailable {
    let path = printable(path.as_os_str().as_encoded_bytes());
    Unavailable::new(format!("{path}: {}", printable(error.to_string().as_bytes())))
}

/// What the library says of settings that cannot go together.
#[must_use]
pub fn unusable(error: &rustls::Error) -> Unavailable {
    Unavailable::new(format!("TLS: {}", printable(error.to_string().as_bytes())))
}

#[cfg(test)]
mod tests {
    use super::certificates;
    use std::path::Path;

    #[test]
    fn what_holds_no_certificates_is_named_with_the_reason() {
        for (path, why) in
            [("/absent", "No such file or directory"), ("/dev/null", "it holds no certificate")]
        {
            let error = certificates(Path::new(path)).unwrap_err().to_string();
            assert_eq!(error, format!("{path}: {why}"));
        }
    }
}

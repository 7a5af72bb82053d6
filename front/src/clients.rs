//! Clients that show certificates.

use std::sync::Arc;

use programs::service::client_certificates::{Asked, naming_field};
use rustls::RootCertStore;
use rustls::crypto::aws_lc_rs;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use rustls::server::WebPkiClientVerifier;
use rustls::server::danger::ClientCertVerifier;

use crate::subject::Field;

/// Above so many authorities clients are not told who they are: the list would
/// be long, and theirs is one of a few.
const MOST_HINTS: usize = 256;

/// What is done with clients' certificates.
pub(crate) struct Clients {
    pub(crate) verifier: Arc<dyn ClientCertVerifier>,
    /// Whether they are asked for them.
    pub(crate) are_asked: bool,
    /// What names the account of a client, if it may log in by that.
    pub(crate) field: Option<Field>,
    /// What an administrator may want to know.
    pub(crate) remarks: Vec<String>,
}

impl Clients {
    /// Who may be signed by `authorities`, in PEM.
    ///
    /// # Errors
    /// What is wrong with them, or with the settings.
    pub(crate) fn signed_by(authorities: Option<&[u8]>) -> Result<Clients, String> {
        let asked = Asked::from_environment()?;
        let (Some(authorities), Asked::Optionally | Asked::Always) = (authorities, asked) else {
            let verifier = WebPkiClientVerifier::no_client_auth();
            return Ok(Clients { verifier, are_asked: false, field: None, remarks: Vec::new() });
        };
        let (roots, remarks) = roots(authorities)?;
        let are_many = roots.len() > MOST_HINTS;
        let provider = Arc::new(aws_lc_rs::default_provider());
        let mut builder = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider);
        if asked == Asked::Optionally {
            builder = builder.allow_unauthenticated();
        }
        if are_many {
            builder = builder.clear_root_hint_subjects();
        }
        let verifier = builder.build().map_err(|error| format!("TLS_TRUSTCERTS: {error}"))?;
        let field = naming_field().map(|name| {
            Field::called(&name).ok_or_else(|| format!("TLS_EXTERNAL={name}: there is no such field"))
        });
        Ok(Clients { verifier, are_asked: true, field: field.transpose()?, remarks })
    }
}

/// The certificates, and a line about those that are none.
fn roots(authorities: &[u8]) -> Result<(RootCertStore, Vec<String>), String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(authorities)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("TLS_TRUSTCERTS: {error}"))?;
    let mut roots = RootCertStore::empty();
    match roots.add_parsable_certificates(certificates) {
        (0, _) => Err("TLS_TRUSTCERTS: there is no certificate in it".to_owned()),
        (_, 0) => Ok((roots, Vec::new())),
        (_, unread) => Ok((roots, vec![format!("TLS_TRUSTCERTS: {unread} certificates cannot be read")])),
    }
}

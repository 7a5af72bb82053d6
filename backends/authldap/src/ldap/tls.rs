//! What TLS needs, by the environment variables of OpenLDAP's library that
//! Courier's authdaemonrc sets (reference: authlib 15, ldap.conf(5)).

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use authlib::Unavailable;
use authlib::printable::printable;
use rustls::{ClientConfig, RootCertStore};
use tlsclient::{DEBIANS_AUTHORITIES, Verifier, certificates, provider, unreadable, unusable, with_identity};

const PREFIX: &str = "LDAPTLS_";
/// The variables that are honoured (ledger 751).
const KNOWN: [&str; 4] = ["LDAPTLS_CACERT", "LDAPTLS_REQCERT", "LDAPTLS_CERT", "LDAPTLS_KEY"];

/// Whom to trust, and who we are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Tls {
    authorities: Option<PathBuf>,
    is_anybody_good: bool,
    client: Option<(PathBuf, PathBuf)>,
}

impl Tls {
    /// As the variables say that `variable` knows. (`LDAPTLS_CACERT`,
    /// `LDAPTLS_REQCERT`, `LDAPTLS_CERT`, `LDAPTLS_KEY`)
    pub(crate) fn new(variable: impl Fn(&str) -> Option<OsString>) -> Result<Self, Unavailable> {
        let path = |name| variable(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let demand = path("LDAPTLS_REQCERT").unwrap_or_else(|| "demand".into());
        let is_anybody_good = match demand.to_string_lossy().to_ascii_lowercase().as_str() {
            "never" | "allow" => true,
            // A server always has a certificate, so `try` is no less.
            "try" | "demand" | "hard" => false,
            _ => return Err(Unavailable::new("LDAPTLS_REQCERT is none of never, allow, try, demand, hard")),
        };
        let client = match (path("LDAPTLS_CERT"), path("LDAPTLS_KEY")) {
            (Some(certificate), Some(key)) => Some((certificate, key)),
            (None, None) => None,
            _ => return Err(Unavailable::new("LDAPTLS_CERT and LDAPTLS_KEY go together")),
        };
        Ok(Tls { authorities: path("LDAPTLS_CACERT"), is_anybody_good, client })
    }

    /// Variables of OpenLDAP's library among `names` that are not honoured.
    pub(crate) fn not_honoured(names: impl Iterator<Item = OsString>) -> Vec<String> {
        let names = names.filter_map(|name| name.into_string().ok());
        let mut others: Vec<String> =
            names.filter(|name| name.starts_with(PREFIX) && !KNOWN.contains(&name.as_str())).collect();
        others.sort();
        others.iter().map(|name| printable(name.as_bytes())).collect()
    }

    /// Reads the files, which may have been renewed since the last time.
    ///
    /// # Errors
    /// One of them cannot be read, or is not what it should be.
    pub(crate) fn config(&self) -> Result<Arc<ClientConfig>, Unavailable> {
        let provider = provider();
        let builder = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| unusable(&error))?;
        let builder = if self.is_anybody_good {
            let verifier = Arc::new(Verifier::of_nothing(provider));
            builder.dangerous().with_custom_certificate_verifier(verifier)
        } else {
            builder.with_root_certificates(self.roots()?)
        };
        let client = self.client.as_ref().map(|(certificate, key)| (certificate.as_path(), key.as_path()));
        with_identity(builder, client).map(Arc::new)
    }

    fn roots(&self) -> Result<RootCertStore, Unavailable> {
        let path = self.authorities.as_deref().unwrap_or(Path::new(DEBIANS_AUTHORITIES));
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(certificates(path)?);
        if added == 0 {
            return Err(unreadable(path, &"it holds no certificate of an authority"));
        }
        Ok(roots)
    }
}

#[cfg(test)]
mod tests {
    use super::Tls;
    use std::ffi::OsString;

    fn tls(variables: &[(&str, &str)]) -> Result<Tls, String> {
        let find = |name: &str| variables.iter().find(|(other, _)| *other == name);
        Tls::new(|name| find(name).map(|(_, value)| OsString::from(value))).map_err(|error| error.to_string())
    }

    #[test]
    fn the_words_of_reqcert_are_those_of_openldap() {
        for (word, is_anybody_good) in [
            ("never", true),
            ("Allow", true),
            ("try", false),
            ("demand", false),
            ("HARD", false),
            ("", false),
        ] {
            assert_eq!(tls(&[("LDAPTLS_REQCERT", word)]).unwrap().is_anybody_good, is_anybody_good, "{word}");
        }
        assert!(!tls(&[]).unwrap().is_anybody_good);
        assert!(tls(&[("LDAPTLS_REQCERT", "perhaps")]).unwrap_err().contains("none of never"));
    }

    #[test]
    fn a_certificate_without_its_key_is_refused() {
        assert!(tls(&[("LDAPTLS_CERT", "/a"), ("LDAPTLS_KEY", "/b")]).is_ok());
        for name in ["LDAPTLS_CERT", "LDAPTLS_KEY"] {
            assert!(tls(&[(name, "/a")]).is_err());
        }
    }

    #[test]
    fn files_that_are_not_there_or_hold_nothing_are_errors() {
        for path in ["/no/such/file", "/dev/null"] {
            let error = tls(&[("LDAPTLS_CACERT", path)]).unwrap().config().unwrap_err().to_string();
            assert!(error.starts_with(&format!("{path}: ")), "{error}");
            let error = tls(&[("LDAPTLS_REQCERT", "never"), ("LDAPTLS_CERT", path), ("LDAPTLS_KEY", path)]);
            assert!(error.unwrap().config().is_err());
        }
        assert!(tls(&[("LDAPTLS_REQCERT", "never")]).unwrap().config().is_ok());
    }

    #[test]
    fn other_variables_of_the_library_are_named() {
        let names = ["LDAPTLS_CRLCHECK", "PATH", "LDAPTLS_CACERT", "LDAPTLS_CACERTDIR"].map(OsString::from);
        assert_eq!(Tls::not_honoured(names.into_iter()), ["LDAPTLS_CACERTDIR", "LDAPTLS_CRLCHECK"]);
    }
}

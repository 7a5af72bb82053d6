//! Checks a certificate and its key.

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use authlib::printable::{printable, reason};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject;
use x509_parser::prelude::{ASN1Time, FromDer, GeneralName, ParsedExtension, X509Certificate};
use zeroize::Zeroizing;

use crate::server::certified;

/// Checks the certificate in the file `chain` and its key in the file `key`;
/// gives a line that says whose it is, and until when.
///
/// # Errors
/// A line that says what is wrong with them.
pub(super) fn files(chain: &Path, key: &Path) -> Result<String, String> {
    let named = |what: String| format!("{}: {what}\n", chain.display());
    let read = |path: &Path| {
        let octets = fs::read(path).map(Zeroizing::new);
        octets.map_err(|error| format!("{}: {}\n", path.display(), reason(&error)))
    };
    let certified = certified(&read(chain)?, &read(key)?).map_err(named)?;
    let first = certified.cert.first().ok_or_else(|| named("it is empty".to_owned()))?;
    certificate(first, seconds_now()).map(named).map_err(named)
}

/// Whether the first certificate in `pem` is good now, and still will be when
/// this time has passed; or why it is not.
///
/// # Errors
/// It is not, or there is none.
pub(super) fn is_good_for(pem: &[u8], time: Duration) -> Result<(), String> {
    let first = CertificateDer::from_pem_slice(pem).map_err(|error| error.to_string())?;
    certificate(&first, seconds_now())?;
    certificate(&first, seconds_now().saturating_add(time.as_secs())).map(drop)
}

fn seconds_now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |now| now.as_secs())
}

/// Whose a certificate is, and until when; or that it is not good `now`, in
/// seconds since 1970.
fn certificate(der: &[u8], now: u64) -> Result<String, String> {
    let (_, certificate) = X509Certificate::from_der(der).map_err(|error| error.to_string())?;
    let validity = certificate.validity();
    let now = i64::try_from(now).unwrap_or(i64::MAX);
    if validity.not_after.timestamp() < now {
        return Err(format!("it was good until {}", day(validity.not_after)));
    }
    if validity.not_before.timestamp() > now {
        return Err(format!("it is not good before {}", day(validity.not_before)));
    }
    Ok(format!("for {}, good until {}", names(&certificate).join(", "), day(validity.not_after)))
}

fn day(time: ASN1Time) -> String {
    time.to_datetime().date().to_string()
}

/// The names that clients compare; where there are none, the common name.
fn names(certificate: &X509Certificate<'_>) -> Vec<String> {
    let mut names = Vec::new();
    for extension in certificate.extensions() {
        if let ParsedExtension::SubjectAlternativeName(alternative) = extension.parsed_extension() {
            names.extend(alternative.general_names.iter().filter_map(name));
        }
    }
    if names.is_empty() {
        names.extend(
            certificate.subject().iter_common_name().filter_map(|name| name.as_str().ok().map(shown)),
        );
    }
    names
}

fn name(name: &GeneralName<'_>) -> Option<String> {
    match name {
        GeneralName::DNSName(name) => Some(shown(name)),
        GeneralName::IPAddress(octets) => match octets.len() {
            4 => <[u8; 4]>::try_from(*octets).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(*octets).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

fn shown(name: &str) -> String {
    printable(name.as_bytes())
}

//! What binds a SASL exchange to a session of TLS (RFC 5056, RFC 5929,
//! RFC 9266).

use authlib::sasl::channel::{EXPORTER_LABEL, EXPORTER_LENGTH};
use authlib::sasl::{Binding, BindingKind};
use rustls::{Connection, HandshakeKind, ProtocolVersion};
use sha2::{Digest, Sha256, Sha384, Sha512};
use x509_parser::prelude::{FromDer, X509Certificate};

/// The hash of a server's certificate; `None` where the RFC says of none how it
/// is made.
pub(crate) type EndPoint = Option<Vec<u8>>;

/// The data of every type that `connection` has, whose server has shown the
/// certificate of `end_point`.
pub(crate) fn bindings(connection: &Connection, end_point: Option<&[u8]>) -> Vec<Binding> {
    let binding = |kind, data: Option<Vec<u8>>| data.map(|data| Binding { kind, data });
    // A client that resumes a session means the certificate that it has seen
    // when that began, which may have been another one.
    let end_point = end_point.filter(|_| connection.handshake_kind() != Some(HandshakeKind::Resumed));
    [
        binding(BindingKind::TlsExporter, exported(connection)),
        binding(BindingKind::TlsServerEndPoint, end_point.map(<[u8]>::to_vec)),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// Before TLS 1.3 nothing is exported that is surely this channel's alone
/// (RFC 9266 section 4.2).
fn exported(connection: &Connection) -> Option<Vec<u8>> {
    let mut exported = vec![0; EXPORTER_LENGTH];
    let is_bound = connection.protocol_version() == Some(ProtocolVersion::TLSv1_3)
        && connection.export_keying_material(&mut exported, EXPORTER_LABEL, Some(b"")).is_ok();
    is_bound.then_some(exported)
}

/// The hash of `certificate`, in DER, with the hash function of its signature;
/// SHA-256 in the place of MD5 and SHA-1 (RFC 5929 section 4.1).
pub(crate) fn end_point(certificate: &[u8]) -> EndPoint {
    let (_, parsed) = X509Certificate::from_der(certificate).ok()?;
    match parsed.signature_algorithm.algorithm.to_id_string().as_str() {
        // RSA (RFC 8017 A.2.4) with MD5, SHA-1 and SHA-256; ECDSA (RFC 3279,
        // RFC 5758) with SHA-1 and SHA-256.
        "1.2.840.113549.1.1.4"
        | "1.2.840.113549.1.1.5"
        | "1.2.840.113549.1.1.11"
        | "1.2.840.10045.4.1"
        | "1.2.840.10045.4.3.2" => Some(Sha256::digest(certificate).to_vec()),
        // The same with SHA-384 and SHA-512.
        "1.2.840.113549.1.1.12" | "1.2.840.10045.4.3.3" => Some(Sha384::digest(certificate).to_vec()),
        "1.2.840.113549.1.1.13" | "1.2.840.10045.4.3.4" => Some(Sha512::digest(certificate).to_vec()),
        // Others use several hashes or, as Ed25519, none of their own.
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::end_point;
    use rcgen::{CertificateParams, KeyPair, SignatureAlgorithm};

    fn hashed(algorithm: &'static SignatureAlgorithm) -> Option<usize> {
        let key = KeyPair::generate_for(algorithm).unwrap();
        let certificate =
            CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        end_point(certificate.der()).map(|hash| hash.len())
    }

    #[test]
    fn the_hash_is_that_of_the_signature() {
        assert_eq!(hashed(&rcgen::PKCS_ECDSA_P256_SHA256), Some(32));
        assert_eq!(hashed(&rcgen::PKCS_ECDSA_P384_SHA384), Some(48));
        assert_eq!(hashed(&rcgen::PKCS_ED25519), None);
        assert_eq!(end_point(b"none"), None);
    }
}

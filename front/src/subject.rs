//! Fields of a certificate's subject, by the names that couriertls gives them.

use authlib::printable::has_control;
use x509_parser::prelude::{FromDer, X509Certificate};

/// As couriertls prints them (seen with Debian 12), in lower case, and what they
/// are in X.500.
const FIELDS: [(&str, &str); 22] = [
    ("businesscategory", "2.5.4.15"),
    ("c", "2.5.4.6"),
    ("cn", "2.5.4.3"),
    ("dc", "0.9.2342.19200300.100.1.25"),
    ("description", "2.5.4.13"),
    ("dnqualifier", "2.5.4.46"),
    ("emailaddress", "1.2.840.113549.1.9.1"),
    ("generationqualifier", "2.5.4.44"),
    ("givenname", "2.5.4.42"),
    ("initials", "2.5.4.43"),
    ("l", "2.5.4.7"),
    ("name", "2.5.4.41"),
    ("o", "2.5.4.10"),
    ("ou", "2.5.4.11"),
    ("postalcode", "2.5.4.17"),
    ("pseudonym", "2.5.4.65"),
    ("serialnumber", "2.5.4.5"),
    ("sn", "2.5.4.4"),
    ("st", "2.5.4.8"),
    ("street", "2.5.4.9"),
    ("title", "2.5.4.12"),
    ("uid", "0.9.2342.19200300.100.1.1"),
];

/// A field of a subject.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Field(&'static str);

impl Field {
    /// The one called `name`, in any case.
    pub(crate) fn called(name: &str) -> Option<Field> {
        let found = FIELDS.iter().find(|(known, _)| name.eq_ignore_ascii_case(known));
        found.map(|(_, identifier)| Field(identifier))
    }

    /// Its value in `certificate`, in DER. There must be one and no other
    /// (ledger 168), of characters that can be shown.
    pub(crate) fn of(self, certificate: &[u8]) -> Option<Vec<u8>> {
        let (_, certificate) = X509Certificate::from_der(certificate).ok()?;
        let mut name = None;
        for attribute in certificate.subject().iter_attributes() {
            if attribute.attr_type().to_id_string() != self.0 {
                continue;
            }
            let value = attribute.as_str().ok()?;
            if name.as_deref().is_some_and(|name| name != value)
                || value.is_empty()
                || has_control(value.as_bytes())
            {
                return None;
            }
            name = Some(value.to_owned());
        }
        name.map(String::into_bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::Field;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(names: &[(DnType, &str)]) -> Vec<u8> {
        let mut parameters = CertificateParams::default();
        parameters.distinguished_name = rcgen::DistinguishedName::new();
        for (kind, value) in names {
            parameters.distinguished_name.push(kind.clone(), *value);
        }
        parameters.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_field_that_counts_is_found_if_it_has_a_value_that_can_be_a_name() {
        let email = DnType::CustomDnType(vec![1, 2, 840, 113_549, 1, 9, 1]);
        let alice = certificate(&[(DnType::CommonName, "Alice A"), (email, "alice@example.com")]);
        assert_eq!(Field::called("emailAddress").unwrap().of(&alice).unwrap(), b"alice@example.com");
        assert_eq!(Field::called("CN").unwrap().of(&alice).unwrap(), b"Alice A");
        assert_eq!(Field::called("ou").unwrap().of(&alice), None);
        for value in ["", "al\nice", "al\u{1}ice"] {
            assert_eq!(Field::called("cn").unwrap().of(&certificate(&[(DnType::CommonName, value)])), None);
        }
        assert_eq!(Field::called("cn").unwrap().of(b"none"), None);
        assert!(Field::called("common name").is_none());
    }
}

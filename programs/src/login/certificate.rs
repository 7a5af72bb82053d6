//! The name in the client's certificate, by which EXTERNAL logs in:
//! couriertls tells the subject, TLS_EXTERNAL says which field of it counts
//! (reference config.md 3, couriertcpd.md 14).

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;

use authlib::printable::has_control;

use crate::environment;

/// Which field of the subject counts, in lower case as couriertls prints it.
/// `None` without TLS_EXTERNAL.
pub(super) fn field() -> Option<String> {
    let field = environment::non_empty("TLS_EXTERNAL")?.into_string().ok()?;
    let is_field = field.bytes().all(|octet| octet.is_ascii_alphanumeric() || b".-_".contains(&octet));
    is_field.then(|| field.to_ascii_lowercase())
}

/// The variable in which programs behind couriertls find the value of `field`.
pub(super) fn variable(field: &str) -> String {
    format!("TLS_SUBJECT_{}", field.to_ascii_uppercase())
}

/// The name that was found before this program started: by couriertls, where
/// TLS begins with the connection, or by the login program before this one.
/// couriertls sets these variables for a certificate that it has verified; in
/// clear there is none, whatever the environment says.
pub(super) fn inherited() -> Option<Vec<u8>> {
    let is_tls = environment::number("POP3_TLS") != 0;
    let name = environment::non_empty(&variable(&field()?)).filter(|_| is_tls).map(OsString::into_vec)?;
    (!has_control(&name)).then_some(name)
}

/// The value of `field` in what couriertls prints of a verified certificate.
///
/// There must be one and no other: Courier takes the last one, but a line end
/// within a value looks like another field (ledger 168).
pub(super) fn name_in(printed: &[u8], field: &str) -> Option<Vec<u8>> {
    let mut lines = printed.split(|&octet| octet == b'\n').skip_while(|line| *line != b"Subject:").skip(1);
    let mut name = None;
    for line in lines.by_ref().map_while(|line| line.strip_prefix(b"   ")) {
        let Some(value) = line.strip_prefix(field.as_bytes()).and_then(|rest| rest.strip_prefix(b"=")) else {
            continue;
        };
        if name.is_some_and(|name| name != value) || value.is_empty() || has_control(value) {
            return None;
        }
        name = Some(value);
    }
    name.map(<[u8]>::to_vec)
}

#[cfg(test)]
mod tests {
    use super::{name_in, variable};

    /// As couriertls of Debian 12 prints it; it repeats what there is several
    /// times.
    const PRINTED: &[u8] = b"Subject:\n   c=US\n   o=Example\n   cn=Alice A\n   cn=second\n   cn=Alice A\n   \
        cn=second\n   ou=one\n   ou=one\n   emailaddress=alice@example.com\n\nNot-Before: 2026-11-23 06:34:04\n\
        Version: TLS1.3\nBits: 256\nCipher: ECDHE_RSA_AES_256_GCM_SHA384\n";

    #[test]
    fn the_field_that_counts_is_found_if_there_is_one_value() {
        assert_eq!(name_in(PRINTED, "emailaddress").unwrap(), b"alice@example.com");
        assert_eq!(name_in(PRINTED, "ou").unwrap(), b"one");
        assert_eq!(name_in(PRINTED, "cn"), None);
        assert_eq!(name_in(PRINTED, "email"), None);
        assert_eq!(name_in(PRINTED, "cipher"), None);
        assert_eq!(variable("emailaddress"), "TLS_SUBJECT_EMAILADDRESS");
    }

    #[test]
    fn without_a_verified_certificate_there_is_no_name() {
        for printed in [
            b"".as_slice(),
            b"Version: TLS1.3\nBits: 256\n",
            b"Subject:\n\n   cn=alice\n",
            b"Subject:\n   cn=\n\n",
            b"Subject:\n   cn=al\x01ice\n\n",
            b"   cn=alice\n",
        ] {
            assert_eq!(name_in(printed, "cn"), None, "{printed:?}");
        }
    }

    #[test]
    fn a_line_end_in_a_value_forges_no_second_name() {
        let printed = b"Subject:\n   emailaddress=eve\n   cn=eve\n   emailaddress=alice\n\n";
        assert_eq!(name_in(printed, "emailaddress"), None);
    }
}

//! Makes a certificate that is signed by its own key, as mkpop3dcert does
//! (reference config.md 6).

use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::net::IpAddr;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt, fchown};
use std::path::PathBuf;
use std::time::{Duration, SystemTime};

use authlib::printable::reason;
use rcgen::{
    CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, KeyUsagePurpose,
    PKCS_ECDSA_P256_SHA256, PKCS_RSA_SHA256, RsaKeySize,
};
use zeroize::Zeroizing;

use super::check;

/// How long a certificate is good if nobody says otherwise: systems of Apple
/// take none that is good for longer.
pub(super) const DAYS: u32 = 825;

/// Clocks that are late take it all the same.
const EARLIER: Duration = Duration::from_secs(60 * 60);

/// Longest common name (RFC 5280 appendix A.1).
const COMMON_NAME: usize = 64;

/// What kind of key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Ecdsa,
    Rsa,
}

/// What is to be made.
#[derive(Debug)]
pub(super) struct Wish {
    pub(super) file: PathBuf,
    /// Whose it is; host names and addresses.
    pub(super) names: Vec<String>,
    pub(super) days: u32,
    pub(super) kind: Kind,
    /// Who may read it beside its owner.
    pub(super) group: Option<u32>,
}

impl Wish {
    /// Makes it; gives a line that says what it is.
    ///
    /// # Errors
    /// A line that says what went wrong; there is no file then that was not
    /// there before.
    pub(super) fn make(&self) -> Result<String, String> {
        let named = |error: io::Error| match error.kind() {
            io::ErrorKind::AlreadyExists => format!("{}: it is there already\n", self.file.display()),
            _ => format!("{}: {}\n", self.file.display(), reason(&error)),
        };
        let pem = self.pem().map_err(|error| format!("the certificate: {error}\n"))?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&self.file);
        let written = self.write(file.map_err(named)?, &pem);
        if written.is_err() {
            let _it_is_worth_nothing = fs::remove_file(&self.file);
        }
        written.map_err(named)?;
        check::files(&self.file, &self.file)
    }

    /// The key, and then its certificate.
    pub(super) fn pem(&self) -> Result<Zeroizing<String>, rcgen::Error> {
        let key = match self.kind {
            Kind::Ecdsa => KeyPair::generate_for(&PKCS_ECDSA_P256_SHA256)?,
            Kind::Rsa => KeyPair::generate_rsa_for(&PKCS_RSA_SHA256, RsaKeySize::_3072)?,
        };
        let mut wanted = CertificateParams::new(self.names.clone())?;
        wanted.distinguished_name = DistinguishedName::new();
        if let Some(name) = self.names.iter().find(|name| name.len() <= COMMON_NAME) {
            wanted.distinguished_name.push(DnType::CommonName, name.as_str());
        }
        let now = SystemTime::now();
        wanted.not_before = (now - EARLIER).into();
        wanted.not_after = (now - EARLIER + Duration::from_secs(u64::from(self.days) * 24 * 60 * 60)).into();
        wanted.is_ca = IsCa::ExplicitNoCa;
        wanted.key_usages = vec![KeyUsagePurpose::DigitalSignature];
        if self.kind == Kind::Rsa {
            wanted.key_usages.push(KeyUsagePurpose::KeyEncipherment);
        }
        wanted.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth];
        let certificate = wanted.self_signed(&key)?;
        let key = Zeroizing::new(key.serialize_pem());
        Ok(Zeroizing::new([key.as_str(), &certificate.pem()].concat()))
    }

    fn write(&self, mut file: File, pem: &str) -> io::Result<()> {
        if let Some(group) = self.group {
            fchown(&file, None, Some(group))?;
            file.set_permissions(Permissions::from_mode(0o640))?;
        }
        file.write_all(pem.as_bytes())?;
        file.sync_all()
    }
}

/// Whose a certificate is if nobody says otherwise: this machine's.
pub(super) fn usual_names() -> Vec<String> {
    let own = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let own = Some(own.trim().to_owned()).filter(|name| is_name(name) && name != "localhost");
    own.into_iter().chain(["localhost", "127.0.0.1", "::1"].map(str::to_owned)).collect()
}

/// Whether it is an address or a host name; `*` may stand for its first part.
pub(super) fn is_name(word: &str) -> bool {
    let is_part = |part: &str| {
        let is_plain = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'-' || octet == b'_';
        (1..=63).contains(&part.len()) && part.bytes().all(is_plain) && !part.starts_with('-')
    };
    let host = word.strip_prefix("*.").unwrap_or(word);
    word.parse::<IpAddr>().is_ok() || (word.len() <= 253 && host.split('.').all(is_part))
}

#[cfg(test)]
mod tests {
    use super::is_name;

    #[test]
    fn names_are_those_that_clients_can_connect_to() {
        for name in ["localhost", "mail.example.com", "*.example.com", "192.0.2.1", "::1", "a_b"] {
            assert!(is_name(name), "{name}");
        }
        for name in ["", "a b", "a..b", "-a", "a.*.b", "*", "mail/x", "caf\u{e9}", "::1%eth0"] {
            assert!(!is_name(name), "{name}");
        }
    }
}

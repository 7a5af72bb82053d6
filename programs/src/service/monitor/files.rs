//! What TLS is made of, as it lies in files. They are read for the fronts, which
//! may not; nobody here looks at what is in them.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::net::IpAddr;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::log;
use crate::service::material::{MOST_OF_A_FILE, Material, Named, Pem};
use crate::service::sealed::MOST;

/// Where all of it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The certificate chain, in PEM.
    pub(crate) chain: PathBuf,
    /// The private key, in PEM; it may be in the same file.
    pub(crate) key: PathBuf,
    /// The certificates, in PEM, of those who may sign clients' certificates, if
    /// clients are asked for them: a file, or a directory by hash.
    pub(crate) authorities: Option<PathBuf>,
}

impl Certificate {
    /// What is in the files.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn read(&self) -> Result<Material, String> {
        let certificate = Pem { chain: read(&self.chain)?, key: read(&self.key)? };
        let authorities = self.authorities.as_deref().map(authorities).transpose()?;
        let mut others = Vec::new();
        for Beside { name, chain, key } in self.beside()? {
            match read(&chain).and_then(|chain| Ok(Pem { chain, key: read(&key)? })) {
                Ok(pem) => others.push(Named { name, pem }),
                Err(wrong) => log::warning(&format_args!("TLS: {wrong}")),
            }
        }
        Ok(Material { certificate, others, authorities })
    }

    /// The certificates for one name or address each: they lie beside `chain`, and
    /// what they are for is behind its name (reference couriertcpd.md 14). Their
    /// keys are in the same file, or beside `key`; where none is, it is `key`.
    ///
    /// # Errors
    /// A line for the log: the directory cannot be read, or there are too many.
    pub(crate) fn beside(&self) -> Result<Vec<Beside>, String> {
        let Some((directory, usual)) = self.chain.parent().zip(self.chain.file_name()) else {
            return Ok(Vec::new());
        };
        let directory = if directory.as_os_str().is_empty() { Path::new(".") } else { directory };
        let Some(usual) = usual.to_str() else { return Ok(Vec::new()) };
        let mut found = Vec::new();
        for file in names(directory)? {
            let behind = file.strip_prefix(usual).and_then(|rest| rest.strip_prefix('.'));
            let Some(name) = behind.filter(|name| can_be_asked_for(name)) else { continue };
            let chain = directory.join(&file);
            let key = if self.key == self.chain { chain.clone() } else { self.key_of(name) };
            found.push(Beside { name: name.to_ascii_lowercase(), chain, key });
        }
        if found.len() > MOST_BESIDE {
            let chain = self.chain.display();
            return Err(format!("{chain}: there are more than {MOST_BESIDE} certificates beside it"));
        }
        Ok(found)
    }

    fn key_of(&self, name: &str) -> PathBuf {
        let mut own = self.key.clone().into_os_string();
        own.push(".");
        own.push(name);
        let own = PathBuf::from(own);
        if own.exists() { own } else { self.key.clone() }
    }
}

/// Most certificates for one name each.
const MOST_BESIDE: usize = 256;

/// A certificate for one name or address.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Beside {
    /// The name, in lower case.
    pub(crate) name: String,
    /// The certificate chain.
    pub(crate) chain: PathBuf,
    /// Its key.
    pub(crate) key: PathBuf,
}

/// Whether it is an address or a host name.
fn can_be_asked_for(name: &str) -> bool {
    let is_label = |label: &str| {
        !label.is_empty()
            && label.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    name.parse::<IpAddr>().is_ok() || (name.len() <= 253 && name.split('.').all(is_label))
}

/// The certificates in a file, or in those files of a directory that are called
/// as OpenSSL looks them up (`openssl rehash`): eight hexadecimal digits, a dot,
/// a number.
fn authorities(path: &Path) -> Result<Vec<u8>, String> {
    if !path.is_dir() {
        return Ok(read(path)?.to_vec());
    }
    let mut all = Vec::new();
    for name in names(path)? {
        if is_by_hash(&name) {
            all.extend_from_slice(&read(&path.join(name))?);
            all.push(b'\n');
        }
        if all.len() > MOST {
            return Err(format!("{}: there are too many certificates", path.display()));
        }
    }
    Ok(all)
}

fn is_by_hash(name: &str) -> bool {
    name.split_once('.').is_some_and(|(hash, number)| {
        hash.len() == 8
            && hash.bytes().all(|octet| octet.is_ascii_hexdigit())
            && !number.is_empty()
            && number.bytes().all(|octet| octet.is_ascii_digit())
    })
}

/// What is in a directory, in order; names that are no text are left out.
fn names(directory: &Path) -> Result<Vec<String>, String> {
    let named = |error| format!("{}: {}", directory.display(), reason(&error));
    let mut names = Vec::new();
    for entry in fs::read_dir(directory).map_err(named)? {
        names.extend(entry.map_err(named)?.file_name().into_string());
    }
    names.sort_unstable();
    Ok(names)
}

/// All of a file, which is not long.
pub(super) fn read(path: &Path) -> Result<Zeroizing<Vec<u8>>, String> {
    let named = |error| format!("{}: {}", path.display(), reason(&error));
    let mut octets = Zeroizing::new(Vec::new());
    // What is no file must not hold up its reader.
    let nonblocking = OFlags::NONBLOCK.bits() as i32;
    let file = OpenOptions::new().read(true).custom_flags(nonblocking).open(path).map_err(named)?;
    let length = file.metadata().map_err(named)?.len();
    if length > MOST_OF_A_FILE {
        return Err(format!("{}: it is too long for a certificate", path.display()));
    }
    // A vector that grows would leave what it held behind.
    octets.reserve_exact(usize::try_from(length).unwrap_or_default().saturating_add(1));
    file.take(length).read_to_end(&mut octets).map_err(named)?;
    Ok(octets)
}

#[cfg(test)]
mod tests {
    use super::{Certificate, authorities};
    use std::fs;

    #[test]
    fn certificates_for_names_and_addresses_lie_beside_the_usual_one() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        let others =
            ["p.pem.Mail.Example.org", "p.pem.192.0.2.1", "p.pem.2001:db8::1", "p.pem.~1~", "p.pem.a..b"];
        for name in ["p.pem", "p.key", "p.key.192.0.2.1", "p.pem2.x"].iter().chain(&others) {
            fs::write(at(name), name).unwrap();
        }
        let beside = |key: &str| {
            let files = Certificate { chain: at("p.pem"), key: at(key), authorities: None };
            let shown = |path: std::path::PathBuf| path.file_name().unwrap().to_str().unwrap().to_owned();
            let found = files.beside().unwrap().into_iter();
            found.map(|one| (one.name, shown(one.chain), shown(one.key))).collect::<Vec<_>>()
        };
        let row = |name: &str, chain: &str, key: &str| (name.to_owned(), chain.to_owned(), key.to_owned());
        assert_eq!(
            beside("p.key"),
            [
                row("192.0.2.1", others[1], "p.key.192.0.2.1"),
                row("2001:db8::1", others[2], "p.key"),
                row("mail.example.org", others[0], "p.key"),
            ]
        );
        assert_eq!(beside("p.pem")[2], row("mail.example.org", others[0], others[0]));
    }

    #[test]
    fn of_a_directory_those_count_that_are_called_by_their_hash() {
        let directory = tempfile::tempdir().unwrap();
        for name in ["0a1b2c3d.0", "0a1b2c3d.10", "ffffffff.1", "ca.pem", "0a1b2c3d.r0", "0a1b2c3d", "abc.0"]
        {
            fs::write(directory.path().join(name), name).unwrap();
        }
        let read = authorities(directory.path()).unwrap();
        assert_eq!(String::from_utf8(read).unwrap(), "0a1b2c3d.0\n0a1b2c3d.10\nffffffff.1\n");
        assert_eq!(authorities(&directory.path().join("ca.pem")).unwrap(), b"ca.pem");
        assert!(authorities(&directory.path().join("missing")).unwrap_err().contains("missing: "));
    }
}

//! What TLS is made of, as it lies in files. They are read for the fronts, which
//! may not; nobody here looks at what is in them.

use std::fs::{self, OpenOptions};
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use rustix::fs::OFlags;
use zeroize::Zeroizing;

use crate::service::material::{MOST_OF_A_FILE, Material, Pem};
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
        Ok(Material { certificate, authorities })
    }
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
    use super::authorities;
    use std::fs;

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

//! Salts for whom there are no keys: a client that asks for an unknown user
//! is named a salt like anybody else's, and the same one tomorrow.
//!
//! They are an HMAC of the name with a key that each installation makes for
//! itself, at its first question, and keeps in a file (ledger 428). Passwords
//! that are kept in clear get their salts so too. Whoever reads the file can
//! tell which names have keys of their own, and nothing else.

use std::fs::{self, File};
use std::io::{self, ErrorKind, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process;

use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;
use system::random;
use zeroize::Zeroizing;

use super::{FEWEST_DERIVED, MOST_DERIVED, Salt, authtype};
use crate::account::Unavailable;
use crate::password::new::SCRAM_ITERATIONS;
use crate::printable::reason;
use crate::scram_keys::Hash;

/// Octets of the key.
const KEY: usize = 32;
/// Octets of a salt, as many as new keys have.
const SALT: usize = 16;

type Key = Zeroizing<[u8; KEY]>;

/// Makes such salts.
pub struct Decoys {
    places: Vec<PathBuf>,
    iterations: u32,
    key: Option<Key>,
}

impl Decoys {
    /// With the key in the first of the files `places` that is there or can be
    /// made, once it is needed. `iterations`, 4,096 to 100,000, go with each
    /// salt; without a number so many as new keys have.
    #[must_use]
    pub fn new(places: Vec<PathBuf>, iterations: Option<u32>) -> Self {
        let iterations = iterations.unwrap_or(SCRAM_ITERATIONS).clamp(FEWEST_DERIVED, MOST_DERIVED);
        Decoys { places, iterations, key: None }
    }

    /// The salt of `user`.
    ///
    /// # Errors
    /// None of the files can be had.
    pub fn salt(&mut self, hash: Hash, user: &[u8]) -> Result<Salt, Unavailable> {
        let key = match &mut self.key {
            Some(key) => key,
            none => none.insert(key(&self.places)?),
        };
        let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(&key[..])
            .map_err(|_| Unavailable::new("the key for salts is of no use"))?;
        let text = [authtype(hash).as_bytes(), b"\0", user].concat();
        let octets = mac.chain_update(text).finalize().into_bytes();
        Salt::new(&octets[..SALT], self.iterations).ok_or_else(|| Unavailable::new("there is no salt"))
    }
}

fn key(places: &[PathBuf]) -> Result<Key, Unavailable> {
    let mut failures = Vec::new();
    for place in places {
        match read(place).or_else(|error| match error.kind() {
            ErrorKind::NotFound => make(place),
            _ => Err(error),
        }) {
            Ok(key) => return Ok(key),
            Err(error) => failures.push(format!("{}: {}", place.display(), reason(&error))),
        }
    }
    Err(Unavailable::new(format!("no key for the salts of SCRAM: {}", failures.join(", "))))
}

fn read(place: &Path) -> io::Result<Key> {
    let mut key = Key::default();
    File::open(place)?.read_exact(&mut key[..])?;
    Ok(key)
}

/// Makes the file, whole, unless another worker has made it meanwhile.
fn make(place: &Path) -> io::Result<Key> {
    let mut key = Key::default();
    random::fill(&mut key[..])?;
    let mut name = place.as_os_str().to_owned();
    name.push(format!(".{}.tmp", process::id()));
    let temporary = PathBuf::from(name);
    let write = || {
        let mut file = File::options().write(true).create_new(true).mode(0o600).open(&temporary)?;
        file.write_all(&key[..])?;
        file.sync_all()?;
        fs::hard_link(&temporary, place)
    };
    let made = write();
    let _there_may_be_none = fs::remove_file(&temporary);
    match made {
        Err(error) if error.kind() == ErrorKind::AlreadyExists => read(place),
        made => made.map(|()| key),
    }
}

#[cfg(test)]
mod tests {
    use super::Decoys;
    use crate::scram_keys::Hash;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_salt_stays_the_same_and_is_nobody_elses() {
        let directory = tempfile::tempdir().unwrap();
        let place = directory.path().join("key");
        let decoys = || Decoys::new(vec![place.clone()], None);
        let salt = decoys().salt(Hash::Sha256, b"alice").unwrap();
        assert_eq!((salt.octets().len(), salt.iterations()), (16, 20_000));
        assert_eq!(decoys().salt(Hash::Sha256, b"alice").unwrap(), salt);
        assert_ne!(decoys().salt(Hash::Sha1, b"alice").unwrap(), salt);
        assert_ne!(decoys().salt(Hash::Sha256, b"bob").unwrap(), salt);
        let metadata = fs::metadata(&place).unwrap();
        assert_eq!((metadata.len(), metadata.permissions().mode() & 0o777), (32, 0o600));
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        fs::remove_file(&place).unwrap();
        assert_ne!(decoys().salt(Hash::Sha256, b"alice").unwrap(), salt);
    }

    #[test]
    fn the_second_place_serves_where_the_first_cannot_be_had() {
        let directory = tempfile::tempdir().unwrap();
        let [missing, half, good] = ["missing/key", "half", "good"].map(|name| directory.path().join(name));
        fs::write(&half, b"half a key").unwrap();
        let salt = |places: &[&std::path::PathBuf]| {
            Decoys::new(places.iter().map(|&place| place.clone()).collect(), Some(1)).salt(Hash::Sha1, b"a")
        };
        let reason = salt(&[&missing, &half]).unwrap_err().to_string();
        assert!(reason.contains("missing/key: No such file") && reason.contains("half: "), "{reason}");
        assert_eq!(fs::read(&half).unwrap(), b"half a key");
        assert_eq!(salt(&[&missing, &half, &good]).unwrap().iterations(), 4_096);
        assert!(good.exists() && salt(&[]).is_err());
    }
}

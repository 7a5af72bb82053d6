//! What the service is to be.

use std::ffi::OsString;
use std::fs::File;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use authlib::printable::reason;

use crate::service::listen::Listener;

/// What the service is to be.
pub(crate) struct Plan {
    /// Where the programs are.
    pub(crate) programs: PathBuf,
    /// How many fronts.
    pub(crate) fronts: usize,
    /// Over how many processes the accounts of a uid are spread.
    pub(crate) shards: u64,
    /// The listening sockets.
    pub(crate) listeners: Vec<Listener>,
    /// The certificate of TLS, if it is spoken.
    pub(crate) certificate: Option<Certificate>,
    /// The Maildir of accounts that have none of their own.
    pub(crate) maildir: PathBuf,
    /// What the processes find in their environment.
    pub(crate) environment: Vec<(OsString, OsString)>,
}

/// Where the certificate of TLS is, and its key. Nobody here reads them: the
/// files are opened for the fronts, which may not, and anew for each, so that a
/// renewed one comes to the next front.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Certificate {
    /// The certificate chain, in PEM.
    pub(crate) chain: PathBuf,
    /// The private key, in PEM; it may be in the same file.
    pub(crate) key: PathBuf,
}

impl Certificate {
    /// Both files.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn open(&self) -> Result<[OwnedFd; 2], String> {
        let open = |path: &Path| {
            let file = File::open(path).map_err(|error| format!("{}: {}", path.display(), reason(&error)));
            file.map(OwnedFd::from)
        };
        Ok([open(&self.chain)?, open(&self.key)?])
    }
}

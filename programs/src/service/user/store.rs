//! The store: userdb's text and both files in a directory of whoever runs us.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use authlib::exclusive::PATIENCE;
use authlib::userdb::compile::{Compiler, Origin};
use authlib::userdb::edit::Text;
use zeroize::Zeroizing;

use super::Failed;
use super::words::Name;
use crate::service::directory;

/// The accounts in a directory of ours.
pub(super) struct Store {
    /// Absolute.
    pub(super) directory: PathBuf,
    userdb: PathBuf,
}

impl Store {
    /// In a directory that is made if need be.
    pub(super) fn make(directory: &Path) -> Result<Store, Failed> {
        let store = Store::open(&directory::make(directory).map_err(Failed::Words)?)?;
        // Something to lock and to compile.
        let made = OpenOptions::new().append(true).create(true).mode(0o600).open(&store.userdb);
        made.map(|_| store).map_err(|error| Failed::System(directory::userdb(directory), error))
    }

    pub(super) fn open(directory: &Path) -> Result<Store, Failed> {
        let failed = |error| Failed::System(directory.to_owned(), error);
        let directory = fs::canonicalize(directory).map_err(failed)?;
        let owner = fs::metadata(&directory).map_err(failed)?.uid();
        if owner != system::user::own_ids().0 {
            return Err(Failed::OthersDirectory(directory, owner));
        }
        Ok(Store { userdb: directory::userdb(&directory), directory })
    }

    /// The fields of the account called `name`.
    pub(super) fn fields(&self, name: &Name) -> Result<Option<Zeroizing<Vec<u8>>>, Failed> {
        Ok(Text::lock(&self.userdb, PATIENCE)?.find(name.octets())?)
    }

    /// Lets nobody else in until the result is dropped.
    pub(super) fn lock(&self) -> Result<(Compiler, Text), Failed> {
        let compiler = Compiler::lock(&self.userdb, Origin::Noted, PATIENCE)?;
        Ok((compiler, Text::lock(&self.userdb, PATIENCE)?))
    }
}

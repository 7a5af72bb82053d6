//! The compiled data bases as the rest of the house sees them: names and
//! records, whatever kind of file they are in.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use super::gdbm;
use crate::Secret;

/// Looks records up by name.
pub trait Lookup {
    /// The record called `key`.
    ///
    /// # Errors
    /// If the file cannot be read or is damaged.
    fn fetch(&mut self, key: &[u8]) -> io::Result<Option<Secret>>;

    /// Any record that stands near the place where `key` would, if there is
    /// one; the same for the same key.
    ///
    /// # Errors
    /// As [`fetch`](Lookup::fetch).
    fn fetch_neighbour(&mut self, key: &[u8]) -> io::Result<Option<Secret>>;
}

/// Why a record could not be stored.
#[derive(Debug, thiserror::Error)]
pub enum Failed {
    /// There is one with that name already.
    #[error("duplicate")]
    Duplicate,
    /// The file could not be written.
    #[error("{0}")]
    Write(String),
}

/// A new data base that is being filled.
pub struct Builder {
    path: PathBuf,
    mode: u32,
    file: gdbm_native::Gdbm,
}

impl Builder {
    /// Creates an empty data base at `path`, where nothing may be yet. Nobody
    /// else can read it before [`finish`](Builder::finish) gives it `mode`.
    ///
    /// # Errors
    /// What the system reports.
    pub fn create(path: &Path, mode: u32) -> Result<Self, Failed> {
        OpenOptions::new().write(true).create_new(true).mode(0o600).open(path).map_err(failed)?;
        let file = gdbm::creation_options().open(path).map_err(failed)?;
        Ok(Builder { path: path.to_owned(), mode, file })
    }

    /// Stores `value` under `key`.
    ///
    /// # Errors
    /// See [`Failed`].
    pub fn insert(&mut self, key: &[u8], value: &[u8]) -> Result<(), Failed> {
        match self.file.try_insert(key, value) {
            Ok(None) => Ok(()),
            Ok(Some(_)) => Err(Failed::Duplicate),
            Err(error) => Err(failed(error)),
        }
    }

    /// Closes the file, which is on disk afterwards, with its final mode.
    ///
    /// # Errors
    /// What the system reports.
    pub fn finish(self) -> Result<(), Failed> {
        self.file.close().map_err(failed)?;
        fs::set_permissions(&self.path, fs::Permissions::from_mode(self.mode)).map_err(failed)?;
        fs::File::open(&self.path).and_then(|file| file.sync_all()).map_err(failed)
    }
}

fn failed(error: impl ToString) -> Failed {
    Failed::Write(error.to_string())
}

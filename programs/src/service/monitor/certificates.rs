//! What TLS is made of, as far as it was found good: fronts get nothing else.

use std::ffi::OsString;
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};

use authlib::printable::reason;

use super::super::assay::Assay;
use super::files::Certificate;
use super::generation::front_ids;
use super::renewal::Renewal;

/// The certificates of the service.
pub(super) struct Certificates {
    pub(super) in_force: OwnedFd,
    pub(super) renewal: Renewal,
}

/// Who tries them.
pub(super) struct Assayer<'a> {
    pub(super) programs: &'a Path,
    /// Whom it becomes.
    pub(super) ids: &'a [String],
    pub(super) environment: &'a [(OsString, OsString)],
}

impl Certificates {
    /// Those in `files`, once they were found good.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn open(files: &Certificate, assayer: &Assayer<'_>) -> Result<Certificates, String> {
        let in_force = files.read()?.seal().map_err(|error| reason(&error))?;
        let trial =
            assayer.begin(&in_force).map_err(|error| format!("postrider-cert: {}", reason(&error)))?;
        if trial.wait() {
            Ok(Certificates { in_force, renewal: Renewal::new() })
        } else {
            Err("there is no TLS".to_owned())
        }
    }

    /// A descriptor for one more front.
    ///
    /// # Errors
    /// None is left.
    pub(super) fn material(&self) -> io::Result<OwnedFd> {
        self.in_force.try_clone()
    }
}

/// Tries what is in `files` as the service does when it starts. Descriptor 2
/// says what is wrong with it.
///
/// # Errors
/// A line that says so.
pub(in crate::service) fn try_out(
    files: &Certificate,
    programs: &Path,
    environment: &[(OsString, OsString)],
) -> Result<(), String> {
    let ids = front_ids().map_err(|error| reason(&error))?;
    Certificates::open(files, &Assayer { programs, ids: &ids, environment }).map(drop)
}

impl Assayer<'_> {
    /// Begins their trial.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn begin(&self, material: &OwnedFd) -> io::Result<Assay> {
        let program: PathBuf = self.programs.join("postrider-cert");
        Assay::begin(&program, self.ids, self.environment.iter().cloned(), material)
    }
}

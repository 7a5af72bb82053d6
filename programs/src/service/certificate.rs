//! `postrider cert`: makes a certificate, and checks those that there are. All
//! of it is done by postrider-cert, a program of its own: no TLS library is in
//! `postrider`.

use std::env;
use std::ffi::{OsStr, OsString};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode, Stdio};

use authlib::printable::reason;

use super::directory;
use super::settings::Settings;
use crate::log;

/// The name of the certificate in the directory of the service, as Courier
/// calls its own.
pub const NAME: &str = "pop3d.pem";

/// Where a certificate is made if nobody says otherwise; the directory is made
/// if it is not there.
///
/// # Errors
/// A line that says why it cannot be.
pub fn usual() -> Result<PathBuf, String> {
    let directory = directory::usual().ok_or("there is no HOME, so --file is required")?;
    Ok(directory::make(&directory)?.join(NAME))
}

/// Becomes postrider-cert with the words behind `postrider cert`.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    let error = match program() {
        Ok(program) => Command::new(program).args(words).exec(),
        Err(error) => error,
    };
    log::error(&format_args!("postrider-cert: {}", reason(&error)));
    ExitCode::FAILURE
}

/// The certificate in the directory of the service, where that is its own:
/// nobody names another one. It is there, or will be made; not for who is told
/// to listen and nothing of TLS.
pub(super) fn own(settings: &Settings) -> Option<PathBuf> {
    if settings.are_couriers() || settings.get("TLS_CERTFILE").is_some() {
        return None;
    }
    let file = settings.directory().join(NAME);
    let is_wanted = settings.is_set("POSTRIDER_LISTEN_TLS") || !settings.is_set("POSTRIDER_LISTEN");
    (is_wanted || file.exists()).then_some(file)
}

/// Makes the service's own certificate if it is not there, or if its time is
/// over and nobody has taken it over. Gives a line if it was made.
///
/// # Errors
/// A line for the log.
pub(super) fn keep(file: &Path) -> Result<Option<String>, String> {
    let said = ask(&[OsStr::new("keep"), file.as_os_str()])?;
    Ok(Some(said).filter(|said| !said.is_empty()))
}

/// A line that says what [`keep`] would do.
///
/// # Errors
/// A line that says what is wrong with it.
pub(super) fn look(file: &Path) -> Result<String, String> {
    ask(&[OsStr::new("keep"), OsStr::new("--look"), file.as_os_str()])
}

/// Checks the certificate in `chain` and its key, which may be in the same
/// file. Gives a line that says for whom it is, and until when.
///
/// # Errors
/// A line that says what is wrong with them.
pub(super) fn check(chain: &Path, key: &Path) -> Result<String, String> {
    ask(&[OsStr::new("check"), chain.as_os_str(), key.as_os_str()])
}

/// Runs postrider-cert, which says one line.
fn ask(words: &[&OsStr]) -> Result<String, String> {
    let output =
        program().and_then(|program| Command::new(program).args(words).stdin(Stdio::null()).output());
    let output = output.map_err(|error| format!("postrider-cert: {}", reason(&error)))?;
    let said = if output.status.success() { output.stdout } else { output.stderr };
    let said = log::Harmless(said.trim_ascii()).to_string();
    if output.status.success() { Ok(said) } else { Err(said) }
}

/// postrider-cert, which lies beside us.
fn program() -> io::Result<PathBuf> {
    Ok(env::current_exe()?.with_file_name("postrider-cert"))
}

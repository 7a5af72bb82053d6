//! A new password for userdbpw and authpasswd: a person types it twice, a
//! script writes it once.

use std::io::{self, Write};

use authlib::password::new::{self, Scheme};
use authlib::printable::has_control;
use zeroize::Zeroizing;

use crate::prompt::{self, Echo};

/// Why there is none.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Refused {
    /// The end of standard input.
    #[error("no password was given.")]
    Nothing,
    /// A slip of the finger.
    #[error("the two passwords are not the same.")]
    NotTheSame,
    /// No login can carry it (ledger 605).
    #[error("the password is empty; nobody could log in with it.")]
    Empty,
    /// No login can carry it (ledger 605).
    #[error("the password holds a control character; nobody could log in with it.")]
    ControlOctet,
    /// It could not be hashed.
    #[error(transparent)]
    Hash(#[from] new::Failed),
    /// What the system reports.
    #[error(transparent)]
    System(#[from] io::Error),
}

/// Reads it from standard input; on a terminal it is asked for, twice, and not
/// shown.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn ask() -> Result<Zeroizing<Vec<u8>>, Refused> {
    let password = prompt::line("Password: ", Echo::Hidden)?.ok_or(Refused::Nothing)?;
    if prompt::is_terminal() {
        let again = prompt::line("Reenter password: ", Echo::Hidden)?.ok_or(Refused::Nothing)?;
        if again != password {
            return Err(Refused::NotTheSame);
        }
    }
    match password.as_slice() {
        [] => Err(Refused::Empty),
        octets if has_control(octets) => Err(Refused::ControlOctet),
        _ => Ok(password),
    }
}

/// What `scheme` makes of a new password, on behalf of `program`.
///
/// # Errors
/// See [`Refused`].
pub(crate) fn ask_and_hash(program: &str, scheme: Scheme) -> Result<Zeroizing<String>, Refused> {
    let password = ask()?;
    note_length(program, scheme, &password);
    Ok(Zeroizing::new(new::stored(scheme, &password)?))
}

/// Says on descriptor 2, for `program`, if `scheme` does not look at all of a
/// password (ledger 613).
pub(crate) fn note_length(program: &str, scheme: Scheme, password: &[u8]) {
    if let Some(counted) = scheme.counted().filter(|counted| password.len() > *counted) {
        let _ = writeln!(
            io::stderr(),
            "{program}: only the first {counted} characters count in this form; yescrypt uses all of them."
        );
    }
}

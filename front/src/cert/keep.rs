//! The certificate of a service that nobody has given one: made once, and made
//! anew when its time is over. One that somebody has put in its place is left
//! alone.

use std::fs::{self, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::time::Duration;

use authlib::printable::reason;
use zeroize::Zeroizing;

use super::check;
use super::make::{DAYS, Kind, Wish, usual_names};

/// The first line of a file that we may replace. PEM begins behind it
/// (RFC 7468 section 2).
const MARK: &str = "This is made anew when its time is over, as long as this line is here.\n";

/// For so long a certificate must still be good: it is looked at once a day.
const AHEAD: Duration = Duration::from_secs(36 * 60 * 60);

/// What is to be done about the file.
enum State {
    /// It is as it should be, or not ours.
    Stays,
    /// It is not there.
    Missing,
    /// It is ours and not good, for this reason.
    Over(String),
}

/// Makes the certificate in `file` if it is not there, or if its time is over
/// and nobody has taken it over. Gives a line if it was made.
///
/// # Errors
/// A line that says what went wrong.
pub(super) fn keep(file: &Path) -> Result<String, String> {
    match state(file)? {
        State::Stays => Ok(String::new()),
        State::Missing => make(file, |new, file| fs::hard_link(new, file)),
        State::Over(_) => make(file, |new, file| fs::rename(new, file)),
    }
}

/// A line that says what [`keep`] would do.
///
/// # Errors
/// A line that says what is wrong with it.
pub(super) fn look(file: &Path) -> Result<String, String> {
    match state(file)? {
        State::Stays => check::files(file, file),
        State::Missing => Ok(format!("{}: it will be made\n", file.display())),
        State::Over(why) => Ok(format!("{}: {why}; it will be made anew\n", file.display())),
    }
}

fn state(file: &Path) -> Result<State, String> {
    let octets = match fs::read(file) {
        Ok(octets) => Zeroizing::new(octets),
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(State::Missing),
        Err(error) => return Err(format!("{}: {}\n", file.display(), reason(&error))),
    };
    let is_ours = octets.starts_with(MARK.as_bytes());
    Ok(match check::is_good_for(&octets, AHEAD) {
        Err(why) if is_ours => State::Over(why),
        _ => State::Stays,
    })
}

/// Makes it in a file beside, and `put`s that in its place.
fn make(file: &Path, put: impl Fn(&Path, &Path) -> io::Result<()>) -> Result<String, String> {
    let names = usual_names();
    let wish = Wish { file: file.to_owned(), names, days: DAYS, kind: Kind::Ecdsa, group: None };
    let pem = wish.pem().map_err(|error| format!("the certificate: {error}\n"))?;
    // Not `pop3d.pem.NAME`, which would be the certificate of a name.
    let new = file.with_file_name(format!(".certificate.{}", std::process::id()));
    let done = write(&new, &pem).and_then(|()| put(&new, file));
    let _only_its_other_name_is_wanted = fs::remove_file(&new);
    match done {
        // Somebody was faster.
        Err(error) if error.kind() == ErrorKind::AlreadyExists && file.exists() => Ok(String::new()),
        Err(error) => Err(format!("{}: {}\n", file.display(), reason(&error))),
        Ok(()) => check::files(file, file),
    }
}

fn write(path: &Path, pem: &str) -> io::Result<()> {
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(MARK.as_bytes())?;
    file.write_all(pem.as_bytes())?;
    file.sync_all()
}

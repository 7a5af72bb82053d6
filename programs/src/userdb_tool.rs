//! userdb(8): shows and changes single records of userdb's text (reference:
//! authlib 8). What it changes is in force after makeuserdb.

mod arguments;

use std::env;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authlib::exclusive::PATIENCE;
use authlib::printable::{printable, reason};
use authlib::userdb::edit::{self, Assignment, Change, Text};
use authlib::userdb::text;
use zeroize::Zeroizing;

use crate::places;
use crate::prompt::{self, Echo};
use arguments::{Action, Call, Setting};

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("wrong words")]
    Usage,
    #[error("Invalid name.")]
    Name,
    #[error("Invalid field or value.")]
    Field,
    #[error("No value for {0}.")]
    NoValue(String),
    #[error("{}: not a file.", .0.display())]
    NotAFile(PathBuf),
    #[error(transparent)]
    Edit(#[from] edit::Failed),
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
}

const USAGE: &str = "\
Usage: userdb [PATH/.../ | -f FILE ]NAME set FIELD=VALUE FIELD=VALUE...
       userdb [PATH/.../ | -f FILE ]NAME unset FIELD FIELD...
       userdb [PATH/.../ | -f FILE ]NAME del
       userdb -show [PATH/... | -f FILE] [NAME]

The value of a FIELD without =VALUE is read from standard input.
";

/// Runs the program.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let done = arguments::parse(&words, &places::userdb()).and_then(|call| perform(&call));
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(Failed::Usage) => {
            let _ = io::stdout().write_all(USAGE.as_bytes());
            ExitCode::FAILURE
        }
        Err(failed) => {
            let _ = writeln!(io::stderr(), "{failed}");
            ExitCode::FAILURE
        }
    }
}

fn perform(call: &Call) -> Result<(), Failed> {
    let Call { file, action } = call;
    if fs::metadata(file).is_ok_and(|kind| !kind.is_file()) {
        return Err(Failed::NotAFile(file.clone()));
    }
    match action {
        Action::List => show(file, None),
        Action::Show { name } => show(file, Some(name)),
        Action::Set { name, settings } => {
            // Values that were not given are asked for before anything is
            // locked, since people take their time.
            let assignments: Vec<_> =
                settings.iter().map(|setting| complete(name, setting)).collect::<Result<_, _>>()?;
            edit(file, name, &Change::Set(&assignments))
        }
        Action::Unset { name, fields } => edit(file, name, &Change::Unset(fields)),
        Action::Delete { name } => edit(file, name, &Change::Delete),
    }
}

fn edit(file: &Path, name: &[u8], change: &Change<'_>) -> Result<(), Failed> {
    match Text::lock(file, PATIENCE)?.edit(name, change)? {
        Some(edited) => Ok(edited.install()?),
        None => Ok(()),
    }
}

fn complete<'a>(name: &[u8], Setting { field, value }: &'a Setting) -> Result<Assignment<'a>, Failed> {
    let value = match value {
        Some(value) => value.clone(),
        None => ask_for(name, field)?,
    };
    if !text::is_value(&value) {
        return Err(Failed::Field);
    }
    Ok(Assignment { field, value })
}

fn ask_for(name: &[u8], field: &[u8]) -> Result<Zeroizing<Vec<u8>>, Failed> {
    let echo = if text::is_secret(field) { Echo::Hidden } else { Echo::Shown };
    match prompt::line(&format!("{}.{}: ", printable(name), printable(field)), echo) {
        Ok(Some(value)) => Ok(value),
        Ok(None) => Err(Failed::NoValue(printable(field))),
        Err(error) => Err(Failed::System("standard input".into(), error)),
    }
}

/// All names in `file`, or the fields of the record called `wanted`, one a
/// line. What is not there shows nothing.
fn show(file: &Path, wanted: Option<&[u8]>) -> Result<(), Failed> {
    let mut output = Zeroizing::new(Vec::new());
    let mut each = |name: &[u8], fields: &[u8]| match wanted {
        None => output.extend([name, b"\n"].concat()),
        Some(wanted) if name == wanted => {
            text::split(fields).for_each(|field| output.extend([field, b"\n"].concat()));
        }
        Some(_) => {}
    };
    text::each_record(file, &mut each).map_err(|error| Failed::System(file.to_owned(), error))?;
    io::stdout().write_all(&output).map_err(|error| Failed::System("standard output".into(), error))
}

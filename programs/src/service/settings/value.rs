//! A value, and where it comes from.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};

use crate::log::Harmless;

/// A value that somebody has set.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Value {
    /// As it stands in the variable.
    pub(crate) text: OsString,
    /// Who has set it.
    pub(crate) source: Source,
}

/// Who has set a value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// A line of a file, from 1.
    File(PathBuf, usize),
    /// An option in TCPDOPTS, which is in such a line.
    Tcpdopts(PathBuf, usize),
    /// That a file is not there.
    Missing(PathBuf),
    /// The environment in which we were started.
    Environment,
    /// An option of the command line.
    CommandLine(&'static str),
}

impl Value {
    /// `text` from a line of `path`.
    pub(crate) fn in_file(text: impl Into<OsString>, path: &Path, line: usize) -> Value {
        Value { text: text.into(), source: Source::File(path.to_owned(), line) }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |path: &PathBuf| Harmless(path.as_os_str().as_encoded_bytes()).to_string();
        match self {
            Source::File(path, line) => write!(f, "{}:{line}", shown(path)),
            Source::Tcpdopts(path, line) => write!(f, "{}:{line}, TCPDOPTS", shown(path)),
            Source::Missing(path) => write!(f, "{}, which is not there", shown(path)),
            Source::Environment => f.write_str("the environment"),
            Source::CommandLine(option) => f.write_str(option),
        }
    }
}

//! Courier's own files: `pop3d`, then `pop3d-ssl`, as its start scripts read
//! them, and `authdaemonrc`.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::io::ErrorKind;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::Path;

use authlib::authdaemonrc::Authdaemonrc;
use authlib::printable::reason;

use super::fragment::{self, Assignment, Variables};
use super::value::{Source, Value};

/// Names and values, in the order in which they were set.
pub(super) type Layer = Vec<(String, Value)>;

/// What `pop3d` and `pop3d-ssl` in `directory` say; the second may be missing:
/// then nobody begins with TLS.
///
/// # Errors
/// A file cannot be read, or says more than a setting; a line that names it.
pub(super) fn pop3d(directory: &Path) -> Result<Layer, String> {
    let (path, tls_path) = (directory.join("pop3d"), directory.join("pop3d-ssl"));
    let mut variables = Variables::new();
    let text = read(&path)?.ok_or_else(|| format!("{}: there is no such file", path.display()))?;
    let mut layer = assignments(&text, &path, &mut variables)?;
    match read(&tls_path)? {
        Some(text) => layer.extend(assignments(&text, &tls_path, &mut variables)?),
        None => {
            let nobody = Value { text: "NO".into(), source: Source::Missing(tls_path) };
            layer.push(("POP3DSSLSTART".to_owned(), nobody));
        }
    }
    let of_options: Vec<_> =
        layer.iter().rfind(|(name, _)| name == "TCPDOPTS").into_iter().cloned().collect();
    for (_, Value { text, source }) in of_options {
        layer.extend(tcpdopts(&text, &source)?);
    }
    Ok(layer)
}

/// What authdaemonrc in `directory` says; nothing if it is not there.
///
/// # Errors
/// As [`pop3d`].
pub(super) fn authdaemonrc(directory: &Path) -> Result<Layer, String> {
    let path = directory.join("authdaemonrc");
    let Some(text) = read(&path)? else { return Ok(Layer::new()) };
    let rc = Authdaemonrc::parse(&text).map_err(|bad| format!("Bad line in {}: {bad}", path.display()))?;
    let line_of = |name: &str| {
        let begins =
            |line: &[u8]| line.strip_prefix(name.as_bytes()).is_some_and(|rest| rest.starts_with(b"="));
        let lines: Vec<_> = text.split(|&octet| octet == b'\n').collect();
        lines.iter().rposition(|line| begins(line)).map_or(0, |index| index + 1)
    };
    let value = |(name, value): &(String, Vec<u8>)| {
        (name.clone(), Value::in_file(OsString::from_vec(value.clone()), &path, line_of(name)))
    };
    Ok(rc.settings().iter().map(value).collect())
}

fn read(path: &Path) -> Result<Option<Vec<u8>>, String> {
    match fs::read(path) {
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(format!("{}: {}", path.display(), reason(&error))),
    }
}

fn assignments(text: &[u8], path: &Path, variables: &mut Variables) -> Result<Layer, String> {
    let found = fragment::parse(text, variables).map_err(|wrong| format!("{}:{wrong}", path.display()))?;
    let value =
        |Assignment { name, value, line }| (name, Value::in_file(OsString::from_vec(value), path, line));
    Ok(found.into_iter().map(value).collect())
}

/// The leading bits of those addresses that `-maxperc` counts together: equal but
/// for the last octet (reference couriertcpd.md 2).
const ALL_BUT_ONE_OCTET: &str = "24 120";

/// The options of couriertcpd in `text`, one by one, under their own names and,
/// where they stand for a variable, under that. They are words between blanks:
/// the start script's shell splits them so.
///
/// # Errors
/// A word that is none: couriertcpd would not start with it either.
fn tcpdopts(text: &OsStr, source: &Source) -> Result<Layer, String> {
    let mut layer = Layer::new();
    for word in text.as_bytes().split(u8::is_ascii_whitespace).filter(|word| !word.is_empty()) {
        let at = word.iter().position(|octet| *octet == b'=').unwrap_or(word.len());
        let (name, value) = (&word[..at], word.get(at + 1..).unwrap_or_default());
        let name = std::str::from_utf8(name).ok().filter(|name| name.starts_with('-'));
        let name = name.filter(|name| super::called(name).is_some());
        let name = name.ok_or_else(|| {
            format!("{source}: TCPDOPTS: {} is no option of couriertcpd", crate::log::Harmless(word))
        })?;
        let source = match source {
            Source::File(path, line) => Source::Tcpdopts(path.clone(), *line),
            other => other.clone(),
        };
        let value = OsStr::from_bytes(value);
        let stands = |text: &OsStr| Value { text: text.to_owned(), source: source.clone() };
        // The start script gives the two addresses the same options.
        let variables: &[(&str, &OsStr)] = match name {
            "-address" => &[("ADDRESS", value), ("SSLADDRESS", value)],
            "-maxprocs" => &[("MAXDAEMONS", value)],
            "-maxperip" => &[("MAXPERIP", value)],
            "-maxperc" => {
                &[("POSTRIDER_MAXPERC", value), ("POSTRIDER_MAXPERC_BITS", OsStr::new(ALL_BUT_ONE_OCTET))]
            }
            _ => &[],
        };
        layer.extend(variables.iter().map(|(variable, text)| ((*variable).to_owned(), stands(text))));
        layer.push((name.to_owned(), stands(value)));
    }
    Ok(layer)
}

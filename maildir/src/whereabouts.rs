//! Files that are no longer where they were: other programs change flags, and
//! with them names, while a session lasts.

use std::collections::HashMap;
use std::io;
use std::os::fd::AsFd;

use crate::beneath;
use crate::maildrop::{Maildrop, Place};
use crate::name;
use crate::watch::{READINGS, Watch};

/// Where a message is that is not where it was.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Whereabouts {
    /// In `cur/` under this name.
    InCur(Vec<u8>),
    /// Back in `new/` under this name, as some programs do to mark it unread.
    InNew(Vec<u8>),
    /// Several files may be it, or it may be several messages', or it was renamed
    /// whenever somebody looked.
    Unclear,
    /// Nowhere.
    Gone,
}

/// Files by unique name.
type Found<'a> = HashMap<&'a [u8], Vec<Vec<u8>>>;

/// Looks for all of `missing` in one go; answers in the same order.
///
/// A file that another message of this maildrop is known by is not taken for
/// one that is missing, though they share a unique name.
pub(crate) fn look_for(maildrop: &Maildrop, missing: &[Place]) -> io::Result<Vec<Whereabouts>> {
    let mut sharers: HashMap<&[u8], usize> = HashMap::new();
    for place in missing {
        sharers.insert(name::unique(maildrop.name(*place)), 0);
    }
    let mut taken: Vec<&[u8]> = Vec::new();
    for place in maildrop.places() {
        let name = maildrop.name(place);
        if let Some(sharers) = sharers.get_mut(name::unique(name)) {
            *sharers += 1;
            taken.push(name);
        }
    }
    let directories = &maildrop.directories;
    let (mut in_cur, cur_complete) = files_of(directories.cur_dir()?, &sharers)?;
    for name in taken {
        if let Some(names) = in_cur.get_mut(name::unique(name)) {
            names.retain(|other| other != name);
        }
    }
    let (mut in_new, new_complete) = match directories.new_dir() {
        Ok(new) => files_of(new, &sharers)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => (Found::new(), true),
        Err(error) => return Err(error),
    };
    let nowhere = if cur_complete && new_complete { || Whereabouts::Gone } else { || Whereabouts::Unclear };
    let whereabouts = missing.iter().map(|place| {
        let unique = name::unique(maildrop.name(*place));
        let shared = sharers.get(unique).is_some_and(|sharers| *sharers > 1);
        let mut cur = in_cur.remove(unique).unwrap_or_default();
        let mut new = in_new.remove(unique).unwrap_or_default();
        match (cur.pop(), new.pop()) {
            (None, None) => nowhere(),
            _ if shared || !cur.is_empty() || !new.is_empty() => Whereabouts::Unclear,
            (Some(name), None) => Whereabouts::InCur(name),
            (None, Some(name)) => Whereabouts::InNew(name),
            (Some(_), Some(_)) => Whereabouts::Unclear,
        }
    });
    Ok(whereabouts.collect())
}

/// The files in `directory` with one of the unique names `wanted`, and whether
/// there are no others.
fn files_of<'a>(directory: impl AsFd, wanted: &HashMap<&'a [u8], usize>) -> io::Result<(Found<'a>, bool)> {
    let directory = directory.as_fd();
    let mut found = Found::new();
    let mut complete = false;
    // What one reading missed while things moved, another one will see.
    for reading in 0..READINGS {
        let watch = if reading == 0 { Watch::begin(directory) } else { Watch::begin_again(directory) }?;
        beneath::list_messages(directory, |name| {
            if let Some((unique, _)) = wanted.get_key_value(name::unique(name)) {
                let names = found.entry(*unique).or_default();
                if !names.iter().any(|other| other == name) {
                    names.push(name.to_vec());
                }
            }
        })?;
        complete = watch.was_quiet(directory)?;
        if complete {
            break;
        }
    }
    // A rename may have been seen before and after.
    for names in found.values_mut() {
        names.retain(|name| beneath::stat(directory, name).is_ok());
    }
    Ok((found, complete))
}

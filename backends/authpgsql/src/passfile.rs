//! The password file, `~/.pgpass` (PostgreSQL's documentation, "The Password
//! File").
//!
//! ```text
//! hostname:port:database:username:password      * stands for any; \ before : and \
//! ```

use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use authlib::printable::{printable, reason};
use authlib::{Secret, Unavailable};
use zeroize::Zeroizing;

/// Most octets of a password file.
const LIMIT: usize = 256 * 1024;

/// The password in the file at `path` for `who`: host, port, data base and
/// user. No file is no password.
///
/// # Errors
/// The file cannot be read, or others may read it too.
pub(crate) fn password(path: &Path, who: [&str; 4]) -> Result<Option<Secret>, Unavailable> {
    let failed =
        |what: &str| Unavailable::new(format!("{}: {what}", printable(path.as_os_str().as_encoded_bytes())));
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        opened => opened.map_err(|error| failed(&reason(&error)))?,
    };
    let metadata = file.metadata().map_err(|error| failed(&reason(&error)))?;
    if !metadata.is_file() {
        return Ok(None);
    }
    if metadata.mode() & 0o077 != 0 {
        return Err(failed("others than its owner may use it"));
    }
    let mut text = Zeroizing::new(Vec::with_capacity(LIMIT));
    file.take(LIMIT as u64).read_to_end(&mut text).map_err(|error| failed(&reason(&error)))?;
    Ok(find(&text, who))
}

/// The password in the first line that is for `who`.
fn find(text: &[u8], who: [&str; 4]) -> Option<Secret> {
    let lines = text.split(|&octet| octet == b'\n').filter(|line| !line.starts_with(b"#"));
    lines.map(|line| line.strip_suffix(b"\r").unwrap_or(line)).find_map(|line| {
        let mut rest = line;
        for wanted in who {
            let (field, behind) = field(rest)?;
            if rest[..field.len()] != *b"*" && unescaped(field).as_slice() != wanted.as_bytes() {
                return None;
            }
            rest = behind;
        }
        Some(Secret::copy_of(&unescaped(rest)))
    })
}

/// The field that `line` begins with, and what is behind its colon.
fn field(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let mut is_escaped = false;
    let end = line.iter().position(|&octet| {
        let is_end = octet == b':' && !is_escaped;
        is_escaped = octet == b'\\' && !is_escaped;
        is_end
    })?;
    Some((&line[..end], &line[end + 1..]))
}

fn unescaped(field: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut plain = Zeroizing::new(Vec::with_capacity(field.len()));
    let mut octets = field.iter().copied();
    while let Some(octet) = octets.next() {
        plain.push(if octet == b'\\' { octets.next().unwrap_or(octet) } else { octet });
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::{find, password};
    use proptest::prelude::*;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    const WHO: [&str; 4] = ["h", "5432", "d", "u"];

    #[test]
    fn the_first_line_for_everything_counts() {
        for (text, wanted) in [
            ("h:5432:d:u:p\n", Some("p")),
            ("# h:5432:d:u:x\nother:5432:d:u:x\n*:*:*:u:p\r\nh:5432:d:u:x", Some("p")),
            (r"h:5432:d:u:a\:b\\c:d", Some(r"a:b\c:d")),
            (r"\h:5432:d:u:p", Some("p")),
            (r"\*:5432:d:u:p", None),
            ("h:5432:d:u", None),
            ("h:5432:d:U:p", None),
            ("", None),
        ] {
            let found = find(text.as_bytes(), WHO);
            assert_eq!(found.as_ref().map(|p| p.expose()), wanted.map(str::as_bytes), "{text}");
        }
        assert!(find(br"a\:b:5432:d:u:p", ["a:b", "5432", "d", "u"]).is_some());
    }

    #[test]
    fn a_file_that_others_may_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pgpass");
        assert!(password(&path, WHO).unwrap().is_none());
        fs::write(&path, "h:5432:d:u:hunter2").unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        let refused = password(&path, WHO).unwrap_err().to_string();
        assert!(refused.contains("others") && !refused.contains("hunter2"), "{refused}");
        fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
        assert_eq!(password(&path, WHO).unwrap().unwrap().expose(), b"hunter2");
        assert!(password(directory.path(), WHO).unwrap().is_none());
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in prop::collection::vec(prop::sample::select(b"h:5432du*\\\n#p\xff".to_vec()), 0..80)) {
            let _found = find(&text, WHO);
        }
    }
}

//! The text that administrators write: one record a line, `name TAB fields`
//! (reference: authlib 7).

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::Path;

use zeroize::Zeroizing;

use crate::printable::has_control;

/// Most octets of a line.
pub const LONGEST_LINE: usize = 65536;

/// One line, without its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Line<'a> {
    /// Nothing, or a comment.
    Remark,
    /// A record.
    Record {
        /// What it is looked up by.
        name: &'a [u8],
        /// `field=value|flag|…`
        fields: &'a [u8],
    },
    /// Text without a name and a TAB, which describes no account.
    Stray,
}

impl<'a> Line<'a> {
    /// What the line `text` says. A CR at its end belongs to the line's end
    /// (ledger 604).
    #[must_use]
    pub fn parse(text: &'a [u8]) -> Self {
        let text = text.strip_suffix(b"\r").unwrap_or(text);
        if text.is_empty() || text.starts_with(b"#") {
            return Line::Remark;
        }
        match text.iter().position(|&octet| octet == b'\t') {
            None | Some(0) => Line::Stray,
            Some(tab) => Line::Record { name: &text[..tab], fields: &text[tab + 1..] },
        }
    }
}

/// Reads the next line into `line`, without its LF; `false` at the end.
///
/// # Errors
/// What reading reports; `InvalidData` for a line that is longer than
/// [`LONGEST_LINE`].
pub fn read_line(reader: &mut impl BufRead, line: &mut Zeroizing<Vec<u8>>) -> io::Result<bool> {
    line.clear();
    // Reserved at once: a vector that grows would leave passwords behind.
    line.reserve(LONGEST_LINE + 1);
    let limit = LONGEST_LINE as u64 + 1;
    reader.by_ref().take(limit).read_until(b'\n', line)?;
    if line.last() == Some(&b'\n') {
        line.pop();
    } else if line.len() > LONGEST_LINE {
        return Err(io::Error::new(io::ErrorKind::InvalidData, "a line is longer than 65536 octets"));
    } else if line.is_empty() {
        return Ok(false);
    }
    Ok(true)
}

/// Shows `each` the name and the fields of every record in `file`; none, if
/// there is no such file.
///
/// # Errors
/// As [`read_line`].
pub fn each_record(file: &Path, each: &mut dyn FnMut(&[u8], &[u8])) -> io::Result<()> {
    let mut reader = match File::open(file) {
        Ok(text) => BufReader::new(text),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    let mut line = Zeroizing::new(Vec::new());
    while read_line(&mut reader, &mut line)? {
        if let Line::Record { name, fields } = Line::parse(&line) {
            each(name, fields);
        }
    }
    Ok(())
}

/// Whether `name` can stand at the beginning of a record.
#[must_use]
pub fn is_name(name: &[u8]) -> bool {
    !name.is_empty() && !name.starts_with(b"#") && !has_control(name) && !name.contains(&b'|')
}

/// Whether `field` can stand before `=`.
#[must_use]
pub fn is_field(field: &[u8]) -> bool {
    !field.is_empty() && is_value(field) && !field.contains(&b'=')
}

/// Whether `value` can stand behind `=`.
#[must_use]
pub fn is_value(value: &[u8]) -> bool {
    !has_control(value) && !value.contains(&b'|')
}

/// Whether the value of the field called `field` is a secret.
#[must_use]
pub fn is_secret(field: &[u8]) -> bool {
    field.ends_with(b"pw")
}

/// What `fields` are compiled to.
#[derive(Debug)]
pub struct Compiled {
    /// For the public file.
    pub public: Vec<u8>,
    /// For the shadow file; empty if there are no secrets.
    pub shadow: Zeroizing<Vec<u8>>,
}

/// Sorts `fields` into public ones and secrets, each in the order of the text,
/// and notes from which file they come: `source` is empty for a plain file,
/// else its path below the directory with a final `/` (reference: authlib 9).
#[must_use]
pub fn compile(fields: &[u8], source: &[u8]) -> Compiled {
    let mut public = Vec::with_capacity(fields.len() + source.len() + 3);
    let mut shadow = Zeroizing::new(Vec::with_capacity(fields.len()));
    for field in split(fields) {
        let name_end = field.iter().position(|&octet| octet == b'=');
        if name_end.is_some_and(|end| is_secret(&field[..end])) {
            if !shadow.is_empty() {
                shadow.push(b'|');
            }
            shadow.extend_from_slice(field);
        } else {
            public.extend_from_slice(field);
            public.push(b'|');
        }
    }
    public.extend_from_slice(b"_=");
    public.extend_from_slice(source);
    Compiled { public, shadow }
}

/// `fields` with the one called `field` set to `value`, in its place if it
/// was there, else at the end. Of several with that name one remains.
#[must_use]
pub fn with_field(fields: &[u8], field: &[u8], value: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut result = Zeroizing::new(Vec::with_capacity(fields.len() + field.len() + value.len() + 2));
    let mut is_set = false;
    for old in split(fields) {
        if name_of(old) != field {
            append(&mut result, &[old]);
        } else if !is_set {
            append(&mut result, &[field, b"=", value]);
            is_set = true;
        }
    }
    if !is_set {
        append(&mut result, &[field, b"=", value]);
    }
    result
}

/// `fields` without those called `field`.
#[must_use]
pub fn without_field(fields: &[u8], field: &[u8]) -> Zeroizing<Vec<u8>> {
    let mut result = Zeroizing::new(Vec::with_capacity(fields.len()));
    split(fields).filter(|old| name_of(old) != field).for_each(|old| append(&mut result, &[old]));
    result
}

/// The fields themselves; empty ones are none.
pub fn split(fields: &[u8]) -> impl Iterator<Item = &[u8]> {
    fields.split(|&octet| octet == b'|').filter(|field| !field.is_empty())
}

/// The name and the value of a field that has a value.
#[must_use]
pub fn name_and_value(field: &[u8]) -> Option<(&[u8], &[u8])> {
    let equals = field.iter().position(|&octet| octet == b'=')?;
    Some((&field[..equals], &field[equals + 1..]))
}

fn name_of(field: &[u8]) -> &[u8] {
    field.split(|&octet| octet == b'=').next().unwrap_or(field)
}

fn append(fields: &mut Vec<u8>, parts: &[&[u8]]) {
    if !fields.is_empty() {
        fields.push(b'|');
    }
    parts.iter().for_each(|part| fields.extend_from_slice(part));
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::userdb::field::find;
    use proptest::prelude::*;

    #[test]
    fn a_line_is_a_record_a_remark_or_neither() {
        let record = |name, fields| Line::Record { name, fields };
        assert_eq!(Line::parse(b"alice\tuid=1|x"), record(b"alice", b"uid=1|x"));
        assert_eq!(Line::parse(b"alice\tuid=1\r"), record(b"alice", b"uid=1"));
        assert_eq!(Line::parse(b" a b \tx=1\ty=2"), record(b" a b ", b"x=1\ty=2"));
        assert_eq!(Line::parse(b"5000=\talice"), record(b"5000=", b"alice"));
        assert_eq!(Line::parse(b"# alice\tuid=1"), Line::Remark);
        assert_eq!(Line::parse(b""), Line::Remark);
        assert_eq!(Line::parse(b"alice uid=1"), Line::Stray);
        assert_eq!(Line::parse(b"\tuid=1"), Line::Stray);
    }

    #[test]
    fn secrets_and_public_fields_part() {
        let compiled = compile(b"uid=1|flag|gid=2|systempw=a|pw|xpw=|||", b"sub/two/");
        assert_eq!(compiled.public, b"uid=1|flag|gid=2|pw|_=sub/two/");
        assert_eq!(compiled.shadow.as_slice(), b"systempw=a|xpw=");
        assert_eq!(compile(b"", b"").public, b"_=");
    }

    #[test]
    fn setting_and_unsetting_keep_the_order() {
        assert_eq!(with_field(b"a=1|b|c=3", b"b", b"2").as_slice(), b"a=1|b=2|c=3");
        assert_eq!(with_field(b"a=1|b=1|b=2", b"b", b"").as_slice(), b"a=1|b=");
        assert_eq!(with_field(b"", b"a", b"1").as_slice(), b"a=1");
        assert_eq!(without_field(b"a=1|b|c=3|b=2", b"b").as_slice(), b"a=1|c=3");
        assert_eq!(without_field(b"b", b"b").as_slice(), b"");
    }

    #[test]
    fn lines_are_read_up_to_the_limit() {
        let mut line = Zeroizing::new(Vec::new());
        let mut read = |text: &[u8]| {
            let mut lines = Vec::new();
            let mut reader = text;
            while read_line(&mut reader, &mut line)? {
                lines.push(line.to_vec());
            }
            io::Result::Ok(lines)
        };
        assert_eq!(read(b"a\n\nb").unwrap(), [b"a".as_slice(), b"", b"b"]);
        assert_eq!(read(b"").unwrap(), Vec::<Vec<u8>>::new());
        assert_eq!(read(&vec![b'x'; LONGEST_LINE]).unwrap().len(), 1);
        assert_eq!(read(&vec![b'x'; LONGEST_LINE + 1]).unwrap_err().kind(), io::ErrorKind::InvalidData);
    }

    #[test]
    fn what_would_break_a_line_is_no_name_field_or_value() {
        assert!(is_name(b"bob@example.com") && is_name("müller".as_bytes()) && is_name(b"5000="));
        for name in [b"".as_slice(), b"#a", b"a\tb", b"a|b", b"a\nb"] {
            assert!(!is_name(name), "{name:?}");
        }
        assert!(is_field(b"home") && !is_field(b"") && !is_field(b"a=b") && !is_field(b"a|b"));
        assert!(is_value(b"") && is_value(b"a=b c") && !is_value(b"a|b") && !is_value(b"a\nb"));
    }

    proptest! {
        #[test]
        fn any_text_is_read_and_compiled_without_harm(text in prop::collection::vec(any::<u8>(), 0..300)) {
            let mut reader = text.as_slice();
            let mut line = Zeroizing::new(Vec::new());
            while read_line(&mut reader, &mut line).unwrap() {
                if let Line::Record { fields, .. } = Line::parse(&line) {
                    let compiled = compile(fields, b"");
                    prop_assert!(compiled.public.ends_with(b"_="));
                    for field in split(&compiled.shadow) {
                        prop_assert!(is_secret(name_of(field)));
                    }
                }
            }
        }

        #[test]
        fn what_was_set_is_found_and_nothing_else_changes(
            fields in "([a-d]{1,2}(=[x-z]{0,3})?\\|?){0,6}",
            field in "[a-d]{1,2}",
            value in "[x-z=]{0,4}",
        ) {
            let result = with_field(fields.as_bytes(), field.as_bytes(), value.as_bytes());
            prop_assert_eq!(find(&result, field.as_bytes()), Some(value.as_bytes()));
            let others = |fields: &[u8]| without_field(fields, field.as_bytes()).to_vec();
            prop_assert_eq!(others(&result), others(fields.as_bytes()));
        }
    }
}

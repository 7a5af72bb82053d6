//! The settings of a back-end: `authldaprc`, `authpgsqlrc`, `authmysqlrc`,
//! `authsqliterc` (reference: authlib 14).
//!
//! ```text
//! # a comment
//! SQLITE_DATABASE      /var/lib/courier/users.db
//! SQLITE_WHERE_CLAUSE  server = 'mail' AND \
//!                      enabled = 1
//! ##NAME: MARKER:0                             without this line nothing counts
//! ```
//!
//! [`Settings`] is such a text, taken apart; [`Rcfile`] is a file of them and
//! what was made of it, made anew when the file changes.

mod file;

pub use file::Rcfile;

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::Secret;
use crate::account::Unavailable;
use crate::printable::printable;

/// What the line begins with that has to be there: a file that lost its end,
/// or is just being written, does not have it.
const MARKER: &[u8] = b"##NAME: MARKER:";

/// The settings in a text.
///
/// They remember which of them were asked for, so that an administrator can be
/// told of the others ([`Settings::remarks`]).
#[derive(Default)]
pub struct Settings {
    values: BTreeMap<String, Setting>,
    remarks: RefCell<Vec<String>>,
}

struct Setting {
    value: Secret,
    is_known: Cell<bool>,
}

/// Why a text has no settings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Flaw {
    /// No line begins with `##NAME: MARKER:`.
    #[error("marker line not found")]
    NoMarker,
    /// A NUL is nowhere allowed.
    #[error("there is a NUL in it")]
    Nul,
}

impl Settings {
    /// The settings in `text`: a name and its value on a line, with white space
    /// between them. Of several with one name the first counts. `#` begins a
    /// comment only where a name could. A line that ends in `\` goes on in the
    /// next one, with one space between (observed with Courier).
    ///
    /// # Errors
    /// See [`Flaw`].
    pub fn parse(text: &[u8]) -> Result<Self, Flaw> {
        if text.contains(&0) {
            return Err(Flaw::Nul);
        }
        let mut settings = Settings::default();
        let mut has_marker = false;
        let mut lines = text.split(|&octet| octet == b'\n').enumerate();
        while let Some((index, line)) = lines.next() {
            has_marker = has_marker || line.starts_with(MARKER);
            let line = line.trim_ascii();
            if line.is_empty() || line.starts_with(b"#") {
                continue;
            }
            let whole = joined(line, lines.by_ref().map(|(_, line)| line));
            settings.add(whole.expose(), index + 1);
        }
        if has_marker { Ok(settings) } else { Err(Flaw::NoMarker) }
    }

    /// One logical line. What is no name may be a password gone astray, so
    /// nothing is told of it but where it is.
    fn add(&mut self, line: &[u8], number: usize) {
        let end = line.iter().position(u8::is_ascii_whitespace).unwrap_or(line.len());
        let (name, value) = line.split_at(end);
        let is_name = name.iter().all(|&octet| octet.is_ascii_alphanumeric() || octet == b'_');
        match std::str::from_utf8(name) {
            Ok(name) if is_name && self.values.contains_key(name) => {
                let name = printable(name.as_bytes());
                self.remark(format!("line {number} sets {name} again and is not used"));
            }
            Ok(name) if is_name => {
                let value = Secret::copy_of(value.trim_ascii());
                self.values.insert(name.to_owned(), Setting { value, is_known: Cell::new(false) });
            }
            _ => self.remark(format!("line {number} is no setting and not used")),
        }
    }

    /// The value of `name`; an empty one is none (ledger 706).
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let setting = self.values.get(name)?;
        setting.is_known.set(true);
        Some(setting.value.expose()).filter(|value| !value.is_empty())
    }

    /// The value of `name`, which has to be text.
    ///
    /// # Errors
    /// If it is not UTF-8.
    pub fn text(&self, name: &str) -> Result<Option<&str>, Unavailable> {
        let text = self.get(name).map(std::str::from_utf8).transpose();
        text.map_err(|_| Unavailable::new(format!("{name} is not UTF-8")))
    }

    /// The value of `name`, which has to be there.
    ///
    /// # Errors
    /// If there is none, or it is not UTF-8.
    pub fn required(&self, name: &str) -> Result<&str, Unavailable> {
        self.text(name)?.ok_or_else(|| Unavailable::new(format!("{name} is not set")))
    }

    /// The value of `name`, which has to be a decimal number that fits.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn number<N: FromStr>(&self, name: &str) -> Result<Option<N>, Unavailable> {
        let Some(value) = self.get(name) else { return Ok(None) };
        let digits =
            std::str::from_utf8(value).ok().filter(|text| text.starts_with(|c: char| c.is_ascii_digit()));
        let number = digits.and_then(|digits| digits.parse().ok());
        number.map(Some).ok_or_else(|| Unavailable::new(format!("{name} is not a number, or too large")))
    }

    /// The value of `name`, which has to be `0` or `1`; off if there is none.
    ///
    /// # Errors
    /// If it is anything else.
    pub fn is_on(&self, name: &str) -> Result<bool, Unavailable> {
        match self.get(name) {
            None | Some(b"0") => Ok(false),
            Some(b"1") => Ok(true),
            Some(_) => Err(Unavailable::new(format!("{name} is neither 0 nor 1"))),
        }
    }

    /// If `name` is set, an administrator is to hear that it is not honoured,
    /// and `why`.
    pub fn not_honoured(&self, name: &str, why: &str) {
        if self.get(name).is_some() {
            self.remark(format!("{name} is not honoured: {why}"));
        }
    }

    /// An administrator is to hear `remark`.
    pub fn remark(&self, remark: impl Into<String>) {
        self.remarks.borrow_mut().push(remark.into());
    }

    /// What an administrator is to hear, once every setting that is known has
    /// been asked for: the others are not.
    #[must_use]
    pub fn remarks(&self) -> Vec<String> {
        let unknown = self.values.iter().filter(|(_, setting)| !setting.is_known.get());
        let unknown =
            unknown.map(|(name, _)| format!("{} is not known, and not used", printable(name.as_bytes())));
        self.remarks.borrow().iter().cloned().chain(unknown).collect()
    }
}

/// Names only: any value may be a password.
impl fmt::Debug for Settings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_set().entries(self.values.keys()).finish()
    }
}

/// A line with what it goes on with.
fn joined<'a>(first: &'a [u8], mut following: impl Iterator<Item = &'a [u8]>) -> Secret {
    let mut parts = Vec::new();
    let mut next = Some(first);
    while let Some(line) = next {
        let goes_on = line.strip_suffix(b"\\");
        parts.push(goes_on.unwrap_or(line));
        next = goes_on.and_then(|_| following.next()).map(<[u8]>::trim_ascii);
    }
    Secret::new(parts.join(&b' '))
}

#[cfg(test)]
mod tests {
    use super::{Flaw, Settings};
    use proptest::prelude::*;

    fn parsed(text: &str) -> Settings {
        Settings::parse(format!("{text}\n##NAME: MARKER:0\n").as_bytes()).unwrap()
    }

    #[test]
    fn a_setting_is_a_name_and_a_value() {
        let settings = parsed(
            "##VERSION: x\n\nSQLITE_DATABASE\t\t/var/lib/courier/users.db  \r\n  # SQLITE_X y\n\
            \tSQLITE_USER_TABLE passwd\nSQLITE_USER_TABLE other\nPASSWORD a#b c \nEMPTY\n",
        );
        assert_eq!(settings.get("SQLITE_DATABASE"), Some(b"/var/lib/courier/users.db".as_slice()));
        assert_eq!(settings.get("SQLITE_USER_TABLE"), Some(b"passwd".as_slice()));
        assert_eq!(settings.get("PASSWORD"), Some(b"a#b c".as_slice()));
        for name in ["EMPTY", "SQLITE_X", "sqlite_database", "SQLITE_DATA", "nothing", ""] {
            assert_eq!(settings.get(name), None, "{name}");
        }
    }

    #[test]
    fn a_line_goes_on_behind_a_backslash() {
        for (text, value) in [
            ("NAME 'a\\\n   b'", "'a b'"),
            ("NAME 'a\\ \t\n# b'", "'a # b'"),
            ("NAME \\\n  host=x \\\n  port=5 \\\n\nOTHER y", "host=x  port=5"),
            ("NAME a\\\\\nb", "a\\ b"),
            ("NAME a\\b", "a\\b"),
            ("# c \\\nNAME a", "a"),
        ] {
            assert_eq!(parsed(text).text("NAME").unwrap(), Some(value), "{text}");
        }
        assert_eq!(Settings::parse(b"##NAME: MARKER:\nNAME a\\").unwrap().get("NAME"), Some(b"a".as_slice()));
    }

    #[test]
    fn without_its_marker_a_text_has_no_settings() {
        for text in ["", "A b", "A b\n ##NAME: MARKER:0", "A b\n##NAME: MARKER", "A b \\\n##NAME: MARKER:0"] {
            assert_eq!(Settings::parse(text.as_bytes()).unwrap_err(), Flaw::NoMarker, "{text}");
        }
        let settings = Settings::parse(b"A b\n##NAME: MARKER:0\nB c").unwrap();
        assert_eq!(settings.get("B"), Some(b"c".as_slice()));
        assert_eq!(Settings::parse(b"A b\0\n##NAME: MARKER:0").unwrap_err(), Flaw::Nul);
    }

    #[test]
    fn what_was_never_asked_for_is_unknown() {
        let settings = parsed("KNOWN a\nOLD b\nPASSWORD=hunter2\nSTRANGE hunter3\nKNOWN hunter4");
        assert!(settings.get("KNOWN").is_some() && settings.get("ABSENT").is_none());
        settings.not_honoured("OLD", "there is no need");
        settings.not_honoured("ABSENT", "there is no need");
        let remarks = settings.remarks();
        assert_eq!(
            remarks,
            [
                "line 3 is no setting and not used",
                "line 5 sets KNOWN again and is not used",
                "OLD is not honoured: there is no need",
                "STRANGE is not known, and not used"
            ]
        );
        assert!(!format!("{settings:?}{remarks:?}").contains("hunter"));
    }

    #[test]
    fn values_have_their_kinds() {
        let settings =
            parsed("PORT 5432\nMINUS -1\nPLUS +1\nLARGE 70000\nOFF 0\nON 1\nTEXT x\nBINARY \u{e9}");
        assert_eq!(settings.number::<u16>("PORT"), Ok(Some(5432)));
        assert_eq!(settings.number::<u16>("ABSENT"), Ok(None));
        for name in ["MINUS", "PLUS", "LARGE", "TEXT"] {
            assert!(settings.number::<u16>(name).is_err(), "{name}");
        }
        assert_eq!((settings.is_on("ON"), settings.is_on("OFF")), (Ok(true), Ok(false)));
        assert_eq!((settings.is_on("ABSENT"), settings.is_on("TEXT").is_err()), (Ok(false), true));
        assert_eq!(settings.required("TEXT"), Ok("x"));
        assert!(settings.required("ABSENT").is_err());
        assert!(Settings::parse(b"A \xff\n##NAME: MARKER:").unwrap().text("A").is_err());
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in "[A-Z#\\\\ \\t\\r\\n0é=]{0,80}") {
            let settings = Settings::parse(format!("##NAME: MARKER:0\n{text}").as_bytes()).unwrap();
            prop_assert!(settings.remarks().len() <= text.lines().count());
            for name in ["A", "B", "0"] {
                if let Some(value) = settings.get(name) {
                    prop_assert!(value == value.trim_ascii() && !value.contains(&b'\n'));
                }
            }
        }
    }
}

//! The words behind `postrider user`.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::PathBuf;

use authlib::printable::printable;
use authlib::userdb::text;

use crate::service::directory;

/// What is to be done, and in which directory.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) directory: PathBuf,
    pub(super) action: Action,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    Add { name: Name, uid: Option<u32>, gid: Option<u32> },
    Passwd { name: Name },
    List,
    Show { name: Name },
    Delete { name: Name, mail: bool },
}

/// A name that can stand in the text, and be that of a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Name(Vec<u8>);

impl Name {
    /// # Errors
    /// What is wrong with it.
    pub(super) fn new(word: &OsStr) -> Result<Name, String> {
        let name = word.as_bytes();
        let fault = match name {
            [] => "it is empty",
            [b'.', ..] => "it begins with a dot",
            [b'#', ..] => "it begins with #",
            _ if name.contains(&b'/') => "it holds a slash",
            _ if name.len() > 255 => "it is longer than 255 octets",
            _ if !text::is_name(name) => "it holds a control character or |",
            _ => return Ok(Name(name.to_vec())),
        };
        Err(format!("\"{}\" cannot be a name: {fault}", printable(name)))
    }

    pub(super) fn octets(&self) -> &[u8] {
        &self.0
    }

    /// As a part of a path.
    pub(super) fn part(&self) -> &OsStr {
        OsStr::from_bytes(&self.0)
    }
}

impl std::fmt::Display for Name {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&printable(&self.0))
    }
}

/// The options that were given.
#[derive(Default)]
struct Options {
    directory: Option<PathBuf>,
    uid: Option<u32>,
    gid: Option<u32>,
    mail: bool,
}

/// Understands `words`.
///
/// # Errors
/// What is wrong with them; nothing, if there are none.
pub(super) fn parse(words: &[OsString]) -> Result<Call, String> {
    let (mut plain, mut options) = (Vec::new(), Options::default());
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value =
            || words.next().ok_or_else(|| format!("{} wants a value", printable(word.as_bytes())));
        match word.to_str() {
            Some("--directory") => options.directory = Some(PathBuf::from(value()?)),
            Some("--uid") => options.uid = Some(id(value()?)?),
            Some("--gid") => options.gid = Some(id(value()?)?),
            Some("--mail") => options.mail = true,
            _ if word.as_bytes().starts_with(b"-") => return Err(unknown(word)),
            _ => plain.push(word),
        }
    }
    let Options { directory, uid, gid, mail } = options;
    let action = action(&plain, uid, gid, mail)?;
    let is_add = matches!(action, Action::Add { .. });
    if !is_add && (uid.is_some() || gid.is_some()) {
        return Err("--uid and --gid are for add".to_owned());
    }
    if mail && !matches!(action, Action::Delete { .. }) {
        return Err("--mail is for del".to_owned());
    }
    let directory = directory.or_else(directory::usual).ok_or(directory::NOWHERE)?;
    Ok(Call { directory, action })
}

fn action(plain: &[&OsString], uid: Option<u32>, gid: Option<u32>, mail: bool) -> Result<Action, String> {
    let Some((verb, names)) = plain.split_first() else { return Err(String::new()) };
    let name = || match names {
        [name] => Name::new(name),
        [] => Err(format!("{} whom?", printable(verb.as_bytes()))),
        [_, more, ..] => Err(unknown(more)),
    };
    match verb.to_str() {
        Some("add") => Ok(Action::Add { name: name()?, uid, gid }),
        Some("passwd") => Ok(Action::Passwd { name: name()? }),
        Some("list") if names.is_empty() => Ok(Action::List),
        Some("list") => Err(unknown(names[0])),
        Some("show") => Ok(Action::Show { name: name()? }),
        Some("del") => Ok(Action::Delete { name: name()?, mail }),
        _ => Err(unknown(verb)),
    }
}

fn unknown(word: &OsStr) -> String {
    format!("what is {}?", printable(word.as_bytes()))
}

fn id(word: &OsString) -> Result<u32, String> {
    let id = word.to_str().and_then(|text| text.parse().ok()).filter(|&id| id != 0 && id != u32::MAX);
    id.ok_or_else(|| format!("{} is no id of an ordinary user", printable(&word.clone().into_vec())))
}

#[cfg(test)]
mod tests {
    use super::{Action, Call, Name, parse};
    use std::ffi::{OsStr, OsString};

    fn parsed(words: &[&str]) -> Result<Call, String> {
        parse(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    fn name(name: &str) -> Name {
        Name(name.into())
    }

    #[test]
    fn options_may_stand_anywhere() {
        let expected = Call {
            directory: "/d".into(),
            action: Action::Add { name: name("alice@example.com"), uid: Some(5), gid: Some(6) },
        };
        for words in [
            ["add", "alice@example.com", "--directory", "/d", "--uid", "5", "--gid", "6"],
            ["--gid", "6", "--directory", "/d", "add", "--uid", "5", "alice@example.com"],
        ] {
            assert_eq!(parsed(&words).unwrap(), expected);
        }
        let action = |words: &[&str]| parsed(&[words, &["--directory", "/d"]].concat()).unwrap().action;
        assert_eq!(action(&["list"]), Action::List);
        assert_eq!(action(&["show", "a"]), Action::Show { name: name("a") });
        assert_eq!(action(&["passwd", "a"]), Action::Passwd { name: name("a") });
        assert_eq!(action(&["del", "a"]), Action::Delete { name: name("a"), mail: false });
        assert_eq!(action(&["del", "a", "--mail"]), Action::Delete { name: name("a"), mail: true });
    }

    #[test]
    fn wrong_words_are_named() {
        for (words, said) in [
            (&[][..], ""),
            (&["frob"], "what is frob?"),
            (&["add"], "add whom?"),
            (&["add", "a", "secret"], "what is secret?"),
            (&["list", "a"], "what is a?"),
            (&["add", "-x"], "what is -x?"),
            (&["add", "a", "--uid"], "--uid wants a value"),
            (&["add", "a", "--uid", "0"], "0 is no id of an ordinary user"),
            (&["add", "a", "--gid", "x"], "x is no id of an ordinary user"),
            (&["add", "a", "--mail"], "--mail is for del"),
            (&["del", "a", "--uid", "5"], "--uid and --gid are for add"),
        ] {
            assert_eq!(parsed(words), Err(said.to_owned()), "{words:?}");
        }
    }

    #[test]
    fn a_name_is_a_directory_below_mail_and_nothing_else() {
        for wrong in ["", ".", "..", ".x", "a/b", "/", "a\nb", "a\tb", "a|b", "#a", "a\x7f"] {
            assert!(Name::new(OsStr::new(wrong)).is_err(), "{wrong:?}");
        }
        assert!(Name::new(OsStr::new(&"x".repeat(256))).is_err());
        assert!(
            ["alice", "a.b@example.com", "müller", "a b"].iter().all(|it| Name::new(OsStr::new(it)).is_ok())
        );
    }
}

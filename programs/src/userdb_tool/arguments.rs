//! The words that userdb(8) is called with.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use authlib::userdb::text;
use zeroize::Zeroizing;

use super::Failed;

/// What is to be done, and in which file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Call {
    pub(super) file: PathBuf,
    pub(super) action: Action,
}

/// What is to be done.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Action {
    List,
    Show { name: Vec<u8> },
    Set { name: Vec<u8>, settings: Vec<Setting> },
    Unset { name: Vec<u8>, fields: Vec<Vec<u8>> },
    Delete { name: Vec<u8> },
}

/// `field=value`, or `field` alone.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Setting {
    pub(super) field: Vec<u8>,
    pub(super) value: Option<Zeroizing<Vec<u8>>>,
}

/// Understands `words`. Without -f the file is `root`, or one below it if
/// `root` is a directory.
pub(super) fn parse(words: &[OsString], root: &Path) -> Result<Call, Failed> {
    let plain: Vec<&[u8]> = words.iter().map(|word| word.as_bytes()).collect();
    match plain.as_slice() {
        [b"-show", rest @ ..] => show(rest, root),
        [b"-f", file, name, verb, rest @ ..] => {
            Ok(Call { file: to_path(file), action: change(name, verb, rest)? })
        }
        [path, verb, rest @ ..] if !path.starts_with(b"-") => {
            let (file, name) = split_path(path, root);
            Ok(Call { file, action: change(name, verb, rest)? })
        }
        _ => Err(Failed::Usage),
    }
}

/// What follows `-show`. A single word is a file below `root`, if `root` is
/// a directory that has it, else a record.
fn show(words: &[&[u8]], root: &Path) -> Result<Call, Failed> {
    let record = |name: &[u8]| Action::Show { name: name.to_vec() };
    let (file, action) = match words {
        [] => (root.to_owned(), Action::List),
        [b"-f", file] => (to_path(file), Action::List),
        [b"-f", file, name] => (to_path(file), record(name)),
        [word] if !word.starts_with(b"-") => {
            let below = root.join(to_path(word));
            if below.exists() {
                (below, Action::List)
            } else {
                let (file, name) = split_path(word, root);
                (file, record(name))
            }
        }
        [path, name] if !path.starts_with(b"-") => (root.join(to_path(path)), record(name)),
        _ => return Err(Failed::Usage),
    };
    Ok(Call { file, action })
}

/// `sub/file/NAME` is NAME in the file `sub/file` below `root`.
fn split_path<'a>(path: &'a [u8], root: &Path) -> (PathBuf, &'a [u8]) {
    match path.iter().rposition(|&octet| octet == b'/') {
        Some(slash) => (root.join(to_path(&path[..slash])), &path[slash + 1..]),
        None => (root.to_owned(), path),
    }
}

fn change(name: &[u8], verb: &[u8], words: &[&[u8]]) -> Result<Action, Failed> {
    if name.is_empty() {
        return Err(Failed::Usage);
    }
    if !text::is_name(name) {
        return Err(Failed::Name);
    }
    let name = name.to_vec();
    match (verb, words) {
        // A record without a field could not be told from a stray line.
        (b"set", [_, ..]) => {
            let settings = words.iter().map(|word| setting(word)).collect::<Result<_, _>>()?;
            Ok(Action::Set { name, settings })
        }
        (b"unset", _) => Ok(Action::Unset { name, fields: words.iter().map(|word| word.to_vec()).collect() }),
        (b"del", []) => Ok(Action::Delete { name }),
        _ => Err(Failed::Usage),
    }
}

fn setting(word: &[u8]) -> Result<Setting, Failed> {
    let (field, value) = match word.iter().position(|&octet| octet == b'=') {
        Some(equals) => (&word[..equals], Some(&word[equals + 1..])),
        None => (word, None),
    };
    if !text::is_field(field) || !value.is_none_or(text::is_value) {
        return Err(Failed::Field);
    }
    Ok(Setting { field: field.to_vec(), value: value.map(|value| Zeroizing::new(value.to_vec())) })
}

fn to_path(word: &[u8]) -> PathBuf {
    OsString::from_vec(word.to_vec()).into()
}

#[cfg(test)]
mod tests {
    use super::{Action, Call, Failed, Setting, parse};
    use std::path::Path;
    use zeroize::Zeroizing;

    fn parsed(words: &[&str]) -> Result<Call, Failed> {
        parse(&words.iter().map(Into::into).collect::<Vec<_>>(), Path::new("/nowhere/userdb"))
    }

    fn call(file: &str, action: Action) -> Call {
        Call { file: file.into(), action }
    }

    #[test]
    fn names_are_in_the_file_that_their_path_says() {
        let delete = |name: &str| Action::Delete { name: name.into() };
        assert_eq!(parsed(&["bob", "del"]).unwrap(), call("/nowhere/userdb", delete("bob")));
        assert_eq!(
            parsed(&["sub/file/bob", "del"]).unwrap(),
            call("/nowhere/userdb/sub/file", delete("bob"))
        );
        assert_eq!(parsed(&["-f", "other", "x/bob", "del"]).unwrap(), call("other", delete("x/bob")));
    }

    #[test]
    fn fields_are_given_with_or_without_a_value() {
        let setting = |field: &str, value: Option<&str>| Setting {
            field: field.into(),
            value: value.map(|value| Zeroizing::new(value.into())),
        };
        let settings = vec![setting("uid", Some("5")), setting("x", Some("a=b")), setting("systempw", None)];
        assert_eq!(
            parsed(&["bob", "set", "uid=5", "x=a=b", "systempw"]).unwrap(),
            call("/nowhere/userdb", Action::Set { name: "bob".into(), settings })
        );
        let fields = vec![b"uid".to_vec(), b"gid".to_vec()];
        assert_eq!(
            parsed(&["bob", "unset", "uid", "gid"]).unwrap(),
            call("/nowhere/userdb", Action::Unset { name: "bob".into(), fields })
        );
    }

    #[test]
    fn showing_takes_a_file_a_record_or_both() {
        let record = |name: &str| Action::Show { name: name.into() };
        assert_eq!(parsed(&["-show"]).unwrap(), call("/nowhere/userdb", Action::List));
        assert_eq!(parsed(&["-show", "bob"]).unwrap(), call("/nowhere/userdb", record("bob")));
        assert_eq!(parsed(&["-show", "sub", "bob"]).unwrap(), call("/nowhere/userdb/sub", record("bob")));
        assert_eq!(parsed(&["-show", "-f", "db"]).unwrap(), call("db", Action::List));
        assert_eq!(parsed(&["-show", "-f", "db", "bob"]).unwrap(), call("db", record("bob")));
    }

    #[test]
    fn wrong_words_are_answered_with_the_usage() {
        for words in [
            [].as_slice(),
            &["bob"],
            &["bob", "frob"],
            &["bob", "set"],
            &["bob", "del", "x"],
            &["-f"],
            &["-f", "db"],
            &["-f", "db", "-show"],
            &["-f", "db", "", "del"],
            &["-x", "set", "a=b"],
            &["-show", "a", "b", "c"],
            &["-show", "-f"],
        ] {
            assert!(matches!(parsed(words), Err(Failed::Usage)), "{words:?}");
        }
    }

    #[test]
    fn what_would_break_the_text_is_refused() {
        for word in ["x=a|b", "x|y=a", "=x", "x=a\nb", "x=a\tb", ""] {
            assert!(matches!(parsed(&["bob", "set", word]), Err(Failed::Field)), "{word:?}");
        }
        for name in ["#bob", "b\tob", "b|ob", "b\nob"] {
            assert!(matches!(parsed(&["-f", "db", name, "del"]), Err(Failed::Name)), "{name:?}");
        }
    }
}

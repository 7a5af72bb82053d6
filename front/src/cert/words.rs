//! The words behind `postrider cert`.

use std::ffi::OsString;
use std::path::PathBuf;

use programs::service::certificate;

use super::make::{Kind, Wish};

pub(super) const USAGE: &str = "\
Usage: postrider cert make [--file FILE] [--name NAME]… [--days DAYS] [--rsa]
                           [--group GROUP]
       postrider cert check FILE [KEY]
       postrider cert keep [--look] FILE

make: a certificate that is signed by its own key, and that key, in one file,
which must not be there yet.

  --file FILE     the file; otherwise pop3d.pem in the service's usual directory
  --name NAME     a host name or an address that clients connect to, as often as
                  you like; otherwise this machine's name, localhost, 127.0.0.1
                  and ::1
  --days DAYS     how long it is good; otherwise 825, the longest that every
                  system takes
  --rsa           an RSA key of 3072 bits, for clients that do not know ECDSA;
                  otherwise ECDSA with P-256, which costs less at each login
  --group GROUP   the group that may read it too; otherwise its owner alone

check: whether there is a certificate chain in FILE, whether its key is in KEY,
or in FILE too, and whether it is good today.

keep: what postrider serve does where nobody names a certificate: makes one in
FILE if it is not there, or if that was made so and its time is over; --look
says what it would do.
";

/// What is to be done.
pub(super) enum Call {
    Make(Wish),
    Check {
        chain: PathBuf,
        key: PathBuf,
    },
    Keep(PathBuf),
    Look(PathBuf),
    /// The monitor wants something tried.
    Assay,
    Help,
}

impl Call {
    /// Understands `words`.
    ///
    /// # Errors
    /// A line about what is wrong with them; nothing, if there are none.
    pub(super) fn parse(words: &[OsString]) -> Result<Call, String> {
        let (first, rest) =
            words.split_first().map_or((None, &[][..]), |(first, rest)| (first.to_str(), rest));
        match (first, rest) {
            _ if words.iter().any(|word| word == "--help" || word == "-h") => Ok(Call::Help),
            (Some("make"), rest) => wish(rest).map(Call::Make).map_err(line),
            (Some("check"), [chain]) => Ok(Call::Check { chain: chain.into(), key: chain.into() }),
            (Some("check"), [chain, key]) => Ok(Call::Check { chain: chain.into(), key: key.into() }),
            (Some("keep"), [look, file]) if look == "--look" => Ok(Call::Look(file.into())),
            (Some("keep"), [file]) => Ok(Call::Keep(file.into())),
            (Some("keep"), _) => Err(line("keep what?".to_owned())),
            (Some("check"), _) => Err(line("check what?".to_owned())),
            (Some(id), [_, ..]) if id.parse::<u32>().is_ok() => Ok(Call::Assay),
            (None, _) if words.is_empty() => Err(String::new()),
            _ => Err(line(unknown(&words[0]))),
        }
    }
}

/// What `postrider cert make` is to make.
fn wish(words: &[OsString]) -> Result<Wish, String> {
    let (mut file, mut names, mut days, mut kind, mut group) =
        (None, Vec::new(), super::make::DAYS, Kind::Ecdsa, None);
    let mut words = words.iter();
    while let Some(word) = words.next() {
        let mut value = || {
            let value = words.next().ok_or_else(|| format!("{} wants a value", word.to_string_lossy()))?;
            value.to_str().ok_or_else(|| format!("what is {}?", value.to_string_lossy()))
        };
        match word.to_str() {
            Some("--file") => file = Some(PathBuf::from(value()?)),
            Some("--name") => names.push(name(value()?)?),
            Some("--days") => days = number(value()?)?,
            Some("--group") => group = Some(gid(value()?)?),
            Some("--rsa") => kind = Kind::Rsa,
            _ => return Err(unknown(word)),
        }
    }
    let file = file.map_or_else(certificate::usual, Ok)?;
    if names.is_empty() {
        names = super::make::usual_names();
    }
    Ok(Wish { file, names, days, kind, group })
}

fn name(word: &str) -> Result<String, String> {
    match super::make::is_name(word) {
        true => Ok(word.to_owned()),
        false => Err(format!("{word:?} is neither a host name nor an address")),
    }
}

fn number(word: &str) -> Result<u32, String> {
    let days = word.parse().ok().filter(|days| (1..=36500).contains(days));
    days.ok_or_else(|| format!("{word} is no number of days"))
}

/// A group by its name or number.
fn gid(word: &str) -> Result<u32, String> {
    let known = match word.parse() {
        Ok(gid) => Ok(Some(gid)),
        Err(_) => system::user::group_by_name(word),
    };
    known.ok().flatten().ok_or_else(|| format!("there is no group {word}"))
}

fn unknown(word: &OsString) -> String {
    format!("what is {}?", word.to_string_lossy())
}

fn line(wrong: String) -> String {
    format!("postrider: {wrong}\n")
}

#[cfg(test)]
mod tests {
    use super::{Call, wish};
    use crate::cert::make::Kind;
    use std::ffi::OsString;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn a_wish_says_all_that_it_wants() {
        let all = ["--file", "/f", "--name", "mail.example.com", "--name", "::1", "--days", "30", "--rsa"];
        let wish = wish(&words(&all)).unwrap();
        assert_eq!((wish.file.to_str(), wish.days, wish.group), (Some("/f"), 30, None));
        assert_eq!(
            (wish.names, wish.kind),
            (vec!["mail.example.com".to_owned(), "::1".to_owned()], Kind::Rsa)
        );
    }

    #[test]
    fn words_that_are_wrong_are_named() {
        for (wrong, said) in [
            (&["make", "--days", "0"][..], "0 is no number of days"),
            (&["make", "--name", "a b"], "\"a b\" is neither a host name nor an address"),
            (&["make", "--group", "no such group"], "there is no group no such group"),
            (&["make", "--days"], "--days wants a value"),
            (&["make", "it"], "what is it?"),
            (&["check"], "check what?"),
            (&["keep"], "keep what?"),
            (&["wish"], "what is wish?"),
            (&["wish", "1"], "what is wish?"),
        ] {
            let heard = Call::parse(&words(wrong)).err().unwrap();
            assert!(heard.contains(said), "{heard}");
        }
        assert_eq!(Call::parse(&[]).err().unwrap(), "");
        assert!(matches!(Call::parse(&words(&["65534", "65534"])), Ok(Call::Assay)));
        assert!(matches!(Call::parse(&words(&["make", "-h"])), Ok(Call::Help)));
    }
}

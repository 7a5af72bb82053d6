//! postrider.toml: the keys of the table, and nothing else.
//!
//! ```text
//! [listen]
//! clear = ["127.0.0.1:1110"]
//! [environment]
//! AUTHSERVICE995 = "pop3s"      # variables that have no key of their own
//! ```

use std::fs;
use std::ops::Range;
use std::path::Path;

use authlib::printable::reason;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::courier::Layer;
use super::value::Value;
use super::{Kind, Setting, Status, called, table};

/// The table of variables that have no key of their own.
const ENVIRONMENT: &str = "environment";
/// How much two names must have in common for one to be meant by the other.
const ALIKE: f64 = 0.75;

/// What the file says.
///
/// # Errors
/// It cannot be read, or a key or a value is none; a line that names file and
/// line.
pub(super) fn read(path: &Path) -> Result<Layer, String> {
    let text = fs::read_to_string(path).map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
    File { path, text: &text }.read()
}

struct File<'a> {
    path: &'a Path,
    text: &'a str,
}

impl File<'_> {
    fn read(&self) -> Result<Layer, String> {
        let parsed = DeTable::parse(self.text);
        let file = parsed.map_err(|error| self.wrong(error.span().unwrap_or_default(), error.message()))?;
        let mut layer = Layer::new();
        for (key, value) in file.get_ref() {
            match value.get_ref() {
                DeValue::Table(entries) => {
                    for (inner, value) in entries {
                        layer.push(self.entry(Some(key.get_ref()), inner.get_ref(), inner.span(), value)?);
                    }
                }
                _ => layer.push(self.entry(None, key.get_ref(), key.span(), value)?),
            }
        }
        Ok(layer)
    }

    fn entry(
        &self,
        in_table: Option<&str>,
        key: &str,
        span: Range<usize>,
        value: &Spanned<DeValue<'_>>,
    ) -> Result<(String, Value), String> {
        let whole = in_table.map_or_else(|| key.to_owned(), |table| format!("{table}.{key}"));
        let setting = if in_table == Some(ENVIRONMENT) { variable(key) } else { keyed(&whole) };
        let setting = setting.map_err(|why| self.wrong(span.clone(), &why))?;
        let text = in_variable(setting.kind, value.get_ref())
            .map_err(|what| self.wrong(value.span(), &format!("{whole} is to be {what}")))?;
        let name = if in_table == Some(ENVIRONMENT) { key } else { setting.name };
        Ok((name.to_owned(), Value::in_file(text, self.path, self.line(span.start))))
    }

    fn wrong(&self, span: Range<usize>, what: &str) -> String {
        format!("{}:{}: {what}", self.path.display(), self.line(span.start))
    }

    fn line(&self, at: usize) -> usize {
        1 + self.text.bytes().take(at).filter(|octet| *octet == b'\n').count()
    }
}

/// The setting with this key.
fn keyed(key: &str) -> Result<&'static Setting, String> {
    let mut all = table::all();
    all.find(|setting| setting.key == Some(key))
        .ok_or_else(|| unknown(key, table::all().filter_map(|setting| setting.key)))
}

/// The setting that this variable holds.
fn variable(name: &str) -> Result<&'static Setting, String> {
    let honoured = |setting: &&Setting| setting.status == Status::Honoured;
    let setting = called(name).filter(honoured);
    let setting = setting.ok_or_else(|| {
        unknown(name, table::all().filter(|setting| honoured(setting)).map(|setting| setting.name))
    })?;
    match setting.key {
        Some(key) => Err(format!("{name} is set by the key {key}")),
        None => Ok(setting),
    }
}

fn unknown(name: &str, known: impl Iterator<Item = &'static str>) -> String {
    let likeness = |known: &&str| strsim::jaro_winkler(name, known);
    let alike = known.max_by(|one, other| likeness(one).total_cmp(&likeness(other)));
    let meant = alike.filter(|known| likeness(known) > ALIKE);
    let hint = meant.map(|known| format!("; did you mean {known}?")).unwrap_or_default();
    format!("there is no setting {name}{hint}")
}

/// What a variable has for `value`; or how it is to be written.
fn in_variable(kind: Kind, value: &DeValue<'_>) -> Result<String, &'static str> {
    match (kind, value) {
        (Kind::Text | Kind::List, DeValue::String(text)) if !text.contains('\0') => Ok(text.to_string()),
        (Kind::List, DeValue::Array(items)) => {
            let words = items.iter().map(|item| match item.get_ref() {
                DeValue::String(word) if !word.contains('\0') => Ok(word.as_ref()),
                _ => Err("an array of strings"),
            });
            Ok(words.collect::<Result<Vec<_>, _>>()?.join(" "))
        }
        (Kind::Number, DeValue::Integer(number)) => {
            let number = u64::from_str_radix(number.as_str(), number.radix());
            number.map(|number| number.to_string()).map_err(|_| "a whole number, not below 0")
        }
        (Kind::Switch, DeValue::Boolean(is_on)) => Ok(u8::from(*is_on).to_string()),
        (Kind::Yes, DeValue::Boolean(is_on)) => Ok(if *is_on { "YES" } else { "NO" }.to_owned()),
        (Kind::Text, _) => Err("a string"),
        (Kind::List, _) => Err("an array of strings"),
        (Kind::Number, _) => Err("a whole number, not below 0"),
        (Kind::Switch | Kind::Yes, _) => Err("true or false"),
    }
}

#[cfg(test)]
mod tests {
    use super::File;
    use std::path::Path;

    fn read(text: &str) -> Result<Vec<(String, String, String)>, String> {
        let layer = File { path: Path::new("/p.toml"), text }.read()?;
        let shown = |(name, value): (String, super::Value)| {
            (name, value.text.into_string().unwrap(), value.source.to_string())
        };
        Ok(layer.into_iter().map(shown).collect())
    }

    #[test]
    fn a_key_becomes_its_variable() {
        let text = "directory = \"/srv\"\n[login]\napop = true\nmechanisms = [\"PLAIN\", \"SCRAM-SHA-256\"]\n\
            [abuse]\nfailures = 0x10\n[tls]\nrequired = true\n[environment]\nAUTHSERVICE995 = \"pop3s\"\n";
        let mut read = read(text).unwrap();
        read.sort();
        let row =
            |name: &str, value: &str, line: usize| (name.into(), value.into(), format!("/p.toml:{line}"));
        assert_eq!(
            read,
            [
                row("AUTHSERVICE995", "pop3s", 10),
                row("POP3AUTH", "PLAIN SCRAM-SHA-256", 4),
                row("POP3_APOP", "YES", 3),
                row("POP3_TLS_REQUIRED", "1", 8),
                row("POSTRIDER_FAILURES", "16", 6),
                row("POSTRIDER_SYSCONFDIR", "/srv", 1),
            ]
        );
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line_and_with_what_may_be_meant() {
        for (text, said) in [
            (
                "\n[login]\nmechanism = []",
                "/p.toml:3: there is no setting login.mechanism; did you mean login.mechanisms?",
            ),
            ("dirctory = \"/\"", "/p.toml:1: there is no setting dirctory; did you mean directory?"),
            ("zzz = 1", "/p.toml:1: there is no setting zzz"),
            ("[login]\napop = 1", "/p.toml:2: login.apop is to be true or false"),
            ("[abuse]\nfailures = -1", "/p.toml:2: abuse.failures is to be a whole number, not below 0"),
            ("[abuse]\nfailures = \"1\"", "/p.toml:2: abuse.failures is to be a whole number, not below 0"),
            ("[listen]\nclear = [1]", "/p.toml:2: listen.clear is to be an array of strings"),
            ("[mail]\nmaildir = \"\\u0000\"", "/p.toml:2: mail.maildir is to be a string"),
            ("[mail.maildir]\nx = 1", "/p.toml:1: mail.maildir is to be a string"),
            ("[environment]\nPOP3_APOP = \"x\"", "/p.toml:2: POP3_APOP is set by the key login.apop"),
            ("[environment]\nTCPDOPTS = \"x\"", "/p.toml:2: there is no setting TCPDOPTS"),
        ] {
            assert_eq!(read(text).unwrap_err(), said);
        }
        assert!(read("a = ").unwrap_err().starts_with("/p.toml:1: "));
        assert!(read("a = 1\na = 2").unwrap_err().starts_with("/p.toml:2: "));
    }
}

//! authdaemond's own settings, `authdaemonrc` (reference: authlib 2).
//!
//! ```text
//! authmodulelist="authuserdb authpipe"    # asked in this order
//! daemons=5
//! DEFAULTOPTIONS=disablewebmail=1
//! ```

use crate::Options;

/// Most workers.
const MOST_DAEMONS: usize = 1000;

/// What authdaemonrc says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Authdaemonrc {
    settings: Vec<(String, Vec<u8>)>,
}

/// A line that is no setting.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0}")]
pub struct BadLine(pub usize);

impl Authdaemonrc {
    /// The settings in `text`: `name=value` or `name="value"`, one a line, with
    /// nothing before the name; `#` begins a comment wherever it stands.
    ///
    /// # Errors
    /// If a line is neither that nor empty, or a value could not stand in an
    /// environment.
    pub fn parse(text: &[u8]) -> Result<Self, BadLine> {
        let mut settings = Vec::new();
        for (index, line) in text.split(|&octet| octet == b'\n').enumerate() {
            let line = line.split(|&octet| octet == b'#').next().unwrap_or_default().trim_ascii_end();
            if line.is_empty() {
                continue;
            }
            settings.push(setting(line).ok_or(BadLine(index + 1))?);
        }
        Ok(Authdaemonrc { settings })
    }

    /// Puts a setting above those of the file.
    pub fn set(&mut self, name: &str, value: Vec<u8>) {
        self.settings.push((name.to_owned(), value));
    }

    /// All of them, for the environment of the modules. Of several with one
    /// name the last counts.
    #[must_use]
    pub fn settings(&self) -> &[(String, Vec<u8>)] {
        &self.settings
    }

    /// The value of `name`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&[u8]> {
        let found = self.settings.iter().rfind(|(candidate, _)| candidate == name);
        found.map(|(_, value)| value.as_slice())
    }

    /// The names of the modules to ask, in their order. (`authmodulelist`)
    #[must_use]
    pub fn modules(&self) -> Vec<String> {
        let list = self.get("authmodulelist").unwrap_or_default();
        let words = list.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
        words.map(|word| String::from_utf8_lossy(word).into_owned()).collect()
    }

    /// How many workers there are to be; `None` if it does not say a number
    /// from 1 to 1000. (`daemons`)
    #[must_use]
    pub fn daemons(&self) -> Option<usize> {
        let number = std::str::from_utf8(self.get("daemons")?).ok()?.parse().ok()?;
        (1..=MOST_DAEMONS).contains(&number).then_some(number)
    }

    /// Options for accounts that have none of the name. (`DEFAULTOPTIONS`)
    #[must_use]
    pub fn default_options(&self) -> Options {
        Options::parse(self.get("DEFAULTOPTIONS").unwrap_or_default())
    }
}

fn setting(line: &[u8]) -> Option<(String, Vec<u8>)> {
    let equals = line.iter().position(|&octet| octet == b'=')?;
    let (name, value) = (std::str::from_utf8(&line[..equals]).ok()?, &line[equals + 1..]);
    let is_name = |name: &str| {
        !name.is_empty()
            && !name.starts_with(|first: char| first.is_ascii_digit())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || octet == b'_')
    };
    let value = match value.strip_prefix(b"\"") {
        Some(quoted) => quoted.strip_suffix(b"\"")?,
        None => value,
    };
    (is_name(name) && !value.contains(&0)).then(|| (name.to_owned(), value.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::{Authdaemonrc, BadLine};
    use proptest::prelude::*;

    #[test]
    fn a_file_like_debians_is_read() {
        let text =
            b"##VERSION: x\n\n##NAME: authmodulelist:2\nauthmodulelist=\"authuserdb  authpipe\" # two\n\
            daemons=5\nDEBUG_LOGIN=0\nDEFAULTOPTIONS=\"\"\nLOGGEROPTS=\"\"\nDEFAULTOPTIONS=a=1,b\n";
        let rc = Authdaemonrc::parse(text).unwrap();
        assert_eq!(rc.modules(), ["authuserdb", "authpipe"]);
        assert_eq!(rc.daemons(), Some(5));
        assert_eq!(rc.default_options().as_bytes(), b"a=1,b");
        assert_eq!(rc.get("DEBUG_LOGIN"), Some(b"0".as_slice()));
        assert_eq!(rc.get("LOGGEROPTS"), Some(b"".as_slice()));
        assert_eq!(rc.get("nothing"), None);
    }

    #[test]
    fn a_line_that_is_no_setting_has_a_number() {
        for line in ["authmodulelist", " daemons=5", "=5", "a b=c", "a=\"b", "5=x", "a=\0", "\u{e9}=1"] {
            let text = format!("daemons=5\n\n{line}\n");
            assert_eq!(Authdaemonrc::parse(text.as_bytes()), Err(BadLine(3)), "{line:?}");
        }
    }

    #[test]
    fn a_number_of_workers_is_from_1_to_1000() {
        let daemons =
            |value: &str| Authdaemonrc::parse(format!("daemons={value}").as_bytes()).unwrap().daemons();
        assert_eq!((daemons("1"), daemons("1000"), daemons("\"7\"")), (Some(1), Some(1000), Some(7)));
        for value in ["", "0", "1001", "x", "-1", "5x"] {
            assert_eq!(daemons(value), None, "{value}");
        }
        assert_eq!(Authdaemonrc::default().daemons(), None);
    }

    proptest! {
        #[test]
        fn no_text_does_harm(text in prop::collection::vec(any::<u8>(), 0..300)) {
            if let Ok(rc) = Authdaemonrc::parse(&text) {
                let _ = (rc.modules(), rc.daemons(), rc.default_options());
            }
        }
    }
}

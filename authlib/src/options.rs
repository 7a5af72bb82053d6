//! Account options: `disablepop3=1,mailhost=mx.example.com` (reference:
//! authlib 6).

use crate::printable::has_control;

/// The options of an account, kept as they were written: comma-separated
/// `name=value` or `name`. Unknown names are kept too.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Options(Vec<u8>);

impl Options {
    /// The options written in `text`. Options that hold control octets are
    /// left out: no known option has any, and the text goes on into an
    /// environment and into protocols of lines.
    #[must_use]
    pub fn parse(text: &[u8]) -> Self {
        let kept: Vec<&[u8]> = split(text).filter(|option| !has_control(option)).collect();
        Options(kept.join(&b','))
    }

    /// As they are written, for the environment variable OPTIONS.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Whether there are none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Name and value of each option in turn; a bare name has no value.
    pub fn iter(&self) -> impl Iterator<Item = (&[u8], Option<&[u8]>)> {
        split(&self.0).map(|option| match option.iter().position(|&octet| octet == b'=') {
            Some(equals) => (&option[..equals], Some(&option[equals + 1..])),
            None => (option, None),
        })
    }

    /// The value of the first option called `name`: `None` if there is no such
    /// option, `Some(None)` if it is written without `=`.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<Option<&[u8]>> {
        self.iter().find(|(candidate, _)| *candidate == name.as_bytes()).map(|(_, value)| value)
    }

    /// Whether the option called `name` is switched on. Of several with that
    /// name the first counts (reference: wire 8).
    ///
    /// On are a bare name, a number that is not zero, and what starts with t,
    /// T, y or Y. All else is off, even the word `on`, as with Courier.
    #[must_use]
    pub fn is_on(&self, name: &str) -> bool {
        match self.get(name) {
            None => false,
            Some(None) => true,
            Some(Some(value)) => says_yes(value),
        }
    }

    /// These options, and behind them each of `defaults` whose name is not
    /// among them (reference: authlib 6, DEFAULTOPTIONS).
    #[must_use]
    pub fn with_defaults(&self, defaults: &Options) -> Options {
        let own: Vec<&[u8]> = self.iter().map(|(name, _)| name).collect();
        let added = split(&defaults.0).filter(|option| !own.contains(&name_of(option)));
        Options(split(&self.0).chain(added).collect::<Vec<_>>().join(&b','))
    }
}

fn split(text: &[u8]) -> impl Iterator<Item = &[u8]> {
    text.split(|&octet| octet == b',').filter(|option| !option.is_empty())
}

fn name_of(option: &[u8]) -> &[u8] {
    option.split(|&octet| octet == b'=').next().unwrap_or(option)
}

/// A number as C's atoi(3) reads one, or a word.
fn says_yes(value: &[u8]) -> bool {
    let value = value.trim_ascii_start();
    if let Some(b't' | b'T' | b'y' | b'Y') = value.first() {
        return true;
    }
    let digits = value.strip_prefix(b"-").or_else(|| value.strip_prefix(b"+")).unwrap_or(value);
    digits.iter().take_while(|octet| octet.is_ascii_digit()).any(|&digit| digit != b'0')
}

#[cfg(test)]
mod tests {
    use super::Options;
    use proptest::prelude::*;

    fn on(text: &str) -> bool {
        Options::parse(text.as_bytes()).is_on("disablepop3")
    }

    #[test]
    fn what_switches_an_option_on_and_what_does_not() {
        for text in ["=1", "=2", "=-1", "=1x", "=t", "=T", "=yes", "=Y", "=true", "", "=10", "=01"] {
            assert!(on(&format!("disablepop3{text}")), "{text:?}");
        }
        for text in ["=0", "=no", "=off", "=on", "=", "=x1", "=00", "=-0", "=N"] {
            assert!(!on(&format!("disablepop3{text}")), "{text:?}");
        }
    }

    #[test]
    fn the_first_option_of_a_name_counts() {
        assert!(on("disableimap=0,disablepop3=1,disablepop3=0"));
        assert!(!on("disablepop3=0,disablepop3=1"));
        assert!(!on("disablepop32=1,xdisablepop3=1"));
        assert!(!on(""));
    }

    #[test]
    fn defaults_stand_behind_and_never_override() {
        let own = Options::parse(b"disableimap=1");
        let merged = own.with_defaults(&Options::parse(b"disablewebmail=1,disableimap=0"));
        assert_eq!(merged.as_bytes(), b"disableimap=1,disablewebmail=1");
    }

    #[test]
    fn a_line_end_does_not_get_into_the_options() {
        assert_eq!(Options::parse(b"a=1,b=\nc,d").as_bytes(), b"a=1,d");
    }

    #[test]
    fn values_are_found_by_name() {
        let options = Options::parse(b"mailhost=mx.example.com,bare");
        assert_eq!(options.get("mailhost"), Some(Some(b"mx.example.com".as_slice())));
        assert_eq!(options.get("bare"), Some(None));
        assert_eq!(options.get("else"), None);
    }

    proptest! {
        #[test]
        fn parsing_what_was_written_changes_nothing(text in prop::collection::vec(any::<u8>(), 0..200)) {
            let options = Options::parse(&text);
            prop_assert_eq!(&Options::parse(options.as_bytes()), &options);
            prop_assert_eq!(&options.with_defaults(&Options::default()), &options);
            prop_assert_eq!(options.iter().count(), options.as_bytes().split(|o| *o == b',').filter(|o| !o.is_empty()).count());
        }

        #[test]
        fn an_own_option_wins_over_any_default(own in "[a-z]{1,3}(=[01])?", defaults in "([a-z]{1,3}(=[01])?,){0,5}") {
            let own = Options::parse(own.as_bytes());
            let merged = own.with_defaults(&Options::parse(defaults.as_bytes()));
            for (name, value) in own.iter() {
                let name = std::str::from_utf8(name).unwrap();
                prop_assert_eq!(merged.get(name), Some(value));
            }
        }
    }
}

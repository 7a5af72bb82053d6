//! Which versions of TLS are spoken: the words of TLS_PROTOCOL (reference
//! config.md 3), each of which means a version or higher ones.

use authlib::printable::printable;
use programs::environment;
use rustls::SupportedProtocolVersion;
use rustls::version::{TLS12, TLS13};

/// Courier's words for 1.2 and older versions. None before 1.2 is spoken
/// (ledger 140), and nothing is renegotiated in any.
const OLD: [&str; 4] = ["", "TLSv1", "TLSv1.1", "TLSv1.2"];

static ALL: [&SupportedProtocolVersion; 2] = [&TLS12, &TLS13];
static NEWEST: [&SupportedProtocolVersion; 1] = [&TLS13];

/// What is spoken.
pub(crate) struct Versions {
    /// The versions.
    pub(crate) spoken: &'static [&'static SupportedProtocolVersion],
    /// Whether our order of suites counts, and not the client's.
    pub(crate) own_order: bool,
    /// What an administrator may want to know.
    pub(crate) remark: Option<String>,
}

impl Versions {
    /// For those who begin with TLS (TLS_PROTOCOL), and for those who say STLS
    /// (TLS_STARTTLS_PROTOCOL, or else the same).
    pub(crate) fn from_environment() -> (Versions, Versions) {
        let implicit = || Versions::of("TLS_PROTOCOL", &environment::octets("TLS_PROTOCOL"));
        let by_stls = match environment::octets("TLS_STARTTLS_PROTOCOL") {
            word if word.is_empty() => Versions { remark: None, ..implicit() },
            word => Versions::of("TLS_STARTTLS_PROTOCOL", &word),
        };
        (implicit(), by_stls)
    }

    /// Those of `word`, which stands in the variable `name`. What is no word means what
    /// an empty one does.
    fn of(name: &str, word: &[u8]) -> Versions {
        let word = printable(word);
        let version = word.trim_end_matches('+');
        let own_order = word.ends_with("++");
        let spoken: &[_] = if version == "TLSv1.3" { &NEWEST } else { &ALL };
        let is_known = version == "TLSv1.3" || OLD.contains(&version);
        let remark = (!is_known).then(|| format!("{name}={word}: 1.2 and 1.3 are spoken"));
        Versions { spoken, own_order, remark }
    }
}

#[cfg(test)]
mod tests {
    use super::Versions;

    #[test]
    fn a_word_means_its_version_or_higher_but_none_before_1_2() {
        for (word, count, own_order) in [
            ("", 2, false),
            ("TLSv1", 2, false),
            ("TLSv1.1++", 2, true),
            ("TLSv1.2+", 2, false),
            ("TLSv1.2++", 2, true),
            ("TLSv1.3", 1, false),
            ("TLSv1.3++", 1, true),
        ] {
            let versions = Versions::of("TLS_PROTOCOL", word.as_bytes());
            assert_eq!((versions.spoken.len(), versions.own_order), (count, own_order), "{word}");
            assert_eq!(versions.remark, None, "{word}");
        }
        let unknown = Versions::of("TLS_PROTOCOL", b"SSL3");
        assert_eq!(
            (unknown.spoken.len(), unknown.remark.as_deref()),
            (2, Some("TLS_PROTOCOL=SSL3: 1.2 and 1.3 are spoken"))
        );
    }
}

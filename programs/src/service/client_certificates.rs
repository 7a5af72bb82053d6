//! Whether clients are asked for certificates, and what one is good for
//! (reference config.md 3). Monitor, fronts and auth read the same here: who may
//! sign is told to fronts by the monitor, and auth believes a front that vouches
//! for somebody only where this says so.

use std::path::PathBuf;

use crate::environment;

/// Whether clients are asked for certificates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Asked {
    /// They are not.
    Never,
    /// They are, and who shows none is served too. One that is shown must be
    /// good.
    Optionally,
    /// They are, and who shows none is not served.
    Always,
}

impl Asked {
    /// TLS_VERIFYPEER, whose first letter counts. Where it is not set, clients
    /// are asked if TLS_TRUSTCERTS says who may sign (ledger 144).
    ///
    /// # Errors
    /// A line for the log: it is another word, or nobody may sign.
    pub fn from_environment() -> Result<Asked, String> {
        Asked::of(&environment::octets("TLS_VERIFYPEER"), trusted_path().is_some())
    }

    fn of(word: &[u8], somebody_may_sign: bool) -> Result<Asked, String> {
        let asked = match word.first().map(u8::to_ascii_uppercase) {
            None if somebody_may_sign => Asked::Optionally,
            None | Some(b'N') => Asked::Never,
            Some(b'P' | b'O') => Asked::Optionally,
            Some(b'R') => Asked::Always,
            Some(_) => return Err("TLS_VERIFYPEER: it is NONE, PEER or REQUIREPEER".to_owned()),
        };
        if asked == Asked::Never || somebody_may_sign {
            Ok(asked)
        } else {
            Err("TLS_VERIFYPEER: TLS_TRUSTCERTS does not say who may sign clients' certificates".to_owned())
        }
    }
}

/// Where the certificates of those are who may sign, if clients are asked:
/// TLS_TRUSTCERTS, a file or a directory.
///
/// # Errors
/// As [`Asked::from_environment`].
pub(super) fn trusted() -> Result<Option<PathBuf>, String> {
    let asked = Asked::from_environment()?;
    Ok(trusted_path().filter(|_| asked != Asked::Never))
}

fn trusted_path() -> Option<PathBuf> {
    environment::non_empty("TLS_TRUSTCERTS").map(PathBuf::from)
}

/// The field of a certificate's subject that names its account, if a client may
/// log in by that (EXTERNAL): TLS_EXTERNAL, where clients are asked at all.
#[must_use]
pub fn naming_field() -> Option<String> {
    let is_asked = matches!(Asked::from_environment(), Ok(Asked::Optionally | Asked::Always));
    environment::non_empty("TLS_EXTERNAL")
        .filter(|_| is_asked)
        .map(|name| name.to_string_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::Asked::{self, Always, Never, Optionally};

    #[test]
    fn the_first_letter_counts() {
        for (word, asked) in [
            ("NONE", Never),
            ("none", Never),
            ("PEER", Optionally),
            ("OPTIONAL", Optionally),
            ("REQUIREPEER", Always),
            ("require", Always),
            ("", Optionally),
        ] {
            assert_eq!(Asked::of(word.as_bytes(), true), Ok(asked), "{word}");
        }
        assert!(Asked::of(b"yes", true).is_err());
    }

    #[test]
    fn nobody_is_asked_where_nobody_may_sign() {
        assert_eq!(Asked::of(b"", false), Ok(Never));
        assert_eq!(Asked::of(b"NONE", false), Ok(Never));
        assert!(Asked::of(b"PEER", false).is_err() && Asked::of(b"REQUIREPEER", false).is_err());
    }
}

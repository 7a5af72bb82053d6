//! Environment variables, as Courier's programs read them.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::sync::{PoisonError, RwLock};
use std::time::Duration;

use authlib::daemon::Timeouts;

/// What stands in for the environment in which this process was started.
static INSTEAD: RwLock<Option<BTreeMap<String, OsString>>> = RwLock::new(None);

/// From now on these variables are the environment, for this process alone. The
/// monitor's are its settings, wherever they come from.
pub(crate) fn instead(variables: BTreeMap<String, OsString>) {
    *INSTEAD.write().unwrap_or_else(PoisonError::into_inner) = Some(variables);
}

/// What `work` makes, for which these variables are the environment.
pub(crate) fn with<T>(variables: BTreeMap<String, OsString>, work: impl FnOnce() -> T) -> T {
    let swap =
        |other| std::mem::replace(&mut *INSTEAD.write().unwrap_or_else(PoisonError::into_inner), other);
    let earlier = swap(Some(variables));
    let made = work();
    swap(earlier);
    made
}

/// The variable, if it is set.
#[must_use]
pub fn variable(name: &str) -> Option<OsString> {
    match &*INSTEAD.read().unwrap_or_else(PoisonError::into_inner) {
        Some(variables) => variables.get(name).cloned(),
        None => std::env::var_os(name),
    }
}

/// The variable's octets; none if it is unset.
#[must_use]
pub fn octets(name: &str) -> Vec<u8> {
    variable(name).map(OsStringExt::into_vec).unwrap_or_default()
}

/// The variable, unless it is unset or empty.
#[must_use]
pub fn non_empty(name: &str) -> Option<OsString> {
    variable(name).filter(|value| !value.is_empty())
}

/// The variable as a number, by its leading digits; 0 if it has none. So
/// `POP3_TLS=yes` is off (reference wire.md 7).
#[must_use]
pub fn number(name: &str) -> i64 {
    leading_number(&octets(name))
}

/// The value of the leading decimal number, with its sign, bounded to what an
/// `i64` holds.
#[must_use]
pub fn leading_number(text: &[u8]) -> i64 {
    let text = text.trim_ascii_start();
    let (negative, digits) = match text {
        [b'-', digits @ ..] => (true, digits),
        [b'+', digits @ ..] => (false, digits),
        digits => (false, digits),
    };
    let value = digits
        .iter()
        .take_while(|octet| octet.is_ascii_digit())
        .fold(0i64, |value, digit| value.saturating_mul(10).saturating_add(i64::from(digit - b'0')));
    if negative { -value } else { value }
}

/// The time that the variable `name` says, a whole number of seconds, or the
/// `usual` one.
#[must_use]
pub fn seconds(name: &str, usual: Duration) -> Duration {
    match u64::try_from(number(name)) {
        Ok(seconds @ 1..) => Duration::from_secs(seconds),
        _ => usual,
    }
}

/// How long to wait for an authdaemond: TIMEOUT_SOCK, TIMEOUT_WRITE and
/// TIMEOUT_READ, in seconds, where they are set.
#[must_use]
pub fn daemon_timeouts() -> Timeouts {
    let usual = Timeouts::default();
    Timeouts {
        connect: seconds("TIMEOUT_SOCK", usual.connect),
        write: seconds("TIMEOUT_WRITE", usual.write),
        read: seconds("TIMEOUT_READ", usual.read),
    }
}

#[cfg(test)]
mod tests {
    use super::leading_number;

    #[test]
    fn a_number_is_what_the_text_begins_with() {
        for (text, value) in [
            ("1", 1),
            ("0", 0),
            ("yes", 0),
            ("", 0),
            ("-1", -1),
            (" 12x", 12),
            ("99999999999999999999", i64::MAX),
        ] {
            assert_eq!(leading_number(text.as_bytes()), value, "{text}");
        }
    }
}

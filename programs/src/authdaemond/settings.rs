//! What authdaemonrc says, as far as authdaemond itself is concerned.

use std::fs;
use std::num::NonZeroUsize;
use std::ops::RangeInclusive;
use std::os::unix::ffi::OsStringExt;
use std::path::Path;
use std::time::Duration;

use authlib::abuse::{self, Networks};
use authlib::authdaemonrc::Authdaemonrc;
use authlib::printable::reason;

use crate::log;
use crate::modules;
use crate::places;
use crate::service;

/// How authdaemond is to be.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    /// The modules, in the order in which they are asked.
    pub(super) modules: Vec<String>,
    /// How many workers run them.
    pub(super) workers: usize,
    /// The environment of the workers, beside our own.
    pub(super) environment: Vec<(String, Vec<u8>)>,
    /// What failed logins cost (`docs/abuse.md`).
    pub(super) guard: abuse::Settings,
    /// How many good answers are remembered, and for how long.
    pub(super) remembered: (usize, Duration),
    /// How long a worker may be at one question.
    pub(super) patience: Duration,
}

impl Settings {
    /// From authdaemonrc in the configuration directory.
    ///
    /// # Errors
    /// A line for the log: the file cannot be read or understood, or names
    /// no module, or one that there is not (ledger 410).
    pub(super) fn read() -> Result<Self, String> {
        let path = places::configuration().join("authdaemonrc");
        let text = fs::read(&path).map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
        Settings::understand(&parse(&text, &path)?, &path)
    }

    /// The same, or where there is no authdaemonrc: userdb alone, and a worker
    /// for each core. What the environment says stands above both.
    ///
    /// # Errors
    /// As [`read`](Settings::read).
    pub(crate) fn read_or_embedded() -> Result<Self, String> {
        let path = places::configuration().join("authdaemonrc");
        let cores = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let embedded = || format!("authmodulelist=authuserdb\ndaemons={cores}\n").into_bytes();
        let text = if path.exists() { fs::read(&path) } else { Ok(embedded()) };
        let text = text.map_err(|error| format!("{}: {}", path.display(), reason(&error)))?;
        let mut rc = parse(&text, &path)?;
        for (name, value) in std::env::vars_os() {
            if let Some(name) = name.to_str().filter(|name| service::stands_above_authdaemonrc(name)) {
                rc.set(name, value.into_vec());
            }
        }
        Settings::understand(&rc, &path)
    }

    /// The modules, in the order in which they are asked.
    pub(crate) fn modules(&self) -> &[String] {
        &self.modules
    }

    fn understand(rc: &Authdaemonrc, path: &Path) -> Result<Self, String> {
        let shown = path.display();
        let modules = rc.modules();
        if modules.is_empty() {
            return Err(format!("{shown}: authmodulelist names no module"));
        }
        if let Some(missing) = modules.iter().find_map(|name| modules::called(name).err()) {
            return Err(format!("{shown}: authmodulelist: {missing}"));
        }
        let workers = rc.daemons().unwrap_or_else(|| {
            log::error(&format_args!("{shown}: daemons is not a number from 1 to 1000, so there is 1"));
            1
        });
        let of_rc = |name: &str| format!("{shown}: {name}");
        Ok(Settings {
            modules,
            workers,
            environment: rc.settings().to_vec(),
            guard: guard(rc).map_err(|bad| of_rc(&bad))?,
            remembered: remembered(rc).map_err(|bad| of_rc(&bad))?,
            patience: patience(rc).map_err(|bad| of_rc(&bad))?,
        })
    }

    /// Says what is in force, in Courier's words.
    pub(crate) fn announce(&self) {
        if self.environment.iter().any(|(name, value)| name == "DEBUG_LOGIN" && value == b"2") {
            log::warning(&"DEBUG_LOGIN=2: passwords are not written to the log, so this is 1");
        }
        log::line(format_args!("INFO: modules=\"{}\", daemons={}", self.modules.join(" "), self.workers));
    }
}

fn parse(text: &[u8], path: &Path) -> Result<Authdaemonrc, String> {
    Authdaemonrc::parse(text).map_err(|bad| format!("Bad line in {}: {bad}", path.display()))
}

/// The longest wait that may be set, in seconds: who asks waits for an answer
/// for 30 (TIMEOUT_READ).
const LONGEST_WAIT: u64 = 20;
/// Most answers that may be remembered: some 250 octets each.
const MOST_ANSWERS: u64 = 1_000_000;
/// How long a question may take, in seconds.
const PATIENCE: u64 = 30;
/// A day, in seconds.
const DAY: u64 = 24 * 3600;

/// POSTRIDER_FAILURES, POSTRIDER_FORGIVEN_IN, POSTRIDER_LONGEST_WAIT,
/// POSTRIDER_EXEMPT.
fn guard(rc: &Authdaemonrc) -> Result<abuse::Settings, String> {
    let usual = abuse::Settings::default();
    let failures = number(rc, "POSTRIDER_FAILURES", usual.limit.into(), 0..=1_000_000)?;
    let forgiven_in = number(rc, "POSTRIDER_FORGIVEN_IN", usual.forgiven_in.as_secs(), 1..=DAY)?;
    let longest_wait = number(rc, "POSTRIDER_LONGEST_WAIT", usual.longest_wait.as_secs(), 0..=LONGEST_WAIT)?;
    let exempt = match rc.get("POSTRIDER_EXEMPT") {
        Some(list) => Networks::parse(list).map_err(|bad| format!("POSTRIDER_EXEMPT: {bad}"))?,
        None => usual.exempt,
    };
    Ok(abuse::Settings {
        limit: u32::try_from(failures).unwrap_or(u32::MAX),
        forgiven_in: Duration::from_secs(forgiven_in),
        longest_wait: Duration::from_secs(longest_wait),
        exempt,
    })
}

/// POSTRIDER_REMEMBERED_ANSWERS, POSTRIDER_REMEMBERED_FOR. Nothing is remembered unless
/// that is asked for.
fn remembered(rc: &Authdaemonrc) -> Result<(usize, Duration), String> {
    let most = number(rc, "POSTRIDER_REMEMBERED_ANSWERS", 0, 0..=MOST_ANSWERS)?;
    let seconds = number(rc, "POSTRIDER_REMEMBERED_FOR", 300, 1..=DAY)?;
    Ok((usize::try_from(most).unwrap_or(usize::MAX), Duration::from_secs(seconds)))
}

/// POSTRIDER_PATIENCE: nobody who asks waits longer than [`PATIENCE`].
fn patience(rc: &Authdaemonrc) -> Result<Duration, String> {
    number(rc, "POSTRIDER_PATIENCE", PATIENCE, 1..=PATIENCE).map(Duration::from_secs)
}

/// The number that setting `name` is, within `range`; `usual` if it is not
/// there or empty.
fn number(rc: &Authdaemonrc, name: &str, usual: u64, range: RangeInclusive<u64>) -> Result<u64, String> {
    let Some(text) = rc.get(name).filter(|text| !text.is_empty()) else { return Ok(usual) };
    let digits =
        std::str::from_utf8(text).ok().filter(|text| text.bytes().all(|octet| octet.is_ascii_digit()));
    digits
        .and_then(|digits| digits.parse().ok())
        .filter(|number| range.contains(number))
        .ok_or_else(|| format!("{name} is not a number from {} to {}", range.start(), range.end()))
}

#[cfg(test)]
mod tests {
    use super::{guard, patience, remembered};
    use authlib::abuse;
    use authlib::authdaemonrc::Authdaemonrc;
    use std::time::Duration;

    fn rc(text: &str) -> Authdaemonrc {
        Authdaemonrc::parse(text.as_bytes()).unwrap()
    }

    #[test]
    fn without_settings_there_is_a_limit_and_nothing_is_remembered() {
        assert_eq!(guard(&rc("POSTRIDER_FAILURES=\n")), Ok(abuse::Settings::default()));
        assert_eq!(remembered(&rc("")).unwrap().0, 0);
        assert_eq!(patience(&rc("")), Ok(Duration::from_secs(30)));
    }

    #[test]
    fn every_setting_counts() {
        let rc = rc("POSTRIDER_FAILURES=7\nPOSTRIDER_FORGIVEN_IN=5\nPOSTRIDER_LONGEST_WAIT=2\n\
            POSTRIDER_EXEMPT=\nPOSTRIDER_REMEMBERED_ANSWERS=9\nPOSTRIDER_REMEMBERED_FOR=3\n");
        let seconds = Duration::from_secs;
        let exempt = abuse::Networks::default();
        let strict = abuse::Settings { limit: 7, forgiven_in: seconds(5), longest_wait: seconds(2), exempt };
        assert_eq!(guard(&rc), Ok(strict));
        assert_eq!(remembered(&rc), Ok((9, seconds(3))));
    }

    #[test]
    fn what_is_no_such_number_is_said() {
        for (line, said) in [
            ("POSTRIDER_FAILURES=x", "POSTRIDER_FAILURES is not a number from 0 to 1000000"),
            ("POSTRIDER_FORGIVEN_IN=0", "POSTRIDER_FORGIVEN_IN is not a number from 1 to 86400"),
            ("POSTRIDER_LONGEST_WAIT=21", "POSTRIDER_LONGEST_WAIT is not a number from 0 to 20"),
            ("POSTRIDER_LONGEST_WAIT=+1", "POSTRIDER_LONGEST_WAIT is not a number from 0 to 20"),
            ("POSTRIDER_EXEMPT=here", "POSTRIDER_EXEMPT: here is no network"),
        ] {
            assert_eq!(guard(&rc(line)), Err(said.to_owned()));
        }
        assert!(remembered(&rc("POSTRIDER_REMEMBERED_ANSWERS=-1")).is_err());
        assert!(
            ["0", "31", "x"].iter().all(|it| patience(&rc(&format!("POSTRIDER_PATIENCE={it}"))).is_err())
        );
    }
}

//! The settings of the service.
//!
//! Every setting is a variable of the environment that some process of the
//! service reads: Courier's own where Courier has one, `POSTRIDER_…` where it
//! has none. [`table`] has all of them, what they are called in postrider.toml,
//! and what becomes of those that do nothing here; `docs/settings.md` and
//! `docs/postrider.toml` are made from it.
//!
//! ```text
//!   default < authdaemonrc < pop3d, pop3d-ssl | postrider.toml < environment < command line
//! ```
//!
//! [`read`] puts these together. Processes get what concerns them and nothing
//! else ([`Settings::environment`]).

mod config;
mod courier;
mod fragment;
pub(crate) mod page;
pub(crate) mod table;
mod value;

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::env;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use self::courier::Layer;
#[cfg(test)]
use self::table::all;
pub(crate) use self::table::{Kind, Reader, Setting, Status, called};
pub(crate) use self::value::{Source, Value};
use super::directory;
use super::options::{Files, Options};
use crate::environment::leading_number;

/// The directory of the service.
pub(crate) const DIRECTORY: &str = "POSTRIDER_SYSCONFDIR";

/// All settings, and where each comes from.
#[derive(Debug)]
pub(crate) struct Settings {
    /// What counts.
    values: BTreeMap<String, Value>,
    /// What authdaemonrc says; auth reads it itself.
    of_authdaemonrc: BTreeMap<String, Value>,
    /// Whether `values` come from Courier's files.
    is_couriers: bool,
    /// The directory of the service.
    directory: PathBuf,
}

/// Reads everything that `options` name, and the environment.
///
/// # Errors
/// A line for the log: something cannot be read or understood, or is refused.
pub(crate) fn read(options: &Options) -> Result<Settings, String> {
    let (files, is_couriers) = match &options.files {
        Files::None => (Layer::new(), false),
        Files::Courier(directory) => (courier::pop3d(directory)?, true),
        Files::Config(path) => (config::read(path)?, false),
    };
    let around = if is_couriers { Layer::new() } else { surroundings() };
    let mut values: BTreeMap<String, Value> = files.into_iter().chain(around).collect();
    for (option, name, text) in &options.given {
        let value = Value { text: text.clone(), source: Source::CommandLine(option) };
        values.insert((*name).to_owned(), value);
    }
    let named = values.get(DIRECTORY).map(|value| PathBuf::from(&value.text));
    let directory = named.or_else(directory::usual).ok_or(directory::NOWHERE)?;
    let of_authdaemonrc = courier::authdaemonrc(&directory)?.into_iter().collect();
    Ok(Settings { values, of_authdaemonrc, is_couriers, directory })
}

/// What our own environment has of the table.
fn surroundings() -> Layer {
    let is_ours =
        |name: &str| called(name).is_some_and(|setting| !matches!(setting.status, Status::Mapped(_)));
    let named = env::vars_os().filter_map(|(name, text)| Some((name.into_string().ok()?, text)));
    let ours = named.filter(|(name, _)| is_ours(name));
    ours.map(|(name, text)| (name, Value { text, source: Source::Environment })).collect()
}

impl Settings {
    /// The directory of the service, as it was named.
    pub(crate) fn directory(&self) -> &Path {
        &self.directory
    }

    /// Whether they come from Courier's own files.
    pub(crate) fn are_couriers(&self) -> bool {
        self.is_couriers
    }

    /// The value of `name`, else its default; `None` where that is empty.
    pub(crate) fn get(&self, name: &str) -> Option<&OsStr> {
        let set = self.values.get(name).map(|value| value.text.as_os_str()).filter(|text| !text.is_empty());
        set.or_else(|| called(name).map(|setting| OsStr::new(setting.default)))
            .filter(|text| !text.is_empty())
    }

    /// Whether somebody has set `name`, and to something.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        self.values.get(name).is_some_and(|value| !value.text.is_empty())
    }

    /// Where `name` was set; empty if nobody has.
    pub(crate) fn source(&self, name: &str) -> String {
        self.values.get(name).map(|value| value.source.to_string()).unwrap_or_default()
    }

    /// Whether `name` begins with `y` or `Y`.
    pub(crate) fn is_yes(&self, name: &str) -> bool {
        self.get(name).is_some_and(|text| matches!(text.as_encoded_bytes().first(), Some(b'y' | b'Y')))
    }

    /// What is to stand in the place of this process's environment.
    pub(crate) fn variables(&self) -> BTreeMap<String, OsString> {
        self.values.iter().map(|(name, value)| (name.clone(), value.text.clone())).collect()
    }

    /// The environment of a process: what it reads, and nothing else (ledger 802). `directory`
    /// is the absolute one of the service.
    pub(crate) fn environment(&self, reader: Reader, directory: &Path) -> Vec<(OsString, OsString)> {
        let concerns = |(name, value): &(&String, &Value)| {
            name.as_str() != DIRECTORY
                && called(name).is_some_and(|setting| {
                    setting.status == Status::Honoured
                        && setting.readers.contains(&reader)
                        && !(reader == Reader::Auth && self.is_for_others(setting, &value.source))
                })
        };
        let values = self.values.iter().filter(concerns);
        let mut environment: Vec<_> = values.map(|(name, value)| (name.into(), value.text.clone())).collect();
        if reader == Reader::Auth {
            environment.push((DIRECTORY.into(), directory.into()));
        }
        environment
    }

    /// Whether auth is not meant by a line of Courier's `pop3d`: authdaemond has
    /// files of its own. What the monitor reads too is meant for all.
    fn is_for_others(&self, setting: &Setting, source: &Source) -> bool {
        let is_logins =
            setting.readers.contains(&Reader::Front) && !setting.readers.contains(&Reader::Monitor);
        self.is_couriers
            && matches!(source, Source::File(..))
            && (is_logins || table::is_of_authdaemonrc(setting.name))
    }

    /// Everything that is set, in the order of its names: of authdaemonrc what
    /// nothing stands above.
    pub(crate) fn all(&self) -> impl Iterator<Item = (&str, &Value)> {
        let hidden = |name: &str| !self.is_couriers && self.values.contains_key(name);
        let of_auth = self.of_authdaemonrc.iter().filter(move |(name, _)| !hidden(name));
        self.values.iter().chain(of_auth).map(|(name, value)| (name.as_str(), value))
    }

    /// The environment in which modules run: auth's, below it what authdaemonrc
    /// says.
    pub(crate) fn environment_of_modules(&self, directory: &Path) -> Vec<(OsString, OsString)> {
        let of_file = self.of_authdaemonrc.iter().map(|(name, value)| (name.into(), value.text.clone()));
        of_file.chain(self.environment(Reader::Auth, directory)).collect()
    }

    /// What an administrator is to hear when the service starts: what is not
    /// honoured, a line each (ledger 803).
    pub(crate) fn warnings(&self) -> Vec<String> {
        let warning = |(name, value): (&String, &Value)| {
            let why = match called(name) {
                None => "it is not known",
                Some(setting) if says_nothing(setting, &value.text) => return None,
                Some(Setting { status: Status::Unsupported(why), .. }) => why,
                Some(_) => return None,
            };
            Some(format!("{}: {name} is not honoured: {why}", value.source))
        };
        self.values.iter().filter_map(warning).collect()
    }

    /// What keeps the service from starting.
    pub(crate) fn refusals(&self) -> Vec<String> {
        let refusal = |(name, value): (&String, &Value)| match called(name)? {
            setting if says_nothing(setting, &value.text) => None,
            Setting { status: Status::Refused(why), .. } => {
                Some(format!("{}: {name} is refused: {why}", value.source))
            }
            _ => None,
        };
        self.values.iter().filter_map(refusal).collect()
    }
}

/// Whether the variable `name`, in auth's environment, stands above what
/// authdaemonrc says.
pub(crate) fn stands_above_authdaemonrc(name: &str) -> bool {
    table::is_of_authdaemonrc(name) || called(name).is_some_and(|setting| setting.name == "DEBUG_LOGIN")
}

/// Whether a value asks for nothing but what is so anyway. An option is there or
/// it is not.
pub(crate) fn says_nothing(setting: &Setting, text: &OsStr) -> bool {
    let is_option = setting.name.starts_with('-');
    let is_off = setting.kind == Kind::Switch
        && (leading_number(text.as_encoded_bytes()) != 0) == (setting.default == "1");
    !is_option && (text.is_empty() || text == setting.default || is_off)
}

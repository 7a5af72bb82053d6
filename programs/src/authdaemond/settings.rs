//! What authdaemonrc says, as far as authdaemond itself is concerned.

use std::fs;

use authlib::authdaemonrc::Authdaemonrc;
use authlib::printable::reason;

use crate::log;
use crate::modules;
use crate::places;

/// How authdaemond is to be.
#[derive(Clone, Debug)]
pub(super) struct Settings {
    /// The modules, in the order in which they are asked.
    pub(super) modules: Vec<String>,
    /// How many workers run them.
    pub(super) workers: usize,
    /// The environment of the workers, beside our own.
    pub(super) environment: Vec<(String, Vec<u8>)>,
}

impl Settings {
    /// From authdaemonrc in the configuration directory.
    ///
    /// # Errors
    /// A line for the log: the file cannot be read or understood, or names
    /// no module, or one that there is not (ledger 410).
    pub(super) fn read() -> Result<Self, String> {
        let path = places::configuration().join("authdaemonrc");
        let shown = path.display();
        let text = fs::read(&path).map_err(|error| format!("{shown}: {}", reason(&error)))?;
        let rc = Authdaemonrc::parse(&text).map_err(|bad| format!("Bad line in {shown}: {bad}"))?;
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
        Ok(Settings { modules, workers, environment: rc.settings().to_vec() })
    }

    /// Says what is in force, in Courier's words.
    pub(super) fn announce(&self) {
        if self.environment.iter().any(|(name, value)| name == "DEBUG_LOGIN" && value == b"2") {
            log::warning(&"DEBUG_LOGIN=2: passwords are not written to the log, so this is 1");
        }
        log::line(format_args!("INFO: modules=\"{}\", daemons={}", self.modules.join(" "), self.workers));
    }
}

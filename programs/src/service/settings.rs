//! The settings of the service.
//!
//! Every setting is a variable of the environment that some process of the
//! service reads: Courier's own where Courier has one, `POSTRIDER_…` where it
//! has none. [`table`] has all of them, and what becomes of those that do nothing
//! here. `docs/settings.md` is made from it.

pub(crate) mod table;

#[cfg(test)]
mod coverage;
#[cfg(test)]
mod page;

/// A setting.
#[derive(Debug)]
pub(crate) struct Setting {
    /// The variable. One that ends in `*` stands for all that begin so, one that
    /// begins with `-` is an option in TCPDOPTS.
    pub(crate) name: &'static str,
    /// Which processes get it, and read it.
    pub(crate) readers: &'static [Reader],
    /// Its key in postrider.toml, `table.key`, if it has one there.
    pub(crate) key: Option<&'static str>,
    /// How it is written in postrider.toml.
    pub(crate) kind: Kind,
    /// What becomes of it.
    pub(crate) status: Status,
    /// What counts if it is not set; empty for nothing.
    pub(crate) default: &'static str,
    /// What it is, in one line of Markdown.
    pub(crate) about: &'static str,
}

/// A process of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Reader {
    /// `postrider serve` itself, before and while it is the monitor.
    Monitor,
    /// postrider-front.
    Front,
    /// postrider-auth, its workers and the modules that are programs.
    Auth,
    /// postrider-mailbox.
    Mailbox,
}

/// How a value is written in postrider.toml, and what of it is in the variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A string.
    Text,
    /// A whole number, not below 0.
    Number,
    /// `true` and `false`: 1 and 0.
    Switch,
    /// `true` and `false`: YES and NO.
    Yes,
    /// An array of strings, or one string: words with a space between them.
    List,
}

/// What becomes of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Status {
    /// It does what it says.
    Honoured,
    /// It has nothing to do here, and nothing is lost without it: why.
    Needless(&'static str),
    /// It is not honoured, and the log says so at the start: why.
    Unsupported(&'static str),
    /// The service does not start with it, since leaving it out would let
    /// somebody in or mislay mail: why.
    Refused(&'static str),
}

impl Setting {
    /// Whether this is the setting that the variable `name` holds.
    pub(crate) fn is_called(&self, name: &str) -> bool {
        match self.name.strip_suffix('*') {
            Some(beginning) => name.len() > beginning.len() && name.starts_with(beginning),
            None => name == self.name,
        }
    }
}

/// The setting that the variable `name` holds.
pub(crate) fn called(name: &str) -> Option<&'static Setting> {
    table::all().find(|setting| setting.is_called(name))
}

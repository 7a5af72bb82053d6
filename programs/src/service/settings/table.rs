//! Every setting, once. A new one is one more literal in the list that it
//! belongs to; then `UPDATE=1 cargo test -p programs --lib settings` writes it
//! into `docs/settings.md` and `docs/postrider.toml`.

mod authdaemonrc;
mod chain;
mod pop3d;
mod pop3d_ssl;
mod postrider;
mod proxy;
mod surroundings;
mod tcpdopts;

/// Settings that belong together.
pub(crate) struct Section {
    /// A heading.
    pub(crate) title: &'static str,
    /// What they have in common, as Markdown.
    pub(crate) about: &'static str,
    /// The settings.
    pub(crate) settings: &'static [Setting],
}

/// All of them.
pub(crate) const SECTIONS: [Section; 8] = [
    Section {
        title: "Of postrider alone",
        about: "Courier has no word for these.",
        settings: postrider::SETTINGS,
    },
    Section {
        title: "The POP3 proxy",
        about: "These count with `POP3_PROXY=1` ([proxy](proxy.md)).",
        settings: proxy::SETTINGS,
    },
    Section {
        title: "Courier's pop3d",
        about: "What the file `pop3d` has, and what its programs read beside that.",
        settings: pop3d::SETTINGS,
    },
    Section {
        title: "Courier's pop3d-ssl",
        about: "What the file `pop3d-ssl` has.",
        settings: pop3d_ssl::SETTINGS,
    },
    Section {
        title: "Options in TCPDOPTS",
        about: "Those of couriertcpd(1), one by one.",
        settings: tcpdopts::SETTINGS,
    },
    Section {
        title: "authdaemonrc",
        about: "These may also stand in the file `authdaemonrc`; where it is beside the accounts auth reads it too. \
            What modules read (`authsqliterc`, `authldaprc`, `authProg`…) is in [back-ends](back-ends.md).",
        settings: authdaemonrc::SETTINGS,
    },
    Section {
        title: "What back-ends find around them",
        about: "Taken from the environment in which `postrider serve` is started, except with `--courier`: \
            Courier's start scripts begin with an empty one.",
        settings: surroundings::SETTINGS,
    },
    Section {
        title: "Between the programs of the chain",
        about: "What these tell each other there, the processes of the service tell each other in messages.",
        settings: chain::SETTINGS,
    },
];

/// All settings.
pub(crate) fn all() -> impl Iterator<Item = &'static Setting> {
    SECTIONS.iter().flat_map(|section| section.settings)
}

/// Whether the setting stands in authdaemonrc.
pub(crate) fn is_of_authdaemonrc(name: &str) -> bool {
    authdaemonrc::SETTINGS.iter().any(|setting| setting.is_called(name))
}

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
    /// postrider-proxy.
    Proxy,
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
    /// In Courier's files it becomes something else; it counts only there.
    Mapped(&'static str),
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
    all().find(|setting| setting.is_called(name))
}

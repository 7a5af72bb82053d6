//! Every setting, once. A new one is one more literal in the list that it
//! belongs to; then `UPDATE=1 cargo test -p programs --lib settings` writes it
//! into `docs/settings.md`.

mod authdaemonrc;
mod chain;
mod pop3d;
mod pop3d_ssl;
mod postrider;
mod surroundings;
mod tcpdopts;

use super::Setting;

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
pub(crate) const SECTIONS: [Section; 7] = [
    Section {
        title: "Of postrider alone",
        about: "Courier has no word for these.",
        settings: postrider::SETTINGS,
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
        about: "Taken from the environment in which `postrider serve` is started.",
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

//! The settings that Courier has no word for.

use super::super::Kind::{Switch, Text, Yes};
use super::super::Reader::{Auth, Front, Monitor};
use super::super::Setting;
use super::super::Status::Honoured;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "POSTRIDER_SYSCONFDIR",
        readers: &[Monitor, Auth],
        key: Some("directory"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "the directory of accounts and of what modules read (`--directory`); else `$XDG_DATA_HOME/postrider`, \
            else `~/.local/share/postrider`",
    },
    Setting {
        name: "POP3_APOP",
        readers: &[Front],
        key: Some("login.apop"),
        kind: Yes,
        status: Honoured,
        default: "NO",
        about: "`YES`: a timestamp in the greeting, and APOP (ledger 170)",
    },
    Setting {
        name: "POP3_TOKEN_IN_CLEAR",
        readers: &[Front],
        key: Some("login.token_in_clear"),
        kind: Switch,
        status: Honoured,
        default: "0",
        about: "1: bearer tokens without TLS (ledger 780)",
    },
    Setting {
        name: "OAUTH2_SCOPE",
        readers: &[Front],
        key: Some("login.oauth2_scope"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "what a client hears whose token was refused",
    },
    Setting {
        name: "OAUTH2_OPENID_CONFIGURATION",
        readers: &[Front],
        key: Some("login.oauth2_openid_configuration"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "what it hears, too",
    },
    Setting {
        name: "POSTRIDER_CHECKPASSWORD",
        readers: &[Auth],
        key: Some("accounts.checkpassword"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "the program that `authcheckpassword` asks, with its words",
    },
    Setting {
        name: "POSTRIDER_LIBEXECDIR",
        readers: &[Auth],
        key: Some("accounts.programs"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "where back-ends are that are programs of their own; else beside `postrider`",
    },
];

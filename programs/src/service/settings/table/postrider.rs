//! The settings that Courier has no word for.

use super::super::Kind::{List, Number, Switch, Text, Yes};
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
    Setting {
        name: "POSTRIDER_PROXY_AT",
        readers: &[Monitor],
        key: Some("proxy_protocol.at"),
        kind: List,
        status: Honoured,
        default: "",
        about: "at which addresses of those that are listened at somebody stands in front who says where a client is (the PROXY protocol, versions 1 and 2); `*`: at all",
    },
    Setting {
        name: "POSTRIDER_PROXY_FROM",
        readers: &[Monitor, Front],
        key: Some("proxy_protocol.from"),
        kind: List,
        status: Honoured,
        default: "127.0.0.0/8 ::1",
        about: "the networks from which that is believed; who comes over a UNIX socket is believed always",
    },
    Setting {
        name: "POSTRIDER_PROXY_OTHERS",
        readers: &[Monitor, Front],
        key: Some("proxy_protocol.others"),
        kind: Text,
        status: Honoured,
        default: "refuse",
        about: "what becomes of who comes there from elsewhere: `refuse`, or `serve` as the client that he is",
    },
    Setting {
        name: "POSTRIDER_PROXY_TIMEOUT",
        readers: &[Front],
        key: Some("proxy_protocol.timeout"),
        kind: Number,
        status: Honoured,
        default: "15",
        about: "how long the header may take, in seconds",
    },
];

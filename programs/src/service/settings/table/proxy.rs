//! The POP3 proxy, beside what Courier has of it.

use super::super::Kind::Text;
use super::super::Reader::{Auth, Monitor, Proxy};
use super::super::Setting;
use super::super::Status::Honoured;

pub(super) const SETTINGS: &[Setting] = &[
    Setting {
        name: "POSTRIDER_PROXY_PORT",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.port"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "the port of back-ends; else that of `pop3`, or of `pop3s` with `POSTRIDER_PROXY_TLS=tls`",
    },
    Setting {
        name: "POSTRIDER_PROXY_TLS",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.tls"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "`stls`, `tls` (from the first octet on) or `none`; else STLS, but to this machine (ledger 871)",
    },
    Setting {
        name: "POSTRIDER_PROXY_TRUSTCERTS",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.trustcerts"),
        kind: Text,
        status: Honoured,
        default: "/etc/ssl/certs/ca-certificates.crt",
        about: "who signs the certificates of back-ends, in PEM; a certificate of a back-end itself may be there too",
    },
    Setting {
        name: "POSTRIDER_PROXY_CERTFILE",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.certificate"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "our certificate for back-ends, in PEM",
    },
    Setting {
        name: "POSTRIDER_PROXY_KEYFILE",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.key"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "its private key; else in the same file",
    },
    Setting {
        name: "POSTRIDER_PROXY_FORWARD",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.forward"),
        kind: Text,
        status: Honoured,
        default: "none",
        about: "`proxy2` (the PROXY protocol) or `xclient`: the back-end hears where the client is (ledger 873)",
    },
    Setting {
        name: "POSTRIDER_PROXY_LOGIN",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.login"),
        kind: Text,
        status: Honoured,
        default: "password",
        about: "`password`: the client's own; `master`: that in `POSTRIDER_PROXY_MASTER`; `external`: our certificate (ledger 874)",
    },
    Setting {
        name: "POSTRIDER_PROXY_MASTER",
        readers: &[Monitor, Auth, Proxy],
        key: Some("proxy.master"),
        kind: Text,
        status: Honoured,
        default: "",
        about: "a file of two lines, name and password of who may be everybody on back-ends; mode 0600",
    },
];

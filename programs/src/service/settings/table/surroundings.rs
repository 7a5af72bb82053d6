//! What the programs of others that auth starts find in their environment.

use super::super::Kind::Text;
use super::super::Reader::{Auth, Mailbox, Monitor};
use super::super::Status::Honoured;
use super::super::{Reader, Setting};

/// A variable that is passed on and means here what it means everywhere.
const fn passed_on(name: &'static str, readers: &'static [Reader], about: &'static str) -> Setting {
    Setting { name, readers, key: None, kind: Text, status: Honoured, default: "", about }
}

const SOCKETS: &str = "the sockets that systemd has opened (sd_listen_fds(3), [where it listens](serve.md#where-it-listens)); not passed on";

const MANAGER: &str = "what systemd wants to hear of the service (sd_notify(3), [under systemd](serve.md#under-systemd)); not passed on";

pub(super) const SETTINGS: &[Setting] = &[
    passed_on(
        "PATH",
        &[Auth, Mailbox],
        "where programs are looked for, by `authProg` and by an account's `loginexec`",
    ),
    passed_on("LISTEN_FDS", &[Monitor], SOCKETS),
    passed_on("LISTEN_PID", &[Monitor], SOCKETS),
    passed_on("LISTEN_FDNAMES", &[Monitor], SOCKETS),
    passed_on("LISTEN_PIDFDID", &[Monitor], SOCKETS),
    passed_on("NOTIFY_SOCKET", &[Monitor], MANAGER),
    passed_on("WATCHDOG_USEC", &[Monitor], MANAGER),
    passed_on("WATCHDOG_PID", &[Monitor], MANAGER),
    passed_on("HOME", &[Auth], "where `authpgsql` looks for its password file"),
    passed_on("TZ", &[Auth, Mailbox], "the time zone of such programs"),
    passed_on(
        "PG*",
        &[Auth],
        "what libpq reads, as `authpgsql` does ([back-ends](back-ends.md)); `PGPASSWORD` is never shown",
    ),
];

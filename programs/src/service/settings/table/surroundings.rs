//! What the programs of others that auth starts find in their environment.

use super::super::Kind::Text;
use super::super::Reader::{Auth, Mailbox};
use super::super::Status::Honoured;
use super::super::{Reader, Setting};

/// A variable that is passed on and means here what it means everywhere.
const fn passed_on(name: &'static str, readers: &'static [Reader], about: &'static str) -> Setting {
    Setting { name, readers, key: None, kind: Text, status: Honoured, default: "", about }
}

pub(super) const SETTINGS: &[Setting] = &[
    passed_on(
        "PATH",
        &[Auth, Mailbox],
        "where programs are looked for, by `authProg` and by an account's `loginexec`",
    ),
    passed_on("HOME", &[Auth], "where `authpgsql` looks for its password file"),
    passed_on("TZ", &[Auth, Mailbox], "the time zone of such programs"),
    passed_on(
        "PG*",
        &[Auth],
        "what libpq reads, as `authpgsql` does ([back-ends](back-ends.md)); `PGPASSWORD` is never shown",
    ),
];

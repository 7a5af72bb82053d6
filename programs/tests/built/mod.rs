//! Our programs, as cargo has built them for these tests.

use std::path::Path;

use testbed::Outcome;
use testbed::stand::Programs;

const PROGRAMS: [&str; 10] = [
    env!("CARGO_BIN_EXE_couriertcpd"),
    env!("CARGO_BIN_EXE_courierpop3login"),
    env!("CARGO_BIN_EXE_authdaemond"),
    env!("CARGO_BIN_EXE_authuserdb"),
    env!("CARGO_BIN_EXE_courierpop3d"),
    env!("CARGO_BIN_EXE_makeuserdb"),
    env!("CARGO_BIN_EXE_postrider"),
    env!("CARGO_BIN_EXE_postrider-auth"),
    env!("CARGO_BIN_EXE_postrider-front"),
    env!("CARGO_BIN_EXE_postrider-mailbox"),
];

/// Copies them to `directory`.
pub(crate) fn programs(directory: &Path) -> Outcome<Programs> {
    Programs::copy(&PROGRAMS, directory)
}

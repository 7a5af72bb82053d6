//! Our programs, as cargo has built them for these tests.

use std::path::{Path, PathBuf};

use testbed::Outcome;
use testbed::stand::Programs;

const PROGRAMS: [&str; 9] = [
    env!("CARGO_BIN_EXE_couriertcpd"),
    env!("CARGO_BIN_EXE_courierpop3login"),
    env!("CARGO_BIN_EXE_authdaemond"),
    env!("CARGO_BIN_EXE_authuserdb"),
    env!("CARGO_BIN_EXE_courierpop3d"),
    env!("CARGO_BIN_EXE_makeuserdb"),
    env!("CARGO_BIN_EXE_postrider"),
    env!("CARGO_BIN_EXE_postrider-auth"),
    env!("CARGO_BIN_EXE_postrider-mailbox"),
];

/// The programs of another package that ours start.
const FRONT: [&str; 3] = ["postrider-front", "postrider-cert", "postrider-proxy"];

/// Copies them to `directory`.
pub(crate) fn programs(directory: &Path) -> Outcome<Programs> {
    let front = FRONT.map(|name| Path::new(PROGRAMS[0]).with_file_name(name));
    if !front.iter().all(|program| program.exists()) {
        testbed::process::build(&["front"])?;
    }
    let built: Vec<&Path> =
        PROGRAMS.iter().map(Path::new).chain(front.iter().map(PathBuf::as_path)).collect();
    Programs::copy(&built, directory)
}

//! Where the project is, and how its programs are built.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::{env, fs};

use anyhow::{Context, Result, ensure};

/// The root of the project: the directory above this package.
pub(crate) fn root() -> Result<PathBuf> {
    let package = Path::new(env!("CARGO_MANIFEST_DIR"));
    Ok(package.parent().context("xtask lies in the project's directory")?.to_owned())
}

/// A call of the cargo that has called us.
pub(crate) fn cargo() -> Result<Command> {
    let mut command = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root()?);
    Ok(command)
}

/// The directories of the workspace's crates: every one in the root, or in
/// `backends`, that has a manifest and is not kept apart. A crate has the name
/// of its directory.
pub(crate) fn members() -> Result<Vec<PathBuf>> {
    let root = root()?;
    let mut members = Vec::new();
    for directory in [&root, &root.join("backends")] {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            if path.join("Cargo.toml").exists() && !path.ends_with("fuzz") {
                members.push(path);
            }
        }
    }
    members.sort();
    Ok(members)
}

/// The name of the crate in `directory`.
pub(crate) fn name(directory: &Path) -> &str {
    directory.file_name().and_then(|name| name.to_str()).unwrap_or_default()
}

/// Builds the programs as they are installed, and tells in which directory
/// they lie.
pub(crate) fn build_release() -> Result<PathBuf> {
    let status =
        cargo()?.args(["build", "--release", "--package", "programs", "--package", "front"]).status()?;
    ensure!(status.success(), "the programs could not be built");
    Ok(target_directory()?.join("release"))
}

/// Where cargo builds.
pub(crate) fn target_directory() -> Result<PathBuf> {
    let root = root()?;
    Ok(env::var_os("CARGO_TARGET_DIR").map_or_else(|| root.join("target"), |target| root.join(target)))
}

/// The target triple of this machine, as rustc names it.
pub(crate) fn host() -> Result<String> {
    let rustc = env::var_os("RUSTC").unwrap_or_else(|| "rustc".into());
    let output = Command::new(rustc).arg("-vV").output()?;
    let said = String::from_utf8(output.stdout)?;
    let host = said.lines().find_map(|line| line.strip_prefix("host: "));
    Ok(host.context("rustc does not name its host")?.to_owned())
}

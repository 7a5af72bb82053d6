//! Promises about the built programs.

use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::project;

/// The C library and what rustc puts beside it.
const ALLOWED: [&str; 4] = ["libc.so", "libgcc_s.so", "libm.so", "ld-linux"];

/// Shared libraries that `courierpop3d` would load and should not.
pub(super) fn shared_libraries() -> Result<Vec<String>> {
    let built = project::cargo()?.args(["build", "--quiet", "--package", "programs"]).status()?;
    ensure!(built.success(), "the programs could not be built");
    let program = project::target_directory()?.join("debug/courierpop3d");
    let output = Command::new("ldd").arg(&program).output().context("ldd")?;
    ensure!(output.status.success(), "ldd: {}", String::from_utf8_lossy(&output.stderr));
    let text = String::from_utf8(output.stdout)?;
    // `libc.so.6 => /lib/…`, `/lib64/ld-linux-x86-64.so.2 (0x…)`; the kernel's own is in every process.
    let libraries = text.lines().filter_map(|line| line.split_whitespace().next());
    let names = libraries.map(|path| path.rsplit('/').next().unwrap_or(path));
    let surplus =
        names.filter(|name| !name.starts_with("linux-vdso") && !ALLOWED.iter().any(|a| name.starts_with(a)));
    Ok(surplus.map(|name| format!("courierpop3d needs {name}")).collect())
}

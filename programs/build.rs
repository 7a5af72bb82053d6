//! Has the unwinder linked in. As a library of its own it would be loaded by
//! every program, and some of them are started for each connection: of the
//! milliseconds that this takes it was an eighth.

use std::path::Path;
use std::{env, fs, io};

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=build.rs");
    let is = |name: &str, value: &str| env::var(name).is_ok_and(|found| found == value);
    if !is("CARGO_CFG_TARGET_OS", "linux") || !is("CARGO_CFG_TARGET_ENV", "gnu") {
        return Ok(());
    }
    let directory = env::var("OUT_DIR").map_err(io::Error::other)?;
    // For ld(1) this is the library: it says where to find what is in it.
    fs::write(Path::new(&directory).join("libgcc_s.so"), "GROUP ( -lgcc_eh )\n")?;
    println!("cargo::rustc-link-search=native={directory}");
    Ok(())
}

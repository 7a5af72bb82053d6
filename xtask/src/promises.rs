//! `cargo xtask promises`: what ARCHITECTURE.md promises and no compiler
//! checks.

mod binaries;
mod crates;
mod modules;
mod pointers;
mod texts;

use anyhow::{Result, ensure};

/// Returns what it has found against a promise.
type Check = fn() -> Result<Vec<String>>;

/// Checks everything, says everything that is broken, and fails if anything is.
pub(crate) fn run() -> Result<()> {
    let checks: [(&str, Check); 9] = [
        ("each crate depends on what it may", crates::direct_dependencies),
        ("no TLS, SQL or async runtime in programs that open mail", crates::nothing_heavy),
        ("the lints of the workspace hold for every crate", crates::lints),
        ("courierpop3d is linked to the C library alone", binaries::shared_libraries),
        ("every ledger number that is named exists", texts::ledger_numbers),
        ("every link in the documents leads somewhere", texts::links),
        ("each line of the threat model points to a test or to code", pointers::threat_model),
        ("every module has its rows in the table, and a test that plays them", modules::played),
        ("no unfinished work in the sources", texts::unfinished),
    ];
    let mut broken = 0;
    for (promise, check) in checks {
        let found = check()?;
        println!("{} {promise}", if found.is_empty() { "kept  " } else { "BROKEN" });
        found.iter().for_each(|what| println!("       {what}"));
        broken += found.len();
    }
    ensure!(broken == 0, "{broken} broken promises");
    Ok(())
}

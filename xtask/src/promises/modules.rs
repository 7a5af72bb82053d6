//! The promise that each cell of `docs/authentication.md` is a test.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use anyhow::Result;

use crate::project;

/// Modules without rows, rows of no module, and rows that no test plays.
pub(super) fn played() -> Result<Vec<String>> {
    let root = project::root()?;
    let known = named(&fs::read_to_string(root.join("programs/src/modules.rs"))?);
    let listed = listed(&fs::read_to_string(root.join("docs/authentication.md"))?);
    let mut tests = Vec::new();
    for member in project::members()? {
        let mut text = String::new();
        read(&member.join("tests"), &mut text)?;
        tests.push(text);
    }
    let is_played = |module: &str| {
        let program = format!("CARGO_BIN_EXE_{module}");
        // What is played for each SQL server alike lies in the testbed.
        let plays = |text: &String| text.contains("Cells::of") || text.contains("testbed::sql");
        tests.iter().any(|text| plays(text) && text.contains(&program))
    };
    let mut found: Vec<String> =
        known.symmetric_difference(&listed).map(|module| format!("{module}: without the other")).collect();
    found
        .extend(listed.iter().filter(|module| !is_played(module)).map(|module| format!("{module}: no test")));
    Ok(found)
}

/// The modules that the registry names: every text in it that begins with
/// `auth`, but for the daemon, which is no place that knows accounts.
fn named(source: &str) -> BTreeSet<String> {
    let code = source.split("#[cfg(test)]").next().unwrap_or(source);
    let texts = code.split('"').skip(1).step_by(2);
    let names = texts.filter(|text| {
        text.starts_with("auth")
            && text.bytes().all(|octet| octet.is_ascii_lowercase() || octet.is_ascii_digit())
    });
    names.filter(|name| *name != "authdaemon").map(str::to_owned).collect()
}

/// The modules that have rows.
fn listed(page: &str) -> BTreeSet<String> {
    let cells = page.lines().filter_map(|line| line.strip_prefix("| `auth")?.split_once('`'));
    cells.map(|(name, _)| format!("auth{name}")).collect()
}

/// Appends every source below `directory`, if there is one.
fn read(directory: &Path, text: &mut String) -> Result<()> {
    let Ok(entries) = fs::read_dir(directory) else { return Ok(()) };
    for entry in entries {
        let path = entry?.path();
        if path.is_dir() {
            read(&path, text)?;
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            text.push_str(&fs::read_to_string(&path)?);
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::{listed, named};

    #[test]
    fn names_are_found_in_the_registry_and_in_the_table() {
        let source =
            "const P: [&str; 1] = [\"authpam\"]; \"authuserdb\" => 1, \"authdaemon\" => 2, \"authProg x\"
            #[cfg(test)] \"authnothing\"";
        assert_eq!(named(source).into_iter().collect::<Vec<_>>(), ["authpam", "authuserdb"]);
        let page = "| `authpam` | chain | yes |\n| `authpam` | service | yes |\n`authno` | authcat";
        assert_eq!(listed(page).into_iter().collect::<Vec<_>>(), ["authpam"]);
    }
}

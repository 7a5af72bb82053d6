//! Promises about what is written in the project's files.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Result, anyhow};

use crate::project;

/// Mentions of ledger entries that the ledger does not have.
pub(super) fn ledger_numbers() -> Result<Vec<String>> {
    let numbers = testbed::ledger::numbers().map_err(|fault| anyhow!("{fault}"))?;
    let mut found = Vec::new();
    for (path, text) in texts(&["rs", "md", "txt", "toml"])? {
        for (line, number) in mentions(&text) {
            if !numbers.contains(&number) {
                found.push(format!("{}:{line}: the ledger has no row {number}", path.display()));
            }
        }
    }
    Ok(found)
}

/// Line number and number of each `ledger N` in `text`. Examples in tests are
/// below 100 and count for nothing.
fn mentions(text: &str) -> Vec<(usize, u16)> {
    let mut mentions = Vec::new();
    for (index, line) in text.lines().enumerate() {
        for rest in line.split("ledger ").skip(1) {
            let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
            match rest[..digits].parse() {
                Ok(number) if number >= 100 => mentions.push((index + 1, number)),
                _ => {}
            }
        }
    }
    mentions
}

/// Links to files that are not there.
pub(super) fn links() -> Result<Vec<String>> {
    let root = project::root()?;
    let mut found = Vec::new();
    for (path, text) in texts(&["md"])? {
        let directory = root.join(&path);
        let directory = directory.parent().unwrap_or(&root);
        for target in text.split("](").skip(1).filter_map(|rest| rest.split([')', '#']).next()) {
            if !target.is_empty() && !target.contains("://") && !directory.join(target).exists() {
                found.push(format!("{}: {target} is not there", path.display()));
            }
        }
    }
    Ok(found)
}

/// Words that say that something is still to be done.
pub(super) fn unfinished() -> Result<Vec<String>> {
    // In two parts, so that this file does not hold them.
    let words = [concat!("TO", "DO"), concat!("FIX", "ME"), concat!("XX", "X"), concat!("#[ig", "nore")];
    let mut found = Vec::new();
    for (path, text) in texts(&["rs", "md", "toml"])? {
        for (index, line) in text.lines().enumerate() {
            if let Some(word) = words.iter().find(|word| line.contains(*word)) {
                found.push(format!("{}:{}: {word}", path.display(), index + 1));
            }
        }
    }
    Ok(found)
}

/// Every file of the project with one of these endings: its path relative to
/// the root, and its text.
fn texts(endings: &[&str]) -> Result<Vec<(PathBuf, String)>> {
    let root = project::root()?;
    let mut found = Vec::new();
    let mut directories = vec![root.clone()];
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(directory)? {
            let path = entry?.path();
            let ending = path.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
            if path.is_dir() && !is_foreign(&path) {
                directories.push(path);
            } else if path.is_file() && endings.contains(&ending) {
                let text = String::from_utf8_lossy(&fs::read(&path)?).into_owned();
                found.push((path.strip_prefix(&root)?.to_owned(), text));
            }
        }
    }
    found.sort();
    Ok(found)
}

/// Whether a directory holds what cargo, git or a fuzzer has made.
fn is_foreign(directory: &Path) -> bool {
    let name = directory.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    name.starts_with('.') || matches!(name, "target" | "corpus" | "artifacts")
}

#[cfg(test)]
mod tests {
    use super::mentions;

    #[test]
    fn every_mention_of_the_ledger_is_seen() {
        let text = "as Courier does (ledger 101)\nthe ledger of 2020\nledger 204, ledger 205\nledger 7";
        assert_eq!(mentions(text), [(1, 101), (3, 204), (3, 205)]);
    }
}

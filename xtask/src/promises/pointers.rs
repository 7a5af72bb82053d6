//! The threat model in SECURITY.md: each of its lines names what holds it, and
//! that is there.

use std::fs;

use anyhow::{Context, Result};

use crate::project;

/// Where the threat model begins; it ends with the next heading.
const HEADING: &str = "## The integrated service, if a process is captured";

/// Lines of the threat model that name nothing, and names that are not there.
pub(super) fn threat_model() -> Result<Vec<String>> {
    let text = fs::read_to_string(project::root()?.join("SECURITY.md"))?;
    let (_, behind) = text.split_once(HEADING).context("SECURITY.md has no threat model")?;
    let model = behind.split("\n## ").next().unwrap_or_default();
    let rows: Vec<&str> = model.lines().filter(|line| line.starts_with("| ")).skip(1).collect();
    let mut found = Vec::new();
    if rows.is_empty() {
        found.push("the threat model is empty".to_owned());
    }
    for row in rows {
        let pointers = pointers(row);
        if pointers.is_empty() {
            found.push(format!("nothing holds: {row}"));
        }
        for (path, name) in pointers {
            let source = fs::read_to_string(project::root()?.join(path)).unwrap_or_default();
            if !has(&source, name) {
                found.push(format!("{path} has no {name}"));
            }
        }
    }
    Ok(found)
}

/// File and name of each `file.rs::name` in code quotes.
fn pointers(row: &str) -> Vec<(&str, &str)> {
    let quoted = row.split('`').skip(1).step_by(2);
    quoted.filter_map(|code| code.split_once("::")).filter(|(path, _)| path.ends_with(".rs")).collect()
}

/// Whether `source` defines the function `name`, or names a test so.
fn has(source: &str, name: &str) -> bool {
    let is_function = source
        .split("fn ")
        .skip(1)
        .any(|rest| rest.strip_prefix(name).is_some_and(|rest| rest.starts_with(['(', '<'])));
    is_function || source.contains(&format!("\"{name}\""))
}

#[cfg(test)]
mod tests {
    use super::{has, pointers};

    #[test]
    fn a_name_is_found_where_it_is_defined_and_not_where_it_is_a_part_of_another() {
        assert_eq!(
            pointers("| a | `x` | `d/f.rs::name`, `g.rs::other` |"),
            [("d/f.rs", "name"), ("g.rs", "other")]
        );
        assert!(has("fn name() {", "name") && has("fn name<T>(", "name") && has("(\"name\", test)", "name"));
        assert!(!has("fn names() {", "name") && !has("// name", "name"));
    }
}

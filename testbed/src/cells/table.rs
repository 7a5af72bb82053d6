//! The table as it stands in the documentation.

use std::fmt;
use std::fs;

use super::{Mechanism, Place};
use crate::Outcome;

/// What the table says of one mechanism in one place.
#[derive(Debug)]
pub(super) struct Cell {
    pub(super) place: Place,
    pub(super) mechanism: Mechanism,
    /// `yes` or `no`.
    pub(super) serves: bool,
}

impl fmt::Display for Cell {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let serves = if self.serves { "yes" } else { "no" };
        write!(formatter, "{} × {}: {serves}", self.place.name(), self.mechanism.name())
    }
}

/// The cells of all rows of `module`.
///
/// # Errors
/// The table cannot be read, or has no row for one of the places.
pub(super) fn of_module(module: &str) -> Outcome<Vec<Cell>> {
    let page = crate::root().join("docs/authentication.md");
    cells(&fs::read_to_string(page)?, module)
}

fn cells(page: &str, module: &str) -> Outcome<Vec<Cell>> {
    let mut rows = page.lines().filter_map(columns).skip_while(|row| row[..2] != ["module", "place"]);
    let head = rows.next().ok_or("docs/authentication.md has no table of modules")?;
    let mechanisms: Vec<Mechanism> =
        head[2..].iter().map(|name| Mechanism::called(name)).collect::<Outcome<_>>()?;
    let name = format!("`{module}`");
    let rows: Vec<_> = rows.filter(|row| row[0] == name).collect();
    let mut cells = Vec::new();
    for place in Place::ALL {
        let row = rows.iter().find(|row| row[1] == place.name());
        let row = row.ok_or_else(|| format!("the table has no row for {module}, {}", place.name()))?;
        if row.len() != head.len() {
            return Err(
                format!("the table's row of {module}, {} is too short or too long", place.name()).into()
            );
        }
        for (&mechanism, text) in mechanisms.iter().zip(&row[2..]) {
            match *text {
                "yes" => cells.push(Cell { place, mechanism, serves: true }),
                "no" => cells.push(Cell { place, mechanism, serves: false }),
                // Cannot be tried: authtest knows passwords alone.
                "" => {}
                other => return Err(format!("the table says {other:?}").into()),
            }
        }
    }
    Ok(cells)
}

/// The columns of a row with two at least.
fn columns(line: &str) -> Option<Vec<&str>> {
    let inner = line.strip_prefix('|')?.strip_suffix('|')?;
    let columns: Vec<&str> = inner.split('|').map(str::trim).collect();
    (columns.len() > 1).then_some(columns)
}

#[cfg(test)]
mod tests {
    use super::cells;

    const PAGE: &str = "\
# Page

| setting | meaning |
|---|---|
| a | b |

| module | place | PASS | CRAM-MD5 |
|---|---|---|---|
| `autha` | chain | yes | no |
| `autha` | authdaemond | yes | yes |
| `autha` | service | yes | yes |
| `autha` | authtest | yes | |
| `authb` | chain | yes | no |
";

    #[test]
    fn a_module_has_the_cells_of_its_rows() {
        let found = cells(PAGE, "autha").unwrap();
        let shown: Vec<String> = found.iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "chain × PASS: yes",
                "chain × CRAM-MD5: no",
                "authdaemond × PASS: yes",
                "authdaemond × CRAM-MD5: yes",
                "service × PASS: yes",
                "service × CRAM-MD5: yes",
                "authtest × PASS: yes"
            ]
        );
    }

    #[test]
    fn a_module_without_its_rows_is_an_error() {
        assert!(cells(PAGE, "authb").is_err());
        assert!(cells("no table", "autha").is_err());
        assert!(cells(&PAGE.replace("yes | no", "maybe | no"), "autha").is_err());
        assert!(cells(&PAGE.replace("CRAM-MD5 |\n", "TELEPATHY |\n"), "autha").is_err());
    }
}

//! The numbers of `docs/courier-ledger.md`.

use std::collections::BTreeSet;
use std::fs;

use crate::{Outcome, root};

/// The number of every row of the ledger.
///
/// # Errors
/// The ledger cannot be read, or gives a number twice.
pub fn numbers() -> Outcome<BTreeSet<u16>> {
    numbers_in(&fs::read_to_string(root().join("docs/courier-ledger.md"))?)
}

fn numbers_in(text: &str) -> Outcome<BTreeSet<u16>> {
    let first_cell = |line: &str| line.strip_prefix("| ")?.split(" |").next()?.parse::<u16>().ok();
    let mut numbers = BTreeSet::new();
    for number in text.lines().filter_map(first_cell) {
        if !numbers.insert(number) {
            return Err(format!("the ledger gives the number {number} twice").into());
        }
    }
    Ok(numbers)
}

#[cfg(test)]
mod tests {
    use super::numbers_in;

    #[test]
    fn rows_have_numbers_and_headings_have_none() {
        let numbers =
            numbers_in("## 100 Lines\n| no. | x |\n|---|\n| 100–199 | about |\n| 101 | a |\n| 102 | b |\n");
        assert_eq!(numbers.unwrap().into_iter().collect::<Vec<_>>(), [101, 102]);
    }

    #[test]
    fn a_number_given_twice_is_an_error() {
        assert!(numbers_in("| 101 | a |\n| 101 | b |\n").is_err());
    }
}

//! authsqlite: accounts in an SQLite data base (reference: authlib 14), as a
//! link of a chain and as a program that authdaemond keeps alive.
//!
//! It runs as whoever calls it, which is root in a chain. What it knows of SQL
//! accounts is in [`authlib::sql`]; SQLite's library is in this program alone.

mod sqlite;
#[cfg(test)]
mod tests;

use std::process::ExitCode;

use authlib::sql::Sql;
use programs::{log, module_program, places};

use crate::sqlite::Sqlite;

fn main() -> ExitCode {
    const NAME: &str = "authsqlite";
    let settings = places::configuration().join("authsqliterc");
    module_program::run(NAME, Sql::<Sqlite>::new(NAME, settings, log::warning))
}

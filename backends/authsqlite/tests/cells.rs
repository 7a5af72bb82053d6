//! The table of docs/authentication.md, as far as authsqlite is concerned.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use testbed::cells::Cells;

#[test]
fn authsqlite() {
    let cells = Cells::of(Path::new(env!("CARGO_BIN_EXE_authsqlite"))).unwrap();
    let database = cells.directory().join("users.db");
    let (uid, gid) = cells.account().owner;
    let home = cells.account().home.to_str().unwrap();
    let writer = Connection::open(&database).unwrap();
    writer.execute_batch("CREATE TABLE passwd (id TEXT PRIMARY KEY, clear, uid, gid, home)").unwrap();
    let insert = "INSERT INTO passwd VALUES ('alice', 'secret', ?, ?, ?)";
    writer.execute(insert, (uid, gid, home)).unwrap();
    let settings = format!(
        "SQLITE_DATABASE {}\nSQLITE_USER_TABLE passwd\nSQLITE_CLEAR_PWFIELD clear\n##NAME: MARKER:0\n",
        database.display()
    );
    fs::write(cells.configuration().join("authsqliterc"), settings).unwrap();
    cells.play().unwrap();
}

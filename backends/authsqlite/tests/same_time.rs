//! Unknown user, wrong password and locked account take the same time, over
//! authdaemond's socket.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fs;
use std::path::Path;

use rusqlite::Connection;
use testbed::authdaemond::OurAuthdaemond;

/// A hash that takes some milliseconds: one that is not computed would show.
const ACCOUNTS: &str = "
CREATE TABLE passwd (id TEXT PRIMARY KEY, crypt, uid, gid, home);
INSERT INTO passwd VALUES
    ('alice', '$2b$07$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a', 5000, 5001, '/home/alice'),
    ('locked', '*', 5000, 5001, '/home/locked'),
    ('without', NULL, 5000, 5001, '/home/without');
";

#[test]
fn nobody_is_told_apart_by_the_time_of_a_rejection() {
    let directory = tempfile::tempdir().unwrap();
    let module = Path::new(env!("CARGO_BIN_EXE_authsqlite"));
    let authdaemond = testbed::cells::built_authdaemond(module).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    let database = directory.path().join("users.db");
    Connection::open(&database).unwrap().execute_batch(ACCOUNTS).unwrap();
    let settings = format!(
        "SQLITE_DATABASE {}\nSQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n",
        database.display()
    );
    fs::write(daemon.configuration().join("authsqliterc"), settings).unwrap();
    daemon.start("authmodulelist=authsqlite\ndaemons=1\nPOSTRIDER_FAILURES=0\n").unwrap();
    daemon.rejects_alike(&["alice", "nobody", "locked", "without"]).unwrap();
}

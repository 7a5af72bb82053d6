//! A good answer that authdaemond remembers saves the hash in a module program
//! too.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use authlib::password::Answers;
use authlib::protocol::request::auth_with_remembered;
use authlib::{Client, Record};
use rusqlite::Connection;
use testbed::pipe_program::PipeProgram;

/// More work than a server gives: who has to compare it cannot tell.
const COSTLY: &str = "$6$rounds=900000000$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";

/// A record of alice and `password`, with what is remembered if `secret` was
/// right for `stored`.
fn request(password: &str, stored: &str) -> Vec<u8> {
    let record = |password: &str| Record::login(b"pop3", b"alice", password.as_bytes()).unwrap();
    let mut answers = Answers::new(1, Duration::from_secs(60), [1; 64]);
    answers.remember(&record("secret"), stored.as_bytes(), Instant::now());
    let remembered = answers.recall(&record(password), Instant::now());
    auth_with_remembered(&record(password).with_remembered(remembered), &Client::default()).to_vec()
}

#[test]
fn what_is_remembered_of_the_stored_password_is_not_compared_again() {
    let directory = tempfile::tempdir().unwrap();
    let database = directory.path().join("users.db");
    let table = "CREATE TABLE passwd (id TEXT PRIMARY KEY, crypt, uid, gid, home)";
    let accounts =
        format!("{table}; INSERT INTO passwd VALUES ('alice', '{COSTLY}', 5000, 5001, '/home/alice')");
    Connection::open(&database).unwrap().execute_batch(&accounts).unwrap();
    let settings = format!(
        "SQLITE_DATABASE {}\nSQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n",
        database.display()
    );
    fs::write(directory.path().join("authsqliterc"), settings).unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_authsqlite"));
    let mut program = PipeProgram::start(program, directory.path(), &[]).unwrap();
    assert!(program.ask(&request("secret", COSTLY)).unwrap().contains("ADDRESS=alice\n"));
    assert_eq!(program.ask(&request("secret", "another")).unwrap(), "UNAVAILABLE\n");
    assert_eq!(program.ask(&request("wrong", COSTLY)).unwrap(), "UNAVAILABLE\n");
}

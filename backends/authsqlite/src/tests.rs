//! What becomes of settings and rows, with real data bases.

mod clauses;
mod passwords;
mod rows;
mod settings;

use std::fmt::Display;
use std::fs;
use std::path::PathBuf;

use authlib::cram::Proof;
use authlib::hmac_state::{Hash, States};
use authlib::sql::Sql;
use authlib::{Account, Changed, Client, Entry, Module, PasswordChange, Record, Unavailable, Verdict};
use rusqlite::Connection;
use tempfile::TempDir;

use crate::sqlite::Sqlite;

/// The table of the sample file.
const TABLE: &str = "CREATE TABLE passwd (id TEXT NOT NULL PRIMARY KEY, crypt TEXT, clear TEXT, name TEXT, \
    uid INT, gid INT, home TEXT, maildir TEXT, defaultdelivery TEXT, quota TEXT, options TEXT);";

/// The password `secret`.
const SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// Settings for both passwords of that table.
const BOTH: &str = "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\nSQLITE_CLEAR_PWFIELD clear\n";

/// A data base, its settings, and the module that is asked.
struct Place {
    directory: TempDir,
    database: Connection,
    module: Sql<Sqlite>,
}

/// The lines for an administrator are looked at where a program says them.
fn say(_: &dyn Display) {}

impl Place {
    /// With these settings, and a data base that `sql` makes.
    fn new(settings: &str, sql: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let database = Connection::open(directory.path().join("users.db")).unwrap();
        database.execute_batch(sql).unwrap();
        let module = Sql::new("authsqlite", directory.path().join("authsqliterc"), say);
        let place = Place { directory, database, module };
        place.configure(settings);
        place
    }

    /// With the table of the sample file, and an account for each name, whose
    /// password is `secret`.
    fn with_accounts(settings: &str, names: &[&str]) -> Self {
        let place = Place::new(settings, TABLE);
        for name in names {
            place.add(name, Some(SECRET), None);
        }
        place
    }

    fn add(&self, name: &str, crypt: Option<&str>, clear: Option<&str>) {
        let insert =
            "INSERT INTO passwd (id, crypt, clear, uid, gid, home) VALUES (?, ?, ?, 5000, 5001, '/h')";
        self.database.execute(insert, (name, crypt, clear)).unwrap();
    }

    /// A whole row of the table of the sample file; `id` is `alice`.
    fn set(&self, column: &str, value: &str) {
        self.execute(&format!("UPDATE passwd SET {column} = {value} WHERE id = 'alice'"));
    }

    fn execute(&self, sql: &str) {
        self.database.execute_batch(sql).unwrap();
    }

    fn configure(&self, settings: &str) {
        let database = self.directory.path().join("users.db");
        let text = format!("SQLITE_DATABASE {}\n{settings}\n##NAME: MARKER:0\n", database.display());
        self.configure_with(&text);
    }

    fn configure_with(&self, text: &str) {
        let beside = self.directory.path().join("new");
        fs::write(&beside, text).unwrap();
        fs::rename(beside, self.settings()).unwrap();
    }

    fn settings(&self) -> PathBuf {
        self.directory.path().join("authsqliterc")
    }

    fn login(&mut self, user: &str, password: &str) -> Verdict {
        let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
        self.module.authenticate(&record, &Client::default())
    }

    fn proof(&mut self, hash: Hash, user: &str, password: &str) -> Verdict {
        let digest: String = States::of(hash, password.as_bytes())
            .hmac(b"<1@x>")
            .iter()
            .map(|octet| format!("{octet:02x}"))
            .collect();
        let proof = Proof::new(hash, b"<1@x>", format!("{user} {digest}").as_bytes()).unwrap();
        self.module.authenticate(&Record::proof(b"pop3", &proof).unwrap(), &Client::default())
    }

    fn look_up(&mut self, service: &str, user: &str) -> Verdict {
        self.module.look_up(service.as_bytes(), user.as_bytes(), &Client::default())
    }

    fn change(&mut self, user: &str, old: &str, new: &str) -> Changed {
        let change = PasswordChange::new(b"pop3", user.as_bytes(), old.as_bytes(), new.as_bytes());
        self.module.change_password(&change.unwrap())
    }

    fn list(&mut self) -> Result<Vec<Entry>, Unavailable> {
        let mut entries = Vec::new();
        self.module.enumerate(&mut |entry| {
            entries.push(entry.clone());
            true
        })?;
        Ok(entries)
    }

    /// What the data base says.
    fn value(&self, query: &str) -> String {
        self.database.query_row(query, [], |row| row.get::<_, Option<String>>(0)).unwrap().unwrap_or_default()
    }
}

fn accepted(verdict: Verdict) -> Account {
    let Verdict::Accept(account) = verdict else { panic!("{verdict:?}") };
    account
}

fn is_accepted(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Accept(_))
}

fn is_rejected(verdict: &Verdict) -> bool {
    matches!(verdict, Verdict::Reject)
}

/// Why it could not be told.
fn reason(verdict: Verdict) -> String {
    let Verdict::Unavailable(reason) = verdict else { panic!("{verdict:?}") };
    reason.to_string()
}

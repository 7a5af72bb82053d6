//! The driver: one file, opened for reading, and for writing only while a
//! password is changed (ledger 708).
//!
//! Statements are prepared anew each time: that takes some microseconds,
//! beside the milliseconds of a password's hash.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use authlib::printable::printable;
use authlib::rcfile::Settings;
use authlib::sql::{Database, Dialect, PATIENCE, Row, Statement, one};
use authlib::{Secret, Unavailable};
use rusqlite::types::ValueRef;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior, ffi, params_from_iter};

/// How many of its steps SQLite does between two looks at the time.
const STEPS: i32 = 10_000;

/// An SQLite data base in a file that exists.
pub(crate) struct Sqlite {
    path: PathBuf,
    patience: Duration,
    open: Option<Open>,
}

/// A connection, the file it is to, and the time by which it has to give up.
struct Open {
    connection: Connection,
    file: Option<(u64, u64)>,
    deadline: Deadline,
}

/// When to give up; it can be put off.
#[derive(Clone)]
struct Deadline {
    patience: Duration,
    at: Arc<Mutex<Instant>>,
}

type Done<T> = Result<T, rusqlite::Error>;

impl Database for Sqlite {
    const PREFIX: &'static str = "SQLITE_";
    const DIALECT: Dialect = Dialect::Sqlite;

    fn from_settings(settings: &Settings) -> Result<Self, Unavailable> {
        let path = settings.required("SQLITE_DATABASE")?.into();
        Ok(Sqlite { path, patience: PATIENCE, open: None })
    }

    fn check(&mut self, statement: &Statement) -> Result<(), Unavailable> {
        self.read(|open| open.connection.prepare(statement.text()).map(drop))
    }

    fn rows(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        most: usize,
    ) -> Result<Vec<Row>, Unavailable> {
        self.read(|open| {
            let mut found = Vec::new();
            open.each(statement, parameters, &mut |row| {
                found.push(row);
                found.len() < most
            })?;
            Ok(found)
        })
    }

    fn change_one(&mut self, statement: &Statement, parameters: &[&str]) -> Result<(), Unavailable> {
        let failed = |error| self.unavailable(&error);
        let mut open =
            Open::file(&self.path, OpenFlags::SQLITE_OPEN_READ_WRITE, self.patience).map_err(failed)?;
        let transaction =
            open.connection.transaction_with_behavior(TransactionBehavior::Immediate).map_err(failed)?;
        let changed = transaction.execute(statement.text(), params_from_iter(parameters)).map_err(failed)?;
        one(changed as u64)?;
        transaction.commit().map_err(failed)
    }

    fn each(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable> {
        self.read(|open| {
            open.each(statement, parameters, &mut |row| {
                let goes_on = each(&row);
                open.deadline.put_off();
                goes_on
            })
        })
    }

    fn idle(&mut self) {
        self.open = None;
    }
}

impl Sqlite {
    /// Reads, through a connection that stays open.
    ///
    /// What a writer has left half done when it was killed is put right first,
    /// which takes a connection that may write.
    fn read<T>(&mut self, mut read: impl FnMut(&Open) -> Done<T>) -> Result<T, Unavailable> {
        let mut result = self.opened(OpenFlags::SQLITE_OPEN_READ_ONLY).and_then(&mut read);
        if result.as_ref().is_err_and(needs_recovery) {
            self.open = None;
            result = self.opened(OpenFlags::SQLITE_OPEN_READ_WRITE).and_then(&mut read);
            self.open = None;
        }
        if result.is_err() {
            self.open = None;
        }
        result.map_err(|error| self.unavailable(&error))
    }

    /// The connection, to the file that is there now.
    fn opened(&mut self, flags: OpenFlags) -> Done<&Open> {
        if self.open.as_ref().is_some_and(|open| open.file.is_none() || open.file != identity(&self.path)) {
            self.open = None;
        }
        let open = match self.open.take() {
            Some(open) => open,
            None => Open::file(&self.path, flags, self.patience)?,
        };
        open.deadline.put_off();
        Ok(self.open.insert(open))
    }

    fn unavailable(&self, error: &rusqlite::Error) -> Unavailable {
        let path = printable(self.path.as_os_str().as_encoded_bytes());
        let said = match error {
            _ if error.sqlite_error_code() == Some(ErrorCode::OperationInterrupted) => {
                format!("no answer in {:?}", self.patience)
            }
            rusqlite::Error::SqliteFailure(_, Some(said)) => printable(said.as_bytes()),
            rusqlite::Error::SqlInputError { msg, .. } => printable(msg.as_bytes()),
            other => printable(other.to_string().as_bytes()),
        };
        // Some errors name the file already, some do not.
        let said = said.strip_suffix(&format!(": {path}")).unwrap_or(&said);
        Unavailable::new(format!("{path}: {said}"))
    }
}

impl Open {
    fn file(path: &Path, flags: OpenFlags, patience: Duration) -> Done<Self> {
        // Of before the opening: a file put there meanwhile is another one.
        let file = identity(path);
        let mut connection = Connection::open_with_flags(path, flags | OpenFlags::SQLITE_OPEN_NO_MUTEX)?;
        // A change may have to wait for two locks.
        connection.busy_timeout(patience * 2 / 5)?;
        let deadline = Deadline { patience, at: Arc::new(Mutex::new(Instant::now() + patience)) };
        let watched = deadline.clone();
        connection.progress_handler(STEPS, Some(move || watched.is_over()))?;
        Ok(Open { connection, file, deadline })
    }

    /// Gives each row to `each`, until that says no.
    fn each(
        &self,
        statement: &Statement,
        parameters: &[&str],
        each: &mut dyn FnMut(Row) -> bool,
    ) -> Done<()> {
        let mut prepared = self.connection.prepare(statement.text())?;
        let columns = prepared.column_count();
        let mut rows = prepared.query(params_from_iter(parameters))?;
        while let Some(row) = rows.next()? {
            let values: Done<Vec<_>> = (0..columns).map(|index| row.get_ref(index).map(text)).collect();
            if !each(Row::new(values?)) {
                break;
            }
        }
        Ok(())
    }
}

impl Deadline {
    fn put_off(&self) {
        if let Ok(mut at) = self.at.lock() {
            *at = Instant::now() + self.patience;
        }
    }

    fn is_over(&self) -> bool {
        self.at.lock().is_ok_and(|at| Instant::now() >= *at)
    }
}

/// By what a file is known, if there is one.
fn identity(path: &Path) -> Option<(u64, u64)> {
    path.metadata().ok().map(|file| (file.dev(), file.ino()))
}

/// A journal must be rolled back, or a log be read, and a connection that only
/// reads cannot do it.
fn needs_recovery(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    matches!(
        code,
        Some(ffi::SQLITE_READONLY_ROLLBACK | ffi::SQLITE_READONLY_RECOVERY | ffi::SQLITE_READONLY_CANTINIT)
    )
}

fn text(value: ValueRef<'_>) -> Option<Secret> {
    match value {
        ValueRef::Null => None,
        ValueRef::Integer(number) => Some(Secret::new(number.to_string().into_bytes())),
        ValueRef::Real(number) => Some(Secret::new(number.to_string().into_bytes())),
        ValueRef::Text(octets) | ValueRef::Blob(octets) => Some(Secret::copy_of(octets)),
    }
}

#[cfg(test)]
mod tests {
    use super::{Database, Sqlite};
    use authlib::Unavailable;
    use authlib::rcfile::Settings;
    use authlib::sql::{Dialect, Statement};
    use rusqlite::Connection;
    use std::fs;
    use std::path::{Path, PathBuf};
    use std::time::Duration;

    /// Enough for nothing that has to wait.
    const SHORT: Duration = Duration::from_millis(50);

    /// A data base with the names `a` and `b`, and a writer's connection to it.
    fn database(set_up: &str) -> (tempfile::TempDir, PathBuf, Connection) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("users.db");
        let writer = Connection::open(&path).unwrap();
        let table = "CREATE TABLE t (n TEXT, x); INSERT INTO t VALUES ('a', 1), ('b', 2);";
        writer.execute_batch(&format!("{set_up}{table}")).unwrap();
        (directory, path, writer)
    }

    fn driver(path: &Path) -> Sqlite {
        let text = format!("SQLITE_DATABASE {}\n##NAME: MARKER:0\n", path.display());
        Sqlite::from_settings(&Settings::parse(text.as_bytes()).unwrap()).unwrap()
    }

    fn statement(text: &str) -> Statement {
        Statement::parse(text, Dialect::Sqlite, &[authlib::sql::Variable::User]).unwrap()
    }

    /// The first columns of the rows that a query gives.
    fn ask(driver: &mut Sqlite, text: &str, parameters: &[&str]) -> Result<Vec<String>, Unavailable> {
        let rows = driver.rows(&statement(text), parameters, 10)?;
        let first =
            |row: &authlib::sql::Row| String::from_utf8(row.get(0).unwrap_or(b"NULL").to_vec()).unwrap();
        Ok(rows.iter().map(first).collect())
    }

    const ALL: &str = "SELECT n FROM t ORDER BY n";

    #[test]
    fn every_type_of_a_column_is_text() {
        let (_directory, path, _writer) = database("");
        let values = "SELECT 5 UNION ALL SELECT 5.0 UNION ALL SELECT 5.5 UNION ALL SELECT NULL \
            UNION ALL SELECT 'e' UNION ALL SELECT x'66' UNION ALL SELECT -9223372036854775808";
        let expected = ["5", "5", "5.5", "NULL", "e", "f", "-9223372036854775808"];
        assert_eq!(ask(&mut driver(&path), values, &[]).unwrap(), expected);
    }

    #[test]
    fn a_number_and_a_text_are_both_found_by_a_name() {
        let (_directory, path, writer) = database("");
        writer.execute_batch("CREATE TABLE i (n INTEGER PRIMARY KEY); INSERT INTO i VALUES (7);").unwrap();
        let mut driver = driver(&path);
        let found =
            |driver: &mut Sqlite, name| ask(driver, "SELECT n FROM i WHERE n = $(user)", &[name]).unwrap();
        assert_eq!(found(&mut driver, "7"), ["7"]);
        for name in ["seven", "7x", "", "8"] {
            assert_eq!(found(&mut driver, name), [""; 0], "{name}");
        }
        assert_eq!(ask(&mut driver, "SELECT n FROM t WHERE n = '$(user)'", &["a"]).unwrap(), ["a"]);
    }

    #[test]
    fn no_more_rows_are_read_than_are_wanted() {
        let (_directory, path, _writer) = database("");
        let mut driver = driver(&path);
        let endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT i FROM c";
        assert_eq!(driver.rows(&statement(endless), &[], 2).unwrap().len(), 2);
        let mut seen = 0;
        let mut each = |_: &authlib::sql::Row| {
            seen += 1;
            seen < 3
        };
        driver.each(&statement(endless), &[], &mut each).unwrap();
        assert_eq!(seen, 3);
    }

    #[test]
    fn a_data_base_that_is_replaced_is_opened_anew() {
        let (directory, path, writer) = database("");
        let mut driver = driver(&path);
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
        drop(writer);
        fs::rename(&path, directory.path().join("old")).unwrap();
        assert!(ask(&mut driver, ALL, &[]).is_err());
        assert!(!path.exists(), "a data base is not made");
        let other = Connection::open(&path).unwrap();
        other.execute_batch("CREATE TABLE t (n); INSERT INTO t VALUES ('c');").unwrap();
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["c"]);
        driver.idle();
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["c"]);
    }

    #[test]
    fn what_another_program_writes_is_seen_at_once() {
        for mode in ["", "PRAGMA journal_mode = WAL;"] {
            let (_directory, path, writer) = database(mode);
            let mut driver = driver(&path);
            assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
            writer.execute_batch("UPDATE t SET n = 'c' WHERE n = 'b'").unwrap();
            assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "c"]);
            drop(writer);
            assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "c"]);
        }
    }

    #[test]
    fn a_locked_data_base_cannot_tell_until_it_is_free() {
        let (_directory, path, writer) = database("");
        let mut driver = driver(&path);
        driver.patience = SHORT;
        writer.execute_batch("BEGIN EXCLUSIVE").unwrap();
        let locked = ask(&mut driver, ALL, &[]).unwrap_err().to_string();
        assert!(locked.ends_with("users.db: database is locked"), "{locked}");
        assert!(driver.change_one(&statement("UPDATE t SET x = 3 WHERE n = 'a'"), &[]).is_err());
        writer.execute_batch("ROLLBACK").unwrap();
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn an_endless_query_ends() {
        let (_directory, path, _writer) = database("");
        let mut driver = driver(&path);
        driver.patience = SHORT;
        let endless = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c) SELECT sum(i) FROM c";
        let said = ask(&mut driver, endless, &[]).unwrap_err().to_string();
        assert!(said.ends_with("users.db: no answer in 50ms"), "{said}");
        assert!(driver.each(&statement(endless), &[], &mut |_| true).is_err());
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn what_a_killed_writer_left_is_put_right() {
        let (directory, path, writer) = database("PRAGMA cache_size = 1;");
        writer.execute_batch("BEGIN; UPDATE t SET n = n || 'x';").unwrap();
        let many = "WITH RECURSIVE c(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM c WHERE i < 5000) \
            INSERT INTO t SELECT 'filler' || i, randomblob(100) FROM c";
        writer.execute_batch(many).unwrap();
        // As the files are when the writer is killed now.
        let copy = directory.path().join("copy.db");
        fs::copy(&path, &copy).unwrap();
        fs::copy(directory.path().join("users.db-journal"), directory.path().join("copy.db-journal"))
            .unwrap();
        assert!(fs::read(&copy).unwrap().windows(6).any(|octets| octets == b"filler"));
        let mut driver = driver(&copy);
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
        assert_eq!(ask(&mut driver, ALL, &[]).unwrap(), ["a", "b"]);
    }

    #[test]
    fn one_row_is_changed_or_none() {
        let (_directory, path, writer) = database("");
        let mut driver = driver(&path);
        let mut change = |text: &str, name: &str| driver.change_one(&statement(text), &[name]);
        assert!(change("UPDATE t SET x = 7 WHERE n >= $(user)", "a").is_err());
        assert!(change("UPDATE t SET x = 7 WHERE n = $(user)", "nobody").is_err());
        assert!(change("UPDATE t SET x = 7 WHERE m = $(user)", "a").is_err());
        let sum = || writer.query_row("SELECT sum(x) FROM t", [], |row| row.get::<_, i64>(0)).unwrap();
        assert_eq!(sum(), 3);
        change("UPDATE t SET x = 7 WHERE n = $(user)", "a").unwrap();
        change("UPDATE t SET x = 7 WHERE n = $(user)", "a").unwrap();
        assert_eq!(sum(), 9);
    }

    #[test]
    fn what_is_no_data_base_cannot_tell() {
        let (directory, path, writer) = database("");
        drop(writer);
        let octets = fs::read(&path).unwrap();
        for (name, octets) in [
            ("text", b"SQLite format 3, it is said".repeat(100)),
            ("cut", octets[..octets.len() / 2].to_vec()),
            ("zeros", [&octets[..100], &vec![0; octets.len() - 100]].concat()),
            ("empty", Vec::new()),
        ] {
            let path = directory.path().join(name);
            fs::write(&path, octets).unwrap();
            let mut driver = driver(&path);
            assert!(ask(&mut driver, ALL, &[]).is_err() && driver.check(&statement(ALL)).is_err(), "{name}");
        }
        assert!(ask(&mut driver(directory.path()), ALL, &[]).is_err());
        assert!(ask(&mut driver(&directory.path().join("absent")), ALL, &[]).is_err());
    }

    #[test]
    fn what_is_wrong_is_said_without_the_statement() {
        let (_directory, path, _writer) = database("");
        let mut driver = driver(&path);
        let said = |driver: &mut Sqlite, text: &str| ask(driver, text, &["hunter2"]).unwrap_err().to_string();
        assert!(
            said(&mut driver, "SELECT n FROM u WHERE n = $(user)").ends_with("users.db: no such table: u")
        );
        let wrong = said(&mut driver, "SELECT n FROM t WHERE n = $(user) ORDER");
        assert!(wrong.contains("incomplete input") && !wrong.contains("SELECT"), "{wrong}");
        assert!(!said(&mut driver, "SELECT n FROM t").contains("hunter"));
    }
}

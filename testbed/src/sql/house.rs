//! A data base with a table of accounts, and a module's settings for it.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};

use tempfile::TempDir;

use super::Server;
use crate::Outcome;
use crate::pipe_program::PipeProgram;

/// `secret`, hashed so that comparing costs nothing.
pub(super) const HASH: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// The table that the sample files of Courier describe, with some more columns.
const TABLE: &str = "CREATE TABLE passwd (id varchar(200), crypt varchar(200), clear varchar(200), \
    uid int, gid int, home varchar(200), maildir varchar(200), quota varchar(200), name varchar(200), \
    options text, delivery varchar(200), enabled int)";

/// A data base of its own on a server, and a directory with settings for it.
#[derive(Debug)]
pub struct House<'a, S> {
    server: &'a S,
    /// The data base's name.
    pub database: String,
    directory: TempDir,
}

impl<'a, S: Server> House<'a, S> {
    /// With an empty table `passwd`, and settings that name nothing but its
    /// password columns.
    ///
    /// # Errors
    /// What the server says.
    pub fn new(server: &'a S) -> Outcome<House<'a, S>> {
        static COUNTER: AtomicU32 = AtomicU32::new(0);
        let database = format!("accounts{}", COUNTER.fetch_add(1, Ordering::Relaxed));
        server.create(&database)?;
        server.sql(&database, TABLE)?;
        let house = House { server, database, directory: tempfile::tempdir()? };
        house.configure("")?;
        Ok(house)
    }

    /// The same with the account `alice`, whose password is `secret`.
    ///
    /// # Errors
    /// As [`new`](House::new).
    pub fn of_alice(server: &'a S) -> Outcome<House<'a, S>> {
        let house = House::new(server)?;
        house.add("'alice'", &[])?;
        Ok(house)
    }

    /// Adds a row for `id`, an SQL expression, with `columns` in place of the
    /// usual ones.
    ///
    /// # Errors
    /// As [`new`](House::new).
    pub fn add(&self, id: &str, columns: &[(&str, &str)]) -> Outcome {
        let hash = format!("'{HASH}'");
        let usual = [("crypt", hash.as_str()), ("uid", "5000"), ("gid", "5001"), ("home", "'/home/a'")];
        let kept = usual.iter().filter(|(name, _)| !columns.iter().any(|(other, _)| other == name));
        let all: Vec<&(&str, &str)> = kept.chain(columns).collect();
        let names: String = all.iter().map(|(name, _)| format!(", {name}")).collect();
        let values: String = all.iter().map(|(_, value)| format!(", {value}")).collect();
        self.sql(&format!("INSERT INTO passwd (id{names}) VALUES ({id}{values})")).map(drop)
    }

    /// Runs `text` there.
    ///
    /// # Errors
    /// What the server says.
    pub fn sql(&self, text: &str) -> Outcome<String> {
        self.server.sql(&self.database, text)
    }

    /// Writes the settings: the server's, table and password columns, and
    /// `lines`, in which `PREFIX_` is what settings begin with.
    ///
    /// # Errors
    /// The file cannot be written.
    pub fn configure(&self, lines: &str) -> Outcome {
        let usual = "PREFIX_USER_TABLE passwd\nPREFIX_CRYPT_PWFIELD crypt\nPREFIX_CLEAR_PWFIELD clear\n";
        self.configure_only(&format!("{}{usual}{lines}", self.server.connection(&self.database, None)))
    }

    /// Writes nothing but `lines`.
    ///
    /// # Errors
    /// As [`configure`](House::configure).
    pub fn configure_only(&self, lines: &str) -> Outcome {
        let lines = lines.replace("PREFIX_", S::PREFIX);
        let new = self.directory.path().join("new");
        fs::write(&new, format!("{lines}\n##NAME: MARKER:0\n"))?;
        Ok(fs::rename(new, self.directory.path().join(S::RC))?)
    }

    /// The directory of the settings.
    #[must_use]
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The module, kept alive.
    ///
    /// # Errors
    /// It cannot be started.
    pub fn module(&self, program: &Path) -> Outcome<PipeProgram> {
        PipeProgram::start(program, self.directory(), &[])
    }
}

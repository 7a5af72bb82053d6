//! What any module with an SQL data base has to do, tried with the real server.

mod house;
mod joint;
mod scenarios;

pub use house::House;
pub use joint::Joint;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use libtest_mimic::{Arguments, Trial};

use crate::{Outcome, courier};

/// A server of data bases.
pub trait Server: Send + Sync + Sized + 'static {
    /// What its module's settings begin with, such as `PGSQL_`.
    const PREFIX: &'static str;
    /// The file of settings, such as `authpgsqlrc`.
    const RC: &'static str;
    /// Ends every session of the user that modules log in as.
    const END_SESSIONS: &'static str;

    /// What Courier's module says to a login of an account with uid 0, and to
    /// the question whose it is.
    const COURIER_ON_UID_0: [&str; 2];
    /// The same of an account without a home.
    const COURIER_ON_NO_HOME: [&str; 2];

    /// Why there can be none here, if so.
    fn missing() -> Option<String>;

    /// One more server, as soon as it answers, with the users of its module and
    /// no tables.
    ///
    /// # Errors
    /// It cannot be made or started.
    fn start() -> Outcome<Self>;

    /// Ends it at once, with all its connections.
    fn stop(&mut self);

    /// Starts it after [`stop`](Server::stop).
    ///
    /// # Errors
    /// It does not answer.
    fn start_again(&mut self) -> Outcome;

    /// Makes the data base `name`, in which the module's users may do everything.
    ///
    /// # Errors
    /// What the server says.
    fn create(&self, name: &str) -> Outcome;

    /// Runs `text` on `database` as the server's administrator; tells what it
    /// has printed, without headings.
    ///
    /// # Errors
    /// What the server says.
    fn sql(&self, database: &str, text: &str) -> Outcome<String>;

    /// The settings of a module for `database`: over TCP, at `port` if it is
    /// not to be the server's.
    fn connection(&self, database: &str, port: Option<u16>) -> String;
}

/// A test for one kind of server, and its name.
pub type Test<S> = (&'static str, fn(&S) -> Outcome);

/// Runs everything that the module whose program cargo has built at `program`
/// must do, and its `own` tests, as the command line asks. They share a
/// server, which ends with this.
///
/// # Errors
/// The server cannot be started, or its programs are not there although
/// nothing may be left out.
pub fn run<S: Server>(program: &'static str, own: &[Test<S>]) -> Outcome<ExitCode> {
    let arguments = Arguments::from_args();
    if let Some(reason) = S::missing() {
        courier::leave_out(&reason)?;
        return Ok(ExitCode::SUCCESS);
    }
    let server = Arc::new(S::start()?);
    let mut trials = Vec::new();
    for (name, run) in scenarios::all::<S>() {
        let server = Arc::clone(&server);
        trials.push(Trial::test(name, move || Ok(run(Path::new(program), &server)?)));
    }
    for &(name, run) in own {
        let server = Arc::clone(&server);
        trials.push(Trial::test(name, move || Ok(run(&server)?)));
    }
    Ok(libtest_mimic::run(&arguments, trials).exit_code())
}

#[cfg(test)]
mod tests {
    use super::Server;
    use crate::courier::leave_out;
    use crate::mariadb::Mariadb;
    use crate::postgres::Postgres;

    fn answers_ends_and_answers_again<S: Server>(row: &str) {
        if let Some(reason) = S::missing() {
            return leave_out(&reason).unwrap();
        }
        let mut server = S::start().unwrap();
        server.create("accounts").unwrap();
        server.sql("accounts", "CREATE TABLE t (a int, b text); INSERT INTO t VALUES (1, 'x')").unwrap();
        server.stop();
        assert!(server.sql("accounts", "SELECT 1").is_err());
        server.start_again().unwrap();
        assert_eq!(server.sql("accounts", "SELECT * FROM t").unwrap(), row);
    }

    #[test]
    fn postgresql_answers_ends_and_answers_again() {
        answers_ends_and_answers_again::<Postgres>("1|x");
    }

    #[test]
    fn mariadb_answers_ends_and_answers_again() {
        answers_ends_and_answers_again::<Mariadb>("1\tx");
    }
}

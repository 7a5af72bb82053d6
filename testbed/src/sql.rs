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

use crate::mariadb::{self, Mariadb};
use crate::postgres::{self, Postgres};
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

    /// One more server.
    ///
    /// # Errors
    /// It cannot be started.
    fn start() -> Outcome<Self>;

    /// Ends it.
    fn stop(&mut self);

    /// Starts it after that.
    ///
    /// # Errors
    /// It does not answer.
    fn start_again(&mut self) -> Outcome;

    /// Makes the data base `name`.
    ///
    /// # Errors
    /// What the server says.
    fn create(&self, name: &str) -> Outcome;

    /// Runs `text` on `database`; tells what it has printed.
    ///
    /// # Errors
    /// What the server says.
    fn sql(&self, database: &str, text: &str) -> Outcome<String>;

    /// The settings of a module for `database`: over TCP, at `port` if it is
    /// not to be the server's.
    fn connection(&self, database: &str, port: Option<u16>) -> String;
}

impl Server for Postgres {
    const PREFIX: &'static str = "PGSQL_";
    const RC: &'static str = "authpgsqlrc";
    const END_SESSIONS: &'static str = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = 'mail' AND datname = current_database()";
    const COURIER_ON_UID_0: [&str; 2] = ["UID=0\n", "UID=0\n"];
    const COURIER_ON_NO_HOME: [&str; 2] = ["HOME=\n", "FAIL\n"];

    fn missing() -> Option<String> {
        postgres::missing()
    }

    fn start() -> Outcome<Self> {
        Postgres::start()
    }

    fn stop(&mut self) {
        self.stop();
    }

    fn start_again(&mut self) -> Outcome {
        self.start_again()
    }

    fn create(&self, name: &str) -> Outcome {
        self.create(name)
    }

    fn sql(&self, database: &str, text: &str) -> Outcome<String> {
        self.sql(database, text)
    }

    fn connection(&self, database: &str, port: Option<u16>) -> String {
        let (address, password) = (self.address(), postgres::PASSWORD.replace('\'', "\\'"));
        format!(
            "PGSQL_CONNECTION hostaddr={} port={} \\\n  user={} password='{password}' dbname={database} sslmode=disable\n",
            address.ip(),
            port.unwrap_or(address.port()),
            postgres::USER
        )
    }
}

impl Server for Mariadb {
    const PREFIX: &'static str = "MYSQL_";
    const RC: &'static str = "authmysqlrc";
    const END_SESSIONS: &'static str = "KILL USER mail";
    const COURIER_ON_UID_0: [&str; 2] = ["FAIL\n", ""];
    const COURIER_ON_NO_HOME: [&str; 2] = ["FAIL\n", ""];

    fn missing() -> Option<String> {
        mariadb::missing()
    }

    fn start() -> Outcome<Self> {
        Mariadb::start()
    }

    fn stop(&mut self) {
        self.stop();
    }

    fn start_again(&mut self) -> Outcome {
        self.start_again()
    }

    fn create(&self, name: &str) -> Outcome {
        self.create(name)
    }

    fn sql(&self, database: &str, text: &str) -> Outcome<String> {
        self.sql(database, text)
    }

    fn connection(&self, database: &str, port: Option<u16>) -> String {
        let address = self.address();
        format!(
            "MYSQL_SERVER {}\nMYSQL_PORT {}\nMYSQL_OPT 0\nMYSQL_USERNAME {}\nMYSQL_PASSWORD {}\nMYSQL_DATABASE {database}\n",
            address.ip(),
            port.unwrap_or(address.port()),
            mariadb::USER,
            mariadb::PASSWORD
        )
    }
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

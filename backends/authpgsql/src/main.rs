//! authpgsql: accounts in a PostgreSQL data base, as a program with two faces
//! (reference: authlib 14; settings: `authpgsqlrc`). The driver is
//! tokio-postgres.

mod connect;
mod conninfo;
mod parameters;
mod passfile;
mod reason;
mod server;
mod session;
mod target;
mod tls;
mod values;

use std::process::ExitCode;

use authlib::sql::Sql;
use programs::{log, module_program, places};
use sqldriver::Driver;

fn main() -> ExitCode {
    let rc = places::configuration().join("authpgsqlrc");
    module_program::run("authpgsql", Sql::<Driver<server::Postgres>>::new("authpgsql", rc, log::error))
}

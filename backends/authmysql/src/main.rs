//! authmysql: accounts in a MySQL or MariaDB data base, as a program with two
//! faces (reference: authlib 14; settings: `authmysqlrc`). The driver is
//! mysql_async.

mod reason;
mod server;
mod session;

use std::process::ExitCode;

use authlib::sql::Sql;
use programs::{log, module_program, places};
use sqldriver::Driver;

fn main() -> ExitCode {
    let rc = places::configuration().join("authmysqlrc");
    module_program::run("authmysql", Sql::<Driver<server::Mysql>>::new("authmysql", rc, log::error))
}

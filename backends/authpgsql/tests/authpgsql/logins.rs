//! Many logins at once, through authdaemond's socket.

use std::path::Path;

use testbed::Outcome;
use testbed::authdaemond::OurAuthdaemond;
use testbed::cells::built_authdaemond;
use testbed::logins::{self, Logins};
use testbed::postgres::Postgres;
use testbed::sql::Server;

use crate::PROGRAM;

const LOGINS: usize = 10_000;
const AT_ONCE: usize = 100;

pub(crate) fn ten_thousand_a_hundred_at_once_lose_none(server: &Postgres) -> Outcome {
    server.create("logins")?;
    server.sql("logins", &logins::table())?;
    let directory = tempfile::tempdir()?;
    // authdaemond finds the module beside itself.
    let authdaemond = built_authdaemond(Path::new(PROGRAM))?;
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path())?;
    let settings = "PGSQL_USER_TABLE passwd\nPGSQL_CRYPT_PWFIELD crypt\n##NAME: MARKER:0\n";
    let settings = format!("{}{settings}", server.connection("logins", None));
    std::fs::write(daemon.configuration().join("authpgsqlrc"), settings)?;
    daemon.start("authmodulelist=authpgsql\ndaemons=5\n")?;
    let made = Logins::make(&daemon.socket(), LOGINS, AT_ONCE)?;
    assert_eq!((made.times.len(), made.lost.as_slice()), (LOGINS, [].as_slice()), "{}", daemon.log()?);
    // Nor was anybody let in by being one of many.
    let record = "pop3\nlogin\nuser1\nwrong\n";
    assert_eq!(daemon.ask(format!("AUTH {}\n{record}", record.len()).as_bytes())?, b"FAIL\n");
    // A session for each worker, and no more.
    let sessions = "SELECT COUNT(*) FROM pg_stat_activity WHERE datname = 'logins' AND usename = 'mail'";
    assert_eq!(server.sql("logins", sessions)?, "5");
    Ok(())
}

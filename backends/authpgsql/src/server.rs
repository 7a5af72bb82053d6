//! The server that `authpgsqlrc` names.

use std::env;

use authlib::Unavailable;
use authlib::rcfile::Settings;
use authlib::sql::Dialect;
use sqldriver::Server;

use crate::connect::connect;
use crate::parameters::Parameters;
use crate::session::Session;
use crate::target::Target;

/// A data base of a PostgreSQL server.
pub(crate) struct Postgres(Target);

impl Server for Postgres {
    const PREFIX: &'static str = "PGSQL_";
    const DIALECT: Dialect = Dialect::Postgres;
    type Session = Session;

    fn from_settings(settings: &Settings) -> Result<Self, Unavailable> {
        let environment = |name: &str| env::var(name).ok();
        let parameters = Parameters::new(settings.required("PGSQL_CONNECTION")?, &environment)?;
        let own_name = system::user::own_name().ok().flatten().unwrap_or_default();
        let home = env::var("HOME").ok().filter(|home| !home.is_empty());
        let of_passwd = || system::user::passwd(&own_name).ok().flatten()?.home.to_str().map(str::to_owned);
        let mut target = Target::new(&parameters, &own_name, &home.or_else(of_passwd).unwrap_or_default())?;
        if let Some(encoding) = settings.text("PGSQL_CHARACTER_SET")? {
            target.client_encoding = Some(encoding.to_owned());
        }
        settings.not_honoured("PGSQL_DATABASE", "dbname in PGSQL_CONNECTION names the data base");
        Ok(Postgres(target))
    }

    async fn connect(&self) -> Result<Session, Unavailable> {
        connect(&self.0).await
    }
}

#[cfg(test)]
mod tests {
    use super::Postgres;
    use authlib::rcfile::Settings;
    use authlib::sql::{Database, Dialect, Statement};
    use sqldriver::Driver;
    use testbed::courier::leave_out;
    use testbed::postgres;
    use testbed::sql::Server;

    #[test]
    fn a_session_is_closed_while_nobody_asks_and_opened_when_somebody_does() {
        if let Some(reason) = postgres::Postgres::missing() {
            leave_out(&reason).unwrap();
            return;
        }
        let server = postgres::Postgres::start().unwrap();
        let settings = format!("{}##NAME: MARKER:0\n", server.connection("postgres", None));
        let settings = Settings::parse(settings.as_bytes()).unwrap();
        let mut database = Driver::<Postgres>::from_settings(&settings).unwrap();
        let statement = Statement::parse("SELECT 1", Dialect::Postgres, &[]).unwrap();
        let sessions = || {
            let question = "SELECT COUNT(*) FROM pg_stat_activity WHERE usename = 'mail'";
            server.sql("postgres", question).unwrap()
        };
        assert_eq!(sessions(), "0");
        for _ in 0..2 {
            assert_eq!(database.rows(&statement, &[], 2).unwrap().len(), 1);
            assert_eq!(database.rows(&statement, &[], 2).unwrap().len(), 1);
            assert_eq!(sessions(), "1");
            database.idle();
            database.idle();
            // The server ends its process after the good-bye.
            for _ in 0..1000 {
                if sessions() == "0" {
                    break;
                }
            }
            assert_eq!(sessions(), "0");
        }
    }
}

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

//! A connection that is open, and the statements that its server has
//! understood.

use std::collections::HashMap;
use std::pin::pin;

use authlib::sql::{Row, one};
use authlib::{Secret, Unavailable};
use futures_util::TryStreamExt;
use sqldriver::{Failure, in_time};
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::private::BytesMut;
use tokio_postgres::types::{Format, FromSql, IsNull, Kind, ToSql, Type, to_sql_checked};
use tokio_postgres::{Client, Config, Error, RowStream, SimpleQueryMessage, Socket, Statement};

use crate::reason::{is_about_a_value, unavailable};

/// Most statements kept by one server; there are as many as settings make, and
/// they change only when those do.
const STATEMENTS: usize = 16;

/// An open connection.
pub(crate) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    statements: HashMap<String, Statement>,
}

impl Session {
    /// Opens a connection to the one server of `config`.
    ///
    /// # Errors
    /// What driver or server report.
    pub(crate) async fn open<T>(config: &Config, tls: T) -> Result<Session, Error>
    where
        T: MakeTlsConnect<Socket>,
        T::Stream: Send + 'static,
    {
        let (client, connection) = config.connect(tls).await?;
        // What it ends with, the client hears of.
        let connection = tokio::spawn(async { drop(connection.await) });
        Ok(Session { client, connection, statements: HashMap::new() })
    }

    /// Runs `text`, which has no parameters.
    ///
    /// # Errors
    /// What the server reports.
    pub(crate) async fn run(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, Unavailable> {
        self.client.simple_query(text).await.map_err(|error| unavailable(&error))
    }

    /// `text` as the server has understood it.
    async fn prepare(&mut self, text: &str) -> Result<Statement, Error> {
        if let Some(statement) = self.statements.get(text) {
            return Ok(statement.clone());
        }
        let mut statement = self.client.prepare(text).await?;
        if let Some(wrapped) = with_text_columns(text, &statement) {
            statement = self.client.prepare(&wrapped).await?;
        }
        if self.statements.len() >= STATEMENTS {
            self.statements.clear();
        }
        self.statements.insert(text.to_owned(), statement.clone());
        Ok(statement)
    }

    async fn first_rows(
        &self,
        statement: &Statement,
        parameters: &[&str],
        most: usize,
    ) -> Result<Vec<Row>, Error> {
        let mut stream = pin!(self.stream(statement, parameters).await?);
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(row) = stream.try_next().await?
        {
            rows.push(taken(&row)?);
        }
        Ok(rows)
    }

    /// A value that cannot even be bound is the asker's; one that is found
    /// later stands in the data base.
    async fn is_askers_fault(&mut self, statement: &Statement, parameters: &[&str]) -> bool {
        let Ok(transaction) = self.client.transaction().await else { return false };
        let portal = transaction.bind_raw(statement, parameters.iter().map(|text| Text(text))).await;
        let is_over = transaction.rollback().await.is_ok();
        is_over && portal.is_err_and(|error| is_about_a_value(&error))
    }

    /// Runs a statement that must find one row, or undoes it.
    async fn change(&mut self, text: &str, parameters: &[&str]) -> Result<Result<(), Unavailable>, Error> {
        let statement = self.prepare(text).await?;
        let transaction = self.client.transaction().await?;
        let changed = transaction.execute_raw(&statement, parameters.iter().map(|text| Text(text))).await?;
        let is_one = one(changed);
        match is_one {
            Ok(()) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        Ok(is_one)
    }

    async fn stream(&self, statement: &Statement, parameters: &[&str]) -> Result<RowStream, Error> {
        self.client.query_raw(statement, parameters.iter().map(|text| Text(text))).await
    }
}

impl sqldriver::Session for Session {
    async fn is_alive(&mut self) -> bool {
        self.run("").await.is_ok()
    }

    async fn check(&mut self, text: &str) -> Result<(), Unavailable> {
        self.prepare(text).await.map(|_| ()).map_err(|error| unavailable(&error))
    }

    async fn rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Failure> {
        let statement = self.prepare(text).await.map_err(|error| unavailable(&error))?;
        match self.first_rows(&statement, parameters, most).await {
            Err(error) if is_about_a_value(&error) && self.is_askers_fault(&statement, parameters).await => {
                Err(Failure::Parameter)
            }
            rows => Ok(rows.map_err(|error| unavailable(&error))?),
        }
    }

    async fn change_one(&mut self, text: &str, parameters: &[&str]) -> Result<(), Unavailable> {
        self.change(text, parameters).await.map_err(|error| unavailable(&error))?
    }

    async fn each(
        &mut self,
        text: &str,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable> {
        let failed = |error| unavailable(&error);
        let ready = async {
            let statement = self.prepare(text).await?;
            self.stream(&statement, parameters).await
        };
        let mut stream = pin!(in_time(ready).await?.map_err(failed)?);
        while let Some(row) = in_time(stream.try_next()).await?.map_err(failed)? {
            if !each(&taken(&row).map_err(failed)?) {
                break;
            }
        }
        Ok(())
    }

    async fn close(self) {
        drop(self.client);
        let _ended = self.connection.await;
    }
}

/// `text` with its columns cast to text where they are of another type, if any
/// is: the server writes a value as text better than we could read it.
fn with_text_columns(text: &str, statement: &Statement) -> Option<String> {
    let columns = statement.columns();
    if columns.iter().all(|column| is_sent_as_text(column.type_())) {
        return None;
    }
    let names: Vec<String> = (1..=columns.len()).map(|number| format!("c{number}")).collect();
    let chosen: Vec<String> = names
        .iter()
        .zip(columns)
        .map(|(name, column)| match is_sent_as_text(column.type_()) {
            // As it is: a cast would take the blanks off a CHAR.
            true => format!("q.{name}"),
            false => format!("CAST(q.{name} AS text)"),
        })
        .collect();
    // A line of its own, since the text may end in a comment.
    Some(format!("SELECT {} FROM (\n{text}\n) AS q ({})", chosen.join(", "), names.join(", ")))
}

/// Whether the binary form of this type is its text.
fn is_sent_as_text(kind: &Type) -> bool {
    match kind.kind() {
        Kind::Domain(inner) => is_sent_as_text(inner),
        Kind::Enum(_) => true,
        _ => {
            [Type::TEXT, Type::VARCHAR, Type::BPCHAR, Type::NAME, Type::UNKNOWN].contains(kind)
                || kind.name() == "citext"
        }
    }
}

fn taken(row: &tokio_postgres::Row) -> Result<Row, Error> {
    let column =
        |index| Ok(row.try_get::<_, Option<Octets<'_>>>(index)?.map(|value| Secret::copy_of(value.0)));
    Ok(Row::new((0..row.len()).map(column).collect::<Result<_, Error>>()?))
}

/// A value as it was sent.
struct Octets<'a>(&'a [u8]);

impl<'a> FromSql<'a> for Octets<'a> {
    fn from_sql(_: &Type, raw: &'a [u8]) -> Result<Self, Box<dyn std::error::Error + Sync + Send>> {
        Ok(Octets(raw))
    }

    fn accepts(kind: &Type) -> bool {
        is_sent_as_text(kind)
    }
}

/// A parameter that the server reads as text of whatever type it wants.
struct Text<'a>(&'a str);

/// Any parameter may be a password.
impl std::fmt::Debug for Text<'_> {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("…")
    }
}

impl ToSql for Text<'_> {
    fn to_sql(
        &self,
        _: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn std::error::Error + Sync + Send>> {
        out.extend_from_slice(self.0.as_bytes());
        Ok(IsNull::No)
    }

    fn accepts(_: &Type) -> bool {
        true
    }

    fn encode_format(&self, _: &Type) -> Format {
        Format::Text
    }

    to_sql_checked!();
}

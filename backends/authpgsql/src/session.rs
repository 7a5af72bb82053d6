//! A connection that is open, and what its server has understood.

use std::collections::HashMap;
use std::pin::pin;

use authlib::Unavailable;
use authlib::sql::{Row, one};
use futures_util::TryStreamExt;
use sqldriver::{Failure, in_time};
use tokio::task::JoinHandle;
use tokio_postgres::tls::MakeTlsConnect;
use tokio_postgres::types::{ToSql, Type};
use tokio_postgres::{Client, Config, Error, RowStream, SimpleQueryMessage, Socket};

use crate::reason::{is_about_a_value, unavailable};
use crate::values::{Text, taken, with_readable_columns};

/// Most statements known; there are as many as settings make, and they change
/// only when those do.
const STATEMENTS: usize = 16;

/// An open connection.
pub(crate) struct Session {
    client: Client,
    connection: JoinHandle<()>,
    /// Statements as settings make them, and as the server gets them.
    understood: HashMap<String, String>,
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
        Ok(Session { client, connection, understood: HashMap::new() })
    }

    /// Runs `text`, which has no parameters.
    ///
    /// # Errors
    /// What the server reports.
    pub(crate) async fn run(&self, text: &str) -> Result<Vec<SimpleQueryMessage>, Unavailable> {
        self.client.simple_query(text).await.map_err(|error| unavailable(&error))
    }

    /// `text` as the server gets it once it has understood it: with columns
    /// that can be read.
    ///
    /// Nothing stays prepared under a name behind the transaction: a pooler
    /// between us and the server may give us another session for the next one.
    async fn understood(&mut self, text: &str) -> Result<String, Error> {
        if let Some(known) = self.understood.get(text) {
            return Ok(known.clone());
        }
        let transaction = self.client.transaction().await?;
        let statement = transaction.prepare(text).await?;
        let cast = with_readable_columns(text, statement.columns());
        drop(statement);
        let known = cast.unwrap_or_else(|| text.to_owned());
        if known != text {
            drop(transaction.prepare(&known).await?);
        }
        transaction.rollback().await?;
        if self.understood.len() >= STATEMENTS {
            self.understood.clear();
        }
        self.understood.insert(text.to_owned(), known.clone());
        Ok(known)
    }

    async fn first_rows(&self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Error> {
        let mut stream = pin!(self.stream(text, parameters).await?);
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
    async fn is_askers_fault(&mut self, text: &str, parameters: &[&str]) -> bool {
        let bound = async {
            let transaction = self.client.transaction().await?;
            let statement = transaction.prepare(text).await?;
            let portal = transaction.bind_raw(&statement, parameters.iter().map(|text| Text(text))).await;
            drop(statement);
            transaction.rollback().await?;
            Ok::<_, Error>(portal)
        };
        bound.await.is_ok_and(|portal| portal.is_err_and(|error| is_about_a_value(&error)))
    }

    /// Runs a statement that must find one row, or undoes it.
    async fn change(&mut self, text: &str, parameters: &[&str]) -> Result<Result<(), Unavailable>, Error> {
        let values: Vec<Text<'_>> = parameters.iter().map(|text| Text(text)).collect();
        let values: Vec<(&(dyn ToSql + Sync), Type)> =
            values.iter().map(|value| (value as &(dyn ToSql + Sync), Type::UNKNOWN)).collect();
        let transaction = self.client.transaction().await?;
        let is_one = one(transaction.execute_typed(text, &values).await?);
        match is_one {
            Ok(()) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        Ok(is_one)
    }

    /// Parameters of no known type are of the type that is wanted.
    async fn stream(&self, text: &str, parameters: &[&str]) -> Result<RowStream, Error> {
        self.client.query_typed_raw(text, parameters.iter().map(|text| (Text(text), Type::UNKNOWN))).await
    }
}

impl sqldriver::Session for Session {
    async fn is_alive(&mut self) -> bool {
        self.run("").await.is_ok()
    }

    async fn check(&mut self, text: &str) -> Result<(), Unavailable> {
        self.understood(text).await.map(drop).map_err(|error| unavailable(&error))
    }

    async fn rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Failure> {
        let text = &self.understood(text).await.map_err(|error| unavailable(&error))?;
        match self.first_rows(text, parameters, most).await {
            Err(error) if is_about_a_value(&error) && self.is_askers_fault(text, parameters).await => {
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
            let text = self.understood(text).await?;
            self.stream(&text, parameters).await
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

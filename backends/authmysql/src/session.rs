//! A connection that is open. The driver keeps the statements that the server
//! has understood.

use authlib::sql::{Row, one};
use authlib::{Secret, Unavailable};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Error, Params, TxOpts, Value};
use sqldriver::{Failure, in_time};

use crate::reason::{is_about_a_character, unavailable};

/// An open connection.
pub(crate) struct Session {
    connection: Conn,
}

impl Session {
    pub(crate) fn new(connection: Conn) -> Self {
        Session { connection }
    }

    async fn first_rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Error> {
        let mut result = self.connection.exec_iter(text, bound(parameters)).await?;
        let mut rows = Vec::new();
        while rows.len() < most
            && let Some(row) = result.next().await?
        {
            rows.push(taken(row));
        }
        Ok(rows)
    }

    /// Whether the statement is right with other parameters than these.
    async fn takes_others(&mut self, text: &str, parameters: &[&str]) -> bool {
        let others = vec!["x"; parameters.len()];
        self.first_rows(text, &others, 1).await.is_ok()
    }

    /// Runs a statement that must find one row, or undoes it.
    async fn change(&mut self, text: &str, parameters: &[&str]) -> Result<Result<(), Unavailable>, Error> {
        let mut transaction = self.connection.start_transaction(TxOpts::default()).await?;
        transaction.exec_drop(text, bound(parameters)).await?;
        let is_one = one(transaction.affected_rows());
        match is_one {
            Ok(()) => transaction.commit().await?,
            Err(_) => transaction.rollback().await?,
        }
        Ok(is_one)
    }
}

impl sqldriver::Session for Session {
    async fn is_alive(&mut self) -> bool {
        self.connection.ping().await.is_ok()
    }

    async fn check(&mut self, text: &str) -> Result<(), Unavailable> {
        self.connection.prep(text).await.map(|_| ()).map_err(|error| unavailable(&error))
    }

    async fn rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Failure> {
        match self.first_rows(text, parameters, most).await {
            Err(error) if is_about_a_character(&error) && self.takes_others(text, parameters).await => {
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
        let mut result =
            in_time(self.connection.exec_iter(text, bound(parameters))).await?.map_err(failed)?;
        while let Some(row) = in_time(result.next()).await?.map_err(failed)? {
            if !each(&taken(row)) {
                break;
            }
        }
        Ok(())
    }

    async fn close(self) {
        let _closed_anyway = self.connection.disconnect().await;
    }
}

fn bound(parameters: &[&str]) -> Params {
    Params::Positional(parameters.iter().map(|text| Value::Bytes(text.as_bytes().to_vec())).collect())
}

fn taken(row: mysql_async::Row) -> Row {
    Row::new(row.unwrap().into_iter().map(text).collect())
}

/// A value as the server writes it where it is asked for text.
fn text(value: Value) -> Option<Secret> {
    Some(match value {
        Value::NULL => return None,
        Value::Bytes(octets) => Secret::new(octets),
        Value::Int(number) => Secret::new(number.to_string().into_bytes()),
        Value::UInt(number) => Secret::new(number.to_string().into_bytes()),
        Value::Float(number) => Secret::new(number.to_string().into_bytes()),
        Value::Double(number) => Secret::new(number.to_string().into_bytes()),
        date @ (Value::Date(..) | Value::Time(..)) => {
            Secret::new(date.as_sql(true).trim_matches('\'').as_bytes().to_vec())
        }
    })
}

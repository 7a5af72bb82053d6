//! Accounts in an SQL data base: authsqlite, authpgsql, authmysql (reference:
//! authlib 14).
//!
//! What these modules share is here: statements whose variables are bound and
//! never pasted ([`Statement`]). What one data base has of its own is a
//! [`Database`], in a program of `backends/`.

mod database;
mod dialect;
mod statement;

pub use database::{Database, PATIENCE, Row, one};
pub use dialect::Dialect;
pub use statement::{Flaw, Statement, Variable};

//! Accounts in an SQL data base: authsqlite, authpgsql, authmysql (reference:
//! authlib 14).
//!
//! What these modules share is here: the statements that their settings ask
//! for, whose variables are bound and never pasted ([`Statement`]), and what
//! becomes of a row ([`Sql`], the module). What one data base has of its own is
//! a [`Database`], in a program of `backends/`.
//!
//! ```text
//! authsqliterc ── Settings ─┬─ Queries ── Statement, Values ─┐
//!                           └─ D: Database ──────────────────┴─ Row ── Account
//! ```

mod accounts;
mod database;
mod dialect;
mod module;
mod queries;
mod statement;
mod stored;
mod values;

pub use database::{Database, PATIENCE, Row, one};
pub use dialect::Dialect;
pub use module::Sql;
pub use statement::{Flaw, Statement, Variable};

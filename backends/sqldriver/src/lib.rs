//! What authpgsql and authmysql share: a [`Driver`] keeps one session with a
//! server, on a runtime of this one thread that runs while a question is asked
//! and rests otherwise.
//!
//! A session is opened when it is needed and opened anew when it turns out to
//! be dead; nothing is waited for longer than [`PATIENCE`].

use std::time::Duration;

use authlib::Unavailable;
use authlib::printable::reason;
use authlib::rcfile::Settings;
use authlib::sql::{Database, Dialect, PATIENCE, Row, Statement};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

/// How long a session may take to say good-bye.
const FAREWELL: Duration = Duration::from_secs(1);

/// A kind of server, and which one.
#[expect(async_fn_in_trait, reason = "there is one thread")]
pub trait Server: Send + Sized {
    /// See [`Database::PREFIX`].
    const PREFIX: &'static str;
    /// See [`Database::DIALECT`].
    const DIALECT: Dialect;
    /// A connection that is open.
    type Session: Session;

    /// See [`Database::from_settings`].
    ///
    /// # Errors
    /// If a setting is missing or wrong.
    fn from_settings(settings: &Settings) -> Result<Self, Unavailable>;

    /// Opens a session.
    ///
    /// # Errors
    /// If the server does not let us in.
    async fn connect(&self) -> Result<Self::Session, Unavailable>;
}

/// A connection that is open. It may prepare a statement when it first sees its
/// text, and keep it.
#[expect(async_fn_in_trait, reason = "there is one thread")]
pub trait Session: Send {
    /// Whether the server is still there.
    async fn is_alive(&mut self) -> bool;

    /// Has the server understand a statement.
    ///
    /// # Errors
    /// It does not.
    async fn check(&mut self, text: &str) -> Result<(), Unavailable>;

    /// See [`Database::rows`].
    ///
    /// # Errors
    /// See [`Failure`].
    async fn rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Failure>;

    /// See [`Database::change_one`].
    ///
    /// # Errors
    /// If nothing was changed, or nobody can say.
    async fn change_one(&mut self, text: &str, parameters: &[&str]) -> Result<(), Unavailable>;

    /// See [`Database::each`]. Each row comes [`in_time`].
    ///
    /// # Errors
    /// If they cannot be had, or not to the last one.
    async fn each(
        &mut self,
        text: &str,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable>;

    /// Says good-bye.
    async fn close(self);
}

/// Why a session has no rows to give.
#[derive(Debug)]
pub enum Failure {
    /// A parameter is nothing that could stand in the data base.
    Parameter,
    /// Anything else. The session is of no further use.
    Broken(Unavailable),
}

impl<E: Into<Unavailable>> From<E> for Failure {
    fn from(reason: E) -> Self {
        Failure::Broken(reason.into())
    }
}

/// What comes of `work`, if that is soon.
///
/// # Errors
/// It takes longer than [`PATIENCE`].
pub async fn in_time<T>(work: impl Future<Output = T>) -> Result<T, Unavailable> {
    timeout(PATIENCE, work).await.map_err(|_| Unavailable::new("the server does not answer in time"))
}

/// A [`Database`] on a server.
pub struct Driver<S: Server> {
    /// Made when the first asks.
    runtime: Option<Runtime>,
    link: Link<S>,
}

impl<S: Server> Driver<S> {
    /// Does `work`. A session in which something else than expected has
    /// happened, or nothing, is not used again.
    fn ask<T>(
        &mut self,
        work: impl AsyncFnOnce(&mut Link<S>) -> Result<T, Unavailable>,
    ) -> Result<T, Unavailable> {
        let runtime = match &mut self.runtime {
            Some(runtime) => runtime,
            none => none.insert(runtime()?),
        };
        let link = &mut self.link;
        runtime.block_on(async {
            let done = work(link).await;
            if done.is_err() {
                link.session = None;
            }
            done
        })
    }
}

fn runtime() -> Result<Runtime, Unavailable> {
    let runtime = Builder::new_current_thread().enable_io().enable_time().build();
    runtime.map_err(|error| Unavailable::new(reason(&error)))
}

impl<S: Server> Database for Driver<S> {
    const PREFIX: &'static str = S::PREFIX;
    const DIALECT: Dialect = S::DIALECT;

    fn from_settings(settings: &Settings) -> Result<Self, Unavailable> {
        Ok(Driver { runtime: None, link: Link { server: S::from_settings(settings)?, session: None } })
    }

    fn check(&mut self, statement: &Statement) -> Result<(), Unavailable> {
        self.ask(async |link| in_time(link.check(statement.text())).await?)
    }

    fn rows(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        most: usize,
    ) -> Result<Vec<Row>, Unavailable> {
        self.ask(async |link| in_time(link.rows(statement.text(), parameters, most)).await?)
    }

    fn change_one(&mut self, statement: &Statement, parameters: &[&str]) -> Result<(), Unavailable> {
        self.ask(async |link| in_time(link.change_one(statement.text(), parameters)).await?)
    }

    fn each(
        &mut self,
        statement: &Statement,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable> {
        self.ask(async |link| link.each(statement.text(), parameters, each).await)
    }

    fn idle(&mut self) {
        if let Some(session) = self.link.session.take() {
            let _closed_anyway = self.ask(async |_| {
                let _too_slow = timeout(FAREWELL, session.close()).await;
                Ok(())
            });
        }
    }
}

impl<S: Server> Drop for Driver<S> {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            // Not to wait for a thread that still looks a name up.
            runtime.shutdown_background();
        }
    }
}

/// A server, and the session there.
struct Link<S: Server> {
    server: S,
    session: Option<S::Session>,
}

impl<S: Server> Link<S> {
    /// The session, and whether it is an old one, which may be dead by now.
    async fn session(&mut self) -> Result<(&mut S::Session, bool), Unavailable> {
        let is_old = self.session.is_some();
        let session = match self.session.take() {
            Some(session) => session,
            None => in_time(self.server.connect()).await??,
        };
        Ok((self.session.insert(session), is_old))
    }

    async fn check(&mut self, text: &str) -> Result<(), Unavailable> {
        self.live_session().await?.check(text).await
    }

    /// Asks once more if it was an old session that has failed.
    async fn rows(&mut self, text: &str, parameters: &[&str], most: usize) -> Result<Vec<Row>, Unavailable> {
        loop {
            let (session, is_old) = self.session().await?;
            match session.rows(text, parameters, most).await {
                Ok(rows) => return Ok(rows),
                Err(Failure::Parameter) => return Ok(Vec::new()),
                Err(Failure::Broken(reason)) if !is_old => return Err(reason),
                Err(Failure::Broken(_)) => self.session = None,
            }
        }
    }

    async fn change_one(&mut self, text: &str, parameters: &[&str]) -> Result<(), Unavailable> {
        self.live_session().await?.change_one(text, parameters).await
    }

    async fn each(
        &mut self,
        text: &str,
        parameters: &[&str],
        each: &mut dyn FnMut(&Row) -> bool,
    ) -> Result<(), Unavailable> {
        let mut wants_more = true;
        let mut each_row = |row: &Row| {
            wants_more = each(row);
            wants_more
        };
        let session = in_time(self.live_session()).await??;
        let listed = session.each(text, parameters, &mut each_row).await;
        if !wants_more {
            // The rest would have to be read before the next answer.
            self.session = None;
        }
        listed
    }

    /// A session that has just answered, for what cannot be begun twice.
    async fn live_session(&mut self) -> Result<&mut S::Session, Unavailable> {
        let (session, is_old) = self.session().await?;
        if is_old && !session.is_alive().await {
            self.session = None;
        }
        Ok(self.session().await?.0)
    }
}

//! Who is let through to the workers, and when.
//!
//! This process alone hears of every login, so it is here that failed ones are
//! counted ([`authlib::abuse`]) and good answers remembered
//! ([`authlib::password::answers`]), for all workers and all programs that ask.
//!
//! ```text
//!   admit ──> Now ────────────────────────> a worker's turn ──> answered
//!        ├──> Later: waits in `clients`, ──────^    │ judged again: others have
//!        │    no worker and no thread is held       │ failed meanwhile
//!        └──> Never <───────────────────────────────┘
//! ```

use std::collections::HashMap;
use std::io;
use std::time::{Duration, Instant};

use authlib::abuse::{Attempt, Guard, Judgement};
use authlib::password::Answers;
use authlib::protocol::answer::{self, FAIL};
use authlib::protocol::request;
use authlib::record::Claim;
use authlib::{Client, Record};
use zeroize::Zeroizing;

use super::clients;
use super::settings::Settings;
use crate::log;

/// What a worker is to be asked.
pub(crate) struct Turn {
    /// As the worker will read it.
    pub(crate) request: Zeroizing<Vec<u8>>,
    /// What is to be known of a login when its turn comes, and its answer.
    pub(crate) login: Option<Login>,
}

/// Somebody who wants to log in.
pub(crate) struct Login {
    client: Client,
    attempt: Option<Attempt>,
    /// Kept only where good answers are remembered.
    record: Option<Record>,
    /// Whether who asks understands a refusal.
    knows_refusals: bool,
}

/// When a login has its turn.
pub(crate) enum Admission {
    Now(Turn),
    Later(Turn, Duration),
    /// Never; what is to be said, if anything.
    Never(Option<Vec<u8>>),
}

/// Counts, and remembers.
pub(crate) struct Gate {
    guard: Guard,
    answers: Answers,
    /// Logins that workers are at.
    asked: HashMap<clients::Id, Login>,
}

impl Gate {
    /// # Errors
    /// There is no randomness.
    pub(crate) fn new(settings: &Settings, now: Instant) -> io::Result<Self> {
        let guard = Guard::new(settings.guard.clone(), system::random::octets()?, now);
        Ok(Gate { guard, answers: answers(settings)?, asked: HashMap::new() })
    }

    /// Puts `settings` in force. What has failed stays counted; good answers
    /// are forgotten.
    ///
    /// # Errors
    /// There is no randomness.
    pub(super) fn configure(&mut self, settings: &Settings) -> io::Result<()> {
        self.answers = answers(settings)?;
        self.guard.configure(settings.guard.clone());
        Ok(())
    }

    /// Lets a login in, or not.
    pub(crate) fn admit(
        &mut self,
        record: Record,
        client: Client,
        knows_refusals: bool,
        now: Instant,
    ) -> Admission {
        let attempt = self.attempt(&record, &client);
        let remembered = self.answers.recall(&record, now);
        let record = record.with_remembered(remembered);
        let request = request::auth_with_remembered(&record, &client);
        let record = Some(record).filter(|_| !self.answers.is_off());
        let login = Login { client, attempt, record, knows_refusals };
        match login.attempt.map_or(Judgement::Go, |attempt| self.guard.judge(&attempt, now)) {
            Judgement::Go => Admission::Now(Turn { request, login: Some(login) }),
            Judgement::Wait(wait) => Admission::Later(Turn { request, login: Some(login) }, wait),
            Judgement::Refuse(time) => Admission::Never(login.refusal(time)),
        }
    }

    fn attempt(&self, record: &Record, client: &Client) -> Option<Attempt> {
        let claim = record.claim()?;
        let shown = match &claim {
            Claim::Login(login) => Some(login.password),
            Claim::Token(token) => Some(token.token().expose()),
            Claim::Proof(_) | Claim::Scram(_) | Claim::Apop(_) => None,
        };
        self.guard.attempt(client.ip()?.parse().ok(), claim.user(), shown)
    }

    /// Whether a login whose turn it is has to be refused after all; what is
    /// to be said then, if anything.
    pub(crate) fn refuses(&self, login: &Login, now: Instant) -> Option<Option<Vec<u8>>> {
        match self.guard.judge(login.attempt.as_ref()?, now) {
            Judgement::Refuse(time) => Some(login.refusal(time)),
            Judgement::Go | Judgement::Wait(_) => None,
        }
    }

    /// A worker is at the login of client `id`, and will answer or be given up.
    pub(crate) fn is_asked(&mut self, id: clients::Id, login: Login) {
        self.asked.insert(id, login);
    }

    /// A worker has answered client `id`; with nothing if it cannot tell.
    pub(crate) fn answered(&mut self, id: clients::Id, octets: &[u8], now: Instant) {
        let Some(login) = self.asked.remove(&id) else { return };
        match octets {
            b"" => {}
            FAIL => self.failed(&login, now),
            account => self.succeeded(&login, account, now),
        }
    }

    fn failed(&mut self, login: &Login, now: Instant) {
        let refused = login.attempt.as_ref().and_then(|attempt| self.guard.failed(attempt, now));
        if let (Some(time), Some(ip)) = (refused, login.client.ip()) {
            log::too_many_failures(ip, in_seconds(time));
        }
    }

    fn succeeded(&mut self, login: &Login, account: &[u8], now: Instant) {
        if let Some(attempt) = &login.attempt {
            self.guard.succeeded(attempt, now);
        }
        if let (Some(record), Some(stored)) = (&login.record, answer::stored_password(account)) {
            self.answers.remember(record, stored, now);
        }
    }
}

impl Login {
    /// What is said to a login that is refused for `time`. Who would not
    /// understand it is told nothing, as when nobody can tell: that its password is
    /// wrong would be a lie.
    pub(crate) fn refusal(&self, time: Duration) -> Option<Vec<u8>> {
        self.knows_refusals.then(|| answer::refusal(in_seconds(time)))
    }
}

fn answers(settings: &Settings) -> io::Result<Answers> {
    let (most, lifetime) = settings.remembered;
    Ok(Answers::new(most, lifetime, system::random::octets()?))
}

/// Whole seconds, none too few.
fn in_seconds(time: Duration) -> u64 {
    time.as_secs() + u64::from(time.subsec_nanos() > 0)
}

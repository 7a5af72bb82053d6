//! What happens to a question between whoever has asked it and a worker: the
//! gate, the queue, a worker's turn, and the answer.

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use authlib::printable::reason;
use authlib::{Client, Record};
use zeroize::Zeroizing;

use super::clients::{Caller, Clients, Id};
use super::gate::{Admission, Gate, Turn};
use super::pool::{self, Pool};
use super::settings::Settings;
use crate::log;

/// Everybody who asks, and everybody who answers.
pub(crate) struct Office<C> {
    /// Those who have asked.
    pub(crate) clients: Clients<C>,
    gate: Gate,
    pool: Pool,
    /// For how many there is room.
    pub(crate) room: usize,
}

impl<C: Caller> Office<C> {
    /// With room for so many who ask at once. `started` is shown each worker.
    ///
    /// # Errors
    /// There is no randomness, or a worker cannot be started.
    pub(crate) fn new(
        settings: Settings,
        room: usize,
        started: impl FnMut(pool::Id, BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<Self> {
        let gate = Gate::new(&settings, Instant::now())?;
        let mut pool = Pool::new(settings);
        pool.fill(Instant::now(), started)?;
        Ok(Office { clients: Clients::default(), gate, pool, room })
    }

    /// The processes behind it.
    pub(crate) fn pool(&mut self) -> &mut Pool {
        &mut self.pool
    }

    /// Puts `settings` in force, for whom is asked from now on.
    ///
    /// # Errors
    /// There is no randomness; nothing has changed.
    pub(crate) fn configure(&mut self, settings: Settings) -> io::Result<()> {
        self.gate.configure(&settings)?;
        self.pool.reload(settings);
        Ok(())
    }

    /// Client `id` has asked whether credentials are good.
    pub(crate) fn take_login(
        &mut self,
        id: Id,
        record: Record,
        client: Client,
        knows_refusals: bool,
        now: Instant,
    ) {
        match self.gate.admit(record, client, knows_refusals, now) {
            Admission::Now(turn) => self.clients.enqueue(id, turn, now),
            // Those who wait take no more than a part of the room.
            Admission::Later(turn, wait) if self.clients.delayed() < self.room / 4 => {
                self.clients.delay(id, turn, now + wait);
            }
            Admission::Later(Turn { login, .. }, wait) => {
                self.refuse(id, login.and_then(|login| login.refusal(wait)));
            }
            Admission::Never(said) => self.refuse(id, said),
        }
    }

    /// Client `id` has asked something else.
    pub(crate) fn take(&mut self, id: Id, request: Zeroizing<Vec<u8>>, now: Instant) {
        self.clients.enqueue(id, Turn { request, login: None }, now);
    }

    fn refuse(&mut self, id: Id, said: Option<Vec<u8>>) {
        self.clients.answer(id, &said.unwrap_or_default());
    }

    /// A worker speaks.
    pub(crate) fn hear_worker(&mut self, worker: pool::Id, now: Instant) {
        let heard = self.pool.hear(worker, now);
        self.pass_on(heard, now);
    }

    /// Hands requests to workers as long as there are both. `started` is shown
    /// each worker that had to be started.
    pub(crate) fn dispatch(
        &mut self,
        now: Instant,
        started: impl FnMut(pool::Id, BorrowedFd<'_>) -> io::Result<()>,
    ) {
        if let Err(error) = self.pool.fill(now, started) {
            log::error(&format_args!("a worker could not be started: {}", reason(&error)));
        }
        self.clients.end_delays(now);
        while self.clients.somebody_waits()
            && let Some(worker) = self.pool.idle()
            && let Some((id, Turn { request, login })) = self.clients.next()
        {
            if let Some(said) = login.as_ref().and_then(|login| self.gate.refuses(login, now)) {
                self.refuse(id, said);
                continue;
            }
            if let Some(login) = login {
                self.gate.is_asked(id, login);
            }
            let heard = self.pool.give(worker, id, &request, now);
            self.pass_on(heard, now);
        }
    }

    fn pass_on(&mut self, heard: pool::Heard, now: Instant) {
        if let pool::Heard::Answer(id, octets) = heard {
            self.gate.answered(id, &octets, now);
            self.clients.answer(id, &octets);
        }
    }

    /// Sends those away who have waited for too long, and workers that have
    /// been at one question for too long.
    pub(crate) fn sweep(&mut self, now: Instant) {
        self.clients.sweep(now);
        while let Some(heard) = self.pool.overdue(now) {
            self.pass_on(heard, now);
        }
    }
}

//! The workers: processes that run the modules, one question at a time each.

use std::collections::HashMap;
use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use authlib::protocol::answer::{self, PIPE};
use zeroize::{Zeroize, Zeroizing};

use super::clients::{self, is_for_now};
use super::settings::Settings;
use super::worker;
use crate::log;

/// A worker that keeps ending is not started more often than this.
const PAUSE: Duration = Duration::from_secs(1);
/// How long workers may take to end with us.
const FAREWELL: Duration = Duration::from_secs(2);
/// Most lists of accounts that are being written at once.
const MOST_LISTS: usize = 4;

/// Names a worker for as long as the process lives.
pub(crate) type Id = u64;

/// The workers, and those who write lists.
pub(crate) struct Pool {
    settings: Settings,
    workers: HashMap<Id, Worker>,
    leaving: Vec<Child>,
    last_id: Id,
    not_before: Option<Instant>,
}

struct Worker {
    child: Child,
    socket: UnixStream,
    job: Option<Job>,
    /// It will not be asked again: the settings have changed.
    retired: bool,
}

struct Job {
    client: clients::Id,
    since: Instant,
    answer: Zeroizing<Vec<u8>>,
}

/// What a worker has said.
pub(crate) enum Heard {
    /// Nothing that anybody waits for.
    Nothing,
    /// The answer to a client; empty if it could not be told.
    Answer(clients::Id, Zeroizing<Vec<u8>>),
}

impl Pool {
    pub(crate) fn new(settings: Settings) -> Self {
        Pool { settings, workers: HashMap::new(), leaving: Vec::new(), last_id: 0, not_before: None }
    }

    /// Starts as many workers as are missing; `started` is shown each. Not too
    /// soon after one has ended without having been of use.
    pub(crate) fn fill(
        &mut self,
        now: Instant,
        mut started: impl FnMut(Id, BorrowedFd<'_>) -> io::Result<()>,
    ) -> io::Result<()> {
        if self.not_before.is_some_and(|time| now < time) {
            return Ok(());
        }
        self.not_before = None;
        let serving = self.workers.values().filter(|worker| !worker.retired).count();
        for _ in serving..self.settings.workers {
            let worker = self.start().inspect_err(|_| self.not_before = Some(now + PAUSE))?;
            self.last_id += 1;
            started(self.last_id, worker.socket.as_fd())?;
            self.workers.insert(self.last_id, worker);
        }
        Ok(())
    }

    fn start(&self) -> io::Result<Worker> {
        let (ours, theirs) = UnixStream::pair()?;
        ours.set_nonblocking(true)?;
        let output = OwnedFd::from(theirs.try_clone()?);
        let mut command = self.command(worker::WORD);
        let child = command.stdin(OwnedFd::from(theirs)).stdout(output).spawn()?;
        Ok(Worker { child, socket: ours, job: None, retired: false })
    }

    /// Ourselves in another part.
    fn command(&self, word: &str) -> Command {
        let mut command = Command::new("/proc/self/exe");
        let environment = &self.settings.environment;
        let environment = environment.iter().map(|(name, value)| (name, OsString::from_vec(value.clone())));
        command.arg0("authdaemond").arg(word).args(&self.settings.modules);
        command.envs(environment).env(PIPE, "1");
        command
    }

    /// A worker that has nothing to do.
    pub(crate) fn idle(&self) -> Option<Id> {
        let idle = |worker: &Worker| !worker.retired && worker.job.is_none();
        self.workers.iter().find(|(_, worker)| idle(worker)).map(|(id, _)| *id)
    }

    /// Hands a request to a worker, which has room for it; one that has not is
    /// broken, and its client is told nothing.
    pub(crate) fn give(&mut self, id: Id, client: clients::Id, request: &[u8], now: Instant) -> Heard {
        let Some(worker) = self.workers.get_mut(&id) else { return Heard::Nothing };
        worker.job = Some(Job { client, since: now, answer: Zeroizing::default() });
        match worker.socket.write(request) {
            Ok(octets) if octets == request.len() => Heard::Nothing,
            _ => self.give_up(id, now),
        }
    }

    /// Reads what a worker says.
    pub(crate) fn hear(&mut self, id: Id, now: Instant) -> Heard {
        let Some(worker) = self.workers.get_mut(&id) else { return Heard::Nothing };
        let mut buffer = [0; answer::LIMIT];
        let read = worker.socket.read(&mut buffer);
        let said = &mut buffer[..*read.as_ref().unwrap_or(&0)];
        let heard = Zeroizing::new(said.to_vec());
        // Only so much has to be wiped: this is on the way of each login.
        said.zeroize();
        match (read, &mut worker.job) {
            (Err(error), _) if is_for_now(&error) => Heard::Nothing,
            (Ok(octets @ 1..), Some(job)) if job.answer.len() + octets <= answer::LIMIT => {
                if job.answer.is_empty() {
                    // A vector that grows would leave passwords behind.
                    let room = if answer::is_complete(&heard) { octets } else { answer::LIMIT };
                    job.answer = Zeroizing::new(Vec::with_capacity(room));
                }
                job.answer.extend_from_slice(&heard);
                if answer::is_complete(&job.answer) { self.finished(id) } else { Heard::Nothing }
            }
            // The end, too much, or something that nobody has asked for.
            _ => self.give_up(id, now),
        }
    }

    fn finished(&mut self, id: Id) -> Heard {
        let Some(worker) = self.workers.get_mut(&id) else { return Heard::Nothing };
        let Some(Job { client, answer, .. }) = worker.job.take() else { return Heard::Nothing };
        if worker.retired {
            self.dismiss(id);
        }
        let answer = if answer.as_slice() == answer::UNAVAILABLE { Zeroizing::default() } else { answer };
        Heard::Answer(client, answer)
    }

    /// Ends a worker that is of no use any more.
    fn give_up(&mut self, id: Id, now: Instant) -> Heard {
        let Some(mut worker) = self.workers.remove(&id) else { return Heard::Nothing };
        let _it_has_ended = worker.child.kill();
        let ended = worker.child.wait().map_or_else(|error| error.to_string(), |status| status.to_string());
        let Some(job) = worker.job else {
            if !worker.retired {
                log::error(&format_args!("an idle worker has ended, {ended}"));
                self.not_before = Some(now + PAUSE);
            }
            return Heard::Nothing;
        };
        log::error(&format_args!("a worker has not answered and is replaced, {ended}"));
        Heard::Answer(job.client, Zeroizing::default())
    }

    /// Lets a worker that has nothing to do end by itself: its input ends.
    fn dismiss(&mut self, id: Id) {
        if let Some(worker) = self.workers.remove(&id) {
            self.leaving.push(worker.child);
        }
    }

    /// From now on `settings` are in force; who is at work finishes it first.
    pub(super) fn reload(&mut self, settings: Settings) {
        self.settings = settings;
        self.not_before = None;
        let idle: Vec<Id> =
            self.workers.iter().filter(|(_, worker)| worker.job.is_none()).map(|(id, _)| *id).collect();
        idle.into_iter().for_each(|id| self.dismiss(id));
        self.workers.values_mut().for_each(|worker| worker.retired = true);
    }

    /// Has a list of accounts written to `client`, by a process that nobody
    /// else waits for; too many at once are not begun.
    pub(super) fn list(&mut self, client: UnixStream) -> io::Result<()> {
        self.reap();
        if self.leaving.len() >= MOST_LISTS {
            return Err(io::Error::other("too many lists of accounts are being written"));
        }
        client.set_nonblocking(false)?;
        let mut command = self.command(worker::LIST);
        let child = command.stdin(Stdio::null()).stdout(OwnedFd::from(client)).spawn()?;
        self.leaving.push(child);
        Ok(())
    }

    /// Takes leave of children that have ended.
    pub(crate) fn reap(&mut self) {
        self.leaving.retain_mut(|child| matches!(child.try_wait(), Ok(None)));
    }

    /// Gives up workers that have been at one question for too long, one by
    /// one.
    pub(crate) fn overdue(&mut self, now: Instant) -> Option<Heard> {
        let patience = self.settings.patience;
        let overdue = |worker: &Worker| {
            worker.job.as_ref().is_some_and(|job| now.saturating_duration_since(job.since) >= patience)
        };
        let id = self.workers.iter().find(|(_, worker)| overdue(worker)).map(|(id, _)| *id)?;
        Some(self.give_up(id, now))
    }

    /// Whether anything will have to be done before anybody says anything.
    pub(super) fn needs_time(&self) -> bool {
        self.not_before.is_some() || self.workers.values().any(|worker| worker.job.is_some())
    }
}

impl Drop for Pool {
    /// Their input ends, and so do they; those who do not are killed.
    fn drop(&mut self) {
        let workers = std::mem::take(&mut self.workers);
        self.leaving.extend(workers.into_values().map(|worker| worker.child));
        let end = Instant::now() + FAREWELL;
        self.reap();
        while !self.leaving.is_empty() && Instant::now() < end {
            sleep(Duration::from_millis(5));
            self.reap();
        }
        for child in &mut self.leaving {
            let _it_has_ended = child.kill();
            let _it_was_killed = child.wait();
        }
    }
}

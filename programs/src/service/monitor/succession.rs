//! How this monitor is followed by another one, of a program that may be newer;
//! and what it hears of the one that it follows itself.
//!
//! ```text
//!   upgrade ──> Trying ──Alive──> Farewell::Succeeded: nobody comes in; who is here stays
//!                  └──Cannot, the end, too late──> as before
//! ```

use std::env;
use std::ffi::OsString;
use std::io;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use authlib::printable::reason;
use rustix::event::epoll::{self, EventData, EventFlags};

use super::super::dismissal::Dismissal;
use super::super::manager::State;
use super::super::order::Strangers;
use super::super::part::Part;
use super::super::report::Report;
use super::super::succession::{Legacy, OF};
use super::super::wire::Received;
use super::Monitor;
use super::farewell::Farewell;
use super::process::{Role, Token};
use super::requests::SHUTTING_DOWN;
use crate::log;

/// The token of the one that follows.
pub(super) const SUCCESSOR: Token = 1 << 62;
/// The token of the one that is followed.
pub(super) const PREDECESSOR: Token = SUCCESSOR + 1;

/// Variables that are about the process that they were made for.
const OF_ONE_PROCESS: [&str; 5] = [OF, "LISTEN_PID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"];

/// How this service was started, and another one can be.
pub(crate) struct Heir {
    program: PathBuf,
    words: Vec<OsString>,
}

impl Heir {
    /// As this process was. To be called while its program is where it was.
    ///
    /// # Errors
    /// What the system reports.
    pub(crate) fn of_this_process() -> io::Result<Heir> {
        let own = env::current_exe()?;
        let mut words = env::args_os();
        // A link that leads to the newest program does so for the next one, too.
        let named = words.next().map(PathBuf::from).filter(|named| named.is_absolute());
        let leads_here = |named: &PathBuf| named.canonicalize().is_ok_and(|there| there == own);
        Ok(Heir { program: named.filter(leads_here).unwrap_or(own), words: words.collect() })
    }

    fn start(&self) -> io::Result<Part> {
        let is_for_all = |name: &OsString| !OF_ONE_PROCESS.iter().any(|one| name == one);
        let mut environment: Vec<_> = env::vars_os().filter(|(name, _)| is_for_all(name)).collect();
        environment.push((OF.into(), std::process::id().to_string().into()));
        Part::start(&self.program, &self.words, &environment)
    }
}

/// Another monitor, which was started to follow this one.
pub(super) struct Succession {
    part: Part,
    /// Who has asked for it.
    visitor: Token,
    patience: Duration,
    until: Instant,
}

impl Monitor {
    /// Starts a monitor that is to follow this one, for who has asked.
    pub(super) fn begin_succession(&mut self, visitor: Token) {
        let begun = match self.obstacle() {
            Some(why) => Err(why.to_owned()),
            None => self.start_successor().map_err(|error| reason(&error)),
        };
        match begun {
            Ok((part, patience)) => {
                let until = Instant::now() + patience;
                self.succession = Some(Succession { part, visitor, patience, until });
                self.office.await_the_successor(visitor);
            }
            Err(why) => self.office.answer(visitor, &Err(why)),
        }
    }

    fn obstacle(&self) -> Option<&'static str> {
        match () {
            () if self.farewell.is_some() => Some(SHUTTING_DOWN),
            () if self.succession.is_some() => Some("somebody has asked for that already"),
            () if self.trial.is_some() || self.wants_reload => Some("new settings are tried; try again then"),
            () if self.heir.is_none() => Some("a demonstration is not followed by another one"),
            () => None,
        }
    }

    fn start_successor(&self) -> io::Result<(Part, Duration)> {
        let (Some(heir), Some(serving)) = (&self.heir, &self.serving) else {
            return Err(io::Error::other("nobody serves"));
        };
        let mut legacy = Vec::new();
        for listener in &serving.plan.listeners {
            legacy.push(Legacy::Listener(listener.try_clone()?));
        }
        if let Some((path, door)) = self.office.door() {
            legacy.push(Legacy::Door(path.to_owned(), door.try_clone()?));
        }
        legacy.push(Legacy::All);
        let mut part = heir.start()?;
        epoll::add(&self.parts, part.wire(), EventData::new_u64(SUCCESSOR), EventFlags::IN)?;
        for (message, descriptor) in legacy.into_iter().map(Legacy::encode) {
            let sent = part.send(message, descriptor);
            sent.map_err(|_overwhelmed| io::Error::other("there are too many listening sockets"))?;
        }
        // It waits for its own processes as long as we do for ours.
        Ok((part, serving.plan.patience.saturating_mul(2)))
    }

    /// Sends what had no room yet, and waits no longer than it should.
    pub(super) fn see_to_succession(&mut self) {
        let Some(succession) = &mut self.succession else { return };
        succession.part.flush();
        if succession.until <= Instant::now() {
            let patience = succession.patience.as_secs();
            self.fail_succession(&format!("the new program does not serve after {patience} s"));
        }
    }

    /// Hears the monitor that follows.
    pub(super) fn hear_successor(&mut self) {
        while let Some(succession) = &self.succession {
            let has_succeeded = self.farewell.is_some();
            match succession.part.receive() {
                Ok(None) => return,
                Ok(Some(Received { message, .. })) if has_succeeded => {
                    if Dismissal::decode(&message) == Some(Dismissal::Now) {
                        self.begin_farewell();
                    }
                }
                Ok(Some(Received { message, .. })) => match Report::decode(&message) {
                    Ok(Some(Report::Alive(_))) => self.succeed(),
                    Ok(Some(Report::Cannot(why))) => self.fail_succession(&why),
                    _ => self.fail_succession("the new program talks nonsense"),
                },
                // It may have been followed itself, or have ended: who is here stays.
                Err(_) if has_succeeded => self.succession = None,
                Err(_) => self.fail_succession("the new program has ended"),
            }
        }
    }

    /// The other one serves: nobody else comes in here, and who is here stays as
    /// long as he likes.
    fn succeed(&mut self) {
        let Some(Succession { part, visitor, .. }) = &self.succession else { return };
        let (visitor, said) = (*visitor, format!("process {} serves now", part.pid()));
        // From now on it is for the other one to tell.
        std::mem::take(&mut self.manager).tell(State::Followed(part.pid()));
        log::line(format_args!("INFO: {said}; sessions that are here go on"));
        self.office.close(&self.parts);
        self.let_nobody_in(Strangers::MayFinish);
        self.office.no_more_trials(&Err(said.clone()));
        self.office.answer(visitor, &Ok(said));
        self.farewell = Some(Farewell::Succeeded);
    }

    /// The other one will not serve: this one goes on.
    pub(super) fn fail_succession(&mut self, why: &str) {
        let Some(Succession { part, visitor, .. }) = self.succession.take() else { return };
        self.parts.bury(part.end());
        let said = format!("the service stays as it is: {why}");
        log::error(&said);
        self.office.answer(visitor, &Err(said));
    }

    /// Watches the monitor that this one follows, if there is one.
    pub(super) fn watch_predecessor(&self) -> io::Result<()> {
        let Some(predecessor) = &self.predecessor else { return Ok(()) };
        let (data, events) = (EventData::new_u64(PREDECESSOR), EventFlags::IN);
        Ok(epoll::add(&self.parts, predecessor, data, events)?)
    }

    /// Its last session has ended, if it has gone.
    pub(super) fn hear_predecessor(&mut self) {
        if let Some(predecessor) = self.predecessor.take_if(|predecessor| predecessor.has_gone()) {
            let _it_was_watched = epoll::delete(&self.parts, &predecessor);
            log::line(format_args!("INFO: the process before this one has ended"));
        }
    }

    /// All fronts let nobody else in.
    pub(super) fn let_nobody_in(&mut self, strangers: Strangers) {
        if let Some(serving) = &mut self.serving {
            serving.plan.listeners.clear();
        }
        for front in self.parts.all_of(&Role::Front) {
            self.parts.let_leave(front, strangers);
        }
    }
}

//! How settings come into force: new processes are started with them, and serve
//! as soon as all of them can. Until then, and if they cannot, the old ones do.

use std::time::Instant;

use authlib::printable::reason;

use super::super::listen::Address;
use super::super::manager::State;
use super::super::order::Strangers;
use super::Monitor;
use super::generation::Generation;
use super::plan::Plan;
use crate::{environment, log};

/// How a reload went well.
const IN_FORCE: &str = "the settings were read again and are in force";

/// A generation that does not serve yet.
pub(super) struct Trial {
    generation: Generation,
    /// Why it never will.
    failed: Option<String>,
}

impl Trial {
    pub(super) fn plan(&self) -> &Plan {
        &self.generation.plan
    }

    pub(super) fn number(&self) -> u64 {
        self.generation.number
    }

    /// One of its processes cannot serve.
    pub(super) fn fail(&mut self, reason: String) {
        self.failed.get_or_insert(reason);
    }
}

impl Monitor {
    /// Reads the settings, and starts what they ask for.
    ///
    /// # Errors
    /// Why nobody serves, if nobody does.
    pub(super) fn begin_trial(&mut self) -> Result<(), String> {
        self.last_generation += 1;
        let number = self.last_generation;
        self.office.trial_begins(number);
        if self.serving.is_some() {
            self.manager.tell(State::Reloading);
        }
        let open = match &self.serving {
            Some(serving) => serving.plan.sockets(),
            None => Ok(std::mem::take(&mut self.inherited)),
        };
        let plan = open.map_err(|error| reason(&error)).and_then(|open| (self.read)(open));
        let generation = match plan.and_then(|plan| Generation::new(number, plan)) {
            Ok(generation) => generation,
            Err(reason) => return self.refuse(number, &reason),
        };
        if let Err(error) = generation.start(&mut self.parts, &mut self.sessions) {
            return self.refuse(number, &reason(&error));
        }
        self.trial = Some(Trial { generation, failed: None });
        Ok(())
    }

    /// Lets the new processes serve, if they can, or ends them, if they cannot.
    ///
    /// # Errors
    /// As [`begin_trial`](Monitor::begin_trial).
    pub(super) fn judge_trial(&mut self) -> Result<(), String> {
        let parts = &self.parts;
        let is_decided = |trial: &mut Trial| trial.failed.is_some() || trial.generation.is_ready(parts);
        let Some(Trial { generation, failed }) = self.trial.take_if(is_decided) else { return Ok(()) };
        let opened = match failed {
            Some(reason) => Err(reason),
            None => {
                self.keep_ticket_keys(&generation.plan.tickets);
                generation.open_all(&mut self.parts).map_err(|error| reason(&error))
            }
        };
        match opened {
            Ok(()) => self.take_over(generation),
            Err(reason) => return self.refuse(generation.number, &reason),
        }
        Ok(())
    }

    /// Lets a generation go that was to serve.
    pub(super) fn end_trial(&mut self) {
        if let Some(trial) = self.trial.take() {
            self.parts.end_generation(trial.number());
        }
    }

    /// The new generation serves.
    fn take_over(&mut self, new: Generation) {
        let old = self.serving.replace(new);
        let (Some(new), parts) = (&self.serving, &mut self.parts) else { return };
        environment::instead(new.plan.variables.clone());
        announce(&new.plan, old.as_ref().map(|old| &old.plan));
        self.office.open(&new.plan.environments.directory, parts);
        self.office.trial_ends(new.number, &Ok(IN_FORCE.to_owned()));
        match (&old, &self.predecessor) {
            // The other one tells the manager, who believes nobody else so far.
            (None, Some(predecessor)) => predecessor.is_followed(),
            _ => self.manager.tell(State::Ready("serving")),
        }
        self.refused = None;
        self.pauses = Default::default();
        if let Some(old) = old {
            old.leave(parts, Strangers::MayFinish);
            if !new.plan.has_the_same_mailboxes(&old.plan) {
                parts.retire_mailboxes();
            }
        }
    }

    /// The settings of this generation cannot be had.
    fn refuse(&mut self, generation: u64, reason: &str) -> Result<(), String> {
        self.parts.end_generation(generation);
        if self.serving.is_none() {
            return Err(reason.to_owned());
        }
        let said = format!("the settings stay as they were: {reason}");
        log::error(&said);
        self.manager.tell(State::Ready(&said));
        self.office.trial_ends(generation, &Err(said));
        self.refused = Some((Instant::now(), reason.to_owned()));
        Ok(())
    }
}

/// Says where clients may come and, where `old` ones were in force, may not any
/// more.
fn announce(new: &Plan, old: Option<&Plan>) {
    let listens =
        |plan: &Plan, address: &Address| plan.listeners.iter().any(|listener| listener.address == *address);
    for listener in &new.listeners {
        if !old.is_some_and(|old| listens(old, &listener.address)) {
            log::line(format_args!("INFO: listening on {listener}"));
        }
    }
    let Some(old) = old else {
        log::line(format_args!("INFO: ready, pid={}", std::process::id()));
        if let Some(hint) = &new.hint {
            log::line(format_args!("INFO: {hint}"));
        }
        return;
    };
    for listener in old.listeners.iter().filter(|listener| !listens(new, &listener.address)) {
        log::line(format_args!("INFO: no longer listening on {listener}"));
    }
    log::line(format_args!("INFO: {IN_FORCE}"));
}

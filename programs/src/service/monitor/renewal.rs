//! Certificates that are renewed while the service runs, without a word to it.
//! Their files are read now and then; what is another text than that in force,
//! and still the same a moment later, is tried and then given to the fronts.
//!
//! ```text
//!   Watching ──another text──> Settling ──the same again──> Trying ──good──> in force
//!      ^─────────────────────────┴───────────────────────────┘ (said once)
//! ```

use std::mem;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::time::{Duration, Instant};

use authlib::printable::reason;

use super::super::assay::Assay;
use super::super::certificate;
use super::super::order::Order;
use super::super::sealed::are_same;
use super::Monitor;
use super::certificates::{Assayer, Certificates};
use super::files::Certificate;
use super::generation::{Generation, front_ids};
use super::process::Role;
use crate::log;

/// How often the time of the service's own certificate is looked at.
const DAY: Duration = Duration::from_secs(24 * 60 * 60);

/// How far it is.
pub(super) struct Renewal {
    stage: Stage,
    /// When the files are looked at next.
    next: Instant,
    /// When the service's own certificate is.
    next_day: Instant,
    /// What was found and is not good.
    refused: Option<OwnedFd>,
    /// What has been said of files that cannot be read.
    complaint: String,
}

enum Stage {
    Watching,
    /// Somebody may still be writing this.
    Settling(OwnedFd),
    Trying(Assay, OwnedFd),
}

impl Renewal {
    /// Nothing was found yet.
    pub(super) fn new() -> Renewal {
        let now = Instant::now();
        let (stage, complaint) = (Stage::Watching, String::new());
        Renewal { stage, next: now, next_day: now + DAY, refused: None, complaint }
    }

    /// Does what it is time for, with looks `every` so often; gives what is to be
    /// in force instead of `in_force`.
    fn go_on(
        &mut self,
        in_force: &OwnedFd,
        files: &Certificate,
        every: Duration,
        assayer: &Assayer<'_>,
    ) -> Option<OwnedFd> {
        if let Stage::Trying(assay, _) = &mut self.stage {
            let is_good = assay.verdict()?;
            let Stage::Trying(_, found) = mem::replace(&mut self.stage, Stage::Watching) else { return None };
            if is_good {
                self.refused = None;
                return Some(found);
            }
            log::warning(&"the certificates stay as they were: what is in their files now is not good");
            self.refused = Some(found);
            return None;
        }
        let now = Instant::now();
        if now < self.next && matches!(self.stage, Stage::Watching) {
            return None;
        }
        self.next = now + every;
        let looked = self.look(in_force, files, assayer);
        let complaint = looked.err().unwrap_or_default();
        if self.complaint != complaint && !complaint.is_empty() {
            log::warning(&format!("the certificates stay as they were: {complaint}"));
        }
        self.complaint = complaint;
        None
    }

    fn look(&mut self, in_force: &OwnedFd, files: &Certificate, assayer: &Assayer<'_>) -> Result<(), String> {
        let before = mem::replace(&mut self.stage, Stage::Watching);
        let found = files.read()?.seal().map_err(|error| reason(&error))?;
        let is = |other: &OwnedFd| are_same(&found, other).map_err(|error| reason(&error));
        if is(in_force)? || self.refused.as_ref().is_some_and(|refused| is(refused) == Ok(true)) {
            return Ok(());
        }
        self.stage = match before {
            Stage::Settling(before) if is(&before)? => {
                let assay = assayer.begin(&found);
                Stage::Trying(assay.map_err(|error| format!("postrider-cert: {}", reason(&error)))?, found)
            }
            _ => Stage::Settling(found),
        };
        Ok(())
    }

    /// Makes the service's own certificate anew when its time is over.
    fn keep_own(&mut self, own: &Path) {
        if Instant::now() < self.next_day {
            return;
        }
        self.next_day = Instant::now() + DAY;
        match certificate::keep(own) {
            Ok(None) => {}
            Ok(Some(made)) => log::line(format_args!("INFO: a certificate was made: {made}")),
            Err(wrong) => log::error(&wrong),
        }
    }
}

impl Generation {
    /// Looks after the certificates; whether there are others in force now.
    fn renew(&mut self) -> bool {
        let (plan, Some(Certificates { in_force, renewal })) = (&self.plan, &mut self.certificates) else {
            return false;
        };
        let (Some(files), Ok(ids)) = (&plan.certificate, front_ids()) else { return false };
        if plan.looks_every.is_zero() {
            return false;
        }
        if let Some(own) = &plan.own_certificate {
            renewal.keep_own(own);
        }
        let environment = &plan.environments.front;
        let assayer = Assayer { programs: &plan.programs, ids: &ids, environment };
        let renewed = renewal.go_on(in_force, files, plan.looks_every, &assayer);
        renewed.map(|renewed| *in_force = renewed).is_some()
    }
}

impl Monitor {
    /// Gives certificates to the fronts that have been renewed. Sessions stay as
    /// they are.
    pub(super) fn renew_certificates(&mut self) {
        // A trial reads the files too.
        let (None, Some(serving)) = (&self.trial, &mut self.serving) else { return };
        if !serving.renew() {
            return;
        }
        for front in self.parts.of(&Role::Front, serving.number) {
            match serving.material() {
                Ok(material) => drop(material.map(|it| self.parts.order(front, Order::Tls(it)))),
                Err(error) => log::error(&format_args!("a front keeps its certificate: {}", reason(&error))),
            }
        }
        log::line(format_args!("INFO: the certificates were renewed"));
        self.tell_ticket_keys();
    }
}

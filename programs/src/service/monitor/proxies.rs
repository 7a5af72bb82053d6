//! Proxy processes: what they and auth are given, and clients for them.

use std::fs::File;
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Instant;

use authlib::printable::reason;

use super::super::errand::Visitor;
use super::super::material::Pem;
use super::super::order::Order;
use super::super::proxy::material::BackendTls;
use super::super::ticket::{Referral, Refusal, Shown};
use super::super::wire::Wire;
use super::admission::no_room_for;
use super::generation::{Generation, front_ids};
use super::parts::Parts;
use super::process::{Role, Token};
use super::{Monitor, files};
use crate::log;
use crate::proxy::{Files, Settings};

/// What is needed for accounts whose mail is elsewhere.
#[derive(Clone, Debug)]
pub(crate) struct Proxy {
    /// How many proxy processes.
    pub(super) processes: usize,
    files: Files,
}

impl Proxy {
    /// A process for each core.
    pub(crate) fn new(settings: Settings) -> Proxy {
        let processes = std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        Proxy { processes, files: settings.files }
    }

    /// Whether what it needs is there, said in a few words.
    ///
    /// # Errors
    /// A line for the log.
    pub(crate) fn check(&self) -> Result<String, String> {
        let Supplies { tls, master } = self.supplies()?;
        let trust = if tls.is_some() { "authorities" } else { "no TLS" };
        let master = if master.is_some() { ", a master user" } else { "" };
        Ok(format!("{} processes, {trust}{master}", self.processes))
    }

    /// What is in its files, for those who may not open them.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn supplies(&self) -> Result<Supplies, String> {
        let Files { authorities, identity, master } = &self.files;
        let identity = match identity {
            Some((chain, key)) => Some(Pem { chain: files::read(chain)?, key: files::read(key)? }),
            None => None,
        };
        let tls = match authorities {
            Some(authorities) => {
                let tls = BackendTls { authorities: files::read(authorities)?, identity };
                Some(tls.seal().map_err(|error| reason(&error))?)
            }
            None => None,
        };
        Ok(Supplies { tls, master: master.as_deref().map(for_us_alone).transpose()? })
    }
}

/// What proxy processes and auth need to let accounts in elsewhere.
pub(super) struct Supplies {
    /// A [`BackendTls`], where TLS may be spoken.
    tls: Option<OwnedFd>,
    /// The file of the master user, which auth alone reads.
    master: Option<OwnedFd>,
}

impl Generation {
    /// Starts the proxy processes that are missing, if there are to be any.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start_proxies(&self, parts: &mut Parts) -> io::Result<()> {
        let Some(supplies) = &self.supplies else { return Ok(()) };
        (0..self.missing_proxies(parts)).try_for_each(|_| self.start_proxy(parts, supplies))
    }

    fn start_proxy(&self, parts: &mut Parts, supplies: &Supplies) -> io::Result<()> {
        let tls = supplies.tls.as_ref().map(OwnedFd::try_clone).transpose()?;
        let proxy = parts.start(Role::Proxy, self.number, &self.plan, "postrider-proxy", &front_ids()?)?;
        if let Some(tls) = tls {
            parts.order(proxy, Order::Tls(tls));
        }
        if let Some(auth) = self.auth(parts) {
            lend(parts, auth, proxy)?;
        }
        parts.ping(proxy);
        Ok(())
    }

    /// Gives an auth that was started what it needs to send accounts elsewhere.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn supply(&self, parts: &mut Parts, auth: Token) -> io::Result<()> {
        if let Some(master) = self.supplies.as_ref().and_then(|supplies| supplies.master.as_ref()) {
            parts.order(auth, Order::Master(master.try_clone()?));
        }
        parts.of(&Role::Proxy, self.number).into_iter().try_for_each(|proxy| lend(parts, auth, proxy))
    }

    /// How many of them are missing.
    pub(super) fn missing_proxies(&self, parts: &Parts) -> usize {
        let wanted = self.plan.proxy.as_ref().map_or(0, |proxy| proxy.processes);
        wanted.saturating_sub(parts.of(&Role::Proxy, self.number).len())
    }
}

/// Lets `auth` send `proxy` on errands.
fn lend(parts: &mut Parts, auth: Token, proxy: Token) -> io::Result<()> {
    let (proxys_end, auths_end) = Wire::pair()?;
    parts.order(proxy, Order::Wire(proxy, proxys_end.into_descriptor()));
    parts.order(auth, Order::Proxy(proxy, auths_end.into_descriptor()));
    Ok(())
}

impl Monitor {
    /// A proxy process can take nobody else in. Its sessions stay, and another one
    /// comes.
    pub(super) fn replace_proxy(&mut self, proxy: Token, why: &str) {
        if self.parts.is_leaving(proxy) {
            return;
        }
        if !self.parts.is_ready(proxy) {
            return self.lose(proxy, why);
        }
        self.look_soon();
        let lived = self.parts.retire(proxy);
        let pause = self.pauses.proxy.ended(lived, Instant::now()).as_secs();
        log::error(&format_args!("a proxy process leaves: {why}; another one starts in {pause} s"));
    }

    /// Hands `client` to the proxy process that has its session.
    ///
    /// # Errors
    /// Why not; the client is still there.
    pub(super) fn hand_to_proxy(
        &mut self,
        referral: Referral,
        shown: Shown,
        client: &mut Option<OwnedFd>,
    ) -> Result<(), Refusal> {
        let Referral { proxy, address } = referral;
        let Some(serving) = &self.serving else { return Err(Refusal::Unavailable) };
        if self.parts.role(proxy) != Some(Role::Proxy) {
            return Err(Refusal::Unavailable);
        }
        if !self.sessions.has_room_for(&address, &serving.plan.limits) {
            return Err(no_room_for(&address));
        }
        if !self.parts.takes_more(proxy) {
            log::error(&"a proxy process has too much to do");
            return Err(Refusal::Unavailable);
        }
        let keys = self.sessions.keys(&serving.plan.limits, &shown.origin.ip);
        self.last_session += 1;
        let Shown { ticket, arrived, .. } = shown;
        let visitor = Visitor { session: self.last_session, ticket, arrived };
        // Before its client can have heard of it.
        self.sessions.begin(self.last_session, proxy, address, keys);
        self.parts.send(proxy, visitor.encode(), client.take());
        self.parts.session_begins(proxy);
        Ok(())
    }
}

/// The file at `path`, opened and not read. One that others may read or change
/// holds no secret.
fn for_us_alone(path: &Path) -> Result<OwnedFd, String> {
    let named = |error| format!("{}: {}", path.display(), reason(&error));
    let file = File::open(path).map_err(named)?;
    let mode = file.metadata().map_err(named)?.mode();
    if mode & 0o077 != 0 {
        return Err(format!("{}: others may get at it (mode {:03o})", path.display(), mode & 0o777));
    }
    Ok(file.into())
}

//! The processes that serve after one reading of the settings: auth, its
//! fronts, and proxy processes. A new reading makes new ones; the old ones finish what they are at.

use std::io;
use std::os::fd::OwnedFd;

use authlib::printable::reason;

use super::super::order::{Order, Strangers};
use super::super::wire::Wire;
use super::certificates::{Assayer, Certificates};
use super::parts::Parts;
use super::plan::Plan;
use super::process::{Role, Token};
use super::proxies::{Proxy, Supplies};
use super::sessions::Sessions;
use crate::service::listen::Listener;

/// What the settings said, and the number of the processes that go by it.
pub(super) struct Generation {
    pub(super) number: u64,
    pub(super) plan: Plan,
    pub(super) certificates: Option<Certificates>,
    /// What proxy processes need, if there are to be any.
    pub(super) supplies: Option<Supplies>,
}

impl Generation {
    /// The one of this number, whose certificate is tried now.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn new(number: u64, plan: Plan) -> Result<Generation, String> {
        let (ids, environment) = (front_ids().map_err(|error| reason(&error))?, &plan.environments.front);
        let assayer = Assayer { programs: &plan.programs, ids: &ids, environment };
        let certificates = plan.certificate.as_ref().map(|files| Certificates::open(files, &assayer));
        let certificates = certificates.transpose()?;
        let supplies = plan.proxy.as_ref().map(Proxy::supplies).transpose()?;
        Ok(Generation { number, plan, certificates, supplies })
    }

    /// Starts auth, proxy processes and the fronts, which let nobody in yet.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn start(&self, parts: &mut Parts, sessions: &mut Sessions) -> io::Result<()> {
        self.start_auth(parts)?;
        self.start_proxies(parts)?;
        (0..self.plan.fronts).try_for_each(|_| self.start_front(parts, sessions))
    }

    /// Starts auth. Fronts and proxy processes that have lost theirs get this one.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start_auth(&self, parts: &mut Parts) -> io::Result<()> {
        let auth = parts.start(Role::Auth, self.number, &self.plan, "postrider-auth", &[])?;
        for front in parts.of(&Role::Front, self.number) {
            connect(parts, auth, front)?;
        }
        self.supply(parts, auth)?;
        parts.ping(auth);
        Ok(())
    }

    /// Starts a front, and gives it all that it needs but the listening sockets.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn start_front(&self, parts: &mut Parts, sessions: &mut Sessions) -> io::Result<()> {
        let material = self.material()?;
        let front = parts.start(Role::Front, self.number, &self.plan, "postrider-front", &front_ids()?)?;
        if let Some(auth) = self.auth(parts) {
            connect(parts, auth, front)?;
        }
        if let Some(material) = material {
            parts.order(front, Order::Tls(material));
        }
        sessions.introduce(parts, front)?;
        parts.ping(front);
        Ok(())
    }

    /// What TLS is made of, for one more front.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn material(&self) -> io::Result<Option<OwnedFd>> {
        self.certificates.as_ref().map(Certificates::material).transpose()
    }

    /// Its auth, if it is there.
    pub(super) fn auth(&self, parts: &Parts) -> Option<Token> {
        parts.auth(self.number)
    }

    /// Whether auth and all others have said that they are ready.
    pub(super) fn is_ready(&self, parts: &Parts) -> bool {
        let fronts = parts.of(&Role::Front, self.number);
        let proxies = parts.of(&Role::Proxy, self.number);
        let mut everybody = fronts.iter().copied().chain(proxies).chain(self.auth(parts));
        fronts.len() >= self.plan.fronts
            && self.missing_proxies(parts) == 0
            && self.auth(parts).is_some()
            && everybody.all(|one| parts.is_ready(one))
    }

    /// A front lets clients in from now on.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn open(&self, parts: &mut Parts, front: Token) -> io::Result<()> {
        for Listener { manner, socket, .. } in &self.plan.listeners {
            let socket = socket.try_clone()?;
            parts.order(front, Order::Listener { manner: *manner, socket });
        }
        Ok(())
    }

    /// The same for all its fronts.
    ///
    /// # Errors
    /// No descriptor is left.
    pub(super) fn open_all(&self, parts: &mut Parts) -> io::Result<()> {
        parts.of(&Role::Front, self.number).into_iter().try_for_each(|front| self.open(parts, front))
    }

    /// Its fronts let nobody else in. The others stay as long as one of them is there
    /// (see [`Parts::dismiss_unneeded`]).
    pub(super) fn leave(&self, parts: &mut Parts, strangers: Strangers) {
        for front in parts.of(&Role::Front, self.number) {
            parts.let_leave(front, strangers);
        }
    }
}

/// Lets `front` ask `auth`.
fn connect(parts: &mut Parts, auth: Token, front: Token) -> io::Result<()> {
    let (fronts_end, auths_end) = Wire::pair()?;
    parts.order(auth, Order::Wire(front, auths_end.into_descriptor()));
    parts.order(front, Order::Wire(front, fronts_end.into_descriptor()));
    Ok(())
}

/// Whom a front or proxy process becomes: nobody, where we are root.
pub(super) fn front_ids() -> io::Result<Vec<String>> {
    let (uid, gid) = if system::user::is_root() {
        system::user::by_name("nobody")?.ok_or_else(|| io::Error::other("there is no user nobody"))?
    } else {
        system::user::own_ids()
    };
    Ok(vec![uid.to_string(), gid.to_string()])
}

//! Stands for as many dialogues as run at once.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use testbed::Outcome;
use testbed::certificates::Certificates;
use testbed::dialogue::{Dialogue, Side};
use testbed::maildrop::lay_out;
use testbed::play::{Door, Stage, play};
use testbed::stand::{Cast, Stand, make_public};
use testbed::tls::Tls;
use testbed::wire::Wire;

use crate::built;

const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// The stands that are free.
pub(crate) struct Stands {
    free: Mutex<Vec<Stand>>,
    /// For the integrated service inside TLS, if they can be made here.
    certificates: Option<Certificates>,
}

impl Stands {
    /// `count` stands below `directory`, with or without an `authdaemond`.
    pub(crate) fn start(directory: &Path, count: usize, authdaemond: bool) -> Outcome<Stands> {
        make_public(directory)?;
        let programs = built::programs(&directory.join("programs"))?;
        let stand = |number: usize| Stand::new(&directory.join(number.to_string()), &programs, authdaemond);
        let free = Mutex::new((0..count).map(stand).collect::<Outcome<_>>()?);
        let certificates = Certificates::make(&directory.join("certificates"), LOCALHOST, "alice").ok();
        Ok(Stands { free, certificates })
    }

    /// Whether TLS can be spoken.
    pub(crate) fn have_tls(&self) -> bool {
        self.certificates.is_some()
    }

    /// Plays on a program that serves a maildrop, through two pipes.
    pub(crate) fn pipe(&self, dialogue: &Dialogue, side: Side) -> Outcome {
        self.with(dialogue, |stand| {
            let mut pipes = stand.pipes(side, &dialogue.environment)?;
            perform(stand, dialogue, side, Door::Maildrop, &mut pipes)
        })
    }

    /// Plays on a whole chain.
    pub(crate) fn tcp(&self, dialogue: &Dialogue, side: Side, cast: Cast) -> Outcome {
        self.with(dialogue, |stand| {
            let mut chain = stand.chain(cast, &dialogue.environment, &dialogue.fields)?;
            let mut connection = chain.connect()?;
            perform(stand, dialogue, side, Door::Login, &mut connection)
        })
    }

    /// Plays on the integrated service.
    pub(crate) fn service(&self, dialogue: &Dialogue, ordinary: bool) -> Outcome {
        self.with(dialogue, |stand| {
            let mut service = stand.service(ordinary, &dialogue.environment, &dialogue.fields, None)?;
            let mut connection = service.connect()?;
            perform(stand, dialogue, Side::Ours, Door::Login, &mut connection)
        })
    }

    /// Plays on the integrated service inside TLS, begun by STLS or with the
    /// connection.
    pub(crate) fn service_in_tls(&self, dialogue: &Dialogue, stls: bool) -> Outcome {
        let certificates = self.certificates.as_ref().ok_or("no certificates")?;
        self.with(dialogue, |stand| {
            let (environment, fields) = (&dialogue.environment, &dialogue.fields);
            let mut service = stand.service(false, environment, fields, Some(certificates))?;
            let mut connection = match stls {
                true => Tls::begin_by_stls(service.connect()?, certificates)?,
                false => Tls::begin(service.connect_for_tls()?, certificates)?,
            };
            let (maildir, log) = (stand.account().maildir(), stand.log());
            let maildir = Some((maildir.as_path(), stand.account().owner));
            let stage = Stage { side: Side::Ours, door: Door::Login, maildir, log: Some(&log), tls: true };
            play(dialogue, &mut connection, &stage)
        })
    }

    /// Runs `play` on a free stand, on which `dialogue`'s maildrop is ready.
    fn with(&self, dialogue: &Dialogue, play: impl FnOnce(&mut Stand) -> Outcome) -> Outcome {
        let mut stand = self.lock().pop().ok_or("more dialogues at once than stands")?;
        let account = stand.account();
        let ready = lay_out(&account.home, &dialogue.maildrop, account.owner);
        let result = ready.and_then(|()| play(&mut stand));
        self.lock().push(stand);
        result
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Stand>> {
        self.free.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn perform(stand: &Stand, dialogue: &Dialogue, side: Side, door: Door, wire: &mut dyn Wire) -> Outcome {
    let (maildir, log) = (stand.account().maildir(), stand.log());
    let maildir = Some((maildir.as_path(), stand.account().owner));
    let stage = Stage { side, door, maildir, log: Some(&log), tls: false };
    play(dialogue, wire, &stage)
}

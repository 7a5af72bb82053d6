//! Stands for as many dialogues as run at once.

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use testbed::Outcome;
use testbed::dialogue::{Dialogue, Side};
use testbed::maildrop::lay_out;
use testbed::play::{Door, Stage, play};
use testbed::stand::{Cast, Stand, make_public};
use testbed::wire::Wire;

use crate::built;

/// The stands that are free.
pub(crate) struct Stands(Mutex<Vec<Stand>>);

impl Stands {
    /// `count` stands below `directory`, with or without an `authdaemond`.
    pub(crate) fn start(directory: &Path, count: usize, authdaemond: bool) -> Outcome<Stands> {
        make_public(directory)?;
        let programs = built::programs(&directory.join("programs"))?;
        let stand = |number: usize| Stand::new(&directory.join(number.to_string()), &programs, authdaemond);
        Ok(Stands(Mutex::new((0..count).map(stand).collect::<Outcome<_>>()?)))
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
            let mut service = stand.service(ordinary, &dialogue.environment, &dialogue.fields)?;
            let mut connection = service.connect()?;
            perform(stand, dialogue, Side::Ours, Door::Login, &mut connection)
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
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn perform(stand: &Stand, dialogue: &Dialogue, side: Side, door: Door, wire: &mut dyn Wire) -> Outcome {
    let (maildir, log) = (stand.account().maildir(), stand.log());
    let stage = Stage { side, door, maildir: Some((&maildir, stand.account().owner)), log: Some(&log) };
    play(dialogue, wire, &stage)
}

//! Where dialogues are played: accounts with a disk, and the programs that
//! serve them.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Mutex, PoisonError};

use tempfile::TempDir;
use testbed::Outcome;
use testbed::chain::{Account, Chain};
use testbed::courier::{self, Authdaemond};
use testbed::dialogue::{Dialogue, Side};
use testbed::maildrop::lay_out;
use testbed::play::{Door, Stage, play};
use testbed::wire::{Pipes, Wire};

/// What every program finds in its environment, as under a start script.
const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// A place for one dialogue at a time: a home directory and, where that can
/// be had, an `authdaemond` of Courier's that knows it.
pub(crate) struct Stand {
    directory: PathBuf,
    account: Account,
    authdaemond: Option<Authdaemond>,
}

/// The stands that are free.
pub(crate) struct Stands(Mutex<Vec<Stand>>);

impl Stands {
    /// `count` stands below `directory`, with or without `authdaemond`.
    pub(crate) fn start(directory: &Path, count: usize, authdaemond: bool) -> Outcome<Stands> {
        // Accounts have other rights than we and must get to their homes.
        fs::set_permissions(directory, Permissions::from_mode(0o755))?;
        let stand = |number: usize| {
            let directory = directory.join(number.to_string());
            fs::create_dir(&directory)?;
            fs::set_permissions(&directory, Permissions::from_mode(0o755))?;
            Ok(Stand {
                account: Account::new(directory.join("alice")),
                authdaemond: authdaemond.then(|| Authdaemond::start(&directory)).transpose()?,
                directory,
            })
        };
        Ok(Stands(Mutex::new((0..count).map(stand).collect::<Outcome<_>>()?)))
    }

    /// Runs `play` on a free stand, on which `dialogue`'s maildrop is ready.
    pub(crate) fn with(&self, dialogue: &Dialogue, play: impl FnOnce(&mut Stand) -> Outcome) -> Outcome {
        let mut stand = self.lock().pop().ok_or("more dialogues at once than stands")?;
        let result = lay_out(&stand.account.home, &dialogue.maildrop, stand.account.owner);
        let result = result.and_then(|()| play(&mut stand));
        self.lock().push(stand);
        result
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<Stand>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Plays on a program that serves a maildrop, through two pipes, started as
/// the login program would.
pub(crate) fn pipe(stand: &mut Stand, dialogue: &Dialogue, side: Side, courierpop3d: &str) -> Outcome {
    let account = &stand.account;
    let log = stand.directory.join("log");
    let mut command = Command::new(courierpop3d);
    command.arg("./Maildir").current_dir(&account.home).stderr(fs::File::create(&log)?);
    let known = [
        ("PATH", PATH),
        ("TCPREMOTEIP", "::ffff:127.0.0.1"),
        ("TCPREMOTEPORT", "1100"),
        ("TCPLOCALPORT", "110"),
        ("AUTHENTICATED", "alice"),
        ("OPTIONS", ""),
        ("UTF8", "0"),
    ];
    command.env_clear().envs(known).envs(dialogue.environment.iter().cloned());
    if nix::unistd::geteuid().is_root() {
        command.uid(account.owner.0).gid(account.owner.1);
    }
    perform(stand, dialogue, side, Door::Maildrop, &mut Pipes::start(&mut command)?)
}

/// Plays on Courier's chain.
pub(crate) fn courier_tcp(stand: &mut Stand, dialogue: &Dialogue) -> Outcome {
    let authdaemond = stand.authdaemond.as_mut().ok_or("no authdaemond here")?;
    authdaemond.serve(&stand.account, &dialogue.fields)?;
    let mut command = authdaemond.command(courier::COURIERTCPD);
    command.env_clear().env("PATH", PATH).envs(dialogue.environment.iter().cloned());
    let words = [courier::COURIERPOP3LOGIN, courier::COURIERPOP3D, "./Maildir"].map(OsString::from);
    tcp(stand, dialogue, Side::Courier, command, &words)
}

fn tcp(stand: &Stand, dialogue: &Dialogue, side: Side, couriertcpd: Command, words: &[OsString]) -> Outcome {
    let mut chain = Chain::start(couriertcpd, words, &stand.directory.join("log"))?;
    let mut connection = chain.connect()?;
    perform(stand, dialogue, side, Door::Login, &mut connection)
}

fn perform(stand: &Stand, dialogue: &Dialogue, side: Side, door: Door, wire: &mut dyn Wire) -> Outcome {
    let log = stand.directory.join("log");
    let maildir = stand.account.maildir();
    let stage = Stage { side, door, maildir: Some((&maildir, stand.account.owner)), log: Some(&log) };
    play(dialogue, wire, &stage)
}

/// A directory for everything that a run writes.
pub(crate) fn directory() -> Outcome<TempDir> {
    Ok(tempfile::Builder::new().prefix("postrider-").tempdir()?)
}

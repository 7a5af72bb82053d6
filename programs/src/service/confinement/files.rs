//! Landlock: which files, and which ports and processes, there are for a
//! process. Rules are about what is opened, not about what is open already.

use std::path::{Path, PathBuf};

use landlock::{
    ABI, Access, AccessFs, AccessNet, BitFlags, CompatLevel, Compatible, PathBeneath, PathFd, Ruleset,
    RulesetAttr, RulesetCreated, RulesetCreatedAttr, RulesetError, Scope,
};

use super::{Confinement, Needs};

/// As the log shows it.
pub(super) const NAME: &str = "Landlock";

/// The least that is of use. Before it a rename from new/ to cur/ is never
/// allowed (Linux 5.19).
const LEAST: ABI = ABI::V2;
/// What is taken where the kernel has it.
const MOST: ABI = ABI::V6;

/// What a session does in a Maildir: no device, link, socket or program.
const MAIL: BitFlags<AccessFs> = landlock::make_bitflags!(AccessFs::{
    ReadFile | ReadDir | WriteFile | Truncate | RemoveFile | RemoveDir | MakeReg | MakeDir | Refer
});

/// Whether this system has it, and lets us use it.
pub(super) fn available() -> bool {
    all(AccessFs::from_all(LEAST)).and_then(Ruleset::create).is_ok()
}

/// Gives up the files, ports and processes that `confinement` does not need.
///
/// # Errors
/// A line for the log.
pub(super) fn restrict(confinement: &Confinement) -> Result<(), String> {
    let ruleset = match confinement {
        Confinement::MailboxWithPrograms | Confinement::Auth { modules: Needs::Anything, .. } => {
            return Ok(());
        }
        Confinement::Auth { directories, modules: Needs::Network | Needs::Nothing } => {
            changes_only(directories)
        }
        Confinement::Front => nothing(AccessNet::BindTcp | AccessNet::ConnectTcp),
        Confinement::Proxy => nothing(AccessNet::BindTcp.into()),
        Confinement::Mailbox => mail_below(Path::new("/")),
        Confinement::Account(maildir) => mail_below(maildir),
    };
    ruleset?.restrict_self().map(drop).map_err(|error| error.to_string())
}

/// No file at all, and none of `ports`.
fn nothing(ports: BitFlags<AccessNet>) -> Result<RulesetCreated, String> {
    strictly(ports).map_err(|error| error.to_string())
}

/// What a session does, below `directory`; nothing anywhere else.
fn mail_below(directory: &Path) -> Result<RulesetCreated, String> {
    let ruleset = strictly(AccessNet::BindTcp | AccessNet::ConnectTcp);
    ruleset.map_err(|error| error.to_string()).and_then(|ruleset| allow(ruleset, directory, MAIL))
}

/// Everything is read and run as before; changed is what is below `directories`.
fn changes_only(directories: &[PathBuf]) -> Result<RulesetCreated, String> {
    let changes = AccessFs::from_write(MOST);
    let ruleset = all(AccessFs::from_write(LEAST))
        .and_then(|ruleset| ruleset.set_compatibility(CompatLevel::BestEffort).handle_access(changes))
        .and_then(|ruleset| ruleset.scope(Scope::Signal)?.create())
        .map_err(|error| error.to_string())?;
    let there = directories.iter().filter(|directory| directory.is_dir());
    let ruleset = there.into_iter().try_fold(ruleset, |ruleset, path| allow(ruleset, path, changes))?;
    allow(ruleset, Path::new("/dev/null"), AccessFs::WriteFile | AccessFs::Truncate)
}

/// Files, `ports`, and whom signals and abstract sockets may reach.
fn strictly(ports: BitFlags<AccessNet>) -> Result<RulesetCreated, RulesetError> {
    all(AccessFs::from_all(LEAST))?
        .set_compatibility(CompatLevel::BestEffort)
        .handle_access(AccessFs::from_all(MOST))?
        .handle_access(ports)?
        .scope(Scope::Signal | Scope::AbstractUnixSocket)?
        .create()
}

/// All of `rights`, or an error.
fn all(rights: BitFlags<AccessFs>) -> Result<Ruleset, RulesetError> {
    Ruleset::default().set_compatibility(CompatLevel::HardRequirement).handle_access(rights)
}

fn allow(ruleset: RulesetCreated, path: &Path, rights: BitFlags<AccessFs>) -> Result<RulesetCreated, String> {
    let opened = PathFd::new(path).map_err(|error| error.to_string())?;
    ruleset.add_rule(PathBeneath::new(opened, rights)).map_err(|error| error.to_string())
}

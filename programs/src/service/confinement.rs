//! What a process of the service gives up when it is born, beside being
//! anybody else: files (Landlock), system calls (seccomp), more rights by exec,
//! being looked at by others, core dumps.
//!
//! | process | files | sockets | programs |
//! |---|---|---|---|
//! | front | none | accepts, and what it is given | none |
//! | proxy | none | the same, and connects over TCP | none |
//! | mailbox | its uid's, or one Maildir | what it is given | none, or `loginexec` |
//! | auth | writes its directory, if all modules are ours | its back-ends' | its workers and modules |
//!
//! A kernel without Landlock or seccomp is put up with and the log says so once,
//! unless `POSTRIDER_CONFINEMENT=require`.

mod calls;
mod files;
mod root;

use std::path::PathBuf;

use authlib::printable::reason;
use rustix::process::{DumpableBehavior, Resource, Rlimit, set_dumpable_behavior, setrlimit};

use crate::environment;
use crate::log;

/// What a process needs to do its work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Confinement {
    /// Sockets that it is given or accepts.
    Front,
    /// The same, and connections to others over TCP.
    Proxy,
    /// The files of one uid.
    Mailbox,
    /// One Maildir.
    Account(PathBuf),
    /// The files of one uid, and programs that an administrator has put there.
    MailboxWithPrograms,
    /// Data bases and the modules that ask them.
    Auth {
        /// The directories in which accounts are changed, if they are there.
        directories: Vec<PathBuf>,
        /// What the modules need.
        modules: Needs,
    },
}

/// What modules need beside their data bases.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needs {
    /// Nothing: userdb is files.
    Nothing,
    /// The network, or data bases of the system that may be there.
    Network,
    /// Programs that others have written, of which nothing is known.
    Anything,
}

impl Needs {
    /// What the modules called `names` need together.
    #[must_use]
    pub fn of(names: &[String]) -> Needs {
        let needs = |name: &String| match name.as_str() {
            "authuserdb" => Needs::Nothing,
            "authpwd" | "authshadow" | "authldap" | "authmysql" | "authoauth2" | "authpgsql" => {
                Needs::Network
            }
            // authsqlite changes a data base anywhere; the others run programs of others.
            _ => Needs::Anything,
        };
        let all: Vec<Needs> = names.iter().map(needs).collect();
        [Needs::Anything, Needs::Network]
            .into_iter()
            .find(|most| all.contains(most))
            .unwrap_or(Needs::Nothing)
    }
}

/// POSTRIDER_CONFINEMENT.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Will {
    /// Nothing is given up.
    Off,
    /// What can be.
    BestEffort,
    /// All of it, or the process is not to be.
    Require,
}

impl Will {
    fn from_environment() -> Result<Will, String> {
        match environment::octets("POSTRIDER_CONFINEMENT").as_slice() {
            b"" | b"best-effort" => Ok(Will::BestEffort),
            b"require" => Ok(Will::Require),
            b"off" => Ok(Will::Off),
            _ => Err("POSTRIDER_CONFINEMENT: it is require, best-effort or off".to_owned()),
        }
    }
}

/// Looks what this kernel has, logs what it lacks, and makes this process, which
/// is the monitor, one that nobody looks at and that leaves no core behind.
///
/// # Errors
/// A line for the log: something is required and missing.
pub(super) fn announce() -> Result<(), String> {
    let will = Will::from_environment()?;
    if will == Will::Off {
        log::warning(&"POSTRIDER_CONFINEMENT=off: processes are kept apart by their users alone");
        return Ok(());
    }
    stay_unseen()?;
    let missing: Vec<&str> = [(files::NAME, files::available()), (calls::NAME, calls::available())]
        .into_iter()
        .filter_map(|(name, is_there)| (!is_there).then_some(name))
        .collect();
    match (will, missing.as_slice()) {
        (_, []) => Ok(()),
        (Will::Require, _) => {
            Err(format!("POSTRIDER_CONFINEMENT=require, but this system lacks {}", missing.join(" and ")))
        }
        _ => {
            log::warning(&format_args!("processes are confined without {}", missing.join(" and ")));
            Ok(())
        }
    }
}

/// Whether an account can be kept to its own Maildir.
///
/// # Errors
/// A line for the log.
pub(super) fn can_keep_accounts_apart() -> Result<bool, String> {
    Ok(Will::from_environment()? != Will::Off && files::available())
}

/// Leaves root's own view of the file system, if `confinement` needs none. To be
/// called as root, before [`confine`].
///
/// # Errors
/// A line for the log: it is required and cannot be. The process must end.
pub(super) fn leave_files(confinement: &Confinement) -> Result<(), String> {
    let will = Will::from_environment()?;
    if will == Will::Off || !matches!(confinement, Confinement::Front | Confinement::Proxy) {
        return Ok(());
    }
    match root::leave() {
        Err(what) if will == Will::Require => Err(what),
        Err(what) => {
            log::warning(&format_args!("confined without a root of its own: {what}"));
            Ok(())
        }
        Ok(()) => Ok(()),
    }
}

/// Gives up what `confinement` does not need, for this process and all that it
/// starts, for good. To be called while there is one thread.
///
/// # Errors
/// A line for the log: something is required and missing. The process must end.
pub fn confine(confinement: &Confinement) -> Result<(), String> {
    let will = Will::from_environment()?;
    if will == Will::Off {
        return Ok(());
    }
    stay_unseen()?;
    if confinement.needs_more_rights_by_exec() {
        return Ok(());
    }
    rustix::thread::set_no_new_privs(true).map_err(|error| said("no_new_privs", &error.into()))?;
    let steps: [(&str, bool, Step); 2] = [
        (files::NAME, files::available(), files::restrict),
        (calls::NAME, calls::available(), calls::restrict),
    ];
    for (name, is_there, step) in steps {
        // What a whole system lacks the monitor has told already.
        let result = if is_there { step(confinement) } else { Err("this system has none".to_owned()) };
        match result {
            Err(what) if will == Will::Require => return Err(format!("{name}: {what}")),
            Err(what) if is_there => log::warning(&format_args!("confined without {name}: {what}")),
            _ => {}
        }
    }
    Ok(())
}

type Step = fn(&Confinement) -> Result<(), String>;

impl Confinement {
    /// A user's own modules may be helped by programs that are somebody else
    /// (unix_chkpwd, sudo), which nothing here would let through. Root needs no
    /// such help.
    fn needs_more_rights_by_exec(&self) -> bool {
        matches!(self, Confinement::Auth { modules: Needs::Anything, .. }) && !system::user::is_root()
    }
}

/// No other process of the same user may look into this one, and its memory,
/// which may hold passwords or mail, is never written to a disk.
fn stay_unseen() -> Result<(), String> {
    let none = Rlimit { current: Some(0), maximum: Some(0) };
    setrlimit(Resource::Core, none).map_err(|error| said("setrlimit", &error.into()))?;
    set_dumpable_behavior(DumpableBehavior::NotDumpable).map_err(|error| said("prctl", &error.into()))
}

fn said(call: &str, error: &std::io::Error) -> String {
    format!("{call}: {}", reason(error))
}

#[cfg(test)]
mod tests {
    use super::Needs;

    #[test]
    fn modules_need_what_the_neediest_of_them_needs() {
        let needs =
            |names: &[&str]| Needs::of(&names.iter().map(|name| (*name).to_owned()).collect::<Vec<_>>());
        assert_eq!(needs(&["authuserdb"]), Needs::Nothing);
        assert_eq!(needs(&["authuserdb", "authldap"]), Needs::Network);
        assert_eq!(needs(&["authpam", "authuserdb", "authpwd"]), Needs::Anything);
        assert_eq!(needs(&["authpipe"]), Needs::Anything);
        assert_eq!(needs(&["what-comes-later"]), Needs::Anything);
    }
}

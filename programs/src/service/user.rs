//! `postrider user`: the accounts of the embedded store, which is Courier's
//! userdb in the service's directory, with everybody's Maildir below it. What
//! it has done is in force when it ends: text and both files change together.

mod mail;
mod store;
mod words;

use std::ffi::OsString;
use std::io::{self, Write};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use authlib::password::new::{self, Scheme};
use authlib::printable::{printable, reason};
use authlib::userdb::compile::{self, Compiler};
use authlib::userdb::edit::{self, Assignment, Change, Text};
use authlib::userdb::{field, imposed, text, transaction};
use zeroize::Zeroizing;

use super::{command, directory};
use crate::new_password;
use mail::Mail;
use store::Store;
use words::{Action, Call, Name};

pub(super) const USAGE: &str = "\
Usage: postrider user add NAME [--uid UID --gid GID]
       postrider user passwd NAME
       postrider user list
       postrider user show NAME
       postrider user del NAME [--mail]

  add                makes an account with an empty Maildir; root names its ids
  passwd             gives an account another password
  list               shows the names of all accounts
  show               shows the fields of one, without its secrets
  del                removes an account, with --mail its mail too
  --directory DIR    where the accounts are; otherwise
                     $XDG_DATA_HOME/postrider or ~/.local/share/postrider

A password is asked for, or is a line of standard input.
";

/// Why nothing was done.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error("{0}")]
    Words(String),
    #[error("there is an account {0} already")]
    Exists(Name),
    #[error("there is no account {0}")]
    Unknown(Name),
    #[error("root has no mail: whose is it? Say --uid and --gid")]
    NoIds,
    #[error("only root can make accounts of others; this one would be of uid {0}, gid {1}")]
    OthersIds(u32, u32),
    #[error("{}: belongs to uid {}, who should do that", .0.display(), .1)]
    OthersDirectory(PathBuf, u32),
    #[error("{}: the name of the directory cannot stand in userdb", .0.display())]
    Directory(PathBuf),
    #[error(transparent)]
    Password(#[from] new_password::Refused),
    #[error(transparent)]
    Hash(#[from] new::Failed),
    #[error(transparent)]
    Text(#[from] edit::Failed),
    #[error(transparent)]
    Files(#[from] compile::Failed),
    #[error(transparent)]
    Mail(#[from] mail::Failed),
    #[error("{}: {}", .0.display(), reason(.1))]
    System(PathBuf, io::Error),
}

/// Runs it with the words behind `postrider user`.
pub(super) fn run(words: &[OsString]) -> ExitCode {
    let call = match words::parse(words) {
        Ok(call) => call,
        Err(what) => return command::wrong(&what, USAGE),
    };
    match perform(&call) {
        Ok(()) => ExitCode::SUCCESS,
        Err(failed) => {
            warn(&failed.to_string());
            ExitCode::FAILURE
        }
    }
}

fn perform(Call { directory, action }: &Call) -> Result<(), Failed> {
    match action {
        Action::Add { name, uid, gid } => {
            let (uid, gid) = ids(*uid, *gid)?;
            add(&Store::make(directory)?, name, uid, gid)
        }
        Action::Passwd { name } => passwd(&Store::open(directory)?, name),
        Action::List => list(&directory::userdb(directory)),
        Action::Show { name } => show(&directory::userdb(directory), name),
        Action::Delete { name, mail } => delete(&Store::open(directory)?, name, *mail),
    }
}

/// Whose a new account's mail is: ours; or, as root's is nobody's, that of
/// whom root names.
fn ids(uid: Option<u32>, gid: Option<u32>) -> Result<(u32, u32), Failed> {
    if system::user::is_root() {
        return uid.zip(gid).ok_or(Failed::NoIds);
    }
    let own = system::user::own_ids();
    let wanted = (uid.unwrap_or(own.0), gid.unwrap_or(own.1));
    if wanted == own && own.1 != 0 { Ok(own) } else { Err(Failed::OthersIds(wanted.0, wanted.1)) }
}

/// Makes an account without asking anybody; gives its Maildir.
///
/// # Errors
/// A line for people.
pub(super) fn make(
    directory: &Path,
    name: &str,
    uid: u32,
    gid: u32,
    password: &[u8],
) -> Result<PathBuf, String> {
    let name = Name::new(name.as_ref())?;
    let made = Store::make(directory).and_then(|store| {
        let made = add_with(&store, &name, uid, gid, || Ok(Zeroizing::new(password.to_vec())));
        made.map(|_| mail::home(&store.directory, &name).join(mail::MAILDIR))
    });
    made.map_err(|failed| failed.to_string())
}

fn add(store: &Store, name: &Name, uid: u32, gid: u32) -> Result<(), Failed> {
    let mail = add_with(store, name, uid, gid, || Ok(new_password::ask()?))?;
    let maildir = mail::home(&store.directory, name).join(mail::MAILDIR);
    if let Some(barrier) = mail::barrier(&maildir, uid, gid) {
        warn(&format!("uid {uid} cannot get to its mail: {} does not let it through", barrier.display()));
    }
    let kept = if mail == Mail::Kept { ", as it was" } else { "" };
    say(format!("{name} has an account. Mail: {}{kept}\n", maildir.display()).as_bytes())
}

fn add_with(
    store: &Store,
    name: &Name,
    uid: u32,
    gid: u32,
    password: impl FnOnce() -> Result<Zeroizing<Vec<u8>>, Failed>,
) -> Result<Mail, Failed> {
    let home = mail::home(&store.directory, name);
    if !text::is_value(home.as_os_str().as_bytes()) {
        return Err(Failed::Directory(home));
    }
    // Nobody types a password in vain, and nobody waits for somebody typing.
    if store.fields(name)?.is_some() {
        return Err(Failed::Exists(name.clone()));
    }
    let stored = new::stored(Scheme::MODERN, &password()?)?;
    let assign = |field, value: &[u8]| Assignment { field, value: Zeroizing::new(value.to_vec()) };
    let fields = [
        assign(b"uid", uid.to_string().as_bytes()),
        assign(b"gid", gid.to_string().as_bytes()),
        assign(b"home", home.as_os_str().as_bytes()),
        Assignment { field: b"systempw", value: Zeroizing::new(stored.into_bytes()) },
    ];
    let (compiler, text) = store.lock()?;
    if text.find(name.octets())?.is_some() {
        return Err(Failed::Exists(name.clone()));
    }
    let mail = mail::provide(&store.directory, name, uid, gid)?;
    commit(&compiler, &text, name, &Change::Set(&fields))?;
    Ok(mail)
}

fn passwd(store: &Store, name: &Name) -> Result<(), Failed> {
    if store.fields(name)?.is_none() {
        return Err(Failed::Unknown(name.clone()));
    }
    let password = new_password::ask()?;
    let (compiler, text) = store.lock()?;
    let Some(fields) = text.find(name.octets())? else { return Err(Failed::Unknown(name.clone())) };
    let imposed = imposed(&fields, b"pop3", &password)?;
    commit(&compiler, &text, name, &Change::Set(&imposed))?;
    say(format!("{name} has another password.\n").as_bytes())
}

/// Records without a uid are no accounts, such as those that name the account
/// of a uid.
fn list(userdb: &Path) -> Result<(), Failed> {
    let mut names = Vec::new();
    let mut each = |name: &[u8], fields: &[u8]| {
        if field::find(fields, b"uid").is_some() {
            names.extend([name, b"\n"].concat());
        }
    };
    text::each_record(userdb, &mut each).map_err(|error| Failed::System(userdb.to_owned(), error))?;
    say(&names)
}

fn show(userdb: &Path, wanted: &Name) -> Result<(), Failed> {
    let mut shown = Vec::new();
    let mut each = |name: &[u8], fields: &[u8]| {
        if name == wanted.octets() {
            for field in text::split(fields) {
                match text::name_and_value(field) {
                    Some((secret, _)) if text::is_secret(secret) => {
                        shown.extend([secret, b"=(not shown)\n"].concat());
                    }
                    _ => shown.extend([field, b"\n"].concat()),
                }
            }
        }
    };
    text::each_record(userdb, &mut each).map_err(|error| Failed::System(userdb.to_owned(), error))?;
    if shown.is_empty() { Err(Failed::Unknown(wanted.clone())) } else { say(&shown) }
}

fn delete(store: &Store, name: &Name, with_mail: bool) -> Result<(), Failed> {
    if store.fields(name)?.is_none() {
        return Err(Failed::Unknown(name.clone()));
    }
    let (compiler, text) = store.lock()?;
    let Some(fields) = text.find(name.octets())? else { return Err(Failed::Unknown(name.clone())) };
    commit(&compiler, &text, name, &Change::Delete)?;
    let home = mail::home(&store.directory, name);
    let its_home = field::find(&fields, b"home").unwrap_or_default();
    let fate = if its_home != home.as_os_str().as_bytes() {
        format!("Its mail is not below ours, and is left: {}", printable(its_home))
    } else if !with_mail {
        format!("Its mail is left: {}", home.display())
    } else if mail::remove(&store.directory, name)? {
        "Its mail is gone too.".to_owned()
    } else {
        "It had no mail.".to_owned()
    };
    say(format!("{name} has no account any more. {fate}\n").as_bytes())
}

fn commit(compiler: &Compiler, text: &Text, name: &Name, change: &Change<'_>) -> Result<(), Failed> {
    transaction::commit::<Failed>(compiler, text, name.octets(), change, &mut warn).map(drop)
}

fn say(text: &[u8]) -> Result<(), Failed> {
    io::stdout().write_all(text).map_err(|error| Failed::System("standard output".into(), error))
}

fn warn(text: &str) {
    let _ = writeln!(io::stderr(), "postrider: {text}");
}

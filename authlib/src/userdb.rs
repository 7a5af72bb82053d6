//! userdb: accounts in Courier's own data base (reference: authlib 7 to 10).
//!
//! An administrator writes text ([`text`]); makeuserdb(8) compiles it into two
//! GDBM files, `userdb.dat` for everybody and `userdbshadow.dat` with the
//! passwords for root; a login looks a name up in both.
//!
//! ```text
//! alice TAB uid=5000|gid=5000|home=/home/alice|systempw=$1$…
//!   userdb.dat        alice → uid=5000|gid=5000|home=/home/alice|_=
//!   userdbshadow.dat  alice → systempw=$1$…
//! ```

mod change;
pub mod compile;
pub mod database;
pub mod edit;
pub mod field;
mod gdbm;
mod kept;
pub mod text;
pub mod transaction;

use std::ffi::OsString;
use std::hint::black_box;
use std::io;
use std::path::{Path, PathBuf};

use crate::account::{Account, Ids, Unavailable, Verdict, id, path, text as plain};
use crate::hmac_state::Hash;
use crate::module::{Changed, Client, Entry, Module, PasswordChange};
use crate::options::Options;
use crate::password;
use crate::printable::reason;
use crate::record::{Claim, Record};
use crate::scram::{Salt, Wanted};
use crate::secret::Secret;
pub use change::imposed;
use database::Lookup;
use kept::Files;

/// The two files that a userdb text is compiled to.
#[derive(Debug)]
pub struct Userdb {
    /// The text, a file or a directory of files.
    pub source: PathBuf,
    /// `FILE.dat`: everything but passwords.
    pub public: PathBuf,
    /// `FILEshadow.dat`: the passwords.
    pub shadow: PathBuf,
    files: Files,
}

impl Userdb {
    /// The files that belong to the text `source`, such as
    /// `/etc/courier/userdb`.
    #[must_use]
    pub fn of(source: &Path) -> Self {
        let beside = |ending: &str| {
            let mut name = OsString::from(source);
            name.push(ending);
            PathBuf::from(name)
        };
        let (public, shadow) = (beside(".dat"), beside("shadow.dat"));
        Userdb { source: source.to_owned(), public, shadow, files: Files::once() }
    }

    /// Whether the credentials of `record` belong to an account of this data
    /// base. The authtypes `login`, `cram-…`, `scram-…` and `apop` are known; others are rejected,
    /// so that another module is asked.
    ///
    /// Without the public file nobody is known here. Without the shadow file
    /// nothing can be told (ledger 601).
    #[must_use]
    pub fn check(&self, record: &Record) -> Verdict {
        let mut files = Files::once();
        verdict(self.open(&mut files), record)
    }

    /// Both files, or `None` if there is no public one.
    fn open<'a>(&self, files: &'a mut Files) -> Opened<'a> {
        files.open(&self.public, &self.shadow)
    }

    /// The same, for as long as they stay what they are.
    fn kept(&mut self) -> Opened<'_> {
        self.files.open(&self.public, &self.shadow)
    }
}

/// The public file and the shadow file.
type Opened<'a> = Result<Option<(&'a mut gdbm::Reader, &'a mut gdbm::Reader)>, Unavailable>;

fn verdict(files: Opened<'_>, record: &Record) -> Verdict {
    let claim = match record.claim() {
        // A token is not for a data base of passwords.
        None | Some(Claim::Token(_)) => return Verdict::Reject,
        Some(claim) => claim,
    };
    match files.and_then(|files| match files {
        Some((public, shadow)) => check(public, shadow, record, &claim),
        None => Ok(None),
    }) {
        Ok(Some(account)) => Verdict::Accept(account),
        Ok(None) => Verdict::Reject,
        Err(reason) => Verdict::Unavailable(reason),
    }
}

impl Module for Userdb {
    fn name(&self) -> &str {
        "authuserdb"
    }

    fn prepare(&mut self) -> Result<(), Unavailable> {
        self.files.keep();
        Ok(())
    }

    fn authenticate(&mut self, record: &Record, _: &Client) -> Verdict {
        verdict(self.kept(), record)
    }

    /// Both files are read for everybody alike.
    fn salt(&mut self, service: &[u8], wanted: &Wanted, _: &Client) -> Result<Option<Salt>, Unavailable> {
        let Some((public, shadow)) = self.kept()? else { return Ok(None) };
        let record = fetch_alike(public, &wanted.user)?;
        let secrets = fetch_alike(shadow, &wanted.user)?;
        let salt = wanted.of(stored_password(secrets.as_ref(), service), None);
        Ok(salt.filter(|_| record.is_some()))
    }

    fn look_up(&mut self, service: &[u8], user: &[u8], _: &Client) -> Verdict {
        let found = self.kept().and_then(|files| {
            let Some((public, shadow)) = files else { return Ok(None) };
            let Some(record) = public.fetch(user).map_err(failed)? else { return Ok(None) };
            let secrets = shadow.fetch(user).map_err(failed)?;
            account(user, record.expose(), stored_password(secrets.as_ref(), service)).map(Some)
        });
        match found {
            Ok(Some(account)) => Verdict::Accept(account),
            Ok(None) => Verdict::Reject,
            Err(reason) => reason.into(),
        }
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        change::change(self, change)
    }

    fn renews(&self) -> bool {
        true
    }

    /// Records that are no account anybody could use, such as the reverse
    /// ones, are left out.
    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let mut files = Files::once();
        let Some((public, _)) = self.open(&mut files)? else { return Ok(()) };
        let mut each_record = |name: &[u8], record: &[u8]| match account(name, record, None) {
            Ok(account) => each(&account.into()),
            Err(_) => true,
        };
        public.each(&mut each_record).map_err(failed)
    }

    fn idle(&mut self) {
        self.files.close();
    }
}

fn failed(error: io::Error) -> Unavailable {
    Unavailable::new(format!("userdb: {}", reason(&error)))
}

/// What `user` has in `data_base`. Where that is nothing, a neighbour's is read
/// in vain, so that this takes as long (ledger 603).
fn fetch_alike(data_base: &mut impl Lookup, user: &[u8]) -> Result<Option<Secret>, Unavailable> {
    let found = data_base.fetch(user).map_err(failed)?;
    if found.is_none() {
        let _in_vain = black_box(data_base.fetch_neighbour(user).map_err(failed)?);
    }
    Ok(found)
}

/// The account, or `None` if there is no such user or the claim is wrong.
fn check(
    public: &mut impl Lookup,
    shadow: &mut impl Lookup,
    asked: &Record,
    claim: &Claim<'_>,
) -> Result<Option<Account>, Unavailable> {
    let service = asked.service();
    let record = fetch_alike(public, claim.user())?;
    let secrets = fetch_alike(shadow, claim.user())?;
    let neighbour = shadow.fetch_neighbour(claim.user()).map_err(failed)?;

    let own = stored_password(secrets.as_ref(), service);
    let mut server_signature = None;
    let (is_right, stored) = match claim {
        Claim::Login(login) => {
            let others = stored_password(neighbour.as_ref(), service);
            if own.is_some_and(|own| asked.is_remembered(own)) {
                (Ok(true), own)
            } else {
                (is_password(own, others, login.password), own)
            }
        }
        Claim::Proof(proof) => {
            (Ok(proof.is_of_stored(stored_states(secrets.as_ref(), service, proof.hash()))), None)
        }
        Claim::Token(_) => (Ok(false), None),
        Claim::Scram(proof) => {
            server_signature = proof.verify(own, None);
            (Ok(server_signature.is_some()), None)
        }
        Claim::Apop(proof) => (Ok(proof.verify(own, None)), None),
    };
    match record {
        Some(record) if is_right? => {
            let account = account(claim.user(), record.expose(), stored)?;
            let clear_password = claim.password().map(Secret::copy_of);
            Ok(Some(Account { clear_password, server_signature, ..account }))
        }
        _ => Ok(None),
    }
}

/// Whether `clear` is the password stored as `own`.
///
/// One password is compared in any case, and all are read alike, so that an
/// unknown user and a wrong password take as long (ledger 603). A neighbour's
/// password stands in for one that is missing or locked (ledger 458), since it
/// most likely has the usual form of this data base.
fn is_password(own: Option<&[u8]>, others: Option<&[u8]>, clear: &[u8]) -> Result<bool, Unavailable> {
    let [own, others] = [own, others].map(|stored| stored.filter(|stored| password::is_password(stored)));
    let compared = own.or(others).unwrap_or(password::NOBODYS);
    let verified = black_box(password::verify(compared, clear));
    if own.is_some() { verified } else { Ok(false) }
}

/// What proofs made with `hash` are verified with for this service, else for
/// all.
fn stored_states<'a>(secrets: Option<&'a Secret>, service: &[u8], hash: Hash) -> Option<&'a [u8]> {
    let secrets = secrets?.expose();
    let for_all = [hash.name().as_bytes(), b"pw"].concat();
    let for_service = [service, b"-", &for_all].concat();
    field::find(secrets, &for_service).or_else(|| field::find(secrets, &for_all))
}

/// The password for this service, else the one for all.
fn stored_password<'a>(secrets: Option<&'a Secret>, service: &[u8]) -> Option<&'a [u8]> {
    let secrets = secrets?.expose();
    field::find(secrets, &[service, b"pw"].concat()).or_else(|| field::find(secrets, b"systempw"))
}

/// The account that the public fields of `user` describe, with its password as
/// it is `stored`.
///
/// Whoever gets here knows the password, or needs none, so a record that
/// cannot be used is a fault of the data base, not of the client (ledger 602).
fn account(user: &[u8], record: &[u8], stored: Option<&[u8]>) -> Result<Account, Unavailable> {
    let field = |name: &str| field::find(record, name.as_bytes());
    let required =
        |name: &str| field(name).ok_or_else(|| Unavailable::new(format!("the account's {name} is missing")));
    let home = path("home", required("home")?)?;
    Ok(Account {
        address: plain("name", user)?,
        ids: Ids::numeric(id("uid", required("uid")?)?, id("gid", required("gid")?)?)?,
        home: home.ok_or_else(|| Unavailable::new("the account's home is empty"))?,
        maildir: path("mail", field("mail").unwrap_or_default())?,
        quota: field("quota").map(|value| plain("quota", value)).transpose()?,
        full_name: field("gecos").map(|value| plain("gecos", value)).transpose()?,
        stored_password: stored.map(Secret::copy_of),
        clear_password: None,
        options: Options::parse(field("options").unwrap_or_default()),
        server_signature: None,
    })
}

#[cfg(test)]
mod tests;

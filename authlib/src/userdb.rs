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
mod tests {
    use super::database::Builder;
    use super::{Userdb, text};
    use crate::cram::Proof;
    use crate::hmac_state::{Hash, States};
    use crate::password::Answers;
    use crate::{Account, Client, Module, Record, Verdict};
    use proptest::prelude::*;
    use std::path::Path;
    use std::time::{Duration, Instant};

    const SHA_OF_SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

    /// A data base of `source` in a directory of its own.
    fn compiled(source: &str) -> (tempfile::TempDir, Userdb) {
        let directory = tempfile::tempdir().unwrap();
        let userdb = Userdb::of(&directory.path().join("userdb"));
        let mut public = Builder::create(&userdb.public, 0o600).unwrap();
        let mut shadow = Builder::create(&userdb.shadow, 0o600).unwrap();
        for line in source.lines() {
            if let text::Line::Record { name, fields } = text::Line::parse(line.as_bytes()) {
                let parts = text::compile(fields, b"");
                public.insert(name, &parts.public).unwrap();
                shadow.insert(name, &parts.shadow).unwrap();
            }
        }
        public.finish().unwrap();
        shadow.finish().unwrap();
        (directory, userdb)
    }

    fn check(userdb: &Userdb, service: &str, user: &str, password: &str) -> Verdict {
        userdb.check(&Record::login(service.as_bytes(), user.as_bytes(), password.as_bytes()).unwrap())
    }

    fn accepted(source: &str) -> Account {
        let (_directory, userdb) = compiled(source);
        match check(&userdb, "pop3", "alice", "secret") {
            Verdict::Accept(account) => account,
            other => panic!("{source}: {other:?}"),
        }
    }

    #[test]
    fn every_field_finds_its_place() {
        let account = accepted(&format!(
            "alice\tuid=5000|gid=5001|home=/home/alice|mail=Mail|quota=1000S|gecos=Alice,,|\
             options=disablepop3=0,x=y|shell=/bin/sh|systempw={SHA_OF_SECRET}"
        ));
        assert_eq!(account.address, b"alice");
        assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
        assert_eq!(account.home, Path::new("/home/alice"));
        assert_eq!(account.maildir.as_deref(), Some(Path::new("Mail")));
        assert_eq!(account.quota.as_deref(), Some(b"1000S".as_slice()));
        assert_eq!(account.full_name.as_deref(), Some(b"Alice,,".as_slice()));
        assert_eq!(account.options.as_bytes(), b"disablepop3=0,x=y");
    }

    #[test]
    fn passwords_go_with_the_account_as_far_as_they_are_known() {
        let record = format!("alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}|imappw=x");
        let account = accepted(&record);
        assert_eq!(account.stored_password.unwrap().expose(), SHA_OF_SECRET.as_bytes());
        assert_eq!(account.clear_password.unwrap().expose(), b"secret");
        let (_directory, mut userdb) = compiled(&record);
        let Verdict::Accept(account) = userdb.look_up(b"imap", b"alice", &Client::default()) else {
            panic!()
        };
        assert_eq!(account.stored_password.unwrap().expose(), b"x");
        assert!(account.clear_password.is_none());
    }

    #[test]
    fn a_remembered_password_is_not_compared_again_and_only_if_it_is_the_same() {
        // More work than a server gives: who compares it cannot tell.
        let costly = "$6$rounds=900000000$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
        let (_directory, userdb) = compiled(&format!("alice\tuid=1|gid=1|home=/h|systempw={costly}"));
        let check = |stored: &str, password: &[u8]| {
            let mut answers = Answers::new(1, Duration::from_secs(60), [1; 64]);
            let record = Record::login(b"pop3", b"alice", password).unwrap();
            answers.remember(
                &Record::login(b"pop3", b"alice", b"secret").unwrap(),
                stored.as_bytes(),
                Instant::now(),
            );
            let remembered = answers.recall(&record, Instant::now());
            userdb.check(&record.with_remembered(remembered))
        };
        assert!(matches!(check(costly, b"secret"), Verdict::Accept(_)));
        assert!(matches!(check(costly, b"wrong"), Verdict::Unavailable(_)));
        assert!(matches!(check("another", b"secret"), Verdict::Unavailable(_)));
    }

    #[test]
    fn a_look_up_needs_an_account_but_no_password() {
        let (_directory, mut userdb) = compiled("alice\tuid=1|gid=1|home=/h\nroot\tuid=0|gid=0|home=/root");
        let mut look_up = |user: &str| userdb.look_up(b"pop3", user.as_bytes(), &Client::default());
        assert!(matches!(look_up("alice"), Verdict::Accept(account) if account.stored_password.is_none()));
        assert!(matches!(look_up("bob"), Verdict::Reject));
        assert!(matches!(look_up("root"), Verdict::Unavailable(_)));
    }

    #[test]
    fn every_account_that_can_be_used_is_listed_once() {
        let accounts =
            (0..2000).map(|n| format!("user{n}\tuid=1|gid=2|home=/h/{n}|options=n={n}\n{n}=\tuser{n}\n"));
        let (_directory, mut userdb) = compiled(&(accounts.collect::<String>() + "root\tuid=0|gid=0|home=/"));
        let mut names = std::collections::BTreeSet::new();
        userdb
            .enumerate(&mut |entry| {
                assert_eq!((entry.uid, entry.gid), (1, 2));
                names.insert(entry.name.clone())
            })
            .unwrap();
        assert_eq!(names.len(), 2000);
        let mut count = 0;
        userdb
            .enumerate(&mut |_| {
                count += 1;
                count < 5
            })
            .unwrap();
        assert_eq!(count, 5);
    }

    #[test]
    fn the_password_of_a_service_wins_over_the_one_for_all() {
        let (_directory, userdb) =
            compiled(&format!("alice\tuid=1|gid=1|home=/h|systempw=*|pop3pw={SHA_OF_SECRET}"));
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Accept(_)));
        assert!(matches!(check(&userdb, "imap", "alice", "secret"), Verdict::Reject));
    }

    #[test]
    fn strangers_wrong_passwords_and_locked_accounts_are_rejected() {
        let (_directory, userdb) = compiled(&format!(
            "alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nnopw\tuid=1|gid=1|home=/h\n5000=\talice"
        ));
        for (user, password) in [
            ("alice", "Secret"),
            ("Alice", "secret"),
            ("nobody", "secret"),
            ("nopw", "secret"),
            ("5000=", "secret"),
        ] {
            assert!(matches!(check(&userdb, "pop3", user, password), Verdict::Reject), "{user}");
        }
        for other in [b"pop3\ncram-md5\nYQ==\nYg==\n\n".as_slice(), b"pop3\nkerberos\nalice\nsecret\n\n"] {
            let other = Record::decode(other).unwrap();
            assert!(matches!(userdb.check(&other), Verdict::Reject));
        }
    }

    /// What a data base says to who proves, with `hash`, to know `password`.
    fn check_proof(userdb: &Userdb, hash: Hash, user: &str, password: &str) -> Verdict {
        let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
        let digest = States::of(hash, password.as_bytes()).hmac(challenge);
        let response = format!("{user} {}", crate::password::lower_hex(&digest));
        let proof = Proof::new(hash, challenge, response.as_bytes()).unwrap();
        userdb.check(&Record::proof(b"pop3", &proof).unwrap())
    }

    #[test]
    fn a_proof_is_verified_with_what_is_stored_for_its_hash() {
        for hash in Hash::ALL {
            let (name, stored) = (hash.name(), hash.stored(b"secret"));
            let (_directory, userdb) = compiled(&format!(
                "alice\tuid=1|gid=1|home=/h|{name}pw={}\nbob\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}",
                stored.as_str()
            ));
            let Verdict::Accept(account) = check_proof(&userdb, hash, "alice", "secret") else { panic!() };
            assert_eq!(account.address, b"alice");
            for (user, password) in [("alice", "Secret"), ("bob", "secret"), ("nobody", "secret")] {
                assert!(matches!(check_proof(&userdb, hash, user, password), Verdict::Reject), "{user}");
            }
            for other in Hash::ALL.into_iter().filter(|&other| other != hash) {
                assert!(matches!(check_proof(&userdb, other, "alice", "secret"), Verdict::Reject));
            }
            // What is stored for proofs is no password.
            assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Reject));
            assert!(matches!(check(&userdb, "pop3", "alice", &stored), Verdict::Reject));
        }
    }

    #[test]
    fn what_is_stored_for_a_service_wins_over_what_is_for_all() {
        let (secret, other) = (Hash::Md5.stored(b"secret"), Hash::Md5.stored(b"other"));
        let (_directory, userdb) = compiled(&format!(
            "alice\tuid=1|gid=1|home=/h|hmac-md5pw={}|pop3-hmac-md5pw={}|imap-hmac-md5pw=*",
            other.as_str(),
            secret.as_str()
        ));
        assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Accept(_)));
        assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "other"), Verdict::Reject));
    }

    #[test]
    fn malformed_states_match_nothing() {
        for stored in ["", "*", "cd3ba7de", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
            let (_directory, userdb) = compiled(&format!("alice\tuid=1|gid=1|home=/h|hmac-md5pw={stored}"));
            assert!(
                matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Reject),
                "{stored}"
            );
        }
    }

    #[test]
    fn a_right_proof_for_an_unusable_account_cannot_tell() {
        let stored = Hash::Md5.stored(b"secret");
        let (_directory, userdb) =
            compiled(&format!("alice\tuid=0|gid=1|home=/h|hmac-md5pw={}", stored.as_str()));
        assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Unavailable(_)));
        assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "wrong"), Verdict::Reject));
    }

    #[test]
    fn a_neighbours_password_opens_no_account() {
        let (_directory, userdb) = compiled(&format!(
            "alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nnopw\tuid=1|gid=1|home=/h"
        ));
        assert!(matches!(check(&userdb, "pop3", "nopw", "secret"), Verdict::Reject));
        assert!(matches!(check(&userdb, "pop3", "stranger", "secret"), Verdict::Reject));
    }

    #[test]
    fn a_neighbours_password_opens_no_locked_account() {
        let (_directory, userdb) = compiled(&format!(
            "alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nlocked\tuid=1|gid=1|home=/h|systempw=*"
        ));
        assert!(matches!(check(&userdb, "pop3", "locked", "secret"), Verdict::Reject));
    }

    #[test]
    fn a_password_that_asks_for_too_much_work_is_a_fault_of_the_data_base() {
        let (_directory, userdb) =
            compiled("alice\tuid=1|gid=1|home=/h|systempw=$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf");
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
        assert!(matches!(check(&userdb, "pop3", "stranger", "secret"), Verdict::Reject));
    }

    #[test]
    fn an_account_without_usable_ids_or_home_is_never_accepted() {
        for fields in [
            "uid=0|gid=1|home=/h",
            "uid=1|gid=0|home=/h",
            "uid=|gid=1|home=/h",
            "uid=x|gid=1|home=/h",
            "uid=1|gid=1 |home=/h",
            "uid|gid=1|home=/h",
            "gid=1|home=/h",
            "uid=1|home=/h",
            "uid=1|gid=1",
            "uid=1|gid=1|home=",
            "uid=4294967296|gid=1|home=/h",
            "uid=0|uid=1|gid=1|home=/h",
        ] {
            let (_directory, userdb) = compiled(&format!("alice\t{fields}|systempw={SHA_OF_SECRET}"));
            assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)), "{fields}");
            assert!(matches!(check(&userdb, "pop3", "alice", "wrong"), Verdict::Reject), "{fields}");
        }
    }

    #[test]
    fn no_data_base_knows_nobody_and_half_a_data_base_cannot_tell() {
        let (_directory, userdb) = compiled("alice\tuid=1");
        std::fs::remove_file(&userdb.shadow).unwrap();
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
        std::fs::remove_file(&userdb.public).unwrap();
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Reject));
    }

    #[test]
    fn a_file_that_is_no_data_base_cannot_tell() {
        let (_directory, userdb) = compiled("alice\tuid=1");
        for damage in [b"".as_slice(), b"alice\tuid=1\n", &[0; 20000]] {
            std::fs::write(&userdb.public, damage).unwrap();
            assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(300))]
        #[test]
        fn a_damaged_data_base_accepts_nobody_as_root(damage in prop::collection::vec((0..16384usize, any::<u8>()), 1..20)) {
            let (_directory, userdb) = compiled(&format!("alice\tuid=10|gid=10|home=/h|systempw={SHA_OF_SECRET}"));
            for path in [&userdb.public, &userdb.shadow] {
                let mut octets = std::fs::read(path).unwrap();
                let length = octets.len();
                damage.iter().for_each(|(at, octet)| octets[at % length] = *octet);
                std::fs::write(path, octets).unwrap();
            }
            if let Verdict::Accept(account) = check(&userdb, "pop3", "alice", "secret") {
                prop_assert!(account.ids.uid() != 0 && account.ids.gid() != 0);
            }
        }
    }
}

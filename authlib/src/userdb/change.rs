//! A new password for an old one: the text is edited and both files are
//! compiled anew, as `userdb` and `makeuserdb` would one after the other, but
//! in one go, under the locks of both (reference: authlib 10; ledger 616 to
//! 619).
//!
//! What a crash leaves is told at [`transaction`]. A text that is ahead is
//! brought into force by the next change of that account, first of all. The
//! client is told when all is new.

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;
use std::path::{Component, Path, PathBuf};
use std::time::Duration;

use zeroize::Zeroizing;

use super::compile::{Compiler, Origin};
use super::database::Lookup;
use super::edit::{Assignment, Change, Text};
use super::kept::Files;
use super::{Userdb, check, compile, edit, failed, field, text, transaction};
use crate::account::Unavailable;
use crate::hmac_state::Hash;
use crate::module::{Changed, PasswordChange};
use crate::password::new;
use crate::printable::printable;
use crate::secret::Secret;

/// How long each lock is waited for. Shorter than those wait who ask us.
const PATIENCE: Duration = Duration::from_secs(10);
/// How often somebody else may have been quicker.
const ATTEMPTS: usize = 5;

/// Changes a password of `userdb`. Names that cannot stand in a text are
/// nobody's.
pub(super) fn change(userdb: &Userdb, change: &PasswordChange) -> Changed {
    if !text::is_name(change.user()) {
        return Changed::Reject;
    }
    for _ in 0..ATTEMPTS {
        let in_force = match InForce::verified(userdb, change) {
            Ok(Some(in_force)) => in_force,
            Ok(None) => return Changed::Reject,
            Err(reason) => return reason.into(),
        };
        match replace(userdb, change, &in_force) {
            Ok(Attempt::Done) => return Changed::Done,
            Ok(Attempt::TextWasAhead) => {}
            Err(failed) => return failed.into(),
        }
    }
    Unavailable::new("the text is being changed all the time").into()
}

/// What has come of one attempt.
enum Attempt {
    Done,
    /// The text did not say what is in force. It is now.
    TextWasAhead,
}

/// Why the old password stays in force.
#[derive(Debug, thiserror::Error)]
enum Failed {
    #[error(transparent)]
    Hash(#[from] new::Failed),
    #[error(transparent)]
    Text(#[from] edit::Failed),
    #[error(transparent)]
    Files(#[from] compile::Failed),
    /// Nobody has asked for a change, so nothing is brought into force in
    /// passing.
    #[error("the text was changed and is not compiled yet")]
    TextIsAhead,
}

impl From<Failed> for Changed {
    fn from(failed: Failed) -> Self {
        Unavailable::new(printable(failed.to_string().as_bytes())).into()
    }
}

/// What is in force for an account whose old password is right.
struct InForce {
    /// From which file of the text it comes (reference: authlib 9).
    label: Vec<u8>,
    secrets: Secret,
}

impl InForce {
    /// `None` if there is no such account or its password is another one. To
    /// find that out costs as much as a login.
    fn verified(userdb: &Userdb, change: &PasswordChange) -> Result<Option<Self>, Unavailable> {
        let mut files = Files::once();
        let (Some((public, shadow)), Ok(login)) = (userdb.open(&mut files)?, change.login()) else {
            return Ok(None);
        };
        let Some(claim) = login.claim() else { return Ok(None) };
        if check(public, shadow, &login, &claim)?.is_none() {
            return Ok(None);
        }
        let [record, secrets] =
            [public.fetch(change.user()), shadow.fetch(change.user())].map(|found| found.map_err(failed));
        let (Some(record), Some(secrets)) = (record?, secrets?) else { return Ok(None) };
        let label = field::find(record.expose(), b"_").unwrap_or_default().to_vec();
        Ok(Some(InForce { label, secrets }))
    }

    /// The fields that get new values: the password of the service if it has
    /// one of its own, else the one for all; and every secret for CRAM that was
    /// made of the old password and belongs to whom that belonged to.
    fn renewed(&self, change: &PasswordChange) -> Result<Vec<Assignment<'_>>, new::Failed> {
        let secrets = self.secrets.expose();
        let own = [change.service(), b"pw"].concat();
        let is_own = field::find(secrets, &own).is_some();
        let [old, new] = [change.old(), change.new_password()].map(Secret::expose);
        let mut renewed = Vec::new();
        for (name, stored) in text::split(secrets).filter_map(text::name_and_value) {
            if name == if is_own { own.as_slice() } else { b"systempw" } {
                let value = Zeroizing::new(new::replacing(stored, new)?.into_bytes());
                renewed.push(Assignment { field: name, value });
            } else if let Some((service, hash)) = cram(name)
                && (!is_own || service.is_empty() || service == change.service())
                && stored.eq_ignore_ascii_case(hash.stored(old).as_bytes())
            {
                let value = Zeroizing::new(hash.stored(new).as_bytes().to_vec());
                renewed.push(Assignment { field: name, value });
            }
        }
        Ok(renewed)
    }

    /// The file of the text that the account comes from, if there is such a
    /// file.
    fn file(&self, source: &Path) -> Option<PathBuf> {
        let file = match self.label.as_slice() {
            [] => source.to_owned(),
            [below @ .., b'/'] => {
                let below = Path::new(OsStr::from_bytes(below));
                let is_below = below.components().all(|part| matches!(part, Component::Normal(_)));
                is_below.then(|| source.join(below))?
            }
            _ => return None,
        };
        file.is_file().then_some(file)
    }
}

/// For which service, if not for all, and by which hash the field `name` is a
/// secret for CRAM.
fn cram(name: &[u8]) -> Option<(&[u8], Hash)> {
    Hash::ALL.into_iter().find_map(|hash| {
        match name.strip_suffix(b"pw")?.strip_suffix(hash.name().as_bytes())? {
            [service @ .., b'-'] => Some((service, hash)),
            service => service.is_empty().then_some((service, hash)),
        }
    })
}

/// The fields that get new values when an administrator gives an account with
/// `fields` the password `new` for `service`, whatever the old one is: the
/// password for all, that of the service if there is one, and the secrets for
/// CRAM that count there.
///
/// # Errors
/// See [`new::Failed`].
pub fn imposed<'a>(fields: &'a [u8], service: &[u8], new: &[u8]) -> Result<Vec<Assignment<'a>>, new::Failed> {
    let stored = Zeroizing::new(new::stored(new::Scheme::MODERN, new)?.into_bytes());
    let mut imposed = vec![Assignment { field: b"systempw", value: stored.clone() }];
    let own = [service, b"pw"].concat();
    for (name, _) in text::split(fields).filter_map(text::name_and_value) {
        match cram(name) {
            Some((whose, hash)) if whose.is_empty() || whose == service => {
                let value = Zeroizing::new(hash.stored(new).as_bytes().to_vec());
                imposed.push(Assignment { field: name, value });
            }
            None if name == own => imposed.push(Assignment { field: name, value: stored.clone() }),
            _ => {}
        }
    }
    Ok(imposed)
}

/// Puts the new password into text and files, if what is in force is what the
/// text says; else brings the text into force.
fn replace(userdb: &Userdb, change: &PasswordChange, in_force: &InForce) -> Result<Attempt, Failed> {
    // Made before anybody is kept waiting.
    let renewed = in_force.renewed(change)?;
    // Who only stores the same password anew can do so another time.
    let patience = if change.is_renewal() { Duration::ZERO } else { PATIENCE };
    let compiler = Compiler::lock(&userdb.source, Origin::Noted, patience)?;
    if change.is_renewal() && compiler.is_text_ahead()? {
        return Err(Failed::TextIsAhead);
    }
    if let Some(file) = in_force.file(&userdb.source) {
        let text = Text::lock(&file, patience)?;
        let fields = text.find(change.user())?.unwrap_or_default();
        if text::compile(&fields, b"").shadow.as_slice() == in_force.secrets.expose()
            && transaction::commit::<Failed>(
                &compiler,
                &text,
                change.user(),
                &Change::Set(&renewed),
                &mut |_| {},
            )?
        {
            return Ok(Attempt::Done);
        }
    }
    if change.is_renewal() {
        return Err(Failed::TextIsAhead);
    }
    compiler.build(None, &mut |_| {})?.like_the_old()?.install()?;
    Ok(Attempt::TextWasAhead)
}

#[cfg(test)]
mod tests {
    use super::super::compile::{Compiler, Origin};
    use super::super::edit::Text;
    use super::super::{Userdb, database::Lookup, field, gdbm};
    use super::{PATIENCE, cram, imposed};
    use crate::hmac_state::Hash;
    use crate::module::{Changed, Module, PasswordChange};
    use crate::{Record, Verdict, password};
    use std::fs::{self, File, Permissions};
    use std::os::unix::fs::{PermissionsExt, symlink};
    use std::path::{Path, PathBuf};
    use std::time::{Duration, SystemTime};

    const MD5: &str = "$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1";

    /// A text and its files, in a directory of their own.
    struct House {
        directory: tempfile::TempDir,
        userdb: Userdb,
    }

    impl House {
        /// With these files; `userdb` is the text, or the directory of them.
        fn of(files: &[(&str, &str)]) -> House {
            let directory = tempfile::tempdir().unwrap();
            for (name, text) in files {
                let path = directory.path().join(name);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                write(&path, text);
            }
            let userdb = Userdb::of(&directory.path().join("userdb"));
            let mode = if userdb.source.is_dir() { 0o700 } else { 0o600 };
            fs::set_permissions(&userdb.source, Permissions::from_mode(mode)).unwrap();
            let house = House { directory, userdb };
            house.compile();
            house
        }

        fn compile(&self) {
            let compiler = Compiler::lock(&self.userdb.source, Origin::Noted, PATIENCE).unwrap();
            compiler.build(None, &mut |line| panic!("{line}")).unwrap().install().unwrap();
        }

        fn path(&self, name: &str) -> PathBuf {
            self.directory.path().join(name)
        }

        fn read(&self, name: &str) -> String {
            fs::read_to_string(self.path(name)).unwrap()
        }

        /// What is in force in the field `name` of `user`.
        fn secret(&self, user: &str, name: &str) -> String {
            let mut shadow = gdbm::Reader::new(File::open(&self.userdb.shadow).unwrap()).unwrap();
            let secrets = shadow.fetch(user.as_bytes()).unwrap().unwrap();
            let value = field::find(secrets.expose(), name.as_bytes()).unwrap();
            String::from_utf8(value.to_vec()).unwrap()
        }

        fn change(&mut self, service: &str, user: &str, old: &str, new: &str) -> Changed {
            let [service, user, old, new] = [service, user, old, new].map(str::as_bytes);
            self.userdb.change_password(&PasswordChange::new(service, user, old, new).unwrap())
        }

        fn accepts(&self, service: &str, user: &str, password: &str) -> bool {
            let [service, user, password] = [service, user, password].map(str::as_bytes);
            matches!(self.userdb.check(&Record::login(service, user, password).unwrap()), Verdict::Accept(_))
        }

        /// The one reason why nothing was changed; and nothing was.
        fn refusal(&mut self) -> String {
            let before = fs::read(&self.userdb.shadow).unwrap();
            let Changed::Unavailable(reason) = self.change("pop3", "alice", "secret", "new") else {
                panic!()
            };
            assert!(fs::read(&self.userdb.shadow).unwrap() == before && self.leftovers().is_empty());
            reason.to_string()
        }

        /// Temporary files.
        fn leftovers(&self) -> Vec<String> {
            let names = fs::read_dir(self.directory.path()).unwrap();
            let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
            names.filter(|name| name.contains("tmp")).collect()
        }
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).unwrap();
        fs::set_permissions(path, Permissions::from_mode(0o600)).unwrap();
    }

    fn alice(secrets: &str) -> String {
        format!("alice\tuid=1|gid=1|home=/h|{secrets}\n")
    }

    #[test]
    fn the_text_and_what_is_in_force_get_the_new_password_and_nothing_else() {
        let (before, behind) = ("# remark\n\nbob\tuid=2|systempw=x|\n", "5000=\talice\n");
        let text = format!("{before}{}{behind}", alice(&format!("systempw={MD5}|gecos=A")));
        let mut house = House::of(&[("userdb", &text)]);
        assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Done);
        let stored = house.secret("alice", "systempw");
        // Ledger 457.
        assert!(stored.starts_with("$y$") && password::check(stored.as_bytes(), b"new"));
        let expected = format!("{before}{}{behind}", alice(&format!("systempw={stored}|gecos=A")));
        assert_eq!(house.read("userdb"), expected);
        assert!(house.accepts("pop3", "alice", "new") && !house.accepts("pop3", "alice", "secret"));
        assert!(house.leftovers().is_empty());
    }

    #[test]
    fn the_password_of_the_service_is_changed_if_it_has_one_of_its_own() {
        let mut house = House::of(&[(
            "userdb",
            &alice(&format!(
                "systempw={MD5}|pop3pw={{SHA}}\
             5en6G6MezRroT3XKqkdPOmY/BfQ=|imappw={MD5}"
            )),
        )]);
        assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Done);
        assert!(house.secret("alice", "pop3pw").starts_with("{CRYPT}$y$"));
        assert_eq!(
            (house.secret("alice", "systempw").as_str(), house.secret("alice", "imappw").as_str()),
            (MD5, MD5)
        );
        assert_eq!(house.change("esmtp", "alice", "secret", "other"), Changed::Done);
        let accepted = [("pop3", "new"), ("imap", "secret"), ("esmtp", "other")];
        assert!(accepted.iter().all(|(service, password)| house.accepts(service, "alice", password)));
    }

    #[test]
    fn secrets_for_cram_follow_the_password_they_were_made_of() {
        let secret = |hash: Hash, password: &str| hash.stored(password.as_bytes()).to_string();
        let fields = |password: &str| {
            format!(
                "hmac-md5pw={}|hmac-sha1pw={}|pop3-hmac-sha256pw={}|imap-hmac-md5pw={}",
                secret(Hash::Md5, password).to_uppercase(),
                secret(Hash::Sha1, "another"),
                secret(Hash::Sha256, password),
                secret(Hash::Md5, password),
            )
        };
        for (own, imap) in [("systempw", "new"), ("pop3pw", "secret")] {
            let mut house = House::of(&[("userdb", &alice(&format!("{own}={MD5}|{}", fields("secret"))))]);
            assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Done);
            for (field, hash, password) in [
                ("hmac-md5pw", Hash::Md5, "new"),
                ("hmac-sha1pw", Hash::Sha1, "another"),
                ("pop3-hmac-sha256pw", Hash::Sha256, "new"),
                ("imap-hmac-md5pw", Hash::Md5, imap),
            ] {
                assert_eq!(house.secret("alice", field), secret(hash, password), "{own} {field}");
            }
        }
        assert_eq!(cram(b"hmac-sha1pw"), Some((b"".as_slice(), Hash::Sha1)));
        assert_eq!(cram(b"a-b-hmac-sha1pw"), Some((b"a-b".as_slice(), Hash::Sha1)));
        assert!(
            [b"xhmac-md5pw".as_slice(), b"hmac-md5", b"systempw"].iter().all(|name| cram(name).is_none())
        );
    }

    #[test]
    fn what_an_administrator_imposes_reaches_every_way_into_the_service() {
        let fields = b"uid=1|pop3pw=x|hmac-md5pw=x|pop3-hmac-sha1pw=x|imap-hmac-md5pw=x|imappw=x";
        let imposed = imposed(fields, b"pop3", b"new").unwrap();
        let names: Vec<&[u8]> = imposed.iter().map(|assignment| assignment.field).collect();
        let expected: [&[u8]; 4] = [b"systempw", b"pop3pw", b"hmac-md5pw", b"pop3-hmac-sha1pw"];
        assert_eq!(names, expected);
        assert!(password::check(&imposed[0].value, b"new") && imposed[0].value == imposed[1].value);
        assert_eq!(imposed[2].value.as_slice(), Hash::Md5.stored(b"new").as_bytes());
    }

    #[test]
    fn an_account_is_found_in_the_file_that_it_comes_from() {
        let record = alice(&format!("systempw={MD5}"));
        let mut house = House::of(&[("userdb/a", "bob\tuid=1\n"), ("userdb/sub/file~", &record)]);
        assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Done);
        assert!(house.read("userdb/sub/file~").contains("|systempw=$y$"));
        assert_eq!(house.read("userdb/a"), "bob\tuid=1\n");
        // The administrator moves her and does not compile.
        fs::rename(house.path("userdb/sub/file~"), house.path("userdb/b")).unwrap();
        assert_eq!(house.change("pop3", "alice", "new", "newer"), Changed::Done);
        assert!(house.accepts("pop3", "alice", "newer"));
    }

    #[test]
    fn a_text_that_is_ahead_is_brought_into_force_first() {
        let mut house = House::of(&[("userdb", &alice(&format!("systempw={MD5}")))]);
        write(&house.path("userdb"), &alice("systempw=*"));
        assert!(house.accepts("pop3", "alice", "secret"));
        assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Reject);
        assert_eq!(house.read("userdb"), alice("systempw=*"));
        assert!(!house.accepts("pop3", "alice", "secret"));
    }

    #[test]
    fn who_does_not_know_the_old_password_changes_nothing() {
        let mut house = House::of(&[("userdb", &alice(&format!("systempw={MD5}")))]);
        // With a text that is ahead, which nothing may touch.
        write(&house.path("userdb"), "");
        for (user, old) in [
            ("alice", "wrong"),
            ("bob", "secret"),
            ("#", "secret"),
            ("al|ice", "secret"),
            ("5000=", "secret"),
        ] {
            assert_eq!(house.change("pop3", user, old, "new"), Changed::Reject, "{user}");
        }
        assert!(house.accepts("pop3", "alice", "secret") && house.read("userdb").is_empty());
        fs::remove_file(&house.userdb.public).unwrap();
        assert_eq!(house.change("pop3", "alice", "secret", "new"), Changed::Reject);
    }

    #[test]
    fn owners_and_modes_stay() {
        let mut house = House::of(&[("userdb", &alice(&format!("systempw={MD5}")))]);
        let files = [("userdb", 0o400), ("userdb.dat", 0o640), ("userdbshadow.dat", 0o440)];
        for (name, mode) in files {
            fs::set_permissions(house.path(name), Permissions::from_mode(mode)).unwrap();
            if system::user::is_root() {
                std::os::unix::fs::chown(house.path(name), Some(64_110), Some(64_111)).unwrap();
            }
        }
        let status = |name: &str| {
            use std::os::unix::fs::MetadataExt;
            let status = house.path(name).metadata().unwrap();
            (status.mode() & 0o7777, status.uid(), status.gid())
        };
        let before = files.map(|(name, _)| status(name));
        let change = PasswordChange::new(b"pop3", b"alice", b"secret", b"new").unwrap();
        assert_eq!(Userdb::of(&house.userdb.source).change_password(&change), Changed::Done);
        assert_eq!(files.map(|(name, _)| status(name)), before);
        assert_eq!(house.change("pop3", "alice", "new", "newer"), Changed::Done);
    }

    #[test]
    fn what_cannot_be_done_leaves_everything_as_it_was() {
        let text = alice(&format!("systempw={MD5}"));
        let mut house = House::of(&[("userdb", &text)]);
        let path = house.path("userdb");
        // Another record is there twice: nothing can be compiled.
        write(&path, &format!("{text}bob\tuid=1\nbob\tuid=2\n"));
        assert!(house.refusal().contains("Cannot store record for bob"));
        write(&path, &format!("{text}{text}"));
        assert!(house.refusal().contains("alice is there more than once"));
        write(&path, &text);
        fs::set_permissions(&path, Permissions::from_mode(0o640)).unwrap();
        assert!(house.refusal().contains("MAY NOT HAVE GROUP"));
        fs::rename(&path, house.path("elsewhere")).unwrap();
        assert!(house.refusal().ends_with("/userdb: not found."));
        symlink("elsewhere", &path).unwrap();
        assert!(house.refusal().contains("is a symbolic link"));
    }

    #[test]
    fn the_same_password_stored_anew_waits_for_nobody() {
        let mut house = House::of(&[("userdb", &alice(&format!("systempw={MD5}")))]);
        let held = Text::lock(&house.path("userdb"), PATIENCE).unwrap();
        let Changed::Unavailable(reason) = house.change("pop3", "alice", "secret", "secret") else {
            panic!()
        };
        assert!(reason.to_string().ends_with("locked by another process"), "{reason}");
        drop(held);
        assert_eq!(house.change("pop3", "alice", "secret", "secret"), Changed::Done);
        assert!(
            house.secret("alice", "systempw").starts_with("$y$") && house.accepts("pop3", "alice", "secret")
        );
    }

    #[test]
    fn the_same_password_stored_anew_brings_nothing_else_into_force() {
        let record = alice(&format!("systempw={MD5}"));
        let soon = SystemTime::now() + Duration::from_secs(60);
        // The second is not seen by its time, but by what it says.
        for (ahead, written) in
            [(format!("{record}later\tuid=1\n"), soon), (alice("systempw=*"), SystemTime::UNIX_EPOCH)]
        {
            let mut house = House::of(&[("userdb", &record)]);
            write(&house.path("userdb"), &ahead);
            let text = File::options().write(true).open(house.path("userdb")).unwrap();
            text.set_modified(written).unwrap();
            let Changed::Unavailable(reason) = house.change("pop3", "alice", "secret", "secret") else {
                panic!()
            };
            assert_eq!(reason.to_string(), "the text was changed and is not compiled yet");
            assert_eq!((house.read("userdb"), house.secret("alice", "systempw").as_str()), (ahead, MD5));
        }
    }
}

//! Several modules, asked one after the other.

use super::Modules;
use crate::account::{Account, Ids, Unavailable, Verdict};
use crate::module::{Changed, Client, Entry, Module, PasswordChange};
use crate::protocol::request::Reader;
use crate::renewal::Renewed;
use crate::scram::{Salt, Wanted};
use crate::{Options, Record, Secret};
use std::path::PathBuf;

/// A module that says the same to everybody.
struct Always(&'static str, fn() -> Verdict);

fn accept() -> Verdict {
    Verdict::Accept(Account::new(b"alice".to_vec(), Ids::numeric(1, 2).unwrap(), "/h".into()))
}

fn cannot() -> Verdict {
    Unavailable::new("no").into()
}

fn reject() -> Verdict {
    Verdict::Reject
}

impl Module for Always {
    fn name(&self) -> &str {
        self.0
    }

    fn authenticate(&mut self, _: &Record, _: &Client) -> Verdict {
        self.1()
    }

    fn salt(&mut self, _: &[u8], wanted: &Wanted, _: &Client) -> Result<Option<Salt>, Unavailable> {
        match self.1() {
            Verdict::Accept(_) => Ok(wanted.for_clear.clone()),
            Verdict::Reject => Ok(None),
            Verdict::Unavailable(reason) => Err(reason),
        }
    }

    fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
        self.1()
    }

    fn change_password(&mut self, _: &PasswordChange) -> Changed {
        match self.1() {
            Verdict::Accept(_) => Changed::Done,
            Verdict::Reject => Changed::Reject,
            Verdict::Unavailable(reason) => reason.into(),
        }
    }

    fn enumerate(&mut self, each: &mut dyn FnMut(&Entry) -> bool) -> Result<(), Unavailable> {
        let entry = |name: &str| Entry {
            name: name.into(),
            uid: 1,
            gid: 2,
            home: PathBuf::from("/h"),
            maildir: None,
            options: Options::default(),
        };
        match self.1() {
            Verdict::Accept(_) => {
                let _ = each(&entry("alice")) && each(&entry("not\na name")) && each(&entry("bob"));
                Ok(())
            }
            Verdict::Reject => Ok(()),
            Verdict::Unavailable(reason) => Err(reason),
        }
    }
}

/// What modules that say `verdicts` in turn answer, and what is logged.
fn answer(verdicts: &[fn() -> Verdict], request: &[u8]) -> (String, String) {
    let names = ["one", "two", "three"];
    let module = |(name, verdict): (&&'static str, &fn() -> Verdict)| {
        Box::new(Always(name, *verdict)) as Box<dyn Module>
    };
    let list = names.iter().zip(verdicts).map(module).collect();
    let mut modules = Modules::new(list, Options::parse(b"x=1"));
    let mut reader = Reader::new();
    reader.push(request).unwrap();
    let mut written = Vec::new();
    let mut write = |octets: &[u8]| {
        written.extend_from_slice(octets);
        true
    };
    let answer = modules.answer(&reader.next_question().unwrap().unwrap(), &mut write);
    written.extend_from_slice(&answer.octets.unwrap_or_default());
    let trouble = answer.trouble.map(|trouble| trouble.to_string()).unwrap_or_default();
    (String::from_utf8(written).unwrap(), trouble)
}

const AUTH: &[u8] = b"AUTH 24\npop3\nlogin\nalice\nsecret\n";
const ALICE: &str = "UID=1\nGID=2\nHOME=/h\nADDRESS=alice\nOPTIONS=x=1\n.\n";

fn pair(octets: &str, trouble: &str) -> (String, String) {
    (octets.to_owned(), trouble.to_owned())
}

#[test]
fn the_first_that_does_not_reject_answers() {
    for request in [AUTH, b"PRE . pop3 alice\n"] {
        assert_eq!(answer(&[], request), pair("FAIL\n", ""));
        assert_eq!(answer(&[reject, reject], request), pair("FAIL\n", ""));
        assert_eq!(answer(&[reject, accept, cannot], request), pair(ALICE, ""));
        assert_eq!(answer(&[reject, cannot, accept], request), pair("", "two: no"));
    }
}

#[test]
fn no_control_octet_reaches_a_module() {
    for authtype in ["login", "cram-md5", "scram-sha-256", "oauthbearer", "xoauth2", "apop", "external", "x"]
    {
        for authdata in
            ["al\x01ice\nsecret\n", "alice\nsec\x7fret\n", "alice\r\nsecret\r\n", "alice\nsecret\n\t\n"]
        {
            let body = format!("pop3\n{authtype}\n{authdata}");
            let request = format!("AUTH {}\n{body}", body.len());
            assert_eq!(answer(&[cannot], request.as_bytes()), pair("FAIL\n", ""), "{body:?}");
        }
    }
}

#[test]
fn who_has_heard_no_password_is_told_none() {
    fn accept() -> Verdict {
        let ids = Ids::numeric(1, 2).unwrap();
        let account = Account::new(b"alice".to_vec(), ids, "/h".into());
        let secret = |text: &str| Some(Secret::copy_of(text.as_bytes()));
        Verdict::Accept(Account {
            stored_password: secret("{PLAIN}secret"),
            clear_password: secret("secret"),
            server_signature: Some(b"signature".to_vec()),
            ..account
        })
    }
    let (said, _) = answer(&[accept], b"AUTH 31\npop3\nscram-sha-1\nalice\n#\n#\n#\n#\n");
    assert_eq!(said, "UID=1\nGID=2\nHOME=/h\nADDRESS=alice\nOPTIONS=x=1\nSERVERSIGNATURE=c2lnbmF0dXJl\n.\n");
    let (said, _) = answer(&[accept], AUTH);
    assert!(said.contains("PASSWD={PLAIN}secret\nPASSWD2=secret\n"), "{said}");
}

#[test]
fn a_salt_is_that_of_the_first_who_has_one() {
    let request = b"AUTH 37\npop3\nscram-sha-1\nalice\n4096:c2FsdA==\n";
    let salt = || pair("SALT=4096:c2FsdA==\n.\n", "");
    assert_eq!(answer(&[reject, accept, reject], request), salt());
    assert_eq!(answer(&[accept, cannot], request), salt());
    assert_eq!(answer(&[reject, cannot, accept], request), pair("", "two: no"));
    assert_eq!(answer(&[reject, reject], request), pair("FAIL\n", ""));
    // Nobody here makes salts for those who do not exist.
    assert_eq!(answer(&[accept], b"AUTH 21\npop3\nscram-sha-1\nbob\n"), pair("FAIL\n", ""));
}

#[test]
fn pre_may_name_the_only_module_to_ask() {
    assert_eq!(answer(&[cannot, accept], b"PRE two pop3 alice\n"), pair(ALICE, ""));
    assert_eq!(answer(&[accept], b"PRE authpam pop3 alice\n"), pair("FAIL\n", ""));
}

#[test]
fn a_password_is_changed_by_the_first_that_can() {
    let request = b"PASSWD pop3\talice\tsecret\tnew\n";
    assert_eq!(answer(&[reject, accept], request), pair("OK\n", ""));
    assert_eq!(answer(&[reject], request), pair("FAIL\n", ""));
    assert_eq!(answer(&[cannot, accept], request), pair("FAIL\n", "one: no"));
    assert_eq!(answer(&[accept], b"PASSWD pop3\talice\tsecret\t\n"), pair("FAIL\n", ""));
}

#[test]
fn a_list_goes_through_all_modules_and_has_an_end_only_if_it_is_whole() {
    let list = "# one\n\nalice\t1\t2\t/h\t\t\nbob\t1\t2\t/h\t\t\n# two\n\n";
    assert_eq!(answer(&[accept, reject], b"ENUMERATE\n"), pair(&format!("{list}.\n"), ""));
    assert_eq!(answer(&[accept, cannot], b"ENUMERATE\n"), pair(list, "two: no"));
}

/// A module whose accounts have a hash of an old kind, and whose changes of
/// passwords are as its name says.
struct Old {
    name: &'static str,
    changes: usize,
}

impl Module for Old {
    fn name(&self) -> &str {
        self.name
    }

    fn authenticate(&mut self, _: &Record, _: &Client) -> Verdict {
        let Verdict::Accept(account) = accept() else { panic!() };
        match (self.name, self.changes) {
            ("cuts", 1..) => Verdict::Reject,
            _ => Verdict::Accept(Account { stored_password: Some(Secret::copy_of(SHA)), ..account }),
        }
    }

    fn look_up(&mut self, _: &[u8], _: &[u8], _: &Client) -> Verdict {
        Verdict::Reject
    }

    fn change_password(&mut self, change: &PasswordChange) -> Changed {
        assert!(change.is_renewal() && change.user() == b"alice");
        self.changes += 1;
        match self.name {
            "rejects" => Changed::Reject,
            "cannot" => Unavailable::new("no").into(),
            _ => Changed::Done,
        }
    }

    fn renews(&self) -> bool {
        self.name != "never"
    }
}

const SHA: &[u8] = b"{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// What is caught up with after a login at the second of two modules.
fn renewed(modules: &mut Modules) -> Option<Renewed> {
    let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
    let _said = modules.authenticate(&record, &Client::default());
    modules.catch_up()
}

fn renewing(name: &'static str) -> Modules {
    let list: Vec<Box<dyn Module>> =
        vec![Box::new(Always("one", reject)), Box::new(Old { name, changes: 0 })];
    Modules::new(list, Options::default()).renewing()
}

#[test]
fn an_old_hash_is_stored_anew_by_the_module_that_has_accepted() {
    let mut modules = renewing("changes");
    let renewed_one = renewed(&mut modules).unwrap();
    assert_eq!((renewed_one.module.as_str(), renewed_one.user.as_slice()), ("changes", b"alice".as_slice()));
    assert!(renewed_one.outcome.is_ok() && modules.catch_up().is_none());
    assert!(renewed(&mut renewing("cannot")).unwrap().outcome.is_err());
    assert!(renewed(&mut renewing("rejects")).is_none() && renewed(&mut renewing("never")).is_none());
}

#[test]
fn nothing_more_is_stored_anew_where_that_locks_somebody_out() {
    let mut modules = renewing("cuts");
    assert!(renewed(&mut modules).unwrap().outcome.is_err());
    modules.list[1] = Box::new(Old { name: "changes", changes: 0 });
    assert!(renewed(&mut modules).is_none());
}

#[test]
fn a_list_that_nobody_reads_ends() {
    let mut modules = Modules::one(Box::new(Always("one", accept)));
    let mut reader = Reader::new();
    reader.push(b"ENUMERATE\n").unwrap();
    let mut writes = 0;
    let mut write = |_: &[u8]| {
        writes += 1;
        false
    };
    let answer = modules.answer(&reader.next_question().unwrap().unwrap(), &mut write);
    assert!(answer.octets.is_none() && answer.trouble.is_some());
    assert_eq!(writes, 1);
}

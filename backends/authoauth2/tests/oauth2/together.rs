//! authuserdb and authoauth2 under one authdaemond: one account, passwords and
//! tokens.

use std::fs;
use std::path::Path;

use authlib::bearer::{Bearer, Scheme};
use authlib::protocol::{answer, request};
use authlib::{Client, Record, Verdict};
use testbed::authdaemond::OurAuthdaemond;
use testbed::cells::built;
use testbed::chain::Account;
use testbed::oauth::Kind;
use testbed::stand::{Programs, make_public};

use crate::cells::MODULE;
use crate::issuer::Issuer;

#[test]
fn one_account_has_a_password_and_a_token() {
    let directory = tempfile::tempdir().unwrap();
    make_public(directory.path()).unwrap();
    let module = Path::new(MODULE);
    let mut built = built(module).unwrap();
    built.extend([module.to_owned(), module.with_file_name("makeuserdb")]);
    let programs = Programs::copy(&built, &directory.path().join("bin")).unwrap();
    let mut daemon = OurAuthdaemond::new(&programs.path("authdaemond"), directory.path()).unwrap();
    let account = Account::new(directory.path().join("alice"));
    daemon.install(&account.record(&[]), &programs.path("makeuserdb")).unwrap();
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let settings = issuer.settings("OAUTH2_ACCOUNTS authuserdb\n");
    fs::write(daemon.configuration().join("authoauth2rc"), settings).unwrap();
    daemon.start("authmodulelist=\"authuserdb authoauth2\"\ndaemons=2\n").unwrap();

    let ask =
        |record: Record| answer::verdict(&daemon.ask(&request::auth(&record, &Client::default())).unwrap());
    let show = |user: &[u8], token: &str| {
        let bearer = Bearer::new(Scheme::Xoauth2, user, token.as_bytes()).unwrap();
        ask(Record::token(b"pop3", &bearer).unwrap())
    };
    let password = |password: &[u8]| ask(Record::login(b"pop3", b"alice", password).unwrap());
    let (alices, bobs) = (issuer.token("alice").unwrap(), issuer.token("bob").unwrap());
    for verdict in [password(b"secret"), show(b"alice", &alices)] {
        assert!(matches!(verdict, Verdict::Accept(account) if account.address == b"alice"));
    }
    for verdict in
        [password(alices.as_bytes()), password(b"wrong"), show(b"alice", &bobs), show(b"bob", &bobs)]
    {
        assert!(matches!(verdict, Verdict::Reject), "{verdict:?}");
    }
    let log = daemon.log().unwrap();
    assert!(log.contains("there is no such account, user=bob, account=bob"), "{log}");
    assert!(!log.contains(&alices) && !log.contains(&bobs), "{log}");
}

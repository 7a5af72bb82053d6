//! authldap under our authdaemond.

use std::fs;
use std::path::Path;

use testbed::authdaemond::OurAuthdaemond;
use testbed::pipe_program::login;

use crate::house::{AUTHLDAP, House, SSHA, as_reader, is_possible, person};

#[test]
fn every_question_to_our_authdaemond_is_answered() {
    if !is_possible() {
        return;
    }
    let people = person("alice", &format!("cryptPassword: {SSHA}")) + &person("bob", "clearPassword: secret");
    let mut house = House::with(&people);
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = testbed::cells::built_authdaemond(Path::new(AUTHLDAP)).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    let settings = format!("{}LDAP_CLEARPW clearPassword\nLDAP_COLOUR blue", as_reader());
    fs::write(daemon.configuration().join("authldaprc"), house.authldaprc(&settings)).unwrap();
    daemon.start("authmodulelist=authldap\ndaemons=1\nLDAPTLS_CRLCHECK=all\n").unwrap();
    let ask = |question: &[u8]| String::from_utf8(daemon.ask(question).unwrap()).unwrap();

    let account = |user: &str, passwords: &str| {
        format!("UID=5000\nGID=5001\nHOME=/home/{user}\nADDRESS={user}\n{passwords}.\n")
    };
    let hash = format!("PASSWD={SSHA}\n");
    assert_eq!(ask(&login("alice", "secret")), account("alice", &format!("{hash}PASSWD2=secret\n")));
    assert_eq!(ask(&login("bob", "secret")), account("bob", "PASSWD2=secret\n"));
    for (user, password) in [("alice", "wrong"), ("nobody", "secret"), ("*", "secret")] {
        assert_eq!(ask(&login(user, password)), "FAIL\n", "{user}");
    }
    assert_eq!(ask(b"PRE . pop3 alice\n"), account("alice", &hash));
    assert_eq!(ask(b"PRE authldap pop3 bob\n"), account("bob", "PASSWD2=secret\n"));
    assert_eq!(ask(b"PRE authuserdb pop3 bob\n"), "FAIL\n");
    let list = "# authldap\n\nalice\t5000\t5001\t/home/alice\t\t\nbob\t5000\t5001\t/home/bob\t\t\n.\n";
    assert_eq!(ask(b"ENUMERATE\n"), list);
    assert_eq!(ask(b"PASSWD pop3\talice\twrong\tit's new\n"), "FAIL\n");
    assert_eq!(ask(b"PASSWD pop3\talice\tsecret\tit's new\n"), "OK\n");
    assert_eq!(ask(&login("alice", "secret")), "FAIL\n");
    assert!(ask(&login("alice", "it's new")).contains("PASSWD2=it's new\n"));

    // What cannot be told is told by silence.
    house.slapd.stop();
    assert_eq!(ask(&login("alice", "it's new")), "");
    assert_eq!(ask(&login("nobody", "it's new")), "");
    assert_eq!(ask(b"ENUMERATE\n"), "# authldap\n\n");
    house.slapd.start_again().unwrap();
    assert!(ask(&login("alice", "it's new")).contains("ADDRESS=alice\n"));

    daemon.await_log("authldaprc: LDAP_COLOUR is not known, and not used").unwrap();
    daemon.await_log("LDAPTLS_CRLCHECK in the environment is not honoured").unwrap();
    daemon.await_log("Connection refused, user=nobody").unwrap();
    let log = daemon.log().unwrap();
    assert!(!log.contains("it's new") && !log.contains("blue") && !log.contains("server's"), "{log}");
}

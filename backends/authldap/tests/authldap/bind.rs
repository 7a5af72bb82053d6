//! LDAP_AUTHBIND: the server compares.

use crate::house::{House, SSHA, as_reader, is_possible, look_up, person, person_below};

fn house() -> House {
    House::with(
        &(person("alice", &format!("userPassword: {SSHA}"))
            + &person("none", "description: has no password")
            + &person("locked", "userPassword: {CRYPT}*")),
    )
}

#[test]
fn the_server_says_whose_password_it_is() {
    if !is_possible() {
        return;
    }
    let house = house();
    let mut program = house.program("LDAP_AUTHBIND 1\nLDAP_CRYPTPW");
    let expected = "UID=5000\nGID=5001\nHOME=/home/alice\nADDRESS=alice\nPASSWD2=secret\n.\n";
    for _ in 0..3 {
        assert_eq!(program.log_in("alice", "secret").unwrap(), expected);
        for (user, password) in
            [("alice", "wrong"), ("nobody", "secret"), ("none", "secret"), ("locked", "*"), ("*", "secret")]
        {
            assert!(!program.lets_in(user, password).unwrap(), "{user}");
        }
    }
    assert_eq!(look_up(&mut program, "pop3", "alice").unwrap(), expected.replace("PASSWD2=secret\n", ""));
    assert_eq!(program.log().unwrap(), "");
}

#[test]
fn an_empty_password_is_never_asked_about() {
    if !is_possible() {
        return;
    }
    // The server itself would let nobody in, as nobody.
    let house = house();
    let mut program = house.program("LDAP_AUTHBIND 1");
    assert_eq!(program.ask(b"AUTH 18\npop3\nlogin\nalice\n\n").unwrap(), "FAIL\n");
}

#[test]
fn proofs_are_rejected() {
    if !is_possible() {
        return;
    }
    let house = house();
    let mut program = house.program("LDAP_AUTHBIND 1\nLDAP_CLEARPW clearPassword");
    let proof = "pop3\ncram-md5\nPDBERUI4NTg4OTkxNENCNDc4OTkxNTQyRjg4RkJGOEVFQHZtPg==\n\
        YWxpY2UgYjdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n";
    assert_eq!(program.ask(format!("AUTH {}\n{proof}", proof.len()).as_bytes()).unwrap(), "FAIL\n");
}

#[test]
fn who_searches_and_who_binds_are_two() {
    if !is_possible() {
        return;
    }
    let hidden = person_below("hidden", testbed::slapd::CLOSED, &format!("userPassword: {SSHA}"));
    let house = House::with(&hidden);
    let mut program = house.program(&format!("{}LDAP_AUTHBIND 1", as_reader()));
    for _ in 0..2 {
        // Whoever has bound sees no more than before.
        assert!(program.lets_in("hidden", "secret").unwrap());
        assert!(!program.lets_in("hidden", "wrong").unwrap());
    }
}

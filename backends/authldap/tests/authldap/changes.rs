//! PASSWD: new passwords.

use crate::house::{CRYPT, House, SSHA, as_reader, change, is_possible, person};

fn values(house: &House, user: &str, attribute: &str) -> Vec<String> {
    house.slapd.values(&format!("cn={user},dc=example,dc=com"), attribute).unwrap()
}

#[test]
fn a_new_password_goes_where_the_old_one_was() {
    if !is_possible() {
        return;
    }
    let people = [
        person("hashed", &format!("cryptPassword: {SSHA}\ncryptPassword: {{SHA}}x")),
        person("kept-kind", &format!("cryptPassword: {CRYPT}")),
        person("bare", "cryptPassword: $1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1"),
        person("clear", "clearPassword: secret\nclearPassword: other"),
        person("both", &format!("clearPassword: secret\ncryptPassword: {SSHA}")),
    ];
    let house = House::with(&people.concat());
    let mut program = house.program(&format!("{}LDAP_CLEARPW clearPassword", as_reader()));
    for (user, clear, start) in [
        ("hashed", [].as_slice(), Some("{CRYPT}$y$")),
        ("kept-kind", &[], Some("{CRYPT}$6$")),
        ("bare", &[], Some("$y$")),
        ("clear", &["new"], None),
        ("both", &["new"], Some("{CRYPT}$y$")),
    ] {
        assert_eq!(change(&mut program, user, "wrong", "new").unwrap(), "FAIL\n", "{user}");
        assert_eq!(change(&mut program, user, "secret", "new").unwrap(), "OK\n", "{user}");
        assert_eq!(values(&house, user, "clearPassword"), clear, "{user}");
        let crypt = values(&house, user, "cryptPassword");
        match start {
            Some(start) => assert!(crypt.len() == 1 && crypt[0].starts_with(start), "{user} {crypt:?}"),
            None => assert!(crypt.is_empty(), "{user} {crypt:?}"),
        }
        assert!(program.lets_in(user, "new").unwrap() && !program.lets_in(user, "secret").unwrap(), "{user}");
        assert!(!program.lets_in(user, "other").unwrap(), "{user}");
    }
    assert_eq!(change(&mut program, "nobody", "secret", "new").unwrap(), "FAIL\n");
}

#[test]
fn what_the_server_compares_with_itself_has_a_prefix() {
    if !is_possible() {
        return;
    }
    // Ledger 749: what has none is in clear there.
    let house = House::with(&person("alice", "userPassword: $1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1"));
    let mut program = house.program(&format!("{}LDAP_CRYPTPW userPassword", as_reader()));
    assert_eq!(change(&mut program, "alice", "secret", "new").unwrap(), "OK\n");
    let stored = values(&house, "alice", "userPassword");
    assert!(stored[0].starts_with("{CRYPT}$y$"), "{stored:?}");
    let mut program = house.program("LDAP_AUTHBIND 1");
    assert!(program.lets_in("alice", "new").unwrap());
}

#[test]
fn who_binds_himself_changes_his_own() {
    if !is_possible() {
        return;
    }
    let house = House::with(
        &(person("alice", &format!("userPassword: {SSHA}"))
            + &person("bob", &format!("userPassword: {SSHA}"))),
    );
    // Ledger 747: the attribute is known, and its old value is not to be seen;
    let mut program = house.program("LDAP_AUTHBIND 1\nLDAP_CRYPTPW userPassword");
    assert_eq!(change(&mut program, "alice", "wrong", "new").unwrap(), "FAIL\n");
    assert_eq!(change(&mut program, "alice", "secret", "new").unwrap(), "OK\n");
    assert!(values(&house, "alice", "userPassword")[0].starts_with("{CRYPT}$y$"));
    assert!(program.lets_in("alice", "new").unwrap() && !program.lets_in("alice", "secret").unwrap());
    // or nothing is known, and the server does it.
    let mut program = house.program("LDAP_AUTHBIND 1\nLDAP_CRYPTPW");
    assert_eq!(change(&mut program, "bob", "secret", "new").unwrap(), "OK\n");
    assert!(values(&house, "bob", "userPassword")[0].starts_with("{SSHA}"));
    assert!(program.lets_in("bob", "new").unwrap() && !program.lets_in("bob", "secret").unwrap());
    assert_eq!(change(&mut program, "nobody", "secret", "new").unwrap(), "FAIL\n");
}

#[test]
fn who_may_not_change_it_leaves_it_as_it_was() {
    if !is_possible() {
        return;
    }
    let house = House::with(&person("alice", &format!("cryptPassword: {SSHA}")));
    let mut program = house.program("");
    assert_eq!(change(&mut program, "alice", "secret", "new").unwrap(), "FAIL\n");
    let log = program.log().unwrap();
    assert!(log.contains("strongerAuthRequired") || log.contains("insufficientAccessRights"), "{log}");
    assert!(program.lets_in("alice", "secret").unwrap());
}

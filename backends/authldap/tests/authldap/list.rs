//! ENUMERATE: every account.

use std::collections::BTreeSet;

use crate::house::{House, SSHA, alice, is_possible, person};

#[test]
fn a_list_has_what_is_an_account() {
    if !is_possible() {
        return;
    }
    let people = [
        alice(),
        person("bob", "mailbox: Mail\nshared: x\ndescription: staff"),
        person("root", "mailbox: Mail").replace("mailUid: 5000", "mailUid: 0"),
        person("homeless", "mailbox: Mail").replace("homeDir: /home/homeless\n", ""),
        person("nameless", "mailbox: Mail").replace("mail: nameless\n", ""),
    ];
    let house = House::with(&people.concat());
    let settings = "LDAP_MAILDIR mailbox\nLDAP_AUXOPTIONS shared=sharedgroup\n";
    let list = |more: &str| house.program(&format!("{settings}{more}")).ask(b"ENUMERATE\n").unwrap();
    let both = "alice\t5000\t5001\t/home/alice\t\t\nbob\t5000\t5001\t/home/bob\tMail\tsharedgroup=x\n.\n";
    assert_eq!(list(""), both);
    assert_eq!(list("LDAP_FILTER (description=staff)"), both.split_once('\n').unwrap().1);
    assert_eq!(list("LDAP_FILTER (description=staff)\nLDAP_ENUMERATE_FILTER (objectClass=*)"), both);
    assert_eq!(list("LDAP_ENUMERATE_FILTER (description=nothing)"), ".\n");
}

#[test]
fn a_list_of_thousands_comes_page_by_page() {
    if !is_possible() {
        return;
    }
    // The server gives no more than a hundred at once.
    let people: String = (0..3210)
        .map(|number| person(&format!("user{number:04}"), &format!("cryptPassword: {SSHA}")))
        .collect();
    let house = House::with(&people);
    let mut program = house.program("");
    assert!(program.lets_in("user0001", "secret").unwrap());
    let before = program.most_memory().unwrap();
    let list = program.ask(b"ENUMERATE\n").unwrap();
    let names: BTreeSet<&str> = list.lines().filter_map(|line| Some(line.split_once('\t')?.0)).collect();
    assert_eq!((names.len(), list.lines().count()), (3210, 3211));
    let after = program.most_memory().unwrap();
    assert!(after < before + 4096, "{before} KiB before, {after} KiB after");
    assert!(program.lets_in("user3209", "secret").unwrap());
}

#[test]
fn a_list_that_cannot_be_had_has_no_end() {
    if !is_possible() {
        return;
    }
    let mut house = House::with(&alice());
    let mut program = house.program("");
    assert!(program.lets_in("alice", "secret").unwrap());
    house.slapd.stop();
    assert!(program.ask(b"ENUMERATE\n").is_err());
}

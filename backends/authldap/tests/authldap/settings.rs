//! What each setting does.

use std::fs;
use std::process::{Command, Stdio};

use crate::house::{AUTHLDAP, House, SSHA, alice, is_possible, look_up, person};

#[test]
fn a_name_without_a_domain_gets_one() {
    if !is_possible() {
        return;
    }
    let house = House::with(&(alice() + &person("bob@example.com", &format!("cryptPassword: {SSHA}"))));
    for domain in ["example.com", "@example.com"] {
        let mut program = house.program(&format!("LDAP_DOMAIN {domain}"));
        // The address stays as it was given, as with Courier.
        assert!(program.log_in("bob", "secret").unwrap().contains("\nADDRESS=bob\n"));
        assert!(program.lets_in("bob@example.com", "secret").unwrap());
        assert!(!program.lets_in("alice", "secret").unwrap());
        assert!(!program.lets_in("bob@example.org", "secret").unwrap());
    }
}

#[test]
fn ids_for_everybody_stand_in_for_those_that_an_entry_lacks() {
    if !is_possible() {
        return;
    }
    // Ledger 740.
    let without = format!(
        "dn: cn=x,dc=example,dc=com\nobjectClass: mailAccount\nmail: x\nhomeDir: /x\ncryptPassword: {SSHA}\n"
    );
    let house = House::with(&(alice() + &without));
    let nobody = system::user::by_name("nobody").unwrap().unwrap();
    let nogroup = system::user::group_by_name("nogroup").unwrap().unwrap();
    for (uid, gid, ids) in [
        ("7000", "7001", (7000, 7001)),
        ("nobody", "nogroup", (nobody.0, nogroup)),
        ("7000", "nogroup", (7000, nogroup)),
    ] {
        let mut program = house.program(&format!("LDAP_GLOB_UID {uid}\nLDAP_GLOB_GID {gid}"));
        let expected = format!("UID={}\nGID={}\nHOME=/x\n", ids.0, ids.1);
        assert!(program.log_in("x", "secret").unwrap().starts_with(&expected));
        assert!(program.log_in("alice", "secret").unwrap().starts_with("UID=5000\nGID=5001\n"));
    }
    let mut program = house.program("LDAP_GLOB_UID 7000\nLDAP_GLOB_GID 7001\nLDAP_UID\nLDAP_GID");
    assert!(program.log_in("alice", "secret").unwrap().starts_with("UID=7000\nGID=7001\n"));
}

#[test]
fn homes_may_be_below_a_root() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice().replace("homeDir: /home/alice", "homeDir: alice"));
    let mut program = house.program("LDAP_MAILROOT /srv/mail");
    assert!(program.log_in("alice", "secret").unwrap().contains("\nHOME=/srv/mail/alice\n"));
}

#[test]
fn a_filter_leaves_others_out() {
    if !is_possible() {
        return;
    }
    let people = alice() + &person("bob", &format!("description: (staff) *\ncryptPassword: {SSHA}"));
    let house = House::with(&people);
    for filter in [
        "(description=\\28staff\\29 \\2a)",
        "(&(objectClass=mailAccount)(|(description=*staff*)(description=x)))",
        "(!(cn=alice))",
        "(description:caseExactMatch:=\\28staff\\29 \\2a)",
    ] {
        let mut program = house.program(&format!("LDAP_FILTER {filter}"));
        assert!(program.lets_in("bob", "secret").unwrap(), "{filter}");
        assert!(!program.lets_in("alice", "secret").unwrap(), "{filter}");
    }
}

#[test]
fn an_address_may_lead_to_a_handle_and_the_handle_to_the_account() {
    if !is_possible() {
        return;
    }
    let map = |cn: &str, user: &str, realm: &str, handles: &[&str]| {
        let handles: String = handles.iter().map(|handle| format!("handle: {handle}\n")).collect();
        format!(
            "dn: cn={cn},ou=map,dc=example,dc=com\nobjectClass: mailAccount\nuid: {user}\nrealm: {realm}\n{handles}\n"
        )
    };
    let ldif = [
        "dn: ou=map,dc=example,dc=com\nobjectClass: organizationalUnit\nou: map\n\n".to_owned(),
        map("one", "john", "example.com", &["cc223344"]),
        map("two", "none", "example.com", &[]),
        map("three", "some", "example.com", &["cc223344", "cc223355"]),
        map("four", "twin", "example.com", &["cc223344"]),
        map("five", "twin", "example.com", &["cc223344"]),
        map("six", "gone", "example.com", &["cc000000"]),
        map("star", "*", "*", &["cc223344"]),
        person("john", &format!("mail: cc223344\ncryptPassword: {SSHA}")),
    ];
    let house = House::with(&ldif.concat());
    let mut program = house.program(
        "LDAP_EMAILMAP (&(uid=@user@)(realm=@realm@))\nLDAP_EMAILMAP_BASEDN ou=map,dc=example,dc=com\n\
         LDAP_EMAILMAP_ATTRIBUTE handle",
    );
    let answer = program.log_in("john@example.com", "secret").unwrap();
    assert!(answer.contains("\nHOME=/home/john\nADDRESS=john@example.com\n"), "{answer}");
    // Names are values here too.
    assert!(program.log_in("*@*", "secret").unwrap().contains("ADDRESS=*@*\n"));
    for user in [
        "john@example.org",
        "jo*@example.com",
        "john)(uid=*@example.com",
        "none@example.com",
        "gone@example.com",
        "john@",
    ] {
        assert!(!program.lets_in(user, "secret").unwrap(), "{user}");
    }
    for user in ["some@example.com", "twin@example.com"] {
        assert_eq!(program.log_in(user, "secret").unwrap(), "UNAVAILABLE\n", "{user}");
    }
    // Without a realm it is the name itself, as with Courier.
    assert!(program.lets_in("cc223344", "secret").unwrap());
    let mut program = house.program("LDAP_EMAILMAP (&(uid=@user@)(realm=@realm@))\nLDAP_EMAILMAP_MAIL cn");
    assert!(!program.lets_in("john@example.com", "secret").unwrap());
}

#[test]
fn aliases_are_followed_as_it_is_said() {
    if !is_possible() {
        return;
    }
    let ldif = format!(
        "dn: ou=people,dc=example,dc=com\nobjectClass: organizationalUnit\nou: people\n\n\
         dn: ou=elsewhere,dc=example,dc=com\nobjectClass: organizationalUnit\nou: elsewhere\n\n\
         dn: cn=alice,ou=elsewhere,dc=example,dc=com\nobjectClass: mailAccount\nmail: alice\nhomeDir: /home/alice\n\
         mailUid: 5000\nmailGid: 5001\ncryptPassword: {SSHA}\n\n\
         dn: cn=alias,ou=people,dc=example,dc=com\nobjectClass: alias\nobjectClass: extensibleObject\ncn: alias\n\
         aliasedObjectName: cn=alice,ou=elsewhere,dc=example,dc=com\n\n\
         dn: ou=other,dc=example,dc=com\nobjectClass: alias\nobjectClass: extensibleObject\nou: other\n\
         aliasedObjectName: ou=elsewhere,dc=example,dc=com\n"
    );
    let house = House::with(&ldif);
    for (deref, base, is_found) in [
        ("never", "people", false),
        ("finding", "people", false),
        ("searching", "people", true),
        ("always", "people", true),
        ("never", "other", false),
        ("searching", "other", false),
        ("finding", "other", true),
        ("Always", "other", true),
    ] {
        let mut program =
            house.program(&format!("LDAP_BASEDN ou={base},dc=example,dc=com\nLDAP_DEREF {deref}"));
        assert_eq!(program.lets_in("alice", "secret").unwrap(), is_found, "{deref} {base}");
    }
}

#[test]
fn an_option_of_a_value_with_a_comma_is_left_out() {
    if !is_possible() {
        return;
    }
    // Ledger 746.
    let house = House::with(&person(
        "alice",
        &format!("cryptPassword: {SSHA}\nshared: a,disablepop3=0\ndisablepop3: 1"),
    ));
    let mut program = house.program("LDAP_AUXOPTIONS shared=sharedgroup,disablepop3=disablepop3");
    assert!(look_up(&mut program, "pop3", "alice").unwrap().ends_with("OPTIONS=disablepop3=1\n.\n"));
}

#[test]
fn settings_that_change_are_in_force_at_once() {
    if !is_possible() {
        return;
    }
    let house = House::with(&(alice() + &person("bob@example.com", &format!("cryptPassword: {SSHA}"))));
    let mut program = house.program("");
    assert!(program.lets_in("alice", "secret").unwrap() && !program.lets_in("bob", "secret").unwrap());
    house.configure("LDAP_DOMAIN example.com");
    assert!(!program.lets_in("alice", "secret").unwrap() && program.lets_in("bob", "secret").unwrap());
    house.configure("LDAP_TIMEOUT soon");
    assert!(program.lets_in("bob", "secret").unwrap());
    assert!(program.log().unwrap().contains("the settings stay as they were"));
}

#[test]
fn what_is_not_honoured_is_said_at_the_start() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice());
    house.configure("LDAP_PROTOCOL_VERSION 2\nLDAP_SERVER old.example.com\nLDAP_BINDDN cn=x");
    let mut program = house.program_with(&[("LDAPTLS_CRLCHECK", "all")]);
    assert!(program.lets_in("alice", "secret").unwrap());
    let log = program.log().unwrap();
    for words in [
        "LDAP_PROTOCOL_VERSION is not honoured: version 3 is spoken",
        "LDAP_SERVER is not known, and not used",
        "LDAP_BINDDN is not honoured: LDAP_INITBIND is not set",
        "LDAPTLS_CRLCHECK in the environment is not honoured",
    ] {
        assert!(log.contains(words), "{words}\n{log}");
    }
    assert!(log.lines().all(|line| line.starts_with("WARN: ")), "{log}");
}

#[test]
fn settings_that_make_no_sense_are_said_and_nobody_is_let_in_or_turned_away() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice());
    let mut program = house.program("LDAP_URI http://example.com");
    assert_eq!(program.log_in("alice", "secret").unwrap(), "UNAVAILABLE\n");
    assert!(program.log().unwrap().contains("LDAP_URI is no list of ldap://"));
    house.configure("");
    assert!(program.lets_in("alice", "secret").unwrap());
    fs::remove_file(house.configuration().join("authldaprc")).unwrap();
    let mut program = house.program_with(&[]);
    assert_eq!(program.log_in("alice", "secret").unwrap(), "UNAVAILABLE\n");
}

/// Name and value of each setting in Courier's sample file, also of those that
/// are comments in it.
fn sample() -> Option<Vec<(String, String)>> {
    let text = fs::read_to_string("/etc/courier/authldaprc").ok()?;
    let settings = text.lines().filter_map(|line| {
        let line = line.trim_start_matches(['#', ' ']);
        let (name, value) = line.split_once(char::is_whitespace)?;
        let is_name = name.starts_with("LDAP_") && name.bytes().all(|c| c.is_ascii_uppercase() || c == b'_');
        // What else begins with a name is a sentence.
        let is_setting =
            !line.starts_with(&format!("{name} ")) || value.starts_with(' ') || !value.contains(' ');
        (is_name && is_setting).then(|| (name.to_owned(), value.trim().to_owned()))
    });
    Some(settings.collect())
}

#[test]
fn every_setting_of_the_sample_file_is_known_and_described() {
    let Some(settings) = sample() else {
        let reason = "/etc/courier/authldaprc is not there (Debian: courier-authlib-ldap)";
        return testbed::courier::leave_out(reason).unwrap();
    };
    let page = fs::read_to_string(testbed::root().join("docs/back-ends.md")).unwrap();
    let mut text = String::new();
    for (name, value) in &settings {
        // Nobody is to be asked, and not every machine has these users.
        let value = match name.as_str() {
            "LDAP_URI" => "ldapi://%2Fno%2Fsuch%2Fsocket",
            "LDAP_GLOB_UID" => "nobody",
            "LDAP_GLOB_GID" => "nogroup",
            _ => value,
        };
        text.push_str(&format!("{name}\t{value}\n"));
        assert!(page.contains(&format!("`{name}`")), "{name} is not described");
    }
    for name in
        ["LDAP_URI", "LDAP_AUTHBIND", "LDAP_AUXOPTIONS", "LDAP_MAILROOT", "LDAP_EMAILMAP_MAIL", "LDAP_GID"]
    {
        assert!(settings.iter().any(|(other, _)| other == name), "{name}");
    }
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("authldaprc"), format!("{text}##NAME: MARKER:0\n")).unwrap();
    let mut command = Command::new(AUTHLDAP);
    let command = command.env("POSTRIDER_SYSCONFDIR", directory.path()).stdin(Stdio::null());
    let log = String::from_utf8(command.output().unwrap().stderr).unwrap();
    // All that is wrong is that nobody listens there.
    assert!(log.contains("/no/such/socket: No such file or directory"), "{log}");
    assert_eq!(log.lines().count(), 1, "{log}");
}

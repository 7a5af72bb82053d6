//! Who gets in, and as whom.

use authlib::Record;
use authlib::cram::Proof;
use authlib::hmac_state::{Hash, States};
use testbed::pipe_program::PipeProgram;

use crate::house::{CRYPT, House, SSHA, alice, as_reader, is_possible, look_up, person, person_below};

/// A request to log in by CRAM.
fn cram(hash: Hash, user: &str, password: &str) -> Vec<u8> {
    let digest = States::of(hash, password.as_bytes()).hmac(b"<1@host>");
    let digits: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let proof = Proof::new(hash, b"<1@host>", format!("{user} {digits}").as_bytes()).unwrap();
    let record = Record::proof(b"pop3", &proof).unwrap();
    [format!("AUTH {}\n", record.body().len()).as_bytes(), record.body()].concat()
}

fn is_told_nothing(program: &mut PipeProgram, user: &str, why: &str) {
    assert_eq!(program.log_in(user, "secret").unwrap(), "UNAVAILABLE\n", "{user}");
    let log = program.log().unwrap();
    let last = log.lines().last().unwrap();
    assert!(last.starts_with("ERR: authldap: ") && last.contains(why), "{user}: {last}");
    assert!(!log.contains("secret"), "{log}");
}

#[test]
fn an_entry_with_everything_becomes_an_account_with_everything() {
    if !is_possible() {
        return;
    }
    let house = House::with(&person(
        "alice",
        &format!(
            "cryptPassword: {SSHA}\nmailbox: Mail\nquota: 1000S,10C\ndescription: Alice Liddell\n\
             shared: wonderland\ndelivery: ./Inbox"
        ),
    ));
    let mut program = house.program(
        "LDAP_MAILDIR mailbox\nLDAP_MAILDIRQUOTA quota\nLDAP_FULLNAME description\nLDAP_DEFAULTDELIVERY delivery\n\
         LDAP_AUXOPTIONS shared=sharedgroup,disablepop3=disablepop3",
    );
    let expected = format!(
        "UID=5000\nGID=5001\nHOME=/home/alice\nADDRESS=alice\nNAME=Alice Liddell\nMAILDIR=Mail\nQUOTA=1000S,10C\n\
         PASSWD={SSHA}\nPASSWD2=secret\nOPTIONS=sharedgroup=wonderland\n.\n"
    );
    assert_eq!(program.log_in("alice", "secret").unwrap(), expected);
    assert_eq!(look_up(&mut program, "pop3", "alice").unwrap(), expected.replace("PASSWD2=secret\n", ""));
    let delivery = look_up(&mut program, "courier", "alice").unwrap();
    assert!(delivery.contains("\nMAILDIR=./Inbox\n"), "{delivery}");
    assert_eq!(look_up(&mut program, "pop3", "nobody").unwrap(), "FAIL\n");
}

#[test]
fn any_of_an_entrys_passwords_opens_the_door_and_those_in_clear_are_the_ones_that_count() {
    if !is_possible() {
        return;
    }
    let people = [
        person("ssha", &format!("cryptPassword: {SSHA}")),
        person("crypt", &format!("cryptPassword: {CRYPT}")),
        person(
            "several",
            &format!("cryptPassword: {{SASL}}several\ncryptPassword: {{SHA}}x\ncryptPassword: {SSHA}"),
        ),
        person(
            "clear",
            "clearPassword: secret\nclearPassword: other\ncryptPassword: {SHA}leW9kzL6CktkGwVwtUdPBzZ20bk=",
        ),
        person("locked", "cryptPassword: *"),
        person("in-words", "cryptPassword: secret"),
        person("without", "description: has no password"),
    ];
    let house = House::with(&people.concat());
    let mut program = house.program("LDAP_CLEARPW clearPassword");
    for (user, password, is_right) in [
        ("ssha", "secret", true),
        ("SSHA", "secret", true),
        ("ssha", "Secret", false),
        ("crypt", "secret", true),
        ("crypt", "wrong", false),
        ("several", "secret", true),
        ("several", "several", false),
        ("clear", "secret", true),
        ("clear", "other", true),
        ("clear", "hashed", false),
        ("locked", "*", false),
        ("in-words", "secret", false),
        ("without", "secret", false),
        ("nobody", "secret", false),
    ] {
        assert_eq!(program.lets_in(user, password).unwrap(), is_right, "{user} {password}");
    }
    assert_eq!(program.log().unwrap(), "");
}

#[test]
fn an_entry_with_too_many_passwords_is_no_work_for_anybody() {
    if !is_possible() {
        return;
    }
    let passwords: String = (0..9).map(|number| format!("cryptPassword: {{SHA}}{number}\n")).collect();
    let house = House::with(&person("many", passwords.trim_end()));
    is_told_nothing(&mut house.program(""), "many", "more than 8 passwords");
}

#[test]
fn a_proof_is_of_a_password_in_clear() {
    if !is_possible() {
        return;
    }
    let people = [
        person("clear", "clearPassword: other\nclearPassword: secret"),
        person("plain", "cryptPassword: {PLAIN}secret"),
        person("hashed", &format!("cryptPassword: {SSHA}")),
    ];
    let house = House::with(&people.concat());
    let mut program = house.program("LDAP_CLEARPW clearPassword");
    for hash in Hash::ALL {
        for user in ["clear", "plain"] {
            let answer = program.ask(&cram(hash, user, "secret")).unwrap();
            assert!(answer.contains(&format!("ADDRESS={user}\n")), "{answer}");
        }
        for (user, password) in
            [("clear", "wrong"), ("hashed", "secret"), ("nobody", "nobody's"), ("hashed", "nobody's")]
        {
            assert_eq!(program.ask(&cram(hash, user, password)).unwrap(), "FAIL\n", "{user}");
        }
    }
}

#[test]
fn what_is_no_account_is_unavailable_for_its_owner_and_a_rejection_for_others() {
    if !is_possible() {
        return;
    }
    let entry = |name: &str, lines: &str| {
        format!(
            "dn: cn={name},dc=example,dc=com\nobjectClass: mailAccount\nmail: {name}\ncryptPassword: {SSHA}\n{lines}\n\n"
        )
    };
    let people = [
        (entry("no-home", "mailUid: 5000\nmailGid: 5001"), "no-home", "the account's home is missing"),
        (
            entry("root", "homeDir: /root\nmailUid: 0\nmailGid: 0"),
            "root",
            "nobody's mail is read with root's ids",
        ),
        (entry("wheel", "homeDir: /root\nmailUid: 5000\nmailGid: 0"), "wheel", "nobody's mail"),
        (entry("no-uid", "homeDir: /x\nmailGid: 5001"), "no-uid", "the account's uid is missing"),
        (
            entry("words", "homeDir: /x\nmailUid: mail\nmailGid: 5001"),
            "words",
            "the account's uid is not a number",
        ),
        (
            entry("minus", "homeDir: /x\nmailUid: -1\nmailGid: 5001"),
            "minus",
            "the account's uid is not a number",
        ),
        // /x, a line end, /y
        (
            entry("lines", "homeDir:: L3gKL3k=\nmailUid: 5000\nmailGid: 5001"),
            "lines",
            "home holds a NUL or a line end",
        ),
    ];
    let ldif: String = people.iter().map(|(ldif, ..)| ldif.as_str()).collect();
    let house = House::with(&ldif);
    let mut program = house.program("");
    for (_, user, why) in people {
        is_told_nothing(&mut program, user, why);
        assert!(!program.lets_in(user, "wrong").unwrap(), "{user}");
    }
}

#[test]
fn a_name_of_two_entries_is_nobodys_to_tell() {
    if !is_possible() {
        return;
    }
    // Ledger 741.
    let twice = person("one", &format!("mail: both\ncryptPassword: {SSHA}"))
        + &person("two", &format!("mail: both\ncryptPassword: {SSHA}"));
    let house = House::with(&twice);
    let mut program = house.program("");
    is_told_nothing(&mut program, "both", "the name leads to more than one entry");
    assert_eq!(look_up(&mut program, "pop3", "both").unwrap(), "UNAVAILABLE\n");
    assert!(program.lets_in("one", "secret").unwrap());
}

#[test]
fn a_name_from_a_client_is_a_value_and_nothing_else() {
    if !is_possible() {
        return;
    }
    let strange =
        ["*", "a*", "(", ")", "\\", "\\2a", "alice)(mail=*", "*)(|(mail=*", "älice", "a&b|c!d", "bob@", " x"];
    let own: String = strange
        .iter()
        .filter(|name| !name.starts_with(' '))
        .enumerate()
        .map(|(number, name)| {
            let value: String = name.bytes().map(|octet| format!("{octet:02x}")).collect();
            person(&format!("s{number}"), &format!("address: {}\ncryptPassword: {SSHA}", from_hex(&value)))
        })
        .collect();
    let house = House::with(&(person("alice", &format!("address: alice\ncryptPassword: {SSHA}")) + &own));
    let mut program = house.program("LDAP_MAIL address");
    for (number, name) in strange.iter().enumerate() {
        let answer = program.log_in(name, "secret").unwrap();
        let expected = format!("\nHOME=/home/s{number}\nADDRESS={name}\n");
        assert!(
            answer.contains(&expected) || name.starts_with(' ') && answer == "FAIL\n",
            "{name}: {answer}"
        );
    }
    for name in
        ["a*e", "alic?", "(mail=alice)", "alice\\00", "\\61lice", "alice)", "cn=alice,dc=example,dc=com"]
    {
        assert!(!program.lets_in(name, "secret").unwrap(), "{name}");
    }
    // No text at all.
    let request = b"AUTH 24\npop3\nlogin\nal\xffce\nsecret\n";
    assert_eq!(program.ask(request).unwrap(), "FAIL\n");
    assert!(program.lets_in("alice", "secret").unwrap());
}

/// A value as LDIF has one, whatever is in it.
fn from_hex(digits: &str) -> String {
    let octets: Vec<u8> =
        (0..digits.len()).step_by(2).map(|at| u8::from_str_radix(&digits[at..at + 2], 16).unwrap()).collect();
    String::from_utf8(octets).unwrap()
}

#[test]
fn who_may_see_an_entry_is_whom_the_program_is_bound_as() {
    if !is_possible() {
        return;
    }
    let hidden = person_below("hidden", testbed::slapd::CLOSED, &format!("userPassword: {SSHA}"));
    let house = House::with(&(alice() + &hidden));
    let mut program = house.program("LDAP_CRYPTPW userPassword");
    assert!(!program.lets_in("hidden", "secret").unwrap());
    let mut program = house.program(&format!("{}LDAP_CRYPTPW userPassword", as_reader()));
    assert!(program.lets_in("hidden", "secret").unwrap());
    assert!(!program.lets_in("hidden", "wrong").unwrap());
    let mut program = house.program(&as_reader().replace("server's", "servant's"));
    is_told_nothing(&mut program, "alice", "bind as LDAP_BINDDN: invalidCredentials");
}

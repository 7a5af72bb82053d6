//! Courier's authdaemond with its authldap: on the same authldaprc and the same
//! server it says the same.

use std::fs;
use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::path::PathBuf;

use tempfile::TempDir;
use testbed::courier::Authdaemond;
use testbed::pipe_program::{PipeProgram, login};

use crate::house::{House, SSHA, as_reader, is_possible, person};

const LIBRARY: &str = "/usr/lib/courier-authlib/libauthldap.so";

/// Whether to go on; says so if not.
fn is_here() -> bool {
    let absent = || (!fs::exists(LIBRARY).unwrap()).then(|| format!("{LIBRARY} is not there"));
    match testbed::courier::missing_authdaemond().or_else(absent) {
        None => is_possible(),
        Some(reason) => {
            testbed::courier::leave_out(&reason).unwrap();
            false
        }
    }
}

/// Both, with the same settings.
struct Both {
    ours: PipeProgram,
    _theirs: Authdaemond,
    socket: PathBuf,
    _directory: TempDir,
}

impl Both {
    fn with(house: &House, settings: &str) -> Both {
        let directory = tempfile::tempdir().unwrap();
        let rc = house.authldaprc(settings);
        let mut theirs =
            Authdaemond::start_with(directory.path(), "authldap", &[("authldaprc", &rc)]).unwrap();
        // As soon as it listens.
        drop(theirs.command("true").unwrap());
        let socket = directory.path().join("run/authdaemon/socket");
        Both { ours: house.program(settings), _theirs: theirs, socket, _directory: directory }
    }

    /// What theirs answers, and what ours does; no answer is *unavailable*, and
    /// theirs always tells a name, be it empty (ledger 707).
    fn ask(&mut self, request: &[u8]) -> (String, String) {
        let mut stream = UnixStream::connect(&self.socket).unwrap();
        stream.set_read_timeout(Some(testbed::PATIENCE)).unwrap();
        stream.write_all(request).unwrap();
        let mut theirs = String::new();
        stream.read_to_string(&mut theirs).unwrap();
        let theirs = if theirs.is_empty() { "UNAVAILABLE\n".to_owned() } else { theirs };
        (theirs.replace("\nNAME=\n", "\n"), self.ours.ask(request).unwrap())
    }

    fn agree_on(&mut self, request: &[u8]) {
        let (theirs, ours) = self.ask(request);
        assert_eq!(ours, theirs, "{:?}", String::from_utf8_lossy(request));
    }

    fn differ_on(&mut self, request: &[u8], their_start: &str, our_start: &str) {
        let (theirs, ours) = self.ask(request);
        assert!(theirs.starts_with(their_start) && ours.starts_with(our_start), "theirs {theirs}ours {ours}");
    }
}

fn look_up(service: &str, user: &str) -> Vec<u8> {
    format!("PRE . {service} {user}\n").into_bytes()
}

fn change(user: &str, old: &str, new: &str) -> Vec<u8> {
    format!("PASSWD pop3\t{user}\t{old}\t{new}\n").into_bytes()
}

/// An entry with a password and `lines`, and nothing else.
fn bare(name: &str, lines: &str) -> String {
    format!(
        "dn: cn={name},dc=example,dc=com\nobjectClass: mailAccount\nmail: {name}\ncryptPassword: {SSHA}\n{lines}\n\n"
    )
}

#[test]
fn both_say_the_same_of_the_same_directory() {
    if !is_here() {
        return;
    }
    let alice = "mailbox: Mail\nquota: 1000S\ndescription: Alice,,,x\nshared: a\ndelivery: ./Inbox\nhandle: h\nrealm: r";
    let people = [
        person("alice", &format!("cryptPassword: {SSHA}\n{alice}")),
        person("bob@example.com", "clearPassword: secret\ncryptPassword: {SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="),
        person("carol", &format!("cryptPassword: {SSHA}\nmail: carol2\nmail: carola@example.com")),
        bare("everybodys", "homeDir: /x"),
        "dn: cn=open,dc=example,dc=com\nobjectClass: mailAccount\nmail: open\nhomeDir: /x\nmailUid: 1\nmailGid: 1\n\n"
            .to_owned(),
    ];
    let house = House::with(&people.concat());
    let mut both = Both::with(
        &house,
        "LDAP_MAILDIR mailbox\nLDAP_MAILDIRQUOTA quota\nLDAP_FULLNAME description\nLDAP_CLEARPW clearPassword\n\
         LDAP_DEFAULTDELIVERY delivery\nLDAP_AUXOPTIONS shared=sharedgroup,disablepop3=disablepop3",
    );
    for (user, password) in [
        ("alice", "secret"),
        ("alice", "wrong"),
        ("ALICE", "secret"),
        ("bob@example.com", "secret"),
        ("carol2", "secret"),
        ("carola@example.com", "secret"),
        ("nobody", "secret"),
        ("open", "secret"),
        ("everybodys", "secret"),
        ("*", "secret"),
        ("alice)(mail=*", "secret"),
    ] {
        both.agree_on(&login(user, password));
    }
    for (service, user) in [("pop3", "alice"), ("courier", "alice"), ("pop3", "open"), ("pop3", "nobody")] {
        both.agree_on(&look_up(service, user));
    }
    for (settings, user, password) in [
        ("LDAP_DOMAIN example.com", "carola", "secret"),
        ("LDAP_DOMAIN example.com", "alice", "secret"),
        ("LDAP_GLOB_UID nobody\nLDAP_GLOB_GID nogroup", "everybodys", "secret"),
        ("LDAP_GLOB_UID nobody\nLDAP_GLOB_GID nogroup", "alice", "secret"),
        ("LDAP_GLOB_UID 7000", "everybodys", "secret"),
        ("LDAP_MAILROOT /srv", "alice", "secret"),
        ("LDAP_FILTER (description=Alice*)", "carol", "secret"),
    ] {
        Both::with(&house, settings).agree_on(&login(user, password));
    }
    let mut both = Both::with(
        &house,
        "LDAP_EMAILMAP (&(handle=@user@)(realm=@realm@))\nLDAP_EMAILMAP_BASEDN dc=example,dc=com\n\
         LDAP_EMAILMAP_ATTRIBUTE handle\nLDAP_EMAILMAP_MAIL handle",
    );
    for user in ["h@r", "h@x", "h", "alice", "h@"] {
        both.agree_on(&login(user, "secret"));
    }
}

#[test]
fn both_let_the_server_compare() {
    if !is_here() {
        return;
    }
    let people = person("alice", &format!("userPassword: {SSHA}")) + &person("bob", "description: none");
    let house = House::with(&people);
    let mut both = Both::with(&house, "LDAP_AUTHBIND 1\nLDAP_CRYPTPW");
    for (user, password) in [("alice", "secret"), ("alice", "wrong"), ("bob", "secret"), ("nobody", "secret")]
    {
        both.agree_on(&login(user, password));
    }
    both.agree_on(&look_up("pop3", "alice"));
}

#[test]
fn both_change_passwords_in_the_same_attributes() {
    if !is_here() {
        return;
    }
    let people = [
        person("hashed", &format!("cryptPassword: {SSHA}")),
        person("clear", "clearPassword: secret"),
        person("both", &format!("clearPassword: secret\ncryptPassword: {SSHA}")),
    ];
    let house = House::with(&people.concat());
    let mut both = Both::with(&house, &format!("{}LDAP_CLEARPW clearPassword", as_reader()));
    for user in ["hashed", "clear", "both"] {
        let written = || {
            ["clearPassword", "cryptPassword"]
                .map(|name| house.slapd.values(&format!("cn={user},dc=example,dc=com"), name).unwrap().len())
        };
        // Theirs comes first, so that ours finds another password already.
        both.differ_on(&change(user, "secret", "new"), "OK\n", "FAIL\n");
        let theirs = written();
        for password in ["new", "secret"] {
            both.agree_on(&login(user, password));
        }
        assert_eq!(both.ours.ask(&change(user, "new", "third")).unwrap(), "OK\n");
        assert_eq!(written(), theirs, "{user}");
        for password in ["third", "new"] {
            both.agree_on(&login(user, password));
        }
    }
}

#[test]
fn both_list_the_same_accounts() {
    if !is_here() {
        return;
    }
    let people = [
        person("alice", "mailbox: Mail\nshared: x"),
        person("bob", "description: staff"),
        person("carol", "mail: carol2\nmail: carola@example.com\ndescription: staff"),
    ];
    let house = House::with(&people.concat());
    for more in ["LDAP_FILTER (objectClass=*)", "LDAP_ENUMERATE_FILTER (description=staff)"] {
        let settings = format!("LDAP_MAILDIR mailbox\nLDAP_AUXOPTIONS shared=sharedgroup\n{more}");
        let (theirs, ours) = Both::with(&house, &settings).ask(b"ENUMERATE\n");
        assert_eq!(theirs, format!("# authldap\n\n{ours}"), "{more}");
    }
    // Ledger 750.
    let (theirs, ours) = Both::with(&house, "").ask(b"ENUMERATE\n");
    assert!(theirs == "# authldap\n\n" && ours.ends_with("\n.\n"), "{theirs}{ours}");
}

#[test]
fn where_they_differ_the_ledger_says_so() {
    if !is_here() {
        return;
    }
    let people = [
        person("one", &format!("mail: both\ncryptPassword: {SSHA}")),
        person("two", &format!("mail: both\ncryptPassword: {SSHA}")),
        person("several", &format!("cryptPassword: {{SHA}}x\ncryptPassword: {SSHA}")),
        person("comma", &format!("cryptPassword: {SSHA}\nshared: a,b")),
        bare("homeless", "mailUid: 5000\nmailGid: 5000"),
        bare("root", "homeDir: /root\nmailUid: 0\nmailGid: 0"),
        bare("everybodys", "homeDir: /x"),
    ];
    let house = House::with(&people.concat());
    let mut both = Both::with(&house, "LDAP_AUXOPTIONS shared=sharedgroup");
    // Ledger 741.
    both.differ_on(&login("both", "secret"), "FAIL\n", "UNAVAILABLE\n");
    // Ledger 744.
    both.differ_on(&login("several", "secret"), "FAIL\n", "UID=5000\n");
    // Ledger 746.
    let (theirs, ours) = both.ask(&login("comma", "secret"));
    assert!(theirs.contains("OPTIONS=sharedgroup=a,b\n") && !ours.contains("OPTIONS"), "{theirs}{ours}");
    // Ledger 748.
    both.differ_on(&login("homeless", "secret"), "UID=5000\nGID=5000\nHOME=\n", "UNAVAILABLE\n");
    both.differ_on(&login("root", "wrong"), "UNAVAILABLE\n", "FAIL\n");
    both.agree_on(&login("root", "secret"));
    // Ledger 740.
    let mut both = Both::with(&house, "LDAP_GLOB_UID 7000\nLDAP_GLOB_GID 7001");
    both.differ_on(&login("everybodys", "secret"), "UID=7000\nGID=7000\n", "UID=7000\nGID=7001\n");
}

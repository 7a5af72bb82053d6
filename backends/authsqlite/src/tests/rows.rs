//! Rows: whole ones, and those that no login could use.

use super::{BOTH, Place, SECRET, TABLE, accepted, is_accepted, is_rejected, reason};
use authlib::Options;
use std::path::PathBuf;

/// All columns of the table of the sample file.
const ALL: &str = "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\nSQLITE_CLEAR_PWFIELD clear\n\
    SQLITE_NAME_FIELD name\nSQLITE_MAILDIR_FIELD maildir\nSQLITE_DEFAULTDELIVERY defaultdelivery\n\
    SQLITE_QUOTA_FIELD quota\nSQLITE_AUXOPTIONS_FIELD options\n";

#[test]
fn a_whole_row_is_a_whole_account() {
    let row = format!(
        "INSERT INTO passwd VALUES ('bob@example.com', '{SECRET}', 'clear', 'Bob, B', 5000, 5001, '/home/bob', \
        '/mail/bob', '|program', '100000S', 'disableimap=1,foo')"
    );
    let mut place = Place::new(ALL, &format!("{TABLE}{row}"));
    let account = accepted(place.login("bob@example.com", "secret"));
    assert_eq!(account.address, b"bob@example.com");
    assert_eq!((account.ids.uid(), account.ids.gid(), account.ids.user()), (5000, 5001, None));
    assert_eq!(
        (account.home, account.maildir),
        (PathBuf::from("/home/bob"), Some(PathBuf::from("/mail/bob")))
    );
    assert_eq!(account.quota.as_deref(), Some(b"100000S".as_slice()));
    assert_eq!(account.full_name.as_deref(), Some(b"Bob, B".as_slice()));
    assert_eq!(account.stored_password.unwrap().expose(), SECRET.as_bytes());
    assert_eq!(account.clear_password.unwrap().expose(), b"secret");
    assert_eq!(account.options, Options::parse(b"disableimap=1,foo"));

    let found = accepted(place.look_up("pop3", "bob@example.com"));
    assert_eq!(found.clear_password.unwrap().expose(), b"clear");
    assert_eq!(found.maildir, Some(PathBuf::from("/mail/bob")));
    let found = accepted(place.look_up("courier", "bob@example.com"));
    assert_eq!(found.maildir, Some(PathBuf::from("|program")));
}

#[test]
fn columns_that_are_null_are_not_there() {
    let mut place = Place::with_accounts(ALL, &["alice"]);
    let account = accepted(place.login("alice", "secret"));
    assert_eq!((account.maildir, account.quota, account.full_name), (None, None, None));
    assert!(account.options.is_empty());
    assert!(accepted(place.look_up("pop3", "alice")).clear_password.is_none());
}

#[test]
fn ids_are_numbers_and_never_roots_nor_missing() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    for (column, other) in [("uid", "gid"), ("gid", "uid")] {
        for value in ["NULL", "0", "''", "'x'", "-1", "'5000x'", "5000.5", "4294967296", "x'00'"] {
            place.set(column, value);
            place.set(other, "5000");
            let said = reason(place.login("alice", "secret"));
            assert!(said.contains(column) || said.contains("root"), "{column} {value}: {said}");
            assert!(reason(place.look_up("pop3", "alice")).contains(column));
            // Who does not know the password learns nothing of it.
            assert!(is_rejected(&place.login("alice", "wrong")));
            assert_eq!(place.list().unwrap(), []);
        }
        for value in ["'5000'", "5000", "5000.0"] {
            place.set(column, value);
            assert_eq!(accepted(place.login("alice", "secret")).ids.uid(), 5000, "{value}");
        }
    }
}

#[test]
fn an_account_without_a_home_is_rejected() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    for value in ["NULL", "''"] {
        place.set("home", value);
        assert!(is_rejected(&place.login("alice", "secret")) && is_rejected(&place.look_up("pop3", "alice")));
        assert_eq!(place.list().unwrap(), []);
    }
}

#[test]
fn two_rows_of_one_name_cannot_be_told_apart() {
    let table = TABLE.replace("PRIMARY KEY", "");
    let mut place = Place::new(BOTH, &table);
    place.add("alice", Some(SECRET), None);
    place.add("alice", Some(SECRET), None);
    place.add("bob", Some(SECRET), None);
    for password in ["secret", "wrong"] {
        assert!(reason(place.login("alice", password)).contains("more than one"));
    }
    assert!(reason(place.look_up("pop3", "alice")).contains("more than one"));
    assert!(is_accepted(&place.login("bob", "secret")));
}

#[test]
fn the_column_of_names_may_hold_numbers() {
    let table = TABLE.replace("id TEXT NOT NULL PRIMARY KEY", "id INTEGER PRIMARY KEY");
    let mut place = Place::new(BOTH, &table);
    place.execute(&format!(
        "INSERT INTO passwd (id, crypt, uid, gid, home) VALUES (7, '{SECRET}', 5000, 5000, '/h')"
    ));
    assert_eq!(accepted(place.login("7", "secret")).address, b"7");
    for name in ["seven", "7x", "8", "0"] {
        assert!(is_rejected(&place.login(name, "secret")), "{name}");
    }
}

#[test]
fn a_value_with_a_line_end_is_refused() {
    for column in ["home", "maildir", "quota", "name"] {
        let mut place = Place::with_accounts(ALL, &["alice"]);
        place.set(column, "'/h' || char(10) || 'UID=0'");
        assert!(reason(place.login("alice", "secret")).contains("line end"), "{column}");
    }
}

#[test]
fn a_list_has_every_account_that_could_log_in() {
    let mut place = Place::with_accounts(ALL, &["alice", "bob", "root"]);
    place.execute("UPDATE passwd SET uid = 0 WHERE id = 'root'");
    place.set("maildir", "'/m'");
    place.set("options", "'a=1'");
    let list = place.list().unwrap();
    let names: Vec<_> = list.iter().map(|entry| (entry.name.as_slice(), entry.uid, entry.gid)).collect();
    assert_eq!(names, [(b"alice".as_slice(), 5000, 5001), (b"bob", 5000, 5001)]);
    assert_eq!(
        (&list[0].maildir, list[0].options.as_bytes()),
        (&Some(PathBuf::from("/m")), b"a=1".as_slice())
    );
    assert_eq!((&list[1].maildir, &list[1].home), (&None, &PathBuf::from("/h")));
}

#[test]
fn a_list_stops_when_nobody_listens() {
    use authlib::Module;
    let mut place = Place::with_accounts(ALL, &["alice", "bob", "carol"]);
    let mut heard = 0;
    let mut each = |_: &authlib::Entry| {
        heard += 1;
        false
    };
    place.module.enumerate(&mut each).unwrap();
    assert_eq!(heard, 1);
}

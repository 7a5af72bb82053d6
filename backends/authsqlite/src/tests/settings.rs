//! The settings file and the data base as they come and go.

use super::{BOTH, Place, accepted, is_accepted, is_rejected, reason};
use authlib::{Changed, Module};
use std::fs;

#[test]
fn a_bare_name_gets_the_default_domain() {
    let settings = format!("{BOTH}DEFAULT_DOMAIN example.com\n");
    let mut place = Place::with_accounts(&settings, &["alice@example.com", "alice@example.org"]);
    assert_eq!(accepted(place.login("alice", "secret")).address, b"alice@example.com");
    assert_eq!(accepted(place.look_up("pop3", "alice@example.org")).address, b"alice@example.org");
    assert_eq!(place.change("alice", "secret", "new"), Changed::Done);
    assert!(
        is_rejected(&place.login("alice", "secret")) && is_accepted(&place.login("alice@example.com", "new"))
    );
    place.configure(BOTH);
    assert!(is_rejected(&place.login("alice", "new")));
}

#[test]
fn columns_may_be_expressions() {
    let settings = format!(
        "{BOTH}SQLITE_LOGIN_FIELD lower(id)\nSQLITE_UID_FIELD uid + 1\nSQLITE_GID_FIELD 7\nSQLITE_HOME_FIELD '/home/' || id\n\
        SQLITE_NAME_FIELD 'Mx ' || id\nSQLITE_MAILDIR_FIELD \"/mail/\" || id\n"
    );
    let mut place = Place::with_accounts(&settings, &["Alice"]);
    let account = accepted(place.login("alice", "secret"));
    assert_eq!(
        (account.address.as_slice(), account.ids.uid(), account.ids.gid()),
        (b"alice".as_slice(), 5001, 7)
    );
    assert_eq!(account.full_name.as_deref(), Some(b"Mx Alice".as_slice()));
    assert_eq!(account.maildir.as_deref(), Some("/mail/Alice".as_ref()));
    assert_eq!(place.change("alice", "secret", "new"), Changed::Done);
}

#[test]
fn a_condition_hides_accounts() {
    let settings = format!("{BOTH}SQLITE_WHERE_CLAUSE id <> 'bob' OR 0\n");
    let mut place = Place::with_accounts(&settings, &["alice", "bob"]);
    assert!(is_accepted(&place.login("alice", "secret")) && is_rejected(&place.login("bob", "secret")));
    assert_eq!(place.list().unwrap().len(), 1);
}

#[test]
fn settings_take_effect_when_they_are_written() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    assert!(is_accepted(&place.login("alice", "secret")));
    place.configure(&format!("{BOTH}SQLITE_WHERE_CLAUSE 1=0\n"));
    assert!(is_rejected(&place.login("alice", "secret")));
    // What is wrong changes nothing.
    place.configure_with("SQLITE_DATABASE /nowhere\n");
    assert!(is_rejected(&place.login("alice", "secret")));
    place.configure(BOTH);
    assert!(is_accepted(&place.login("alice", "secret")));
    fs::remove_file(place.settings()).unwrap();
    assert!(is_accepted(&place.login("alice", "secret")));
}

#[test]
fn without_usable_settings_nothing_can_be_told() {
    for (text, said) in [
        ("", "marker line not found in /"),
        ("SQLITE_DATABASE /x\n", "marker line not found in /"),
        ("##NAME: MARKER:0\n", "SQLITE_DATABASE is not set"),
        (
            "SQLITE_DATABASE /x\n##NAME: MARKER:0\n",
            "neither SQLITE_CRYPT_PWFIELD nor SQLITE_CLEAR_PWFIELD is set",
        ),
        (
            "SQLITE_DATABASE /x\nSQLITE_SELECT_CLAUSE SELECT $(domain)x\n##NAME: MARKER:0\n",
            "$(domain) is part of a name, and cannot be bound there",
        ),
    ] {
        let mut place = Place::with_accounts(BOTH, &["alice"]);
        place.configure_with(text);
        assert!(place.module.prepare().unwrap_err().to_string().contains(said), "{text}");
        assert!(reason(place.login("alice", "secret")).contains(said), "{text}");
        assert!(reason(place.look_up("pop3", "alice")).contains(said), "{text}");
        assert!(matches!(place.change("alice", "secret", "new"), Changed::Unavailable(_)), "{text}");
        assert!(place.list().is_err(), "{text}");
        place.configure(BOTH);
        assert!(is_accepted(&place.login("alice", "secret")), "{text}");
    }
}

#[test]
fn what_the_data_base_does_not_understand_is_said_at_the_start() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    place.module.prepare().unwrap();
    for wrong in [
        "SQLITE_USER_TABLE other\nSQLITE_CRYPT_PWFIELD crypt\n",
        "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD hash\n",
        "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\nSQLITE_QUOTA_FIELD (quota\n",
    ] {
        place.configure(wrong);
        let said = place.module.prepare().unwrap_err().to_string();
        assert!(said.contains("users.db: "), "{said}");
        assert_eq!(reason(place.login("alice", "secret")), said);
    }
    for wrong in
        ["SQLITE_CHPASS_CLAUSE UPDATE other SET a = 1\n", "SQLITE_ENUMERATE_CLAUSE SELECT 1 FROM other\n"]
    {
        place.configure(&format!("{BOTH}{wrong}"));
        assert!(place.module.prepare().unwrap_err().to_string().contains("no such table: other"));
        assert!(is_accepted(&place.login("alice", "secret")));
    }
}

#[test]
fn a_data_base_that_is_away_or_broken_cannot_tell_and_comes_back() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    let (path, away) = (place.directory.path().join("users.db"), place.directory.path().join("away"));
    assert!(is_accepted(&place.login("alice", "secret")));
    fs::rename(&path, &away).unwrap();
    for user in ["alice", "nobody"] {
        assert!(reason(place.login(user, "secret")).contains("unable to open database file"), "{user}");
    }
    assert!(
        place.list().is_err() && matches!(place.change("alice", "secret", "new"), Changed::Unavailable(_))
    );
    fs::write(&path, "no data base".repeat(1000)).unwrap();
    assert!(reason(place.login("alice", "secret")).contains("not a database"));
    fs::rename(&away, &path).unwrap();
    assert!(is_accepted(&place.login("alice", "secret")));
    place.module.idle();
    assert!(is_accepted(&place.login("alice", "secret")));
}

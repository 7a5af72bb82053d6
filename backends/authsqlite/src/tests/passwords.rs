//! Which password logs in, and how it is changed.

use super::{BOTH, Place, SECRET, is_accepted, is_rejected, reason};
use authlib::hmac_state::Hash;
use authlib::{Changed, password};

/// A hash that asks for more work than is done.
const TOO_COSTLY: &str = "$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";

#[test]
fn the_hashed_password_logs_in_and_where_there_is_none_the_other() {
    let mut place = Place::with_accounts(BOTH, &[]);
    for (name, crypt, clear, good) in [
        ("hashed", Some(SECRET), None, Some("secret")),
        ("clear", None, Some("clear"), Some("clear")),
        ("empty", Some(""), Some("clear"), Some("clear")),
        ("both", Some(SECRET), Some("clear"), Some("secret")),
        ("none", None, None, None),
        ("nothing", Some(""), Some(""), None),
        ("locked", Some("*"), Some("clear"), None),
        ("as-it-is", Some("{PLAIN}secret"), None, Some("secret")),
        ("strange", None, Some("{PLAIN}x"), Some("{PLAIN}x")),
    ] {
        place.add(name, crypt, clear);
        for password in ["secret", "clear", "*", "{PLAIN}x", "x", "Secret", SECRET] {
            let verdict = place.login(name, password);
            assert_eq!(is_accepted(&verdict), good == Some(password), "{name} {password}");
            assert!(is_accepted(&verdict) || is_rejected(&verdict), "{name} {password}");
        }
    }
}

#[test]
fn one_column_alone_will_do() {
    let crypt = "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n";
    let clear = "SQLITE_USER_TABLE passwd\nSQLITE_CLEAR_PWFIELD clear\n";
    let mut place = Place::with_accounts(crypt, &[]);
    place.add("alice", Some(SECRET), Some("clear"));
    assert!(is_accepted(&place.login("alice", "secret")) && is_rejected(&place.login("alice", "clear")));
    assert!(is_rejected(&place.proof(Hash::Md5, "alice", "clear")));
    place.configure(clear);
    assert!(is_accepted(&place.login("alice", "clear")) && is_rejected(&place.login("alice", "secret")));
    assert!(is_accepted(&place.proof(Hash::Md5, "alice", "clear")));
}

#[test]
fn cram_takes_the_password_in_clear() {
    let mut place = Place::with_accounts(BOTH, &["hashed"]);
    place.add("alice", Some(SECRET), Some("clear"));
    place.add("plain", Some("{PLAIN}clear"), None);
    place.add("empty", None, Some(""));
    for hash in Hash::ALL {
        for name in ["alice", "plain"] {
            assert!(is_accepted(&place.proof(hash, name, "clear")), "{name}");
            assert!(is_rejected(&place.proof(hash, name, "secret")), "{name}");
        }
        for (name, password) in [("hashed", "secret"), ("empty", ""), ("nobody", "nobody's"), ("nobody", "")]
        {
            assert!(is_rejected(&place.proof(hash, name, password)), "{name}");
        }
    }
}

#[test]
fn what_costs_too_much_to_compare_cannot_be_told() {
    let mut place = Place::with_accounts(BOTH, &["bob"]);
    place.add("alice", Some(TOO_COSTLY), None);
    assert!(reason(place.login("alice", "secret")).contains("more work"));
    assert!(is_rejected(&place.login("nobody", "secret")));
}

#[test]
fn a_password_is_changed_in_every_column_that_is_set() {
    let mut place = Place::with_accounts(BOTH, &["other"]);
    place.add("alice", Some(SECRET), Some("old"));
    assert_eq!(place.change("alice", "secret", "n\u{e9}w"), Changed::Done);
    assert_eq!(place.value("SELECT clear FROM passwd WHERE id = 'alice'"), "n\u{e9}w");
    let crypt = place.value("SELECT crypt FROM passwd WHERE id = 'alice'");
    assert!(password::check(crypt.as_bytes(), "n\u{e9}w".as_bytes()), "{crypt}");
    assert!(is_accepted(&place.login("alice", "n\u{e9}w")) && is_rejected(&place.login("alice", "secret")));
    assert!(is_accepted(&place.proof(Hash::Sha256, "alice", "n\u{e9}w")));
    assert_eq!(place.value("SELECT crypt FROM passwd WHERE id = 'other'"), SECRET);
}

#[test]
fn a_new_hash_is_of_the_kind_of_the_old() {
    let crypt = "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n";
    let mut place = Place::with_accounts(crypt, &["alice"]);
    let sha512 = password::new::stored(password::new::Scheme::Sha512Crypt, b"secret").unwrap();
    for (old, kind) in [(SECRET, "{CRYPT}$y$"), (&sha512, "$6$"), ("{PLAIN}secret", "{CRYPT}$y$")] {
        place.set("crypt", &format!("'{old}'"));
        assert_eq!(place.change("alice", "secret", "new"), Changed::Done);
        let new = place.value("SELECT crypt FROM passwd");
        assert!(new.starts_with(kind) && password::check(new.as_bytes(), b"new"), "{new}");
        assert_eq!(place.value("SELECT clear FROM passwd"), "");
    }
}

#[test]
fn a_password_in_clear_gets_a_hash_beside_it() {
    let mut place = Place::with_accounts(BOTH, &[]);
    place.add("alice", None, Some("old"));
    assert_eq!(place.change("alice", "old", "new"), Changed::Done);
    assert!(place.value("SELECT crypt FROM passwd").starts_with("$y$"));
    assert_eq!(place.value("SELECT clear FROM passwd"), "new");
}

#[test]
fn without_the_old_password_nothing_is_changed() {
    let mut place = Place::with_accounts(BOTH, &["alice"]);
    place.add("locked", Some("*"), Some("old"));
    for (user, old) in [("alice", "wrong"), ("nobody", "secret"), ("locked", "*"), ("locked", "old")] {
        assert_eq!(place.change(user, old, "new"), Changed::Reject, "{user}");
    }
    assert!(is_accepted(&place.login("alice", "secret")));
}

#[test]
fn a_change_that_would_meet_two_rows_or_none_is_no_change() {
    let where_ = format!("{BOTH}SQLITE_CHPASS_CLAUSE UPDATE passwd SET crypt='$(newpass_crypt)'");
    let mut place = Place::with_accounts(&where_, &["alice", "bob"]);
    let Changed::Unavailable(reason) = place.change("alice", "secret", "new") else { panic!() };
    assert_eq!(reason.to_string(), "2 rows would have been changed instead of one");
    place.configure(&format!("{where_} WHERE id = 'nobody'"));
    assert!(matches!(place.change("alice", "secret", "new"), Changed::Unavailable(_)));
    assert!(is_accepted(&place.login("alice", "secret")) && is_accepted(&place.login("bob", "secret")));
}

#[test]
fn a_condition_holds_for_changes_too() {
    let settings = format!("{BOTH}SQLITE_WHERE_CLAUSE quota = 'here' OR quota = 'there'\n");
    let table = super::TABLE.replace("PRIMARY KEY", "");
    let mut place = Place::new(&settings, &table);
    place.add("alice", Some(SECRET), None);
    place.execute("UPDATE passwd SET quota = 'here'");
    place.add("alice", Some(SECRET), None);
    assert!(is_accepted(&place.login("alice", "secret")));
    assert_eq!(place.change("alice", "secret", "new"), Changed::Done);
    assert_eq!(place.value("SELECT crypt FROM passwd WHERE quota IS NULL"), SECRET);
    assert!(is_accepted(&place.login("alice", "new")) && is_rejected(&place.login("nobody", "new")));
}

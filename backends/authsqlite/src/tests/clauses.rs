//! Own clauses, and names and passwords that look like SQL.

use super::{BOTH, Place, SECRET, TABLE, accepted, is_accepted, is_rejected, reason};
use authlib::{Changed, Client, Module, password};

/// Names that somebody may try, or have.
const NASTY: [&str; 16] = [
    "'",
    "\"",
    "x' OR '1'='1",
    "x\" OR \"1\"=\"1",
    "alice'--",
    "alice' --",
    "alice'/*",
    "'; DROP TABLE passwd; --",
    "x'; UPDATE passwd SET uid = 1; --",
    "x' UNION SELECT 'alice', '', 'x', 1, 1, '/', '', '', '', '",
    "\\' OR 1=1 --",
    "\\",
    "%",
    "_____",
    "$(domain) ? :a $1",
    "\u{e9}\u{2019}\u{ff07}",
];

/// One clause of each kind, with quotes and without.
const OWN: &str = "\
SQLITE_SELECT_CLAUSE SELECT id, crypt, clear, uid, gid, home FROM passwd \\
    WHERE id = '$(local_part)' AND $(local_part) = id AND ('$(service)' = 'pop3')
SQLITE_CHPASS_CLAUSE UPDATE passwd SET clear = '$(newpass)', crypt = $(newpass_crypt) WHERE id = \"$(local_part)\"
SQLITE_ENUMERATE_CLAUSE SELECT id, uid, gid, home, '$(local_part)', 's=$(service)' FROM passwd
";

#[test]
fn no_name_is_read_as_sql() {
    for settings in [BOTH, OWN] {
        let mut place = Place::with_accounts(settings, &["alice"]);
        for name in NASTY {
            assert!(is_rejected(&place.login(name, "secret")), "{name}");
            assert!(is_rejected(&place.look_up("pop3", name)), "{name}");
            assert_eq!(place.change(name, "secret", "new"), Changed::Reject, "{name}");
            assert!(is_rejected(&place.proof(authlib::hmac_state::Hash::Md5, name, "secret")), "{name}");
        }
        assert_eq!(place.value("SELECT id || crypt || uid FROM passwd"), format!("alice{SECRET}5000"));
        // Somebody may really be called so.
        for name in NASTY {
            place.add(name, Some(SECRET), None);
            assert_eq!(accepted(place.login(name, "secret")).address, name.as_bytes());
            assert!(is_rejected(&place.login(name, "wrong")), "{name}");
        }
    }
}

#[test]
fn no_new_password_is_read_as_sql() {
    for settings in [BOTH, OWN] {
        let mut place = Place::with_accounts(settings, &["alice", "bob"]);
        let mut old = "secret".to_owned();
        for new in NASTY.into_iter().chain(["', uid = 1 WHERE '1'='1", "$(newpass_crypt)"]) {
            assert_eq!(place.change("alice", &old, new), Changed::Done, "{new}");
            assert_eq!(place.value("SELECT clear FROM passwd WHERE id = 'alice'"), new);
            let crypt = place.value("SELECT crypt FROM passwd WHERE id = 'alice'");
            assert!(password::check(crypt.as_bytes(), new.as_bytes()));
            assert!(is_accepted(&place.login("alice", new)), "{new}");
            old = new.to_owned();
        }
        assert_eq!(
            place.value("SELECT id || crypt || uid FROM passwd WHERE id = 'bob'"),
            format!("bob{SECRET}5000")
        );
    }
}

#[test]
fn a_name_that_no_data_base_holds_is_nobodys() {
    for settings in [BOTH, OWN] {
        let mut place = Place::with_accounts(settings, &["alice"]);
        for name in [b"alice\0".as_slice(), b"\0", b"al\nice", b"\xff", b"alice\xc3", b""] {
            let verdict = place.module.look_up(b"pop3", name, &Client::default());
            assert!(is_rejected(&verdict), "{name:?}");
        }
        let record = authlib::Record::login(b"pop3", b"alice\xff", b"secret").unwrap();
        assert!(is_rejected(&place.module.authenticate(&record, &Client::default())));
    }
}

#[test]
fn own_clauses_are_asked_and_filled_in() {
    let settings = "DEFAULT_DOMAIN example.com\n\
        SQLITE_SELECT_CLAUSE SELECT l || '@' || d, '{PLAIN}' || p, NULL, 5000, 5001, '/home/' || d, \
            'm', '1S', 'Full', \"disableimap=\" || i || \",service=$(service)\" \
            FROM box WHERE l || '@' || d = '$(local_part)@$(domain)';\n\
        SQLITE_ENUMERATE_CLAUSE SELECT l, 5000, 5000, '/h', '', 's=$(service),l=$(local_part),d=$(domain)' FROM box\n\
        SQLITE_CHPASS_CLAUSE UPDATE box SET p = '$(newpass)' WHERE l = '$(local_part)' AND d = '$(domain)'\n";
    let table = "CREATE TABLE box (l, d, p, i);
        INSERT INTO box VALUES ('ann', 'example.com', 'secret', 1), ('ann', 'example.org', 'other', 0);";
    let mut place = Place::new(settings, table);
    for (user, password, address) in
        [("ann", "secret", "ann@example.com"), ("ann@example.org", "other", "ann@example.org")]
    {
        let account = accepted(place.login(user, password));
        assert_eq!(account.address, address.as_bytes());
        assert_eq!(account.quota.as_deref(), Some(b"1S".as_slice()));
        assert_eq!(account.full_name.as_deref(), Some(b"Full".as_slice()));
        assert_eq!(account.options.get("service"), Some(Some(b"pop3".as_slice())));
        assert_eq!(account.options.is_on("disableimap"), user == "ann");
    }
    assert!(is_rejected(&place.login("ann@example.org", "secret")));
    assert!(is_rejected(&place.login("ann@", "secret")));
    assert_eq!(place.change("ann", "secret", "new"), Changed::Done);
    assert_eq!(place.value("SELECT group_concat(p) FROM box"), "new,other");
    let list = place.list().unwrap();
    assert_eq!(list.len(), 2);
    assert_eq!(list[0].options.as_bytes(), b"s=enumerate,l=*,d=example.com");
}

#[test]
fn an_own_query_gives_at_least_six_columns() {
    let with = |columns: &str| format!("SQLITE_SELECT_CLAUSE SELECT {columns}\n");
    let mut place = Place::new(&with("'n', NULL, 'secret', 5000, 5000"), TABLE);
    assert!(reason(place.login("alice", "secret")).contains("six columns"));
    place.configure(&with("'n', NULL, 'secret', 5000, 5000, '/h'"));
    assert_eq!(accepted(place.login("alice", "secret")).address, b"n");
    place.configure(&with("NULL, NULL, 'secret', 5000, 5000, '/h'"));
    assert!(reason(place.login("alice", "secret")).contains("name is missing"));
    place.configure(&with("'n', NULL, 'secret', 5000, 5000, '/h', 1, 2, 3, 'a', 'more'"));
    assert!(is_accepted(&place.login("alice", "secret")));
}

#[test]
fn a_change_without_the_password_in_clear_needs_no_text() {
    let crypt = "SQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n";
    let mut place = Place::with_accounts(crypt, &["alice"]);
    let change = |place: &mut Place, old: &[u8], new: &[u8]| {
        place.module.change_password(&authlib::PasswordChange::new(b"pop3", b"alice", old, new).unwrap())
    };
    assert_eq!(change(&mut place, b"secret", b"n\xffw"), Changed::Done);
    place.configure(BOTH);
    assert!(matches!(change(&mut place, b"n\xffw", b"\xff"), Changed::Unavailable(_)));
}

use super::database::Builder;
use super::{Userdb, text};
use crate::cram::Proof;
use crate::hmac_state::{Hash, States};
use crate::password::Answers;
use crate::{Account, Client, Module, Record, Verdict};
use proptest::prelude::*;
use std::path::Path;
use std::time::{Duration, Instant};

const SHA_OF_SECRET: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// A data base of `source` in a directory of its own.
fn compiled(source: &str) -> (tempfile::TempDir, Userdb) {
    let directory = tempfile::tempdir().unwrap();
    let userdb = Userdb::of(&directory.path().join("userdb"));
    let mut public = Builder::create(&userdb.public, 0o600).unwrap();
    let mut shadow = Builder::create(&userdb.shadow, 0o600).unwrap();
    for line in source.lines() {
        if let text::Line::Record { name, fields } = text::Line::parse(line.as_bytes()) {
            let parts = text::compile(fields, b"");
            public.insert(name, &parts.public).unwrap();
            shadow.insert(name, &parts.shadow).unwrap();
        }
    }
    public.finish().unwrap();
    shadow.finish().unwrap();
    (directory, userdb)
}

fn check(userdb: &Userdb, service: &str, user: &str, password: &str) -> Verdict {
    userdb.check(&Record::login(service.as_bytes(), user.as_bytes(), password.as_bytes()).unwrap())
}

fn accepted(source: &str) -> Account {
    let (_directory, userdb) = compiled(source);
    match check(&userdb, "pop3", "alice", "secret") {
        Verdict::Accept(account) => account,
        other => panic!("{source}: {other:?}"),
    }
}

#[test]
fn every_field_finds_its_place() {
    let account = accepted(&format!(
        "alice\tuid=5000|gid=5001|home=/home/alice|mail=Mail|quota=1000S|gecos=Alice,,|\
         options=disablepop3=0,x=y|shell=/bin/sh|systempw={SHA_OF_SECRET}"
    ));
    assert_eq!(account.address, b"alice");
    assert_eq!((account.ids.uid(), account.ids.gid()), (5000, 5001));
    assert_eq!(account.home, Path::new("/home/alice"));
    assert_eq!(account.maildir.as_deref(), Some(Path::new("Mail")));
    assert_eq!(account.quota.as_deref(), Some(b"1000S".as_slice()));
    assert_eq!(account.full_name.as_deref(), Some(b"Alice,,".as_slice()));
    assert_eq!(account.options.as_bytes(), b"disablepop3=0,x=y");
}

#[test]
fn passwords_go_with_the_account_as_far_as_they_are_known() {
    let record = format!("alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}|imappw=x");
    let account = accepted(&record);
    assert_eq!(account.stored_password.unwrap().expose(), SHA_OF_SECRET.as_bytes());
    assert_eq!(account.clear_password.unwrap().expose(), b"secret");
    let (_directory, mut userdb) = compiled(&record);
    let Verdict::Accept(account) = userdb.look_up(b"imap", b"alice", &Client::default()) else { panic!() };
    assert_eq!(account.stored_password.unwrap().expose(), b"x");
    assert!(account.clear_password.is_none());
}

#[test]
fn a_remembered_password_is_not_compared_again_and_only_if_it_is_the_same() {
    // More work than a server gives: who compares it cannot tell.
    let costly = "$6$rounds=900000000$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.";
    let (_directory, userdb) = compiled(&format!("alice\tuid=1|gid=1|home=/h|systempw={costly}"));
    let check = |stored: &str, password: &[u8]| {
        let mut answers = Answers::new(1, Duration::from_secs(60), [1; 64]);
        let record = Record::login(b"pop3", b"alice", password).unwrap();
        answers.remember(
            &Record::login(b"pop3", b"alice", b"secret").unwrap(),
            stored.as_bytes(),
            Instant::now(),
        );
        let remembered = answers.recall(&record, Instant::now());
        userdb.check(&record.with_remembered(remembered))
    };
    assert!(matches!(check(costly, b"secret"), Verdict::Accept(_)));
    assert!(matches!(check(costly, b"wrong"), Verdict::Unavailable(_)));
    assert!(matches!(check("another", b"secret"), Verdict::Unavailable(_)));
}

#[test]
fn a_look_up_needs_an_account_but_no_password() {
    let (_directory, mut userdb) = compiled("alice\tuid=1|gid=1|home=/h\nroot\tuid=0|gid=0|home=/root");
    let mut look_up = |user: &str| userdb.look_up(b"pop3", user.as_bytes(), &Client::default());
    assert!(matches!(look_up("alice"), Verdict::Accept(account) if account.stored_password.is_none()));
    assert!(matches!(look_up("bob"), Verdict::Reject));
    assert!(matches!(look_up("root"), Verdict::Unavailable(_)));
}

#[test]
fn every_account_that_can_be_used_is_listed_once() {
    let accounts =
        (0..2000).map(|n| format!("user{n}\tuid=1|gid=2|home=/h/{n}|options=n={n}\n{n}=\tuser{n}\n"));
    let (_directory, mut userdb) = compiled(&(accounts.collect::<String>() + "root\tuid=0|gid=0|home=/"));
    let mut names = std::collections::BTreeSet::new();
    userdb
        .enumerate(&mut |entry| {
            assert_eq!((entry.uid, entry.gid), (1, 2));
            names.insert(entry.name.clone())
        })
        .unwrap();
    assert_eq!(names.len(), 2000);
    let mut count = 0;
    userdb
        .enumerate(&mut |_| {
            count += 1;
            count < 5
        })
        .unwrap();
    assert_eq!(count, 5);
}

#[test]
fn the_password_of_a_service_wins_over_the_one_for_all() {
    let (_directory, userdb) =
        compiled(&format!("alice\tuid=1|gid=1|home=/h|systempw=*|pop3pw={SHA_OF_SECRET}"));
    assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Accept(_)));
    assert!(matches!(check(&userdb, "imap", "alice", "secret"), Verdict::Reject));
}

#[test]
fn strangers_wrong_passwords_and_locked_accounts_are_rejected() {
    let (_directory, userdb) = compiled(&format!(
        "alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nnopw\tuid=1|gid=1|home=/h\n5000=\talice"
    ));
    for (user, password) in [
        ("alice", "Secret"),
        ("Alice", "secret"),
        ("nobody", "secret"),
        ("nopw", "secret"),
        ("5000=", "secret"),
    ] {
        assert!(matches!(check(&userdb, "pop3", user, password), Verdict::Reject), "{user}");
    }
    for other in [b"pop3\ncram-md5\nYQ==\nYg==\n\n".as_slice(), b"pop3\nkerberos\nalice\nsecret\n\n"] {
        let other = Record::decode(other).unwrap();
        assert!(matches!(userdb.check(&other), Verdict::Reject));
    }
}

/// What a data base says to who proves, with `hash`, to know `password`.
fn check_proof(userdb: &Userdb, hash: Hash, user: &str, password: &str) -> Verdict {
    let challenge = b"<1896.697170952@postoffice.reston.mci.net>";
    let digest = States::of(hash, password.as_bytes()).hmac(challenge);
    let response = format!("{user} {}", crate::password::lower_hex(&digest));
    let proof = Proof::new(hash, challenge, response.as_bytes()).unwrap();
    userdb.check(&Record::proof(b"pop3", &proof).unwrap())
}

#[test]
fn a_proof_is_verified_with_what_is_stored_for_its_hash() {
    for hash in Hash::ALL {
        let (name, stored) = (hash.name(), hash.stored(b"secret"));
        let (_directory, userdb) = compiled(&format!(
            "alice\tuid=1|gid=1|home=/h|{name}pw={}\nbob\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}",
            stored.as_str()
        ));
        let Verdict::Accept(account) = check_proof(&userdb, hash, "alice", "secret") else { panic!() };
        assert_eq!(account.address, b"alice");
        for (user, password) in [("alice", "Secret"), ("bob", "secret"), ("nobody", "secret")] {
            assert!(matches!(check_proof(&userdb, hash, user, password), Verdict::Reject), "{user}");
        }
        for other in Hash::ALL.into_iter().filter(|&other| other != hash) {
            assert!(matches!(check_proof(&userdb, other, "alice", "secret"), Verdict::Reject));
        }
        // What is stored for proofs is no password.
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Reject));
        assert!(matches!(check(&userdb, "pop3", "alice", &stored), Verdict::Reject));
    }
}

#[test]
fn what_is_stored_for_a_service_wins_over_what_is_for_all() {
    let (secret, other) = (Hash::Md5.stored(b"secret"), Hash::Md5.stored(b"other"));
    let (_directory, userdb) = compiled(&format!(
        "alice\tuid=1|gid=1|home=/h|hmac-md5pw={}|pop3-hmac-md5pw={}|imap-hmac-md5pw=*",
        other.as_str(),
        secret.as_str()
    ));
    assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Accept(_)));
    assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "other"), Verdict::Reject));
}

#[test]
fn malformed_states_match_nothing() {
    for stored in ["", "*", "cd3ba7de", &"g".repeat(64), &"0".repeat(63), &"0".repeat(66)] {
        let (_directory, userdb) = compiled(&format!("alice\tuid=1|gid=1|home=/h|hmac-md5pw={stored}"));
        assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Reject), "{stored}");
    }
}

#[test]
fn a_right_proof_for_an_unusable_account_cannot_tell() {
    let stored = Hash::Md5.stored(b"secret");
    let (_directory, userdb) =
        compiled(&format!("alice\tuid=0|gid=1|home=/h|hmac-md5pw={}", stored.as_str()));
    assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "secret"), Verdict::Unavailable(_)));
    assert!(matches!(check_proof(&userdb, Hash::Md5, "alice", "wrong"), Verdict::Reject));
}

#[test]
fn a_neighbours_password_opens_no_account() {
    let (_directory, userdb) =
        compiled(&format!("alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nnopw\tuid=1|gid=1|home=/h"));
    assert!(matches!(check(&userdb, "pop3", "nopw", "secret"), Verdict::Reject));
    assert!(matches!(check(&userdb, "pop3", "stranger", "secret"), Verdict::Reject));
}

#[test]
fn a_neighbours_password_opens_no_locked_account() {
    let (_directory, userdb) = compiled(&format!(
        "alice\tuid=1|gid=1|home=/h|systempw={SHA_OF_SECRET}\nlocked\tuid=1|gid=1|home=/h|systempw=*"
    ));
    assert!(matches!(check(&userdb, "pop3", "locked", "secret"), Verdict::Reject));
}

#[test]
fn a_password_that_asks_for_too_much_work_is_a_fault_of_the_data_base() {
    let (_directory, userdb) =
        compiled("alice\tuid=1|gid=1|home=/h|systempw=$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf");
    assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
    assert!(matches!(check(&userdb, "pop3", "stranger", "secret"), Verdict::Reject));
}

#[test]
fn an_account_without_usable_ids_or_home_is_never_accepted() {
    for fields in [
        "uid=0|gid=1|home=/h",
        "uid=1|gid=0|home=/h",
        "uid=|gid=1|home=/h",
        "uid=x|gid=1|home=/h",
        "uid=1|gid=1 |home=/h",
        "uid|gid=1|home=/h",
        "gid=1|home=/h",
        "uid=1|home=/h",
        "uid=1|gid=1",
        "uid=1|gid=1|home=",
        "uid=4294967296|gid=1|home=/h",
        "uid=0|uid=1|gid=1|home=/h",
    ] {
        let (_directory, userdb) = compiled(&format!("alice\t{fields}|systempw={SHA_OF_SECRET}"));
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)), "{fields}");
        assert!(matches!(check(&userdb, "pop3", "alice", "wrong"), Verdict::Reject), "{fields}");
    }
}

#[test]
fn no_data_base_knows_nobody_and_half_a_data_base_cannot_tell() {
    let (_directory, userdb) = compiled("alice\tuid=1");
    std::fs::remove_file(&userdb.shadow).unwrap();
    assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
    std::fs::remove_file(&userdb.public).unwrap();
    assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Reject));
}

#[test]
fn a_file_that_is_no_data_base_cannot_tell() {
    let (_directory, userdb) = compiled("alice\tuid=1");
    for damage in [b"".as_slice(), b"alice\tuid=1\n", &[0; 20000]] {
        std::fs::write(&userdb.public, damage).unwrap();
        assert!(matches!(check(&userdb, "pop3", "alice", "secret"), Verdict::Unavailable(_)));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]
    #[test]
    fn a_damaged_data_base_accepts_nobody_as_root(damage in prop::collection::vec((0..16384usize, any::<u8>()), 1..20)) {
        let (_directory, userdb) = compiled(&format!("alice\tuid=10|gid=10|home=/h|systempw={SHA_OF_SECRET}"));
        for path in [&userdb.public, &userdb.shadow] {
            let mut octets = std::fs::read(path).unwrap();
            let length = octets.len();
            damage.iter().for_each(|(at, octet)| octets[at % length] = *octet);
            std::fs::write(path, octets).unwrap();
        }
        if let Verdict::Accept(account) = check(&userdb, "pop3", "alice", "secret") {
            prop_assert!(account.ids.uid() != 0 && account.ids.gid() != 0);
        }
    }
}

//! Passwords of old kinds in userdb, stored anew when their owners log in
//! (ledger 418).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testbed::authdaemond::OurAuthdaemond;

const ACCOUNTS: &str = "\
alice\tuid=5000|gid=5000|home=/h|systempw=OdiGHOSKg4jq2|hmac-md5pw=cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56|gecos=A
bob\tuid=5000|gid=5000|home=/h|systempw=*|pop3pw={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
carol\tuid=5000|gid=5000|home=/h|systempw=$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.
dave\tuid=5000|gid=5000|home=/h|systempw={PLAIN}secret
";
const RC: &str = "authmodulelist=\"authuserdb\"\ndaemons=1\n";
const ANEW: &str = "the password is stored anew, user=";

fn daemon(settings: &str) -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = Path::new(env!("CARGO_BIN_EXE_authdaemond"));
    let mut daemon = OurAuthdaemond::new(authdaemond, directory.path()).unwrap();
    daemon.install(ACCOUNTS, Path::new(env!("CARGO_BIN_EXE_makeuserdb"))).unwrap();
    daemon.start(&format!("{RC}{settings}")).unwrap();
    (directory, daemon)
}

fn logs_in(daemon: &OurAuthdaemond, user: &str, password: &str) -> bool {
    let body = format!("pop3\nlogin\n{user}\n{password}\n");
    let answer = daemon.ask(format!("AUTH {}\n{body}", body.len()).as_bytes()).unwrap();
    assert!(!answer.is_empty(), "{}", daemon.log().unwrap());
    answer != b"FAIL\n"
}

fn text(daemon: &OurAuthdaemond) -> String {
    fs::read_to_string(daemon.configuration().join("userdb")).unwrap()
}

#[test]
fn an_old_kind_is_replaced_once_and_all_else_stays() {
    let (_directory, mut daemon) = daemon("POSTRIDER_UPGRADE_HASHES=1\n");
    assert!(!logs_in(&daemon, "alice", "wrong") && !logs_in(&daemon, "nobody", "secret"));
    for user in ["carol", "dave", "alice"] {
        assert!(logs_in(&daemon, user, "secret"), "{user}");
    }
    daemon.await_log(&format!("INFO: authuserdb: {ANEW}alice\n")).unwrap();
    // A worker rests after a renewal; a new one need not.
    daemon.stop();
    daemon.start(&format!("{RC}POSTRIDER_UPGRADE_HASHES=1\n")).unwrap();
    for user in ["alice", "bob", "alice", "bob"] {
        assert!(logs_in(&daemon, user, "secret") && !logs_in(&daemon, user, "Secret"), "{user}");
    }
    daemon.await_log(&format!("{ANEW}bob\n")).unwrap();
    let text = text(&daemon);
    let [alice, bob, others] = text.splitn(3, '\n').collect::<Vec<_>>().try_into().unwrap();
    assert!(alice.starts_with("alice\tuid=5000|gid=5000|home=/h|systempw=$y$j9T$"), "{alice}");
    assert!(alice.ends_with("395731b56|gecos=A"), "{alice}");
    assert!(bob.starts_with("bob\tuid=5000|gid=5000|home=/h|systempw=*|pop3pw={CRYPT}$y$j9T$"), "{bob}");
    assert!(ACCOUNTS.ends_with(others), "{others}");
    let log = daemon.log().unwrap();
    assert_eq!(log.matches(ANEW).count(), 2, "{log}");
    assert!(!log.contains("secret") && !log.contains("$y$"), "{log}");
}

#[test]
fn it_is_off_unless_switched_on() {
    for settings in ["", "POSTRIDER_UPGRADE_HASHES=0\n"] {
        let (_directory, mut daemon) = daemon(settings);
        assert!(logs_in(&daemon, "alice", "secret"));
        daemon.stop();
        assert_eq!(text(&daemon), ACCOUNTS);
    }
}

#[test]
fn where_it_cannot_be_done_logins_go_on_and_the_log_says_why() {
    let (_directory, mut daemon) = daemon("POSTRIDER_UPGRADE_HASHES=1\n");
    let userdb = daemon.configuration().join("userdb");
    fs::set_permissions(&userdb, Permissions::from_mode(0o644)).unwrap();
    for _ in 0..5 {
        assert!(logs_in(&daemon, "alice", "secret"));
    }
    daemon.stop();
    assert_eq!(text(&daemon), ACCOUNTS);
    let log = daemon.log().unwrap();
    let said = "userdb: MAY NOT HAVE GROUP OR WORLD PERMISSIONS!!, user=alice\n";
    // After a failure it rests.
    assert_eq!(log.matches(said).count(), 1, "{log}");
    assert!(log.contains("WARN: authuserdb: the password is not stored anew: "), "{log}");
}

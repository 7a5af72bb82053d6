//! authsqlite under our authdaemond, and under Courier's as its authProg.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test may stop")]

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::thread;

use rusqlite::Connection;
use testbed::authdaemond::OurAuthdaemond;
use testbed::courier;

const AUTHSQLITE: &str = env!("CARGO_BIN_EXE_authsqlite");

const ACCOUNTS: &str = "
CREATE TABLE passwd (id TEXT PRIMARY KEY, crypt, clear, uid, gid, home);
INSERT INTO passwd VALUES
    ('alice', '{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=', NULL, 5000, 5001, '/home/alice'),
    ('bob', NULL, 'secret', 5000, 5001, '/home/bob'),
    ('root', NULL, 'secret', 0, 0, '/root');
";

/// Settings for the data base `users.db` beside them, which is made.
fn settings(directory: &Path) -> String {
    let database = directory.join("users.db");
    Connection::open(&database).unwrap().execute_batch(ACCOUNTS).unwrap();
    format!(
        "SQLITE_DATABASE {}\nSQLITE_USER_TABLE passwd\nSQLITE_CRYPT_PWFIELD crypt\n\
        SQLITE_CLEAR_PWFIELD clear\nSQLITE_COLOUR blue\n##NAME: MARKER:0\n",
        database.display()
    )
}

fn auth(user: &str, password: &str) -> String {
    let body = format!("pop3\nlogin\n{user}\n{password}\n");
    format!("AUTH {}\n{body}", body.len())
}

fn account(user: &str, passwords: &str) -> String {
    format!("UID=5000\nGID=5001\nHOME=/home/{user}\nADDRESS={user}\n{passwords}.\n")
}

#[test]
fn every_question_to_our_authdaemond_is_answered() {
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = testbed::cells::built_authdaemond(Path::new(AUTHSQLITE)).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    fs::write(daemon.configuration().join("authsqliterc"), settings(directory.path())).unwrap();
    daemon.start("authmodulelist=authsqlite\ndaemons=1\n").unwrap();
    let ask = |question: &str| String::from_utf8(daemon.ask(question.as_bytes()).unwrap()).unwrap();

    let sha = "PASSWD={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n";
    assert_eq!(ask(&auth("alice", "secret")), account("alice", &format!("{sha}PASSWD2=secret\n")));
    assert_eq!(ask(&auth("bob", "secret")), account("bob", "PASSWD2=secret\n"));
    for (user, password) in [("alice", "wrong"), ("nobody", "secret"), ("'; DROP TABLE passwd; --", "secret")]
    {
        assert_eq!(ask(&auth(user, password)), "FAIL\n", "{user}");
    }
    assert_eq!(ask("PRE . pop3 alice\n"), account("alice", sha));
    assert_eq!(ask("PRE authsqlite pop3 bob\n"), account("bob", "PASSWD2=secret\n"));
    assert_eq!(ask("PRE authuserdb pop3 bob\n"), "FAIL\n");
    let list = "# authsqlite\n\nalice\t5000\t5001\t/home/alice\t\t\nbob\t5000\t5001\t/home/bob\t\t\n.\n";
    assert_eq!(ask("ENUMERATE\n"), list);

    assert_eq!(ask("PASSWD pop3\talice\twrong\tit's new\n"), "FAIL\n");
    assert_eq!(ask("PASSWD pop3\talice\tsecret\tit's new\n"), "OK\n");
    assert_eq!(ask(&auth("alice", "secret")), "FAIL\n");
    assert!(ask(&auth("alice", "it's new")).contains("PASSWD2=it's new\n"));

    // What cannot be told is told by silence.
    assert_eq!(ask(&auth("root", "secret")), "");
    let database = directory.path().join("users.db");
    fs::rename(&database, directory.path().join("away")).unwrap();
    assert_eq!(ask(&auth("alice", "it's new")), "");
    assert_eq!(ask(&auth("nobody", "it's new")), "");
    assert_eq!(ask("ENUMERATE\n"), "# authsqlite\n\n");
    fs::rename(directory.path().join("away"), &database).unwrap();
    assert!(ask(&auth("alice", "it's new")).contains("ADDRESS=alice\n"));

    daemon.await_log("authsqliterc: SQLITE_COLOUR is not known, and not used").unwrap();
    daemon.await_log("users.db: unable to open database file, user=nobody").unwrap();
    let log = daemon.log().unwrap();
    assert!(!log.contains("it's new") && !log.contains("blue"), "{log}");
}

/// Ledger 418: under POSTRIDER_UPGRADE_HASHES.
#[test]
fn an_old_hash_is_stored_anew_when_its_owner_logs_in() {
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = testbed::cells::built_authdaemond(Path::new(AUTHSQLITE)).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    fs::write(daemon.configuration().join("authsqliterc"), settings(directory.path())).unwrap();
    daemon.start("authmodulelist=authsqlite\ndaemons=1\nPOSTRIDER_UPGRADE_HASHES=1\n").unwrap();
    let ask = |question: &str| String::from_utf8(daemon.ask(question.as_bytes()).unwrap()).unwrap();
    assert!(ask(&auth("alice", "secret")).contains("PASSWD={SHA}"));
    daemon.await_log("INFO: authsqlite: the password is stored anew, user=alice\n").unwrap();
    assert!(ask(&auth("alice", "secret")).contains("PASSWD={CRYPT}$y$"));
    assert_eq!(ask(&auth("alice", "wrong")), "FAIL\n");
    // Nothing is old in a password kept in clear.
    assert_eq!(ask(&auth("bob", "secret")), account("bob", "PASSWD2=secret\n"));
    assert_eq!(daemon.log().unwrap().matches("stored anew").count(), 1);
}

/// Readers and writers of one file get out of each other's way.
#[test]
fn logins_go_on_while_passwords_are_changed() {
    const TIMES: usize = 50;
    let directory = tempfile::tempdir().unwrap();
    let authdaemond = testbed::cells::built_authdaemond(Path::new(AUTHSQLITE)).unwrap();
    let mut daemon = OurAuthdaemond::new(&authdaemond, directory.path()).unwrap();
    fs::write(daemon.configuration().join("authsqliterc"), settings(directory.path())).unwrap();
    daemon.start("authmodulelist=authsqlite\ndaemons=4\n").unwrap();
    let ask = |question: &str| String::from_utf8(daemon.ask(question.as_bytes()).unwrap()).unwrap();
    thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| {
                for _ in 0..TIMES {
                    assert!(ask(&auth("alice", "secret")).contains("ADDRESS=alice\n"));
                    assert_eq!(ask(&auth("alice", "wrong")), "FAIL\n");
                }
            });
        }
        scope.spawn(|| {
            for time in 0..TIMES {
                let old = if time == 0 { "secret".to_owned() } else { format!("secret{}", time - 1) };
                assert_eq!(ask(&format!("PASSWD pop3\tbob\t{old}\tsecret{time}\n")), "OK\n", "{time}");
            }
        });
    });
    assert!(ask(&auth("bob", &format!("secret{}", TIMES - 1))).contains("ADDRESS=bob\n"));
}

#[test]
fn couriers_authdaemond_takes_it_for_an_auth_prog() {
    if let Some(reason) = courier::missing_authdaemond() {
        courier::leave_out(&reason).unwrap();
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let own = directory.path().join("own");
    fs::create_dir(&own).unwrap();
    fs::write(own.join("authsqliterc"), settings(directory.path())).unwrap();
    let etc = directory.path().join("etc");
    fs::create_dir(&etc).unwrap();
    let script = format!("#!/bin/sh\nPOSTRIDER_SYSCONFDIR={} exec {AUTHSQLITE}\n", own.display());
    fs::write(etc.join("authProg"), &script).unwrap();
    fs::set_permissions(etc.join("authProg"), Permissions::from_mode(0o755)).unwrap();
    let mut theirs = courier::Authdaemond::start_with(directory.path(), "authpipe", &[]).unwrap();
    drop(theirs.command("true").unwrap());
    let ask = |question: &str| {
        let mut stream = UnixStream::connect(directory.path().join("run/authdaemon/socket")).unwrap();
        stream.set_read_timeout(Some(testbed::PATIENCE)).unwrap();
        stream.write_all(question.as_bytes()).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answer
    };
    assert!(ask(&auth("bob", "secret")).contains("ADDRESS=bob\n"));
    assert_eq!(ask(&auth("bob", "wrong")), "FAIL\n");
    assert_eq!(ask("PASSWD pop3\tbob\tsecret\tnew\n"), "OK\n");
    assert!(ask(&auth("bob", "new")).contains("PASSWD2=new\n"));
    assert!(ask("ENUMERATE\n").contains("bob\t5000\t5001\t/home/bob\t\t\n"));
    // It ends rather than to say no, and is started anew.
    assert_eq!(ask(&auth("root", "secret")), "");
    assert!(ask(&auth("alice", "secret")).contains("ADDRESS=alice\n"));
}

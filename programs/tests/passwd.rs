//! PASSWD: accounts of userdb change their passwords, through the socket of
//! authdaemond and by authtest; many at once; and `kill -9` at every moment.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::thread;

use authlib::cram::Proof;
use authlib::hmac_state::{Hash, States};
use authlib::userdb::Userdb;
use authlib::{Record, Verdict};
use nix::libc;
use system::kill_at::{self, Ending};
use testbed::authdaemond::OurAuthdaemond;

const AUTHDAEMOND: &str = env!("CARGO_BIN_EXE_authdaemond");
const MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");
const RC: &str = "authmodulelist=\"authuserdb\"\ndaemons=4\n";
/// `secret`.
const SHA: &str = "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=";

/// No change makes so many calls; a loop that gets here does not end.
const MOST_CALLS: u64 = 2000;

fn account(name: &str) -> String {
    let cram = Hash::Md5.stored(b"secret");
    format!("{name}\tuid=5000|gid=5000|home=/h|systempw={SHA}|hmac-md5pw={}\n", cram.as_str())
}

fn daemon(accounts: &str) -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory.path()).unwrap();
    daemon.install(accounts, Path::new(MAKEUSERDB)).unwrap();
    daemon.start(RC).unwrap();
    (directory, daemon)
}

fn ask(daemon: &OurAuthdaemond, request: &str) -> String {
    String::from_utf8(daemon.ask(request.as_bytes()).unwrap()).unwrap()
}

fn run(daemon: &OurAuthdaemond, program: &str, words: &[&str]) -> Output {
    let mut command = Command::new(program);
    daemon.at_home(&mut command);
    command.args(words).stdin(Stdio::null()).output().unwrap()
}

/// Whether a data base accepts a password by PASS and by CRAM.
fn accepts(userdb: &Path, user: &str, password: &str) -> (bool, bool) {
    let userdb = Userdb::of(userdb);
    let accepts = |record: Record| match userdb.check(&record) {
        Verdict::Accept(_) => true,
        Verdict::Reject => false,
        Verdict::Unavailable(reason) => panic!("{user}: {reason}"),
    };
    let login = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
    let digest = States::of(Hash::Md5, password.as_bytes()).hmac(b"<1@h>");
    let digest: String = digest.iter().map(|octet| format!("{octet:02x}")).collect();
    let proof = Proof::new(Hash::Md5, b"<1@h>", format!("{user} {digest}").as_bytes()).unwrap();
    (accepts(login), accepts(Record::proof(b"pop3", &proof).unwrap()))
}

#[test]
fn the_socket_says_ok_or_fail_and_the_next_login_knows() {
    let (_directory, daemon) = daemon(&account("alice"));
    let userdb = daemon.configuration().join("userdb");
    for (request, answer) in [
        ("PASSWD pop3\talice\twrong\tnew\n", "FAIL\n"),
        ("PASSWD pop3\tbob\tsecret\tnew\n", "FAIL\n"),
        ("PASSWD pop3\talice\tsecret\t\n", "FAIL\n"),
        ("PASSWD pop3\tal|ice\tsecret\tnew\n", "FAIL\n"),
        ("PASSWD pop3\talice\tsecret\tn\u{e9}w |=\"'\n", "OK\n"),
        ("PASSWD pop3\talice\tsecret\tother\n", "FAIL\n"),
    ] {
        assert_eq!(ask(&daemon, request), answer, "{request}");
    }
    assert_eq!(accepts(&userdb, "alice", "n\u{e9}w |=\"'"), (true, true));
    assert_eq!(accepts(&userdb, "alice", "secret"), (false, false));
    let log = daemon.log().unwrap();
    assert!(!log.contains("n\u{e9}w") && !log.contains("ERR"), "{log}");
}

#[test]
fn authtest_changes_a_password_and_says_so() {
    let (_directory, daemon) = daemon(&account("alice"));
    let authtest = |words: &[&str]| {
        let output = run(&daemon, env!("CARGO_BIN_EXE_authtest"), words);
        (String::from_utf8(output.stderr).unwrap(), output.status.code())
    };
    let no = ("Authentication FAILED: Operation not permitted\n".to_owned(), Some(1));
    let done = ("Password change succeeded.\n".to_owned(), Some(0));
    assert_eq!(authtest(&["alice", "wrong", "new"]), no);
    assert_eq!(authtest(&["alice", "secret", "new"]), done);
    assert_eq!(authtest(&["-s", "pop3", "alice", "new", "newer"]), done);
    assert_eq!(authtest(&["alice", "new"]), no);
    assert_eq!(authtest(&["alice", "newer"]), (String::new(), Some(0)));
}

#[test]
fn a_change_that_cannot_be_made_is_fail_and_logged_without_secrets() {
    let (_directory, daemon) = daemon(&account("alice"));
    let userdb = daemon.configuration().join("userdb");
    fs::set_permissions(&userdb, Permissions::from_mode(0o644)).unwrap();
    assert_eq!(ask(&daemon, "PASSWD pop3\talice\tsecret\thunter2\n"), "FAIL\n");
    daemon.await_log("userdb: MAY NOT HAVE GROUP OR WORLD PERMISSIONS!!, user=alice\n").unwrap();
    assert!(!daemon.log().unwrap().contains("hunter2"));
    assert_eq!(accepts(&userdb, "alice", "secret"), (true, true));
}

/// Clients of the socket, `userdb` and `makeuserdb`, all at the same text.
#[test]
fn of_many_changes_at_once_none_is_lost() {
    const ACCOUNTS: usize = 8;
    const ROUNDS: usize = 3;
    let name = |number: usize| format!("user{number}");
    let (_directory, daemon) =
        daemon(&(0..ACCOUNTS).map(|number| account(&name(number))).collect::<String>());
    thread::scope(|scope| {
        for number in 0..ACCOUNTS {
            let (daemon, name) = (&daemon, name(number));
            scope.spawn(move || {
                let mut old = "secret".to_owned();
                for round in 0..ROUNDS {
                    let new = format!("new{round}");
                    assert_eq!(ask(daemon, &format!("PASSWD pop3\t{name}\t{old}\t{new}\n")), "OK\n");
                    old = new;
                }
            });
        }
        scope.spawn(|| {
            for round in 0..ROUNDS {
                let words = [&format!("added{round}"), "set", "uid=1"];
                assert!(run(&daemon, env!("CARGO_BIN_EXE_userdb"), &words).status.success());
                assert!(run(&daemon, MAKEUSERDB, &[]).status.success());
            }
        });
    });
    let userdb = daemon.configuration().join("userdb");
    let last = format!("new{}", ROUNDS - 1);
    for number in 0..ACCOUNTS {
        assert_eq!(accepts(&userdb, &name(number), &last), (true, true), "{number}");
        assert_eq!(accepts(&userdb, &name(number), "secret"), (false, false), "{number}");
    }
    assert_eq!(fs::read_to_string(&userdb).unwrap().lines().count(), ACCOUNTS + ROUNDS);
    assert!(run(&daemon, MAKEUSERDB, &[]).status.success());
    assert_eq!(accepts(&userdb, "user0", &last), (true, true));
}

/// One account asked for with the same old password by many: one gets it.
#[test]
fn of_two_who_replace_the_same_password_one_succeeds() {
    let (_directory, daemon) = daemon(&account("alice"));
    let answers: Vec<(usize, String)> = thread::scope(|scope| {
        let change = |number: usize| {
            let daemon = &daemon;
            move || (number, ask(daemon, &format!("PASSWD pop3\talice\tsecret\tnew{number}\n")))
        };
        let changes: Vec<_> = (0..4).map(|number| scope.spawn(change(number))).collect();
        changes.into_iter().map(|change| change.join().unwrap()).collect()
    });
    let done: Vec<usize> =
        answers.iter().filter(|(_, answer)| answer == "OK\n").map(|(number, _)| *number).collect();
    assert_eq!(done.len(), 1, "{answers:?}");
    let userdb = daemon.configuration().join("userdb");
    assert_eq!(accepts(&userdb, "alice", &format!("new{}", done[0])), (true, true));
}

/// A text with an account that was written into it and not compiled yet.
fn half_done(directory: &Path) -> PathBuf {
    let userdb = directory.join("userdb");
    let write = |text: &str| {
        fs::write(&userdb, text).unwrap();
        fs::set_permissions(&userdb, Permissions::from_mode(0o600)).unwrap();
    };
    write(&account("alice"));
    compile(directory);
    write(&(account("alice") + &account("later")));
    userdb
}

fn compile(directory: &Path) {
    let made = Command::new(MAKEUSERDB).env("POSTRIDER_SYSCONFDIR", directory).status().unwrap();
    assert!(made.success());
}

#[test]
fn killed_at_any_moment_it_leaves_the_old_password_or_the_new_one() {
    for nth in 1..MOST_CALLS {
        let directory = tempfile::tempdir().unwrap();
        let userdb = half_done(directory.path());
        let mut worker = Command::new(AUTHDAEMOND);
        worker.args(["-worker", "authuserdb"]).env("POSTRIDER_SYSCONFDIR", directory.path());
        worker.stderr(Stdio::null());
        let mut since_locked = kill_at::from(libc::SYS_flock);
        let counted = |call| since_locked(call) && kill_at::changes(call);
        let request = b"PASSWD pop3\talice\tsecret\tnew\n";
        let run = kill_at::run_until(worker, request, nth, counted).unwrap();
        let context = format!("call {nth}, {:?}", run.ending);

        let [old, new] = ["secret", "new"].map(|password| accepts(&userdb, "alice", password));
        assert!(old.0 == old.1 && new.0 == new.1 && old.0 != new.0, "{context}: {old:?} {new:?}");
        let was_told = run.stdout == b"OK\n";
        assert!(!was_told || new.0, "{context}");
        let text = fs::read_to_string(&userdb).unwrap();
        let is_text_old = text == account("alice") + &account("later");
        assert!(is_text_old != text.contains("$y$"), "{context}");
        // What is in force is in the text: nothing turns it back.
        assert!(!is_text_old || old.0, "{context}");

        // Whoever comes next finds nothing in the way.
        compile(directory.path());
        let old = is_text_old;
        assert_eq!(accepts(&userdb, "alice", "secret"), (old, old), "{context}");
        assert_eq!(accepts(&userdb, "alice", "new"), (!old, !old), "{context}");
        assert_eq!(accepts(&userdb, "later", "secret"), (true, true), "{context}");
        if let Ending::Finished(status) = run.ending {
            assert!(status.success() && was_told, "{context}");
            println!("{nth} calls, each survived");
            return;
        }
    }
    panic!("the change does not end");
}

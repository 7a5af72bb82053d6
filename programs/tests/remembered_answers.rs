//! authdaemond remembers good answers, if it is told to: what that saves, and
//! what it never does.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::thread;

use authlib::daemon::{Daemon, Timeouts};
use authlib::{Client, Module, Record, Verdict};
use testbed::authdaemond::OurAuthdaemond;

const REMEMBERS: &str = "POSTRIDER_REMEMBERED_ANSWERS=100\n";

/// A stored form of `password` that takes a quarter of a second to compare.
fn hash(password: &str) -> String {
    let mut command = Command::new(env!("CARGO_BIN_EXE_userdbpw"));
    let mut child = command.arg("-bcrypt").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    writeln!(child.stdin.take().unwrap(), "{password}").unwrap();
    String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap().trim_end().to_owned()
}

/// Makes `hash` the password of alice.
fn install(daemon: &OurAuthdaemond, hash: &str) {
    let record = format!("alice\tuid=5000|gid=5000|home=/h|systempw={hash}\n");
    daemon.install(&record, Path::new(env!("CARGO_BIN_EXE_makeuserdb"))).unwrap();
}

fn start(settings: &str) -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon =
        OurAuthdaemond::new(Path::new(env!("CARGO_BIN_EXE_authdaemond")), directory.path()).unwrap();
    install(&daemon, &hash("secret"));
    daemon.start(&format!("authmodulelist=authuserdb\ndaemons=3\n{settings}")).unwrap();
    (directory, daemon)
}

fn logs_in(daemon: &OurAuthdaemond, password: &str) -> bool {
    let record = Record::login(b"pop3", b"alice", password.as_bytes()).unwrap();
    match Daemon::on(daemon.socket(), Timeouts::default()).authenticate(&record, &Client::default()) {
        Verdict::Accept(account) => {
            assert_eq!(account.clear_password.unwrap().expose(), password.as_bytes());
            true
        }
        Verdict::Reject => false,
        Verdict::Unavailable(reason) => panic!("{reason}\n{}", daemon.log().unwrap()),
    }
}

/// What the workers have computed so far, in ticks of the processor's time: that
/// does not depend on what else the machine does.
fn ticks(daemon: &mut OurAuthdaemond) -> u64 {
    let pid = daemon.pid().unwrap();
    let workers = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    let of = |worker: &str| {
        let text = fs::read_to_string(format!("/proc/{worker}/stat")).unwrap();
        // utime and stime (proc_pid_stat(5)), behind the name in parentheses.
        let fields: Vec<&str> = text.rsplit(')').next().unwrap().split_whitespace().collect();
        fields[11].parse::<u64>().unwrap() + fields[12].parse::<u64>().unwrap()
    };
    workers.split_whitespace().map(of).sum()
}

/// What `work` costs the workers.
fn cost(daemon: &mut OurAuthdaemond, work: impl FnOnce(&OurAuthdaemond)) -> u64 {
    let before = ticks(daemon);
    work(daemon);
    ticks(daemon) - before
}

#[test]
fn one_memory_serves_all_workers_and_saves_the_hash() {
    let (_directory, mut daemon) = start(REMEMBERS);
    let one = cost(&mut daemon, |daemon| assert!(logs_in(daemon, "secret")));
    let sixty = cost(&mut daemon, |daemon| {
        thread::scope(|scope| {
            for _ in 0..6 {
                scope.spawn(|| (0..10).for_each(|_| assert!(logs_in(daemon, "secret"))));
            }
        });
    });
    assert!(sixty < one, "60 remembered logins: {sixty} ticks, one that was not: {one}");
    // A wrong password costs the whole work, each time.
    let wrong = cost(&mut daemon, |daemon| (0..4).for_each(|_| assert!(!logs_in(daemon, "wrong"))));
    assert!(wrong >= 2 * one, "4 wrong passwords: {wrong} ticks, a right one: {one}");
}

#[test]
fn a_password_that_is_changed_is_compared_at_once() {
    let (_directory, mut daemon) = start(REMEMBERS);
    assert!(logs_in(&daemon, "secret") && logs_in(&daemon, "secret"));
    install(&daemon, &hash("another"));
    assert!(!logs_in(&daemon, "secret") && logs_in(&daemon, "another"));
    install(&daemon, "*");
    assert!(!logs_in(&daemon, "another"));
    // The same password, stored anew, is compared once more.
    let (first, second) = (hash("secret"), hash("secret"));
    install(&daemon, &first);
    let one = cost(&mut daemon, |daemon| assert!(logs_in(daemon, "secret")));
    let none = cost(&mut daemon, |daemon| assert!(logs_in(daemon, "secret")));
    install(&daemon, &second);
    let again = cost(&mut daemon, |daemon| assert!(logs_in(daemon, "secret")));
    assert!(none < one / 2 && again > one / 2, "{one}, {none}, {again} ticks");
}

#[test]
fn nothing_is_remembered_unless_that_is_asked_for() {
    let (_directory, mut daemon) = start("");
    let one = cost(&mut daemon, |daemon| assert!(logs_in(daemon, "secret")));
    let four = cost(&mut daemon, |daemon| (0..4).for_each(|_| assert!(logs_in(daemon, "secret"))));
    assert!(four >= 2 * one, "4 logins: {four} ticks, the first: {one}");
}

#[test]
fn nobody_can_say_himself_that_a_password_is_right() {
    let (_directory, daemon) = start(REMEMBERS);
    for digits in ["0".repeat(128), "x".repeat(128), String::new()] {
        let request = format!("POSTRIDER_REMEMBERED={digits}\nAUTH 23\npop3\nlogin\nalice\nwrong\n");
        assert_eq!(daemon.ask(request.as_bytes()).unwrap(), b"FAIL\n");
    }
}

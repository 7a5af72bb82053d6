//! What authdaemond does about failed logins, and what the login program says of
//! it. The rule itself is tested where it is, in `authlib::abuse`.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::ffi::OsString;
use std::fs;
use std::io::{BufRead, BufReader, ErrorKind, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use authlib::daemon::{Daemon, Timeouts};
use authlib::{Client, Module, Record, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::authdaemond::OurAuthdaemond;

const ACCOUNTS: &str = "\
alice\tuid=5000|gid=5000|home=/nonexistent/alice|systempw={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
bob\tuid=5000|gid=5000|home=/nonexistent/bob|systempw={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=
";

/// An authdaemond with these accounts, one worker, and `settings`.
fn start(settings: &str) -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_authdaemond"));
    let mut daemon = OurAuthdaemond::new(program, directory.path()).unwrap();
    daemon.install(ACCOUNTS, Path::new(env!("CARGO_BIN_EXE_makeuserdb"))).unwrap();
    daemon.start(&format!("authmodulelist=authuserdb\ndaemons=1\n{settings}")).unwrap();
    (directory, daemon)
}

/// Refused from the fourth failure on, with no wait before that.
const REFUSES: &str = "POSTRIDER_FAILURES=4\nPOSTRIDER_LONGEST_WAIT=0\nPOSTRIDER_FORGIVEN_IN=86400\n";

#[derive(Debug, PartialEq, Eq)]
enum Said {
    Right,
    Wrong,
    Refused,
}

/// A login from `ip`.
fn log_in(daemon: &OurAuthdaemond, ip: &str, user: &str, password: &str) -> Said {
    let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
    let client = Client::at(ip.as_bytes()).unwrap();
    match Daemon::on(daemon.socket(), Timeouts::default()).authenticate(&record, &client) {
        Verdict::Accept(_) => Said::Right,
        Verdict::Reject => Said::Wrong,
        Verdict::Unavailable(reason) if reason.is_after_too_many_failures() => Said::Refused,
        Verdict::Unavailable(reason) => panic!("{user}: {reason}\n{}", daemon.log().unwrap()),
    }
}

/// Waits for `condition`.
fn until(mut condition: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !condition() {
        assert!(Instant::now() < end, "it does not come to that");
        thread::sleep(Duration::from_millis(1));
    }
}

/// Different wrong passwords of alice's from `ip`.
fn fail(daemon: &OurAuthdaemond, ip: &str, times: u32) {
    for number in 0..times {
        assert_eq!(log_in(daemon, ip, "alice", &format!("wrong{number}")), Said::Wrong);
    }
}

/// A wrong password of alice's from each of so many addresses, before any of
/// them has to wait for another.
fn fail_at_once(daemon: &OurAuthdaemond, addresses: u32) {
    let asked: Vec<UnixStream> = (0..addresses)
        .map(|number| {
            let mut stream = UnixStream::connect(daemon.socket()).unwrap();
            let request = format!("TCPREMOTEIP=192.0.2.{number}\nAUTH 23\npop3\nlogin\nalice\nwrong\n");
            stream.write_all(request.as_bytes()).unwrap();
            stream
        })
        .collect();
    for mut stream in asked {
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert_eq!(answer, "FAIL\n");
    }
}

#[test]
fn an_address_that_failed_too_often_is_refused_and_no_other() {
    let (_directory, daemon) = start(REFUSES);
    fail(&daemon, "192.0.2.1", 4);
    for ip in ["192.0.2.1", "::ffff:192.0.2.1"] {
        assert_eq!(log_in(&daemon, ip, "bob", "secret"), Said::Refused);
    }
    assert_eq!(log_in(&daemon, "192.0.2.2", "alice", "secret"), Said::Right);
    let log = daemon.log().unwrap();
    assert_eq!(
        log.matches("WARN: too many failed logins, ip=[192.0.2.1], refused for 864").count(),
        1,
        "{log}"
    );
    // Courier's programs hear nothing, which is "cannot tell now" to them.
    let couriers = b"TCPREMOTEIP=::ffff:192.0.2.1\nAUTH 22\npop3\nlogin\nbob\nsecret\n";
    assert_eq!(daemon.ask(couriers).unwrap(), b"");
    // What is no login is answered.
    assert!(daemon.ask(b"TCPREMOTEIP=192.0.2.1\nPRE . pop3 bob\n").unwrap().starts_with(b"UID=5000\n"));
}

#[test]
fn who_logged_in_from_there_lately_is_not_refused_for_others_failures() {
    let (_directory, daemon) = start(REFUSES);
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "secret"), Said::Right);
    fail(&daemon, "192.0.2.1", 4);
    assert_eq!(log_in(&daemon, "192.0.2.1", "alice", "secret"), Said::Refused);
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "secret"), Said::Right);
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "wrong"), Said::Wrong);
}

#[test]
fn the_same_old_password_and_what_cannot_be_told_are_not_counted() {
    let (_directory, daemon) = start(REFUSES);
    for _ in 0..20 {
        assert_eq!(log_in(&daemon, "192.0.2.1", "alice", "last year's"), Said::Wrong);
    }
    let shadow = daemon.configuration().join("userdbshadow.dat");
    let aside = shadow.with_extension("aside");
    fs::rename(&shadow, &aside).unwrap();
    for number in 0..20 {
        let request = format!("TCPREMOTEIP=192.0.2.1\nAUTH 21\npop3\nlogin\nbob\nn{number:04}\n");
        assert_eq!(daemon.ask(request.as_bytes()).unwrap(), b"");
    }
    fs::rename(&aside, &shadow).unwrap();
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "secret"), Said::Right);
}

/// An authdaemond that asks a program of ours, which takes its time, writes a line
/// for each question and rejects everybody; and the file of those lines.
fn start_behind_authpipe(daemons: u32) -> (tempfile::TempDir, OurAuthdaemond, PathBuf) {
    let (directory, mut daemon) = start("");
    daemon.stop();
    let program = daemon.configuration().join("authProg");
    let asked = daemon.configuration().join("asked");
    let rejects = "do read a; read b; read c; read d; echo x";
    let script = format!(
        "#!/bin/sh\nwhile read word rest; {rejects} >> {}; sleep 0.1; echo FAIL; done\n",
        asked.display()
    );
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    daemon.start(&format!("authmodulelist=authpipe\ndaemons={daemons}\n{REFUSES}")).unwrap();
    (directory, daemon, asked)
}

#[test]
fn nobody_is_asked_about_a_login_that_is_refused() {
    let (_directory, mut daemon, asked) = start_behind_authpipe(3);
    fail(&daemon, "192.0.2.1", 4);
    for _ in 0..10 {
        assert_eq!(log_in(&daemon, "192.0.2.1", "alice", "secret"), Said::Refused);
    }
    assert_eq!(fs::read_to_string(asked).unwrap(), "x\n".repeat(4));
    daemon.stop();
}

#[test]
fn who_leaves_before_the_answer_has_failed_all_the_same() {
    let (_directory, mut daemon, asked) = start_behind_authpipe(1);
    for number in 1..=4 {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let request = format!("TCPREMOTEIP=192.0.2.1\nAUTH 24\npop3\nlogin\nalice\nwrong{number}\n");
        stream.write_all(request.as_bytes()).unwrap();
        // Gone while the one worker is at it.
        until(|| fs::read_to_string(&asked).unwrap_or_default().lines().count() == number);
    }
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "secret"), Said::Refused);
    daemon.stop();
}

#[test]
fn many_guesses_at_one_moment_get_no_further_than_there_are_workers() {
    let (_directory, daemon) = start(REFUSES);
    let requests = (0..200).map(|number| {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let head = "POSTRIDER=1\nTCPREMOTEIP=192.0.2.1\n";
        write!(stream, "{head}AUTH 23\npop3\nlogin\nalice\nn{number:04}\n").unwrap();
        stream
    });
    let mut answers: Vec<String> = Vec::new();
    for mut stream in requests.collect::<Vec<_>>() {
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        answers.push(answer);
    }
    // Four may fail, and one more for each worker that is at one meanwhile.
    assert!((4..=5).contains(&answers.iter().filter(|answer| *answer == "FAIL\n").count()), "{answers:?}");
    assert!(
        answers.iter().all(|answer| answer == "FAIL\n" || answer.starts_with("REFUSED 8")),
        "{answers:?}"
    );
}

#[test]
fn a_question_for_a_salt_makes_no_address_known() {
    let (_directory, daemon) = start(REFUSES);
    let salt = daemon.ask(b"TCPREMOTEIP=192.0.2.1\nAUTH 23\npop3\nscram-sha-256\nbob\n").unwrap();
    assert!(salt.starts_with(b"SALT="), "{}", String::from_utf8_lossy(&salt));
    fail(&daemon, "192.0.2.1", 4);
    assert_eq!(log_in(&daemon, "192.0.2.1", "bob", "secret"), Said::Refused);
}

#[test]
fn exempt_networks_and_who_does_not_say_its_address_are_not_counted() {
    let (_directory, mut daemon) = start(&format!("{REFUSES}POSTRIDER_EXEMPT=\"198.51.100.0/24 ::1\"\n"));
    for ip in ["198.51.100.7", "::1", ""] {
        fail(&daemon, ip, 50);
        assert_eq!(log_in(&daemon, ip, "bob", "secret"), Said::Right);
    }
    fail(&daemon, "127.0.0.1", 4);
    assert_eq!(log_in(&daemon, "127.0.0.1", "bob", "secret"), Said::Refused);
    // Settings are read again, and counts survive that.
    let signal = |daemon: &mut OurAuthdaemond| {
        kill(Pid::from_raw(daemon.pid().unwrap().try_into().unwrap()), Signal::SIGHUP).unwrap();
    };
    let rc = |settings: &str| format!("authmodulelist=authuserdb\ndaemons=1\n{settings}");
    daemon.configure(&rc("POSTRIDER_FAILURES=0\n")).unwrap();
    signal(&mut daemon);
    until(|| log_in(&daemon, "127.0.0.1", "bob", "secret") == Said::Right);
    daemon.configure(&rc(&format!("{REFUSES}POSTRIDER_EXEMPT=\n"))).unwrap();
    signal(&mut daemon);
    until(|| log_in(&daemon, "127.0.0.1", "alice", "secret") == Said::Refused);
    daemon.configure(&rc("POSTRIDER_FAILURES=many\n")).unwrap();
    signal(&mut daemon);
    daemon.await_log("POSTRIDER_FAILURES is not a number from 0 to 1000000; the settings stay").unwrap();
}

#[test]
fn a_login_that_has_to_wait_holds_no_worker() {
    let (_directory, daemon) = start("POSTRIDER_LONGEST_WAIT=20\n");
    fail_at_once(&daemon, 9);
    let mut waiting: Vec<UnixStream> = (0..50)
        .map(|_| {
            let mut stream = UnixStream::connect(daemon.socket()).unwrap();
            stream.write_all(b"TCPREMOTEIP=192.0.2.100\nAUTH 24\npop3\nlogin\nalice\nsecret\n").unwrap();
            stream
        })
        .collect();
    // The one worker is free for others, also from there.
    for _ in 0..20 {
        assert_eq!(log_in(&daemon, "192.0.2.100", "bob", "secret"), Said::Right);
    }
    for stream in &mut waiting {
        stream.set_nonblocking(true).unwrap();
        let read = stream.read(&mut [0; 1]);
        assert!(matches!(&read, Err(error) if error.kind() == ErrorKind::WouldBlock), "{read:?}");
    }
    // Who leaves meanwhile is missed by nobody.
    drop(waiting);
    assert_eq!(log_in(&daemon, "192.0.2.100", "bob", "secret"), Said::Right);
}

#[test]
fn a_login_that_has_waited_is_answered_like_any_other() {
    let (_directory, daemon) = start("POSTRIDER_LONGEST_WAIT=1\n");
    fail_at_once(&daemon, 9);
    for (password, said) in [("wrong", Said::Wrong), ("secret", Said::Right)] {
        let begin = Instant::now();
        assert_eq!(log_in(&daemon, "192.0.2.100", "alice", password), said);
        assert!(begin.elapsed() >= Duration::from_secs(1));
    }
}

#[test]
fn too_many_who_have_to_wait_are_refused() {
    let (_directory, mut daemon) = start("");
    daemon.stop();
    // With so few descriptors there is room for 60 clients, so for 15 that wait.
    let words = ["sh", "-c", "ulimit -n 93 && exec \"$@\"", "sh"].map(OsString::from);
    daemon.start_behind(&words, "authmodulelist=authuserdb\ndaemons=1\nPOSTRIDER_LONGEST_WAIT=20\n").unwrap();
    fail_at_once(&daemon, 9);
    let ask = || {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        let request = b"POSTRIDER=1\nTCPREMOTEIP=192.0.2.100\nAUTH 24\npop3\nlogin\nalice\nsecret\n";
        stream.write_all(request).unwrap();
        stream
    };
    let _waiting: Vec<UnixStream> = (0..15).map(|_| ask()).collect();
    let mut answer = String::new();
    ask().read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("REFUSED "), "{answer}");
    assert_eq!(log_in(&daemon, "192.0.2.100", "bob", "secret"), Said::Right);
}

/// A session with our login program, which asks `daemon`, for a client at
/// 192.0.2.1: what it says to each line, and then until it ends.
fn session(daemon: &OurAuthdaemond, lines: &[&str]) -> Vec<String> {
    let (client, server) = UnixStream::pair().unwrap();
    let mut command = Command::new(env!("CARGO_BIN_EXE_courierpop3login"));
    daemon.at_home(&mut command);
    command.args(["/bin/false", "./Maildir"]).env("TCPREMOTEIP", "192.0.2.1").env("TCPLOCALPORT", "110");
    let log = fs::OpenOptions::new().append(true).create(true).open(daemon.configuration().join("login"));
    command.stdin(OwnedFd::from(server.try_clone().unwrap())).stdout(OwnedFd::from(server));
    let mut child = command.stderr(Stdio::from(log.unwrap())).spawn().unwrap();
    // The ends that were given away are closed with the command.
    drop(command);
    client.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut reader = BufReader::new(client.try_clone().unwrap());
    let mut said = Vec::new();
    let mut hear = |said: &mut Vec<String>| {
        let mut line = String::new();
        let octets = reader.read_line(&mut line).unwrap();
        said.push(line.trim_end().to_owned());
        octets > 0
    };
    hear(&mut said);
    for line in lines {
        (&client).write_all(format!("{line}\r\n").as_bytes()).unwrap();
        hear(&mut said);
    }
    while hear(&mut said) {}
    child.wait().unwrap();
    said
}

#[test]
fn the_login_program_says_truly_why_it_refuses() {
    let (_directory, daemon) = start(REFUSES);
    fail(&daemon, "192.0.2.1", 4);
    let said = session(&daemon, &["USER bob", "PASS secret"]);
    let refused = "-ERR [SYS/TEMP] Too many failed logins, please try again later.";
    assert_eq!(said, ["+OK Hello there.", "+OK Password required.", refused, ""]);
    let said = session(&daemon, &["AUTH PLAIN AGJvYgBzZWNyZXQ="]);
    assert_eq!(said, ["+OK Hello there.", refused, ""]);
    let log = fs::read_to_string(daemon.configuration().join("login")).unwrap();
    assert!(log.contains("INFO: LOGIN FAILED, user=bob, ip=[192.0.2.1]"), "{log}");
}

//! Our authdaemond on its socket: byte for byte what Courier's answers, and
//! nobody who can hold it up.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::thread;

use authlib::daemon::{Daemon, Timeouts};
use authlib::{Client, Module, Record, Verdict};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::authdaemond::OurAuthdaemond;

const AUTHDAEMOND: &str = env!("CARGO_BIN_EXE_authdaemond");
const MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");

/// The accounts of the captured examples.
const ACCOUNTS: &str = "\
alice\tuid=5000|gid=5000|home=/home/alice|mail=/home/alice/Maildir|systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1|hmac-md5pw=cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56
bob@example.com\tuid=5000|gid=5000|home=/home/bob|gecos=Bob Builder,,|quota=100000S,100C|options=disableinsecurepop3=0,foo=bar|systempw={SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=
";
const RC: &str = "authmodulelist=\"authuserdb\"\ndaemons=2\n";

/// An authdaemond with these accounts and `rc`.
fn start(rc: &str) -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory.path()).unwrap();
    daemon.install(ACCOUNTS, Path::new(MAKEUSERDB)).unwrap();
    daemon.start(rc).unwrap();
    (directory, daemon)
}

fn answer(daemon: &OurAuthdaemond, request: &[u8]) -> String {
    String::from_utf8(daemon.ask(request).unwrap()).unwrap()
}

fn logs_in(daemon: &OurAuthdaemond, user: &str, password: &str) -> bool {
    let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
    match Daemon::on(daemon.socket(), Timeouts::default()).authenticate(&record, &Client::default()) {
        Verdict::Accept(_) => true,
        Verdict::Reject => false,
        Verdict::Unavailable(reason) => panic!("{user}: {reason}\n{}", daemon.log().unwrap()),
    }
}

fn signal(daemon: &mut OurAuthdaemond, signal: Signal) {
    kill(Pid::from_raw(daemon.pid().unwrap().try_into().unwrap()), signal).unwrap();
}

/// The processes that a process has started.
fn children(pid: u32) -> Vec<i32> {
    let text = fs::read_to_string(format!("/proc/{pid}/task/{pid}/children")).unwrap();
    text.split_whitespace().map(|pid| pid.parse().unwrap()).collect()
}

#[test]
fn answers_are_those_that_were_captured_from_couriers() {
    let (_directory, daemon) = start(RC);
    let alice = "UID=5000\nGID=5000\nHOME=/home/alice\nADDRESS=alice\nMAILDIR=/home/alice/Maildir\n\
        PASSWD=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1\n";
    for (request, expected) in [
        (
            "TCPREMOTEIP=::ffff:127.0.0.1\nAUTH 24\npop3\nlogin\nalice\nsecret\n",
            format!("{alice}PASSWD2=secret\n.\n"),
        ),
        (
            "TCPREMOTEIP=::ffff:127.0.0.1\nAUTH 34\npop3\nlogin\nbob@example.com\nsecret\n",
            "UID=5000\nGID=5000\nHOME=/home/bob\nADDRESS=bob@example.com\nNAME=Bob Builder\n\
             QUOTA=100000S,100C\nPASSWD={SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=\n\
             PASSWD2=secret\nOPTIONS=disableinsecurepop3=0,foo=bar\n.\n"
                .to_owned(),
        ),
        // CRAM: no password is known, and none is told.
        (
            "TCPREMOTEIP=::ffff:127.0.0.1\nAUTH 120\npop3\ncram-md5\n\
             PDBERUI4NTg4OTkxNENCNDc4OTkxNTQyRjg4RkJGOEVFQHZtPg==\n\
             YWxpY2UgYjdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n",
            "UID=5000\nGID=5000\nHOME=/home/alice\nADDRESS=alice\nMAILDIR=/home/alice/Maildir\n.\n"
                .to_owned(),
        ),
        (
            "AUTH 120\npop3\ncram-md5\nPDBERUI4NTg4OTkxNENCNDc4OTkxNTQyRjg4RkJGOEVFQHZtPg==\n\
             YWxpY2UgYTdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n",
            "FAIL\n".to_owned(),
        ),
        ("TCPREMOTEIP=::1\nAUTH 24\nlogin\nlogin\nalice\nwrong\n", "FAIL\n".to_owned()),
        ("TCPREMOTEIP=::1\nPRE . login nosuch\n", "FAIL\n".to_owned()),
        ("PRE . pop3 alice\n", format!("{alice}.\n")),
        ("PRE authpam pop3 alice\n", "FAIL\n".to_owned()),
        (
            "ENUMERATE\n",
            "# authuserdb\n\nalice\t5000\t5000\t/home/alice\t/home/alice/Maildir\t\n\
             bob@example.com\t5000\t5000\t/home/bob\t\tdisableinsecurepop3=0,foo=bar\n.\n"
                .to_owned(),
        ),
        ("HELO\n", String::new()),
        ("AUTH 8192\n", String::new()),
        ("AUTH 5\npop3\n", String::new()),
    ] {
        assert_eq!(answer(&daemon, request.as_bytes()), expected, "{request:?}");
    }
}

#[test]
fn default_options_stand_behind_those_of_the_account() {
    let (_directory, daemon) = start(&format!("{RC}DEFAULTOPTIONS=foo=other,later=1\n"));
    let bob = answer(&daemon, b"PRE . pop3 bob@example.com\n");
    assert!(bob.ends_with("OPTIONS=disableinsecurepop3=0,foo=bar,later=1\n.\n"), "{bob}");
    assert!(answer(&daemon, b"PRE . pop3 alice\n").ends_with("OPTIONS=foo=other,later=1\n.\n"));
}

#[test]
fn a_thousand_who_say_nothing_hold_up_nobody() {
    let (_directory, daemon) = start(RC);
    let mut silent = Vec::new();
    for number in 0..1000 {
        let mut stream = UnixStream::connect(daemon.socket()).unwrap();
        // Some say nothing, some a part of something.
        stream.write_all(&b"AUTH 24\npop3\nlogin\nalice\n"[..number % 20]).unwrap();
        silent.push(stream);
    }
    let daemon = &daemon;
    thread::scope(|scope| {
        for _ in 0..10 {
            scope.spawn(|| {
                for _ in 0..10 {
                    assert!(logs_in(daemon, "alice", "secret") && !logs_in(daemon, "alice", "wrong"));
                }
            });
        }
    });
    // They are still there, or were sent away for being slow; none was answered.
    for mut stream in silent {
        stream.set_nonblocking(true).unwrap();
        assert!(matches!(stream.read(&mut [0; 1]), Err(_) | Ok(0)));
    }
}

#[test]
fn a_worker_that_is_killed_is_replaced() {
    let (_directory, mut daemon) = start(RC);
    assert!(logs_in(&daemon, "alice", "secret"));
    let pid = daemon.pid().unwrap();
    for _ in 0..3 {
        let workers = children(pid);
        assert_eq!(workers.len(), 2);
        workers.iter().for_each(|worker| kill(Pid::from_raw(*worker), Signal::SIGKILL).unwrap());
        daemon.await_log("an idle worker has ended, signal: 9 (SIGKILL)").unwrap();
        // The next question waits until there is one again.
        while children(pid).len() < 2 || children(pid).iter().any(|worker| workers.contains(worker)) {
            thread::sleep(std::time::Duration::from_millis(10));
        }
        assert!(logs_in(&daemon, "alice", "secret"));
    }
}

#[test]
fn a_worker_keeps_userdb_open_and_the_next_login_sees_each_change() {
    let (_directory, mut daemon) = start("authmodulelist=authuserdb\ndaemons=1\nPOSTRIDER_FAILURES=0\n");
    let worker = children(daemon.pid().unwrap())[0];
    let has_open = || {
        let open = fs::read_dir(format!("/proc/{worker}/fd")).unwrap();
        let mut files = open.filter_map(|entry| fs::read_link(entry.unwrap().path()).ok());
        files.any(|file| file == daemon.configuration().join("userdbshadow.dat"))
    };
    assert!(!has_open());
    let with_password = |password| ACCOUNTS.replace("$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1", password);
    for round in 0..3 {
        daemon.install(&with_password("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ="), Path::new(MAKEUSERDB)).unwrap();
        assert!(logs_in(&daemon, "alice", "secret") && has_open());
        // From the third second on it is believed to be what it was.
        thread::sleep(std::time::Duration::from_millis(if round == 0 { 0 } else { 2_050 }));
        assert!(logs_in(&daemon, "alice", "secret") && logs_in(&daemon, "alice", "secret"));
        daemon.install(&with_password("*"), Path::new(MAKEUSERDB)).unwrap();
        assert!(!logs_in(&daemon, "alice", "secret"));
    }
    assert_eq!(children(daemon.pid().unwrap()), [worker]);
}

#[test]
fn a_worker_that_hangs_is_killed_and_replaced_while_others_go_on() {
    let rc = "authmodulelist=\"authuserdb authpipe\"\ndaemons=2\nPOSTRIDER_PATIENCE=2\n";
    let (_directory, mut daemon) = start(rc);
    let program = daemon.configuration().join("authProg");
    // Who hangs reads on until the worker has gone.
    let script = "#!/bin/sh\nwhile read word rest; do read a; read b; read user; read password\n\
        if [ $user = hangs ]; then cat > /dev/null; fi; echo FAIL; done\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let before = children(daemon.pid().unwrap());
    let daemon = &mut daemon;
    thread::scope(|scope| {
        let daemon = &*daemon;
        let hangs = scope.spawn(|| answer(daemon, b"AUTH 24\npop3\nlogin\nhangs\nsecret\n"));
        while !hangs.is_finished() {
            assert!(logs_in(daemon, "alice", "secret") && !logs_in(daemon, "nobody", "secret"));
        }
        assert_eq!(hangs.join().unwrap(), "");
    });
    daemon.await_log("a worker has not answered and is replaced, signal: 9 (SIGKILL)").unwrap();
    while children(daemon.pid().unwrap()).len() < 2 {
        thread::sleep(std::time::Duration::from_millis(10));
    }
    let after = children(daemon.pid().unwrap());
    assert_eq!(after.iter().filter(|pid| before.contains(pid)).count(), 1, "{before:?} {after:?}");
    for _ in 0..4 {
        assert!(logs_in(daemon, "alice", "secret") && !logs_in(daemon, "nobody", "secret"));
    }
}

#[test]
fn on_sighup_the_settings_are_read_again_and_no_request_is_lost() {
    let (_directory, mut daemon) = start(RC);
    for number in 1..=3 {
        daemon.configure(&format!("{RC}DEFAULTOPTIONS=round={number}\n")).unwrap();
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..20 {
                        assert!(logs_in(&daemon, "alice", "secret"));
                    }
                });
            }
        });
        signal(&mut daemon, Signal::SIGHUP);
        while !answer(&daemon, b"PRE . pop3 alice\n").contains(&format!("OPTIONS=round={number}\n")) {
            thread::sleep(std::time::Duration::from_millis(5));
        }
    }
    daemon.configure("authmodulelist=authnothing\n").unwrap();
    signal(&mut daemon, Signal::SIGHUP);
    daemon.await_log("there is no module authnothing; the settings stay as they were").unwrap();
    assert!(logs_in(&daemon, "alice", "secret"));
    assert!(daemon.log().unwrap().contains("INFO: restarting authdaemond children\n"));
}

#[test]
fn it_does_not_start_with_settings_that_it_does_not_understand() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory.path()).unwrap();
    for (rc, said) in [
        ("authmodulelist=\"authuserdb authnothing\"\n", "authmodulelist: there is no module authnothing\n"),
        ("daemons=5\n", "authmodulelist names no module\n"),
        ("authmodulelist=authuserdb\nnonsense\n", "/authdaemonrc: line 2\n"),
    ] {
        assert!(daemon.start(rc).is_err());
        assert!(daemon.log().unwrap().ends_with(said), "{}", daemon.log().unwrap());
    }
}

#[test]
fn it_says_what_it_does_and_corrects_a_number_of_workers() {
    let (_directory, mut daemon) = start("authmodulelist=authuserdb\n");
    let log = daemon.log().unwrap();
    assert!(log.contains("INFO: modules=\"authuserdb\", daemons=1\n"), "{log}");
    assert!(log.contains("daemons is not a number from 1 to 1000, so there is 1\n"), "{log}");
    assert_eq!(children(daemon.pid().unwrap()).len(), 1);
}

#[test]
fn what_cannot_be_told_is_closed_and_logged_with_the_user() {
    let (_directory, daemon) = start(RC);
    fs::remove_file(daemon.configuration().join("userdbshadow.dat")).unwrap();
    assert_eq!(answer(&daemon, b"AUTH 24\npop3\nlogin\nalice\nsecret\n"), "");
    daemon.await_log("ERR: authuserdb: ").unwrap();
    let log = daemon.log().unwrap();
    assert!(log.contains("user=alice\n") && !log.contains("secret\n"), "{log}");
}

#[test]
fn sigterm_ends_it_and_its_workers() {
    let (_directory, mut daemon) = start(RC);
    let workers = children(daemon.pid().unwrap());
    daemon.stop();
    for worker in workers {
        assert!(!Path::new(&format!("/proc/{worker}")).exists());
    }
    assert!(daemon.socket().exists());
    daemon.start(RC).unwrap();
    assert!(logs_in(&daemon, "alice", "secret"));
}

#[test]
fn in_the_background_it_has_a_pid_file_and_can_be_restarted_and_stopped() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory.path()).unwrap();
    daemon.install(ACCOUNTS, Path::new(MAKEUSERDB)).unwrap();
    daemon.configure(RC).unwrap();
    let log = directory.path().join("log");
    let control = |word: &str| -> Output {
        let mut command = Command::new(AUTHDAEMOND);
        daemon.at_home(&mut command);
        let log = fs::OpenOptions::new().append(true).create(true).open(&log).unwrap();
        command.arg(word).stderr(log).output().unwrap()
    };
    assert!(control("-start").status.success(), "{}", daemon.log().unwrap());
    assert!(logs_in(&daemon, "alice", "secret"));
    let pid = fs::read_to_string(daemon.socket().with_file_name("pid")).unwrap();
    assert!(Path::new("/proc").join(pid.trim()).exists());
    assert!(control("-start").status.success());
    assert!(control("-restart").status.success());
    daemon.await_log("INFO: restarting authdaemond children").unwrap();
    assert!(logs_in(&daemon, "alice", "secret"));
    assert!(control("-stop").status.success());
    assert!(UnixStream::connect(daemon.socket()).is_err());
    assert!(control("-stop").status.success());
    assert!(!control("-nonsense").status.success());
}

#[test]
fn a_slow_or_dying_program_behind_authpipe_holds_up_nobody_else() {
    let (_directory, mut daemon) = start("authmodulelist=\"authuserdb authpipe\"\ndaemons=3\n");
    let program = daemon.configuration().join("authProg");
    let script = "#!/bin/sh\nwhile read word rest; do read a; read b; read user; read password\n\
        case $user in slow) sleep 3; echo FAIL;; dies) exit 1;; *) echo FAIL;; esac; done\n";
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
    let record = |user: &[u8]| Record::login(b"pop3", user, b"secret").unwrap();
    let ask = |user: &[u8]| {
        Daemon::on(daemon.socket(), Timeouts::default()).authenticate(&record(user), &Client::default())
    };
    thread::scope(|scope| {
        let slow = scope.spawn(|| ask(b"slow"));
        for _ in 0..20 {
            assert!(logs_in(&daemon, "alice", "secret"));
            assert!(matches!(ask(b"nobody"), Verdict::Reject));
            assert!(matches!(ask(b"dies"), Verdict::Unavailable(_)));
        }
        assert!(matches!(slow.join().unwrap(), Verdict::Reject));
    });
    assert!(daemon.log().unwrap().contains("authProg: has ended without an answer, user=dies\n"));
    daemon.stop();
}

#[test]
fn authdaemon_in_a_chain_asks_the_socket() {
    let (_directory, daemon) = start(RC);
    let own = system::user::own_ids();
    let (uid, gid) = if own.0 == 0 { (64_120, 64_121) } else { own };
    let record = format!("carol\tuid={uid}|gid={gid}|home=/|systempw={{SHA}}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    daemon.install(&record, Path::new(MAKEUSERDB)).unwrap();
    let run = |password: &str| {
        let mut command = Command::new("/bin/sh");
        daemon.at_home(&mut command);
        // Standard input becomes descriptor 3.
        command.args(["-c", "exec \"$@\" 3<&0", "sh", env!("CARGO_BIN_EXE_authdaemon")]);
        command.args(["/bin/sh", "-c", "echo \"$(id -u) $AUTHENTICATED\"; cat <&3 2>/dev/null"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        write!(child.stdin.take().unwrap(), "pop3\nlogin\ncarol\n{password}\n\n").unwrap();
        String::from_utf8(child.wait_with_output().unwrap().stdout).unwrap()
    };
    assert_eq!(run("secret"), format!("{uid} carol\n"));
    assert_eq!(run("wrong"), format!("{} \npop3\nlogin\ncarol\nwrong\n\n", own.0));
}

#[test]
fn debug_login_shows_who_is_asked_and_no_password() {
    let (_directory, daemon) = start(&format!("{RC}DEBUG_LOGIN=2\n"));
    assert!(logs_in(&daemon, "alice", "secret") && !logs_in(&daemon, "nosuch", "mistaken"));
    daemon.await_log("FAIL, all modules rejected").unwrap();
    let log = daemon.log().unwrap();
    for line in [
        "WARN: DEBUG_LOGIN=2: passwords are not written to the log, so this is 1",
        "DEBUG: received auth request, service=pop3, authtype=login",
        "DEBUG: authuserdb: trying this module",
        "Authenticated: sysusername=<null>, sysuserid=5000, sysgroupid=5000, homedir=/home/alice, \
         address=alice, fullname=<null>, maildir=/home/alice/Maildir, quota=<null>, options=<null>",
        "DEBUG: authuserdb: REJECT - try next module",
        "DEBUG: FAIL, all modules rejected",
    ] {
        assert!(log.lines().any(|shown| shown == line), "{line} is not in\n{log}");
    }
    assert!(!log.contains("secret") && !log.contains("mistaken") && !log.contains("$1$"), "{log}");
}

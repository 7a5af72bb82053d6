//! authuserdb as a program of a chain: what it leaves for the next program,
//! on descriptor 3 and in the environment.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

const AUTHUSERDB: &str = env!("CARGO_BIN_EXE_authuserdb");
const MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");

/// Of the password `secret`.
const HASH: &str = "$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1";

/// A directory with a data base and a home.
struct House {
    directory: tempfile::TempDir,
    ids: (u32, u32),
}

impl House {
    /// With `fields` in the record of alice, beside ids, home and password.
    fn with(fields: &str) -> House {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let own = system::user::own_ids();
        let ids = if own.0 == 0 { (64_120, 64_121) } else { own };
        let house = House { directory, ids };
        fs::create_dir(house.path("home")).unwrap();
        house.compile(&format!(
            "alice\tuid={}|gid={}|home={}|systempw={HASH}{fields}\n",
            ids.0,
            ids.1,
            house.path("home")
        ));
        house
    }

    fn path(&self, name: &str) -> String {
        self.directory.path().join(name).to_str().unwrap().to_owned()
    }

    fn compile(&self, text: &str) {
        let userdb = self.path("userdb");
        fs::write(&userdb, text).unwrap();
        fs::set_permissions(&userdb, fs::Permissions::from_mode(0o600)).unwrap();
        assert!(Command::new(MAKEUSERDB).args(["-f", &userdb]).status().unwrap().success());
    }

    /// Runs the module with `record` on descriptor 3. The next program shows
    /// its name, ids, directory and environment, and what it finds there. The
    /// login program that the environment names says `once more`.
    fn run(&self, record: &[u8], environment: &[(&str, &str)]) -> Output {
        let next = "echo \"$0\"; echo \"ids $(id -u) $(id -g)\"; pwd; env | sort; echo record:; (cat <&3) 2>/dev/null || echo none";
        self.run_with(record, environment, &["/bin/sh", "-c", next])
    }

    fn run_with(&self, record: &[u8], environment: &[(&str, &str)], next: &[&str]) -> Output {
        self.run_after("true", record, environment, next)
    }

    /// As [`run_with`](House::run_with), in a shell that has done `first`.
    fn run_after(&self, first: &str, record: &[u8], environment: &[(&str, &str)], next: &[&str]) -> Output {
        let mut command = Command::new("/bin/sh");
        // Standard input becomes descriptor 3.
        command
            .args(["-c", &format!("{first} && exec \"$@\" 3<&0 0</dev/null"), "sh", AUTHUSERDB])
            .args(next);
        command.env_clear().env("POSTRIDER_SYSCONFDIR", self.directory.path()).env("AUTHENTICATED", "");
        command.envs([
            ("AUTHUSER", "/bin/sh"),
            ("AUTHARGC", "3"),
            ("AUTHARGV0", "login"),
            ("AUTHARGV1", "-c"),
        ]);
        command.env("AUTHARGV2", "echo once more").envs(environment.iter().copied());
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        child.stdin.take().unwrap().write_all(record).unwrap();
        child.wait_with_output().unwrap()
    }
}

fn text(octets: &[u8]) -> String {
    String::from_utf8(octets.to_vec()).unwrap()
}

const GOOD: &[u8] = b"pop3\nlogin\nalice\nsecret\n\n";

#[test]
fn whom_it_accepts_the_next_program_is() {
    let house = House::with("|mail=Mail|gecos=Alice,,|options=foo=bar,disablepop3=0");
    let output = house.run(GOOD, &[("DEFAULTOPTIONS", "foo=x,later=1"), ("HOME", "/root")]);
    let shown = text(&output.stdout);
    let (uid, gid) = house.ids;
    for line in [
        format!("ids {uid} {gid}"),
        house.path("home"),
        format!("HOME={}", house.path("home")),
        "MAILDIR=Mail".to_owned(),
        "OPTIONS=foo=bar,disablepop3=0,later=1".to_owned(),
        "AUTHADDR=alice".to_owned(),
        "AUTHFULLNAME=Alice".to_owned(),
        "AUTHENTICATED=alice".to_owned(),
        "/bin/sh".to_owned(),
        "none".to_owned(),
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is not in\n{shown}");
    }
    assert!(!shown.contains("secret") && !shown.contains(HASH), "{shown}");
    assert_eq!(text(&output.stderr), "");
}

/// Courier's own login program has made it, of the password `secret`.
const PROOF: &[u8] = b"pop3\ncram-md5\nPDBERUI4NTg4OTkxNENCNDc4OTkxNTQyRjg4RkJGOEVFQHZtPg==\n\
    YWxpY2UgYjdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n\n";

#[test]
fn whom_a_proof_is_of_the_next_program_is() {
    let house = House::with("|hmac-md5pw=cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56");
    let shown = text(&house.run(PROOF, &[]).stdout);
    let ids = format!("ids {} {}\n", house.ids.0, house.ids.1);
    assert!(shown.contains(&ids) && shown.contains("AUTHENTICATED=alice\n"), "{shown}");
    assert!(shown.ends_with("record:\nnone\n"), "{shown}");

    let shown = text(&House::with("").run(PROOF, &[]).stdout);
    assert!(shown.contains("AUTHENTICATED=\n"), "{shown}");
    assert!(shown.ends_with(&format!("record:\n{}", text(PROOF))), "{shown}");
}

#[test]
fn who_a_proof_is_about_is_in_the_log() {
    let house = House::with("");
    fs::remove_file(house.path("userdbshadow.dat")).unwrap();
    let output = house.run(PROOF, &[]);
    assert_eq!(text(&output.stdout), "once more\n");
    assert!(text(&output.stderr).ends_with("No such file or directory, user=alice\n"));
}

#[test]
fn a_maildir_from_outside_is_not_passed_on() {
    let shown = text(&House::with("").run(GOOD, &[("MAILDIR", "/elsewhere")]).stdout);
    assert!(shown.contains("AUTHENTICATED=alice\n") && !shown.contains("MAILDIR="), "{shown}");
}

#[test]
fn whom_it_rejects_the_next_program_may_ask_about_with_the_very_same_record() {
    let house = House::with("");
    for record in [
        b"pop3\nlogin\nalice\nwrong\n\n".as_slice(),
        b"pop3\nlogin\nalice\nwrong\n",
        b"pop3\nlogin\nnobody\nsecret\n\n",
        b"pop3\ncram-md5\nYQ==\nYg==\n\n",
    ] {
        let output = house.run(record, &[]);
        let shown = text(&output.stdout);
        assert!(shown.ends_with(&format!("record:\n{}", text(record))), "{shown}");
        assert!(shown.contains("AUTHENTICATED=\n"), "{shown}");
        assert_eq!(text(&output.stderr), "");
    }
}

#[test]
fn a_control_octet_is_nobodys_password() {
    // Ledger 472. The data base is not even opened.
    let house = House::with("");
    fs::remove_file(house.path("userdbshadow.dat")).unwrap();
    for record in [b"pop3\nlogin\nal\x01ice\nsecret\n\n".as_slice(), b"pop3\nlogin\nalice\nsec\x7fret\n\n"] {
        let shown = text(&house.run(record, &[]).stdout);
        assert!(shown.ends_with(&format!("record:\n{}", text(record))), "{shown}");
        assert!(!shown.contains("AUTHENTICATED=a"), "{shown}");
    }
}

#[test]
fn a_record_of_the_longest_kind_is_handed_on_whole() {
    let mut record = b"pop3\nlogin\nalice\n".to_vec();
    record.resize(8191 - 2, b'x');
    record.extend_from_slice(b"\n\n");
    let shown = text(&House::with("").run(&record, &[]).stdout);
    assert!(shown.ends_with(&format!("record:\n{}", text(&record))));
}

#[test]
fn whoever_is_accepted_already_is_passed_on_unread() {
    let output = House::with("").run(GOOD, &[("AUTHENTICATED", "bob")]);
    assert!(text(&output.stdout).ends_with(&format!("record:\n{}", text(GOOD))));
}

#[test]
fn what_cannot_be_told_goes_back_to_the_login_program() {
    let house = House::with("");
    let again = |expected: &str| {
        let output = house.run(GOOD, &[]);
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("once more\n", expected));
    };
    house.compile(&format!("alice\tuid=0|gid=5|home=/|systempw={HASH}\n"));
    again("ERR: authuserdb: uid 0, gid 5: nobody's mail is read with root's ids, user=alice\n");
    house.compile(&format!("alice\tuid=x|gid=5|home=/|systempw={HASH}\n"));
    again("ERR: authuserdb: the account's uid is not a number, user=alice\n");
    let (uid, gid) = house.ids;
    house.compile(&format!("alice\tuid={uid}|gid={gid}|home=/no/where|systempw={HASH}\n"));
    again("ERR: authuserdb: chdir /no/where: No such file or directory, user=alice\n");
    fs::remove_file(house.path("userdbshadow.dat")).unwrap();
    let shadow = house.path("userdbshadow.dat");
    again(&format!("ERR: authuserdb: {shadow}: No such file or directory, user=alice\n"));
}

#[test]
fn a_password_that_is_too_much_work_cannot_be_told() {
    // Ledger 456.
    let house = House::with("");
    let (uid, gid) = house.ids;
    let said = |first: &str, stored: &str| {
        house.compile(&format!("alice\tuid={uid}|gid={gid}|home=/|systempw={stored}\n"));
        let output = house.run_after(first, GOOD, &[], &["/bin/true"]);
        assert_eq!(text(&output.stdout), "once more\n", "{stored}");
        text(&output.stderr)
    };
    let bcrypt = said("true", "$2b$31$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a");
    assert_eq!(
        bcrypt,
        "ERR: authuserdb: the stored password asks for more work than is allowed, user=alice\n"
    );
    for stored in [
        "$y$jDT$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.",
        "$argon2id$v=19$m=262144,t=1,p=1$PS8HDK+BZgE9+OHHt/ro6A$C9Jf7rdjoMZJZ2L7dIqlQwPcEMobl5BxsPkNg7CIwEQ",
    ] {
        let errors = said("ulimit -v 100000", stored);
        assert_eq!(errors, "ERR: authuserdb: there is no memory to compare a password, user=alice\n");
    }
}

#[test]
fn without_a_way_back_it_says_so_and_ends() {
    let house = House::with("");
    fs::remove_file(house.path("userdbshadow.dat")).unwrap();
    for environment in [
        ("AUTHARGC", ""),
        ("AUTHARGC", "4"),
        ("AUTHARGC", "0"),
        ("AUTHARGC", "99999999999"),
        ("AUTHUSER", ""),
        ("AUTHUSER", "bin/sh"),
    ] {
        let output = house.run(GOOD, &[environment]);
        assert!(text(&output.stderr).ends_with("AUTHFAILURE\n"), "{environment:?}");
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(text(&output.stdout), "");
    }
}

#[test]
fn without_a_record_it_was_not_started_by_a_chain() {
    let house = House::with("");
    let output = house.run(b"", &[]);
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("AUTHFAILURE\n", Some(1)));

    let mut closed = Command::new(AUTHUSERDB);
    let output = closed.arg("/bin/true").arg0("authuserdb").output().unwrap();
    assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("AUTHFAILURE\n", Some(1)));
}

#[test]
fn a_record_that_is_none_goes_back_to_the_login_program() {
    let output = House::with("").run(b"pop3\nlogin\n", &[]);
    assert_eq!(text(&output.stdout), "once more\n");
    let output = House::with("").run(&[b'x'; 9000], &[]);
    assert_eq!(text(&output.stdout), "once more\n");
}

#[test]
fn a_next_program_that_cannot_run_is_an_error() {
    let house = House::with("");
    for (next, said) in [
        (&[] as &[&str], "ERR: authuserdb: : no program to run next\n"),
        (&["/no/program"], "ERR: authuserdb: /no/program: No such file or directory\n"),
        // Not looked for in PATH.
        (&["true"], "ERR: authuserdb: true: No such file or directory\n"),
    ] {
        let output = house.run_with(GOOD, &[("PATH", "/bin:/usr/bin")], next);
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), (said, Some(1)));
    }
}

#[test]
fn an_ordinary_user_can_only_be_himself() {
    if !system::user::is_root() {
        return testbed::courier::leave_out("becoming an ordinary user takes root").unwrap();
    }
    let house = House::with("");
    make_readable(Path::new(&house.path("userdbshadow.dat")));
    let (uid, gid) = house.ids;
    // Where an ordinary user can reach it, wherever the project lies.
    let program = house.path("authuserdb");
    testbed::process::install(Path::new(AUTHUSERDB), Path::new(&program)).unwrap();
    let run_as = |uid: u32, gid: u32| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "exec \"$@\" 3<&0", "sh", &program, "/bin/sh", "-c", "id -u"]).uid(uid).gid(gid);
        command.env("POSTRIDER_SYSCONFDIR", house.directory.path()).stdin(Stdio::piped());
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(GOOD).unwrap();
        child.wait_with_output().unwrap()
    };
    let himself = run_as(uid, gid);
    assert_eq!(text(&himself.stdout), format!("{uid}\n"), "{}", text(&himself.stderr));
    let other = run_as(uid + 5, gid);
    assert_eq!(text(&other.stdout), "");
    let said =
        format!("ERR: authuserdb: only root can become uid {uid}, gid {gid}, user=alice\nAUTHFAILURE\n");
    assert_eq!(text(&other.stderr), said);
}

fn make_readable(path: &Path) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
}

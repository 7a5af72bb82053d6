//! userdb, makeuserdb and userdbpw as people and scripts use them.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

mod terminal;

use std::fs;
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::Duration;

use authlib::password::check;
use authlib::userdb::Userdb;
use authlib::{Record, Verdict};
use terminal::typed;

/// A directory of its own, and the programs in it.
struct House(tempfile::TempDir);

/// What a program said, and how it ended.
#[derive(Debug, PartialEq, Eq)]
struct Said {
    output: String,
    errors: String,
    status: i32,
}

impl House {
    fn new() -> House {
        House(tempfile::tempdir().unwrap())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    fn read(&self, name: &str) -> String {
        fs::read_to_string(self.path(name)).unwrap()
    }

    /// A private file.
    fn write(&self, name: &str, text: &str) {
        fs::write(self.path(name), text).unwrap();
        fs::set_permissions(self.path(name), fs::Permissions::from_mode(0o600)).unwrap();
    }

    /// Runs `program`, in the directory, with `input`; its configuration
    /// directory is this one.
    fn run(&self, program: &str, words: &[&str], input: &str) -> Said {
        let mut command = Command::new(program);
        command.args(words).current_dir(self.0.path()).env("POSTRIDER_SYSCONFDIR", self.0.path());
        command.env("POSTRIDER_AUTHDAEMON_SOCKET", self.path("none"));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        // It may end without reading.
        let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
        let output = child.wait_with_output().unwrap();
        Said {
            output: String::from_utf8(output.stdout).unwrap(),
            errors: String::from_utf8(output.stderr).unwrap(),
            status: output.status.code().unwrap(),
        }
    }

    fn userdb(&self, words: &[&str]) -> Said {
        self.run(env!("CARGO_BIN_EXE_userdb"), words, "")
    }

    fn makeuserdb(&self, words: &[&str]) -> Said {
        self.run(env!("CARGO_BIN_EXE_makeuserdb"), words, "")
    }

    fn userdbpw(&self, words: &[&str], input: &str) -> Said {
        self.run(env!("CARGO_BIN_EXE_userdbpw"), words, input)
    }

    fn accepts(&self, user: &str, password: &str) -> bool {
        let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
        matches!(Userdb::of(&self.path("userdb")).check(&record), Verdict::Accept(_))
    }
}

fn done() -> Said {
    said("", "", 0)
}

fn said(output: &str, errors: &str, status: i32) -> Said {
    Said { output: output.to_owned(), errors: errors.to_owned(), status }
}

#[test]
fn records_are_made_changed_shown_and_deleted() {
    let house = House::new();
    assert_eq!(house.userdb(&["alice", "set", "uid=5", "home=/a b", "x=1=2"]), done());
    assert_eq!(house.userdb(&["bob", "set", "uid=6"]), done());
    assert_eq!(house.read("userdb"), "alice\tuid=5|home=/a b|x=1=2\nbob\tuid=6\n");
    assert_eq!(house.path("userdb").metadata().unwrap().mode() & 0o777, 0o600);

    assert_eq!(house.userdb(&["alice", "set", "uid=7", "new="]), done());
    assert_eq!(house.userdb(&["alice", "unset", "x", "none"]), done());
    assert_eq!(house.userdb(&["-show"]), said("alice\nbob\n", "", 0));
    assert_eq!(house.userdb(&["-show", "alice"]), said("uid=7\nhome=/a b\nnew=\n", "", 0));
    assert_eq!(house.userdb(&["-show", "nobody"]), done());

    assert_eq!(house.userdb(&["alice", "del"]), done());
    assert_eq!(house.userdb(&["alice", "del"]), done());
    assert_eq!(house.userdb(&["alice", "unset", "x"]), done());
    assert_eq!(house.read("userdb"), "bob\tuid=6\n");
}

#[test]
fn other_lines_owner_and_mode_stay_as_they_were() {
    let house = House::new();
    let others = "# remark\tx\n\nno tab here\n5=\tbob\nbob\ta=1|b\r\n";
    house.write("db", &format!("{others}alice\tx=1|y|x=2\nlast\tz=1"));
    fs::set_permissions(house.path("db"), fs::Permissions::from_mode(0o640)).unwrap();
    assert_eq!(house.userdb(&["-f", "db", "alice", "set", "x=3"]), done());
    assert_eq!(house.read("db"), format!("{others}alice\tx=3|y\nlast\tz=1\n"));
    assert_eq!(house.path("db").metadata().unwrap().mode() & 0o777, 0o640);
    assert!(!house.path(".tmp.db").exists());
}

#[test]
fn values_that_are_not_given_are_read_one_a_line() {
    let house = House::new();
    let set = |words: &[&str], input| house.run(env!("CARGO_BIN_EXE_userdb"), words, input);
    assert_eq!(set(&["alice", "set", "systempw", "uid=5", "imappw"], "one\ntwo"), done());
    assert_eq!(house.read("userdb"), "alice\tsystempw=one|uid=5|imappw=two\n");
    assert_eq!(set(&["alice", "set", "a", "b"], "one\n"), said("", "No value for b.\n", 1));
    assert_eq!(set(&["alice", "set", "a"], "one|two\n"), said("", "Invalid field or value.\n", 1));
    assert_eq!(house.read("userdb"), "alice\tsystempw=one|uid=5|imappw=two\n");
}

#[test]
fn a_directory_of_files_is_reached_by_path() {
    let house = House::new();
    fs::create_dir_all(house.path("userdb/sub")).unwrap();
    assert_eq!(house.userdb(&["sub/file/alice", "set", "uid=5"]), done());
    assert_eq!(house.read("userdb/sub/file"), "alice\tuid=5\n");
    assert_eq!(house.userdb(&["-show", "sub/file"]), said("alice\n", "", 0));
    assert_eq!(house.userdb(&["-show", "sub/file", "alice"]), said("uid=5\n", "", 0));
    assert_eq!(house.userdb(&["-show", "sub/file/alice"]), said("uid=5\n", "", 0));
    let path = |name: &str| house.path(name).display().to_string();
    assert_eq!(house.userdb(&["-show"]), said("", &format!("{}: not a file.\n", path("userdb")), 1));
    assert_eq!(
        house.userdb(&["bob", "set", "a=b"]),
        said("", &format!("{}: not a file.\n", path("userdb")), 1)
    );
    let nowhere = house.userdb(&["none/file/bob", "set", "a=b"]);
    assert_eq!(
        nowhere,
        said("", &format!("{}: No such file or directory\n", path("userdb/none/.lock.file")), 1)
    );
}

#[test]
fn what_is_not_clear_is_not_done() {
    let house = House::new();
    house.write("db", "alice\ta=1\nalice\ta=2\n");
    let twice = "db: alice is there more than once.\n";
    assert_eq!(house.userdb(&["-f", "db", "alice", "set", "a=3"]), said("", twice, 1));
    assert_eq!(house.userdb(&["-f", "db", "ali\nce", "set", "a=3"]), said("", "Invalid name.\n", 1));
    assert_eq!(
        house.userdb(&["-f", "db", "alice", "set", "a|b=3"]),
        said("", "Invalid field or value.\n", 1)
    );
    symlink("db", house.path("link")).unwrap();
    assert_eq!(house.userdb(&["-f", "link", "bob", "set", "a=3"]), said("", "link: is a symbolic link\n", 1));
    let usage = house.userdb(&["-f", "db", "alice", "frobnicate"]);
    assert!(usage.output.starts_with("Usage: userdb ") && usage.status == 1 && usage.errors.is_empty());
    assert_eq!(house.read("db"), "alice\ta=1\nalice\ta=2\n");
    assert_eq!(house.userdb(&["-f", "db", "alice", "del"]), done());
    assert_eq!(house.read("db"), "");
}

#[test]
fn changes_wait_for_whoever_holds_the_lock() {
    let house = House::new();
    house.write("userdb", "");
    let held = fs::File::create(house.path(".lock.userdb")).unwrap();
    held.lock().unwrap();
    std::thread::scope(|scope| {
        let changes: Vec<_> = (0..8)
            .map(|number| {
                scope.spawn({
                    let house = &house;
                    move || house.userdb(&[&format!("user{number}"), "set", "a=b"])
                })
            })
            .collect();
        std::thread::sleep(Duration::from_millis(200));
        assert_eq!(house.read("userdb"), "");
        drop(held);
        changes.into_iter().for_each(|change| assert_eq!(change.join().unwrap(), done()));
    });
    assert_eq!(house.read("userdb").lines().count(), 8);
}

#[test]
fn a_password_goes_from_userdbpw_by_userdb_and_makeuserdb_to_a_login() {
    let house = House::new();
    for option in [
        &[] as &[&str],
        &["-md5"],
        &["-des"],
        &["-sha512"],
        &["-bcrypt"],
        &["-argon2id"],
        &["-scram-sha-256"],
    ] {
        let stored = house.userdbpw(option, "secret\n");
        assert_eq!((stored.errors.as_str(), stored.status), ("", 0));
        assert!(check(stored.output.trim_end().as_bytes(), b"secret"), "{stored:?}");
        let set = ["alice", "set", "uid=5000", "gid=5000", "home=/home/alice", "systempw"];
        assert_eq!(house.run(env!("CARGO_BIN_EXE_userdb"), &set, &stored.output), done());
        assert_eq!(house.makeuserdb(&[]), done());
        assert!(house.accepts("alice", "secret") && !house.accepts("alice", "wrong"));
    }
}

#[test]
fn userdbpw_makes_what_the_manual_says_and_refuses_what_is_useless() {
    let house = House::new();
    let md5 = "cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56\n";
    assert_eq!(house.userdbpw(&["-hmac-md5"], "secret\n"), said(md5, "", 0));
    assert_eq!(house.userdbpw(&["-hmac-md5"], "secret"), said(md5, "", 0));
    assert_eq!(house.userdbpw(&["-hmac-sha1"], "secret\nmore\n").output.len(), 81);
    assert_eq!(house.userdbpw(&["-hmac-sha256"], "secret\n").output.len(), 129);
    assert_eq!(house.userdbpw(&["-x"], "secret\n"), said("", "userdbpw: invalid argument.\n", 1));
    for (input, reason) in [
        ("", "no password was given."),
        ("\n", "the password is empty; nobody could log in with it."),
        ("secret\r\n", "the password holds a control character; nobody could log in with it."),
    ] {
        assert_eq!(house.userdbpw(&[], input), said("", &format!("userdbpw: {reason}\n"), 1));
    }
    assert_eq!(house.userdbpw(&["-md5"], &"x".repeat(5000)).status, 1);
    // Ledger 450.
    let modern = house.userdbpw(&[], "nine chars\n");
    assert!(modern.output.starts_with("$y$") && modern.errors.is_empty(), "{modern:?}");
    let long = house.userdbpw(&["-des"], "nine chars\n");
    assert!(
        long.status == 0 && long.output.len() == 14 && long.errors.contains("first 8 characters"),
        "{long:?}"
    );
}

#[test]
fn a_person_types_the_password_twice_and_never_sees_it() {
    for (program, word, start) in [
        (env!("CARGO_BIN_EXE_userdbpw"), "-hmac-md5", "cd3ba7deaad6e5ca"),
        (env!("CARGO_BIN_EXE_authpasswd"), "md5", "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ=="),
    ] {
        let twice = |again| [("Password: ", "secret"), ("\nReenter password: ", again)];
        let (output, shown) = typed(program, &[word], &twice("secret"), &mut |_| {});
        assert!(output.status.success() && output.stdout.starts_with(start.as_bytes()), "{program}");
        assert!(!shown.windows(6).any(|window| window == b"secret"), "{program}");
        let (output, _) = typed(program, &[word], &twice("secert"), &mut |_| {});
        assert!(output.status.code() == Some(1) && output.stdout.is_empty(), "{program}");
    }
}

#[test]
fn userdb_asks_a_person_for_what_was_not_given_and_does_not_show_secrets() {
    let house = House::new();
    let file = house.path("db").display().to_string();
    let words = ["-f", &file, "alice", "set", "uid=5", "systempw", "home"];
    let lines = [("alice.systempw: ", "topsecret"), ("\nalice.home: ", "/home/alice")];
    let (output, shown) = typed(env!("CARGO_BIN_EXE_userdb"), &words, &lines, &mut |_| {});
    assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
    assert_eq!(house.read("db"), "alice\tuid=5|systempw=topsecret|home=/home/alice\n");
    let shown = String::from_utf8(shown).unwrap();
    assert!(shown.contains("/home/alice") && !shown.contains("topsecret"), "{shown}");
}

#[test]
fn wrong_words_are_answered_with_the_usage() {
    let house = House::new();
    let run = |program, words: &[&str]| house.run(program, words, "");
    for words in [[].as_slice(), &["alice"], &["alice", "set"], &["-f", "db"], &["-show", "a", "b", "c"]] {
        let usage = run(env!("CARGO_BIN_EXE_userdb"), words);
        assert!(usage.output.starts_with("Usage: userdb ") && usage.errors.is_empty(), "{usage:?}");
        assert_eq!(usage.status, 1);
    }
    for (program, start, wrong) in [
        (env!("CARGO_BIN_EXE_makeuserdb"), "Usage: makeuserdb [-f FILE]\n", [["db", ""], ["-f", ""]]),
        (env!("CARGO_BIN_EXE_userdbpw"), "userdbpw: invalid argument.\n", [["md5", ""], ["-md5", "x"]]),
        (env!("CARGO_BIN_EXE_authtest"), "Usage: authtest ", [["-s", "pop3"], ["-x", "alice"]]),
        (env!("CARGO_BIN_EXE_authenumerate"), "Usage: authenumerate [-s] [-o]\n", [["-x", ""], ["-s", "x"]]),
    ] {
        for words in wrong {
            let words: Vec<&str> = words.into_iter().filter(|word| !word.is_empty()).collect();
            let usage = run(program, &words);
            assert!(usage.errors.starts_with(start) && usage.output.is_empty(), "{words:?} {usage:?}");
            assert_eq!(usage.status, 1, "{words:?}");
        }
    }
    let nobody = run(env!("CARGO_BIN_EXE_authtest"), &["alice"]);
    assert!(nobody.errors.starts_with("Authentication FAILED: Input/output error\n"), "{nobody:?}");
    assert_eq!((nobody.output.as_str(), nobody.status), ("", 1));
}

#[test]
fn authpasswd_makes_what_its_manual_says() {
    let house = House::new();
    let authpasswd = |words: &[&str], input| house.run(env!("CARGO_BIN_EXE_authpasswd"), words, input);
    for (method, stored) in [
        ("md5", "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==\n"),
        ("md5raw", "{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69\n"),
        // Ledger 622.
        ("sha1", "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n"),
        ("sha256", "{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=\n"),
    ] {
        assert_eq!(authpasswd(&[method], "secret\n"), said(stored, "", 0));
    }
    for (words, start, length) in [
        // Ledger 621.
        ([].as_slice(), "$y$j9T$", 73),
        // Ledger 622.
        (&["crypt"], "", 13),
        (&["ssha"], "{SSHA}", 38),
        (&["sha512"], "{SHA512}", 96),
        // Ledger 623.
        (&["md5crypt"], "$1$", 34),
        (&["sha512crypt"], "$6$rounds=", 120),
        (&["bcrypt"], "$2b$12$", 60),
        (&["yescrypt"], "$y$j9T$", 73),
        (&["argon2id"], "$argon2id$", 97),
        (&["scram-sha-1"], "{SCRAM-SHA-1}", 101),
        (&["scram-sha-256"], "{SCRAM-SHA-256}", 135),
    ] {
        let made = authpasswd(words, "secret\n");
        let stored = made.output.trim_end();
        assert!(made.status == 0 && made.errors.is_empty(), "{made:?}");
        assert!(stored.starts_with(start) && stored.len() == length, "{words:?} {stored}");
        assert!(check(stored.as_bytes(), b"secret") && !check(stored.as_bytes(), b"Secret"));
        if words != ["sha512"] {
            assert_ne!(made, authpasswd(words, "secret\n"));
        }
    }
    let long = authpasswd(&["crypt"], "nine chars\n");
    assert!(
        long.status == 0 && long.errors.starts_with("authpasswd: only the first 8 characters"),
        "{long:?}"
    );
}

#[test]
fn authpasswd_refuses_what_is_no_method_or_no_password() {
    let house = House::new();
    let authpasswd = |words: &[&str], input| house.run(env!("CARGO_BIN_EXE_authpasswd"), words, input);
    for words in [["foo"].as_slice(), &["-md5"], &["md5", "x"], &[""], &["MD5"]] {
        let usage = authpasswd(words, "secret\n");
        assert!(usage.errors.starts_with("Usage: authpasswd [method]\n"), "{usage:?}");
        assert!(usage.output.is_empty() && usage.status == 1, "{usage:?}");
    }
    for input in ["", "\n", "sec\tret\n", "secret\r\n"] {
        let refused = authpasswd(&[], input);
        assert!(refused.errors.starts_with("authpasswd: ") && refused.output.is_empty(), "{refused:?}");
        assert_eq!(refused.status, 1);
    }
}

#[test]
fn pw2userdb_writes_a_text_that_makeuserdb_takes() {
    let house = House::new();
    let pw2userdb = |words: &[&str]| house.run(env!("CARGO_BIN_EXE_pw2userdb"), words, "");
    let usage = pw2userdb(&["x"]);
    assert!(usage.errors.starts_with("Usage: pw2userdb [-nouid]\n") && usage.status == 1, "{usage:?}");
    let text = pw2userdb(&[]);
    if fs::File::open("/etc/shadow").is_err_and(|error| error.kind() == ErrorKind::PermissionDenied) {
        assert_eq!(text, said("", "pw2userdb: /etc/shadow: Permission denied\n", 1));
        return;
    }
    assert!(text.status == 0 && text.output.contains("root\tuid=0|gid=0|home=/root|shell="), "{text:?}");
    assert!(text.output.contains("\n0=\troot\n") || text.output.starts_with("0=\troot\n"), "{text:?}");
    assert!(!pw2userdb(&["-nouid"]).output.contains("0=\troot\n"));
    house.write("userdb", &text.output);
    assert_eq!(house.makeuserdb(&[]), done());
}

#[test]
fn makeuserdb_leaves_passwords_to_root_and_the_rest_to_all() {
    let house = House::new();
    house.write("db", "alice\tuid=1|apw=x\n# remark\n\nbob\tuid=2\n");
    assert_eq!(house.makeuserdb(&["-f", "db"]), done());
    let mode = |name: &str| house.path(name).metadata().unwrap().mode() & 0o777;
    assert_eq!((mode("db.dat"), mode("dbshadow.dat")), (0o644, 0o600));
    assert!(!house.path("db.tmp").exists() && !house.path("dbshadow.tmp").exists());
    assert!(!fs::read(house.path("db.dat")).unwrap().windows(4).any(|window| window == b"apw="));
}

#[test]
fn makeuserdb_refuses_a_source_that_others_may_touch() {
    let house = House::new();
    assert_eq!(house.makeuserdb(&["-f", "none"]), said("", "none: not found.\n", 1));
    house.write("db", "alice\tuid=1\n");
    symlink("db", house.path("link")).unwrap();
    let link = "ERROR: Wrong makeuserdb command.\n       (link is a symbolic link)\n";
    assert_eq!(house.makeuserdb(&["-f", "link"]), said("", link, 1));
    fs::set_permissions(house.path("db"), fs::Permissions::from_mode(0o640)).unwrap();
    let open = "db: MAY NOT HAVE GROUP OR WORLD PERMISSIONS!!\n";
    assert_eq!(house.makeuserdb(&["-f", "db"]), said("", open, 1));
    assert!(house.makeuserdb(&["db"]).errors.starts_with("Usage: makeuserdb [-f FILE]\n"));
    assert!(!house.path("db.dat").exists() && !house.path("db.lock").exists());
}

#[test]
fn after_a_duplicate_name_both_files_are_the_old_ones() {
    let house = House::new();
    house.write("userdb", "alice\tuid=1|gid=1|home=/h|systempw={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=\n");
    assert_eq!(house.makeuserdb(&[]), done());
    house.write("userdb", "alice\tuid=1|gid=1|home=/h|systempw=*\nalice\tuid=2\n");
    let duplicate = "Cannot store record for alice - duplicate or out of disk space.\n";
    assert_eq!(house.makeuserdb(&[]), said("", duplicate, 1));
    assert!(house.accepts("alice", "secret"));
    assert!(!house.path("userdb.tmp").exists() && !house.path("userdbshadow.tmp").exists());
}

#[test]
fn a_line_without_a_tab_is_left_out_and_its_text_not_shown() {
    let house = House::new();
    house.write("userdb", "# one\nalice systempw=topsecret\nbob\tuid=1\n");
    let warning =
        format!("{}:2: no name and TAB at the beginning, line left out.\n", house.path("userdb").display());
    assert_eq!(house.makeuserdb(&[]), said("", &warning, 0));
    assert!(!fs::read(house.path("userdb.dat")).unwrap().windows(9).any(|window| window == b"topsecret"));
}

#[test]
fn an_endless_line_ends_makeuserdb_and_not_the_memory() {
    let house = House::new();
    house.write("userdb", &"x".repeat(70_000));
    let failed = house.makeuserdb(&[]);
    assert!(
        failed.status == 1 && failed.errors.ends_with(": a line is longer than 65536 octets\n"),
        "{failed:?}"
    );
}

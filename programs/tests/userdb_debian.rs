//! Our data bases before Courier's programs, and theirs before ours.
//!
//! Where Courier's programs are not installed, or this user may not start
//! them, a line says so; with `CI=true` that is a failure.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use authlib::userdb::Userdb;
use authlib::{Changed, Module, PasswordChange, Record, Verdict, password};
use testbed::courier::{self, Authdaemond};
use testbed::machine::Machine;
use testbed::process::command_behind;

const THEIR_USERDBPW: &str = "/usr/sbin/userdbpw";
const OUR_MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");

/// A stored password that belongs to `secret`, and whether Courier thinks so.
const STORED: [(&str, bool); 36] = [
    ("$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1", true),
    ("OdiGHOSKg4jq2", true),
    ("$5$abcdefgh$gruCpC7VkOTspMQTTSAR8mtlO9Upms.fwqE5y16JVM.", true),
    (
        "$6$abcdefgh$ltjgWl6579NluT/Vi1nwEvcil.G5Nbc4NiXZaNGStk8PSwGfQv72N2CKPPrVACtLtip/cZ/1GM/O6IND4WQhG.",
        true,
    ),
    ("$2b$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", true),
    ("$y$j75$abcdefghijklmnop$vZlXu1XtxOBWRxjOpQqONp1WYfMO0dN.H4xeSMU2ZvC", true),
    ("{CRYPT}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1", true),
    ("{crypt}OdiGHOSKg4jq2", true),
    ("{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ==", true),
    ("{MD5RAW}5ebe2294ecd0e0f08eab7690d2a6ee69", true),
    ("{md5raw}5ebe2294ecd0e0f08eab7690d2a6ee69", true),
    ("{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ=", true),
    ("{SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=", true),
    (
        "{SHA512}vSsar3708Jvp9Szi2NWZZ02Bqp1qRCFpbcTZPdBhnWgs5WtNZKnvCXdhztmeD2cmW192CF5bDufKRpayrW/isg==",
        true,
    ),
    ("{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0", true),
    // Ledger 600: a salt of 16 octets.
    ("{SSHA}tQVGTZl3fAv4Cn80Z7+QJLwCFIRzaXh0ZWVuIG9mIHNhbHQh", false),
    ("{Sha}5en6G6MezRroT3XKqkdPOmY/BfQ=", true),
    ("$2a$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", true),
    ("$2y$05$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a", true),
    ("$y$j9T$abcdefghijklmnop$3dL1LkYnZM.OVXuVdnnaKVDlLYT92dRwOzDZ5XiVCe.", true),
    ("$gy$j75$abcdefghijklmnop$5Matl8XuRgYmKQHzzPfQ1wwZku2K3P416/n0C0jUu9D", true),
    ("_J9..abcd/H6HLCcf7nw", true),
    ("$7$66..../....abcdefgh$Oew2p52M6uFGy3PHtWP1FQdbBkumI97jB3t7nCk1sH9", true),
    ("$sha1$1000$abcdefgh$ji8ESnkwjcTjo4hThodnLYyi.3yG", true),
    ("$md5,rounds=100$abcdefgh$$noNcKnd3KA8lreQhy3vXg0", true),
    ("$3$$878d8014606cda29677a44efa1353fc7", true),
    // Ledger 451 to 455.
    ("{SSHA256}+E+iFJ27Yu1ODPH1UNKUmzOmUT06dwfghQJRHHnMsO5zYWx0", false),
    (
        "{SSHA512}E491yrR9AdCoE7rbOPYS3EZgSuZpVE65AD9xko08s6floNesY/Zpe9zMVvLix4S2FiQSJ99RIkNvhHomNO9uL3NhbHQ=",
        false,
    ),
    ("{PLAIN}secret", false),
    ("{CLEARTEXT}secret", false),
    (
        "$argon2id$v=19$m=65536,t=3,p=1$PS8HDK+BZgE9+OHHt/ro6A$C9Jf7rdjoMZJZ2L7dIqlQwPcEMobl5BxsPkNg7CIwEQ",
        false,
    ),
    (
        "{ARGON2I}$argon2i$v=19$m=32768,t=4,p=1$OjxpQA0eEqnXE4raWuu8uQ$ZR/kATChaZYcX79r9KSFeeBVv5a4U6Vyt2Ve3JaxSis",
        false,
    ),
    ("{PBKDF2}$1$5fO7R4uqlt70FTrE$5000$846898cfeda34a356c6320505d2fa4de1ac4904d", false),
    ("{PBKDF2-SHA256}1000$EBESExQVFhcYGRobHB0eHw$Qkm6ZTllJTCFMoG/YwHqZvLSlGLYMCAlqUAVyqDKLLw", false),
    (
        "{SCRAM-SHA-1}4096,yazeRstdbgzai3ElHOzgrg==,HShaBU/SKge5FA+0G5XM9w7tqh4=,JC+m2cSOA4FwwhnGowh0+JM3/Mw=",
        false,
    ),
    (
        "SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=",
        false,
    ),
];

/// Stored passwords that belong to no password at all, whoever is asked.
const NEVER: [&str; 11] = [
    "*",
    "!",
    "x",
    "secret",
    "{crypt}{sha256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=",
    "{MD5}5ebe2294ecd0e0f08eab7690d2a6ee69",
    "{MD5}$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1",
    "{MD5RAW}5EBE2294ECD0E0F08EAB7690D2A6EE69",
    "{MD5}Xr4ilOzQ4PCOq3aQ0qbuaQ",
    "{SHA}5en6G6MezRroT3XKqkdPOmY/BfQ",
    "",
];

/// Whether to go on; says so if not.
fn is_here(missing: Option<String>) -> bool {
    let Some(reason) = missing else { return true };
    courier::leave_out(&reason).unwrap();
    false
}

fn missing(program: &str) -> Option<String> {
    (!Path::new(program).exists()).then(|| format!("{program} is not there (Debian: courier-authlib-userdb)"))
}

fn write_private(path: &Path, text: &str) {
    fs::write(path, text).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
}

fn compile(makeuserdb: &str, userdb: &Path) {
    let made = Command::new(makeuserdb).arg("-f").arg(userdb).output().unwrap();
    assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
}

fn ours_accepts(userdb: &Path, user: &str, password: &str) -> bool {
    let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
    match Userdb::of(userdb).check(&record) {
        Verdict::Accept(account) => account.address == user.as_bytes(),
        Verdict::Reject => false,
        Verdict::Unavailable(reason) => panic!("{user}: {reason}"),
    }
}

/// Courier's authdaemond in a directory of its own.
struct Theirs {
    _directory: tempfile::TempDir,
    daemon: Authdaemond,
}

impl Theirs {
    /// `None` where it is left out.
    fn start() -> Option<Theirs> {
        if !is_here(courier::missing_authdaemond()) {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let daemon = Authdaemond::start(directory.path()).unwrap();
        Some(Theirs { _directory: directory, daemon })
    }

    fn etc(&self) -> PathBuf {
        self.daemon.configuration()
    }

    /// `userdb` as a directory, with another one in it.
    fn userdb_as_directory(&self) -> PathBuf {
        let directory = self.etc().join("userdb");
        fs::create_dir_all(directory.join("sub")).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).unwrap();
        directory
    }

    fn authtest(&mut self, words: &[&str]) -> bool {
        let output =
            self.daemon.command("authtest").unwrap().args(["-s", "pop3"]).args(words).output().unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        // Anything but yes or no is not what is asked for here.
        assert!(output.status.success() || errors.contains("Operation not permitted"), "{words:?}: {errors}");
        output.status.success()
    }
}

/// Many accounts, one of them with 8-bit octets in its name.
fn crowd() -> String {
    let mut text = String::from("# accounts\n\n5000=\tuser0\n");
    for number in 0..3000 {
        text += &format!("user{number}@example.com\tuid=5000|gid=5000|home=/h|systempw={}\n", STORED[11].0);
    }
    text + &format!("müller\tuid=5000|gid=5000|home=/h|pop3pw={}|systempw=*\n", STORED[11].0)
}

#[test]
fn their_data_base_is_read_by_us() {
    if !is_here(missing(courier::MAKEUSERDB)) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let userdb = directory.path().join("userdb");
    write_private(&userdb, &crowd());
    compile(courier::MAKEUSERDB, &userdb);
    for number in 0..3000 {
        assert!(ours_accepts(&userdb, &format!("user{number}@example.com"), "secret"), "{number}");
    }
    assert!(ours_accepts(&userdb, "müller", "secret"));
    assert!(
        !ours_accepts(&userdb, "müller", "wrong") && !ours_accepts(&userdb, "user3000@example.com", "secret")
    );
}

#[test]
fn our_data_base_is_read_by_them() {
    let Some(mut theirs) = Theirs::start() else { return };
    let userdb = theirs.etc().join("userdb");
    write_private(&userdb, &crowd());
    compile(OUR_MAKEUSERDB, &userdb);
    for number in (0..3000).step_by(100) {
        assert!(theirs.authtest(&[&format!("user{number}@example.com"), "secret"]), "{number}");
    }
    assert!(theirs.authtest(&["müller", "secret"]));
    assert!(!theirs.authtest(&["müller", "wrong"]) && !theirs.authtest(&["user3000@example.com", "secret"]));
}

#[test]
fn every_stored_password_means_the_same_to_both() {
    let Some(mut theirs) = Theirs::start() else { return };
    let userdb = theirs.etc().join("userdb");
    let all = STORED.iter().copied().chain(NEVER.iter().map(|stored| (*stored, false)));
    let all: Vec<(usize, (&str, bool))> = all.enumerate().collect();
    let record = |(number, (stored, _)): &(usize, (&str, bool))| {
        format!("user{number}\tuid=5000|gid=5000|home=/h|systempw={stored}\n")
    };
    write_private(&userdb, &all.iter().map(record).collect::<String>());
    compile(OUR_MAKEUSERDB, &userdb);
    for (number, (stored, theirs_accepts)) in all {
        let user = format!("user{number}");
        assert_eq!(theirs.authtest(&[&user, "secret"]), theirs_accepts, "{stored}");
        assert_eq!(ours_accepts(&userdb, &user, "secret"), number < STORED.len(), "{stored}");
        assert!(!theirs.authtest(&[&user, "wrong"]) && !ours_accepts(&userdb, &user, "wrong"), "{stored}");
    }
}

#[test]
fn they_can_change_a_password_in_a_directory_that_we_compiled() {
    let Some(mut theirs) = Theirs::start() else { return };
    let directory = theirs.userdb_as_directory();
    let record = format!("alice\tuid=5000|gid=5000|home=/h|systempw={}\n", STORED[0].0);
    write_private(&directory.join("sub/file"), &record);
    let made = Command::new(OUR_MAKEUSERDB).env("POSTRIDER_SYSCONFDIR", theirs.etc()).status().unwrap();
    assert!(made.success());
    assert!(ours_accepts(&directory, "alice", "secret"));
    assert!(theirs.authtest(&["alice", "secret", "another"]));
    assert!(ours_accepts(&directory, "alice", "another") && !ours_accepts(&directory, "alice", "secret"));
}

#[test]
fn a_password_that_we_have_changed_is_known_to_them() {
    let Some(mut theirs) = Theirs::start() else { return };
    let directory = theirs.userdb_as_directory();
    let record = |name: &str, stored: &str| format!("{name}\tuid=5000|gid=5000|home=/h|systempw={stored}\n");
    let accounts = record("alice", STORED[0].0) + &record("bob", STORED[0].0);
    write_private(&directory.join("sub/file"), &accounts);
    // Without -f: then records say from which file they come.
    let made = theirs.daemon.command(courier::MAKEUSERDB).unwrap().status().unwrap();
    assert!(made.success());
    let change = PasswordChange::new(b"pop3", b"alice", b"secret", b"another").unwrap();
    assert_eq!(Userdb::of(&directory).change_password(&change), Changed::Done);
    assert!(theirs.authtest(&["alice", "another"]) && !theirs.authtest(&["alice", "secret"]));
    // And back.
    assert!(theirs.authtest(&["alice", "another", "third"]));
    let change = PasswordChange::new(b"pop3", b"alice", b"third", b"fourth").unwrap();
    assert_eq!(Userdb::of(&directory).change_password(&change), Changed::Done);
    assert!(theirs.authtest(&["alice", "fourth"]));
}

#[test]
fn what_our_userdbpw_makes_for_crypt_is_recognised_by_them() {
    let Some(mut theirs) = Theirs::start() else { return };
    let userdb = theirs.etc().join("userdb");
    let options = ["", "-md5", "-des", "-sha512", "-bcrypt", "-yescrypt"];
    let record = |(number, option): (usize, &&str)| {
        let stored = made(env!("CARGO_BIN_EXE_userdbpw"), option);
        format!("user{number}\tuid=5000|gid=5000|home=/h|systempw={stored}\n")
    };
    write_private(&userdb, &options.iter().enumerate().map(record).collect::<String>());
    compile(OUR_MAKEUSERDB, &userdb);
    for (number, option) in options.iter().enumerate() {
        let user = format!("user{number}");
        assert!(theirs.authtest(&[&user, "secret"]) && !theirs.authtest(&[&user, "wrong"]), "{option}");
    }
}

/// What `program`, a userdbpw, makes of `secret`.
fn made(program: &str, option: &str) -> String {
    let shell = format!("echo secret | {program} {option}");
    let output = Command::new("sh").args(["-c", &shell]).output().unwrap();
    String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
}

#[test]
fn what_their_userdbpw_makes_is_recognised() {
    if !is_here(missing(THEIR_USERDBPW)) {
        return;
    }
    for option in ["", "-md5"] {
        assert!(password::check(made(THEIR_USERDBPW, option).as_bytes(), b"secret"), "{option}");
    }
    for hash in authlib::hmac_state::Hash::ALL {
        assert_eq!(made(THEIR_USERDBPW, &format!("-{}", hash.name())), hash.stored(b"secret").as_str());
    }
}

#[test]
fn authpasswd_of_both_makes_the_same_digests() {
    const THEIRS: &str = "/usr/sbin/authpasswd";
    if !is_here(missing(THEIRS)) {
        return;
    }
    let ours = env!("CARGO_BIN_EXE_authpasswd");
    for method in ["md5", "md5raw", "sha", "sha256", "sha512"] {
        assert_eq!(made(ours, method), made(THEIRS, method), "{method}");
    }
    for method in ["", "ssha"] {
        let (one, two) = (made(ours, method), made(THEIRS, method));
        assert!(password::check(one.as_bytes(), b"secret") && password::check(two.as_bytes(), b"secret"));
        assert!(method.is_empty() || one.len() == two.len(), "{one} {two}");
    }
    // Ledger 621, 622 and 623.
    assert!(made(THEIRS, "").starts_with("$1$") && made(ours, "").starts_with("$y$"));
    for method in ["crypt", "sha1", "foo"] {
        assert!(made(THEIRS, method).starts_with("{SSHA}") && !made(ours, method).starts_with("{SSHA}"));
    }
}

#[test]
fn pw2userdb_of_both_writes_the_same_accounts() {
    const THEIRS: &str = "/usr/sbin/pw2userdb";
    if !is_here(missing(THEIRS)) || !is_here(testbed::machine::missing()) {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let account = testbed::chain::Account { home: "/home/alice".into(), owner: (64_110, 64_111) };
    let shadow = format!("{}:19000:0:99999:7:::", STORED[0].0);
    let machine = Machine::new().with_alice(&account, &shadow, directory.path()).unwrap();
    let text = |program: &str, words: &[&str]| {
        let output = command_behind(&machine.words(), Path::new(program)).args(words).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let text = String::from_utf8(output.stdout).unwrap();
        let mut lines: Vec<String> = text.lines().map(str::to_owned).collect();
        lines.sort();
        lines
    };
    let ours = env!("CARGO_BIN_EXE_pw2userdb");
    let accounts = text(ours, &[]);
    assert_eq!(accounts, text(THEIRS, &[]));
    assert_eq!(text(ours, &["-nouid"]), text(THEIRS, &["-nouid"]));
    let userdb = directory.path().join("userdb");
    write_private(&userdb, &accounts.join("\n"));
    compile(OUR_MAKEUSERDB, &userdb);
    assert!(ours_accepts(&userdb, "alice", "secret") && !ours_accepts(&userdb, "alice", "wrong"));
}

//! A disk that is really full: a small file system of its own, filled to the
//! last octet (Linux, root: it is mounted in a private namespace).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod built;

use std::path::Path;
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// Runs in the namespace: a file system of 64 KiB at $1, a Maildir in it that
/// belongs to uid 64110, and then the steps of the test, in which `session`
/// runs courierpop3d ($2) with its standard input.
const PRELUDE: &str = r#"
set -eu
mount -t tmpfs -o size=64k,mode=755 none "$1"
cd "$1"
mkdir Maildir Maildir/tmp Maildir/new Maildir/cur
deliver() { printf 'Subject: %s\n\nx\n' "$1" > "Maildir/new/$1"; own; }
own() { chown -R 64110:64111 Maildir; }
fill() { dd if=/dev/zero of=filler bs=1k 2>/dev/null || true; dd if=/dev/zero of=filler2 bs=1 2>/dev/null || true; }
clear() { rm -f filler filler2; }
courierpop3d=$2
session() {
    printf '%s\r\n' "$@" | UTF8=1 setpriv --reuid 64110 --regid 64111 --clear-groups "$courierpop3d" 2>&1
}
"#;

/// What `steps` print; `None`, with a line that says why, where this cannot be
/// had.
fn on_a_small_disk(steps: &str) -> Option<String> {
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
    testbed::stand::make_public(directory.path()).unwrap();
    let programs = built::programs(&directory.path().join("programs")).unwrap();
    if let Err(reason) = can_mount(&directory) {
        testbed::courier::leave_out(&format!("a disk that is full: {reason}")).unwrap();
        return None;
    }
    let output = unshared(&format!("{PRELUDE}{steps}"), directory.path(), &programs.path("courierpop3d"));
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    Some(said)
}

fn can_mount(directory: &TempDir) -> Result<(), String> {
    let output = unshared("mount -t tmpfs none \"$1\"", directory.path(), Path::new(""));
    if output.status.success() { Ok(()) } else { Err("mounting one takes root and a mount namespace".into()) }
}

fn unshared(script: &str, directory: &Path, program: &Path) -> std::process::Output {
    let disk = directory.join("disk");
    let _ = std::fs::create_dir(&disk);
    Command::new("unshare")
        .args(["--mount", "--propagation", "private", "sh", "-c", script, "sh"])
        .args([&disk, program])
        .stdin(Stdio::null())
        .output()
        .unwrap()
}

/// The text between two lines that the steps have printed.
fn part<'a>(said: &'a str, name: &str) -> &'a str {
    let begin = said.split_once(&format!("== {name}\n")).unwrap_or_else(|| panic!("{said}")).1;
    begin.split("== ").next().unwrap_or(begin)
}

fn unique_ids(part: &str) -> Vec<&str> {
    part.lines().filter_map(|line| Some(line.split_once(" UID")?.1)).collect()
}

#[test]
fn what_has_a_number_is_served_and_what_is_new_waits_for_room() {
    let steps = r#"
deliver 1000000001.a; deliver 1000000002.b
echo "== before"; session UIDL QUIT
fill
deliver_full() { printf '' > "Maildir/new/$1"; own; }
deliver_full 1000000003.c
echo "== full"; session UIDL 'RETR 1' 'RETR 2' QUIT
echo "== deleting"; session 'DELE 1' QUIT
clear
echo "== room"; session UIDL QUIT
"#;
    let Some(said) = on_a_small_disk(steps) else { return };
    let before = unique_ids(part(&said, "before"));
    assert_eq!(before.len(), 2, "{said}");
    let full = part(&said, "full");
    assert_eq!(unique_ids(full), before, "{said}");
    assert!(full.contains("ERR: Error while saving courierpop3dsizelist, user=nobody"), "{said}");
    assert_eq!(full.matches(" octets follow.").count(), 2, "{said}");
    assert!(part(&said, "deleting").contains("+OK Bye-bye."), "{said}");
    let room = unique_ids(part(&said, "room"));
    assert_eq!(room.len(), 2, "{said}");
    assert_eq!(room[0], before[1], "{said}");
    assert!(!before.contains(&room[1]), "{said}");
}

#[test]
fn a_first_login_on_a_full_disk_shows_one_message_so_that_there_can_be_room() {
    let steps = r#"
deliver 1000000001.a; deliver 1000000002.b
fill
echo "== full"; session STAT UIDL 'DELE 1' QUIT
clear
echo "== room"; session UIDL 'TOP 1 0' QUIT
"#;
    let Some(said) = on_a_small_disk(steps) else { return };
    let full = part(&said, "full");
    assert!(full.contains("\r\n1 ENOMEM-"), "{said}");
    assert!(full.contains("+OK 1 "), "{said}");
    assert!(full.contains("+OK Bye-bye."), "{said}");
    let room = part(&said, "room");
    assert_eq!(unique_ids(room).len(), 1, "{said}");
    assert!(room.contains("Subject: 1000000002.b\r\n"), "{said}");
}

/// What changes accounts, on a disk that has room for them: text and files.
const TOOLS: &str = r#"
mount -o remount,size=512k .
export POSTRIDER_SYSCONFDIR="$PWD"
userdb() { code=0; "$bin/userdb" "$@" 2>&1 || code=$?; echo "exit $code"; }
makeuserdb() { code=0; "$bin/makeuserdb" 2>&1 || code=$?; echo "exit $code"; }
worker() { printf "$1" | POSTRIDER_PIPE=1 "$bin/authdaemond" -worker authuserdb 2>&1; }
passwd() { worker "PASSWD pop3\talice\t$1\t$2\n"; }
login() { worker "AUTH $((18 + ${#1}))\npop3\nlogin\nalice\n$1\n" | grep ADDRESS || echo no; }
userdb alice set uid=1 gid=1 home=/h 'systempw={SHA}5en6G6MezRroT3XKqkdPOmY/BfQ='
makeuserdb
cp userdb "$bin/before"
same() { cmp userdb "$bin/before" && echo same; login secret; ls -A; }
"#;

/// The steps of a change that cannot be made, and what is there afterwards.
const CHANGES: &str = r#"
echo "== userdb"; userdb alice set "gecos=$(head -c 5000 /dev/zero | tr '\0' x)"
echo "== makeuserdb"; makeuserdb
echo "== passwd"; passwd secret newest
echo "== after"; same
"#;

fn tools(steps: &str) -> Option<String> {
    let directory = Path::new(env!("CARGO_BIN_EXE_userdb")).parent().unwrap();
    // What is built may lie where nothing can be written.
    let bin = tempfile::tempdir().unwrap();
    for name in ["userdb", "makeuserdb", "authdaemond"] {
        testbed::process::install(&directory.join(name), &bin.path().join(name)).unwrap();
    }
    on_a_small_disk(&format!("bin={}\n{TOOLS}{steps}", bin.path().display()))
}

/// Nothing has changed, and nothing was left behind.
fn assert_nothing_has_changed(said: &str, reason: &str, makeuserdbs: &str) {
    for (program, reason) in [("userdb", reason), ("makeuserdb", makeuserdbs)] {
        let part = part(said, program);
        assert!(part.contains(reason) && part.ends_with("exit 1\n"), "{said}");
    }
    let passwd = part(said, "passwd");
    assert!(passwd.contains(reason) && passwd.ends_with("FAIL\n"), "{said}");
    assert!(passwd.contains("user=alice") && !said.contains("newest"), "{said}");
    let after = part(said, "after");
    assert!(after.starts_with("same\nADDRESS=alice\n") && !after.contains("tmp"), "{said}");
}

#[test]
fn a_full_disk_leaves_the_old_accounts_and_passwords() {
    let steps =
        format!("fill{CHANGES}\nclear; echo '== room'; passwd secret another; login another; login secret");
    let Some(said) = tools(&steps) else { return };
    assert_nothing_has_changed(&said, "No space left on device", "alice - duplicate or out of disk space.");
    assert!(part(&said, "room").ends_with("OK\nADDRESS=alice\nno\n"), "{said}");
}

#[test]
fn accounts_on_a_read_only_disk_log_in_and_change_nothing() {
    let Some(said) = tools(&format!("mount -o remount,ro .{CHANGES}")) else { return };
    assert_nothing_has_changed(&said, "Read-only file system", "Read-only file system");
}

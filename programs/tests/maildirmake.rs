//! maildirmake as a program: what it makes, says and returns, beside what
//! Courier's does (reference: maildir 13).

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::process::{Command, Output};

/// Runs maildirmake in `directory` under the umask `mask`.
fn maildirmake(directory: &Path, mask: &str, arguments: &[&str]) -> Output {
    Command::new("sh")
        .args(["-c", "umask $0; exec \"$@\"", mask, env!("CARGO_BIN_EXE_maildirmake")])
        .args(arguments)
        .current_dir(directory)
        .output()
        .unwrap()
}

fn mode(path: &Path) -> u32 {
    fs::symlink_metadata(path).unwrap().mode() & 0o7777
}

#[test]
fn the_owner_has_all_and_others_nothing_under_every_umask() {
    for mask in ["0", "022", "077", "0777"] {
        let place = tempfile::tempdir().unwrap();
        assert!(maildirmake(place.path(), mask, &["m"]).status.success());
        assert!(maildirmake(place.path(), mask, &["-f", "Sent", "m"]).status.success());
        for made in ["m", "m/tmp", "m/new", "m/cur", "m/.Sent", "m/.Sent/tmp", "m/.Sent/new", "m/.Sent/cur"] {
            assert_eq!(mode(&place.path().join(made)), 0o700, "{made} under umask {mask}");
        }
        assert_eq!(mode(&place.path().join("m/.Sent/maildirfolder")), 0o600);
    }
}

#[test]
fn a_quota_makes_the_maildir_or_changes_its_quota() {
    let place = tempfile::tempdir().unwrap();
    assert!(maildirmake(place.path(), "022", &["-q", "100000S,100C", "m/"]).status.success());
    let file = place.path().join("m/maildirsize");
    assert_eq!(fs::read_to_string(&file).unwrap(), "100000S,100C\n           0            0\n");
    assert_eq!(mode(&file), 0o644);
    fs::write(place.path().join("m/new/1.a"), "12345").unwrap();
    assert!(maildirmake(place.path(), "022", &["-q7C", "m"]).status.success());
    assert_eq!(fs::read_to_string(&file).unwrap(), "7C\n           5            1\n");
}

#[test]
fn what_is_there_stays_and_the_error_says_so() {
    let place = tempfile::tempdir().unwrap();
    let says = |arguments: &[&str], error: &str| {
        let output = maildirmake(place.path(), "022", arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(String::from_utf8(output.stderr).unwrap(), error);
        assert!(output.stdout.is_empty());
    };
    maildirmake(place.path(), "022", &["m"]);
    maildirmake(place.path(), "022", &["-f", "F", "m"]);
    fs::write(place.path().join("file"), "").unwrap();
    says(&["m"], "maildirmake: m: File exists\n");
    says(&["file"], "maildirmake: file: File exists\n");
    says(&["-f", "F", "m"], "maildirmake: m/.F: File exists\n");
    says(&["-f", "F", "away"], "maildirmake: away/.F: No such file or directory\n");
    says(&["-f", "F", "file"], "maildirmake: file/.F: Not a directory\n");
    says(&["a/b"], "maildirmake: a/b: No such file or directory\n");
    says(&[""], "maildirmake: : No such file or directory\n");
    says(&["-f", ".x", "m"], "Invalid folder name: .x\n");
    says(&["-q", "12X", "m"], "maildirmake: quota '12X' is not of the form <bytes>S,<messages>C.\n");
    says(&["-q", "5S", "file"], "maildirmake: file: Not a directory\n");
}

#[test]
fn wrong_arguments_get_couriers_usage_line() {
    let place = tempfile::tempdir().unwrap();
    for arguments in [&[][..], &["-Z"], &["-q"]] {
        let output = maildirmake(place.path(), "022", arguments);
        assert_eq!(output.status.code(), Some(1));
        assert_eq!(output.stdout, b"Usage: maildirmake [ options ] maildir\n");
        assert!(output.stderr.is_empty());
    }
}

//! Opening a maildrop: what is in it, and what is left on disk.
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::fs::{self, File};
use std::io::ErrorKind;
use std::os::unix::fs::{MetadataExt, symlink};
use std::path::Path;
use std::time::{Duration, UNIX_EPOCH};

use maildir::{Error, Maildir};
use support::{Mailbox, NOW, shown, unique_ids};

#[test]
fn new_mail_is_moved_counted_numbered_and_listed() {
    let mailbox = Mailbox::new();
    mailbox.write("new/1000000002.b", "Subject: b\n\nno end");
    mailbox.write("new/1000000001.a:2,FS", "Subject: \u{e9}\r\n\r\nx\r\n");
    let maildrop = mailbox.open();
    assert_eq!(
        shown(&maildrop),
        ["1000000001.a:2,FS 18 UID1-1800000000", "1000000002.b:2, 22 UID2-1800000000"]
    );
    let utf8: Vec<bool> = maildrop.places().map(|place| maildrop.is_utf8(place)).collect();
    assert_eq!(utf8, [true, false]);
    assert_eq!(
        mailbox.list(),
        "/3 3 1800000000\n#postrider:exact-octets\n\
         1000000001.a:2,FS 18 1:1800000000:1\n1000000002.b:2, 22 2:1800000000:0\n"
    );
    assert_eq!(mailbox.names("new"), [""; 0]);
    assert_eq!(mailbox.names("tmp"), [""; 0]);
}

#[test]
fn the_list_may_be_read_by_all_that_the_umask_lets_in() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    let probe = mailbox.path("probe");
    fs::OpenOptions::new().create_new(true).write(true).open(&probe).unwrap();
    let umask_lets = fs::metadata(&probe).unwrap().mode() | !0o666;
    mailbox.open();
    let mode = fs::metadata(mailbox.path("courierpop3dsizelist")).unwrap().mode() & 0o7777;
    assert_eq!(mode, 0o644 & umask_lets);
}

#[test]
fn an_empty_maildir_gets_no_list_and_no_lock() {
    let mailbox = Mailbox::new();
    assert!(mailbox.open().is_empty());
    assert_eq!(mailbox.names(""), ["cur", "new", "tmp"]);
}

#[test]
fn an_emptied_maildir_keeps_its_list_so_that_numbers_go_on() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.open();
    let list = mailbox.list();
    mailbox.remove("cur/1.a:2,");
    assert!(mailbox.open().is_empty());
    assert_eq!(mailbox.list(), list);
    mailbox.write("new/2.b", "");
    assert_eq!(unique_ids(&mailbox.open_at(NOW + 99)), ["UID2-1800000000"]);
}

#[test]
fn what_has_not_changed_is_not_written_and_not_read() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.open();
    let stamp = mailbox.list_stamp();
    mailbox.rename("cur/1.a:2,", "cur/1.a:2,RS");
    // Who read the file would count otherwise.
    mailbox.write("cur/2.b:2,", "longer than it was");
    let maildrop = mailbox.open();
    assert_eq!(shown(&maildrop), ["1.a:2,RS 8 UID1-1800000000", "2.b:2, 8 UID2-1800000000"]);
    assert_eq!(mailbox.list_stamp(), stamp);
}

#[test]
fn what_is_gone_leaves_the_list_and_its_number_is_not_given_again() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.open();
    mailbox.remove("cur/2.b:2,");
    assert_eq!(unique_ids(&mailbox.open()), ["UID1-1800000000"]);
    assert!(!mailbox.list().contains("2.b"));
    mailbox.write("new/2.b", "");
    assert_eq!(unique_ids(&mailbox.open()), ["UID1-1800000000", "UID3-1800000000"]);
}

#[test]
fn couriers_list_is_taken_over_with_octets_counted_anew() {
    let mailbox = Mailbox::new();
    mailbox.write("cur/1000000001.h:2,", "Subject: 1\r\n\r\nx\r\n");
    mailbox.write("cur/1000000002.h:2,S", "Subject: 2\n\nx");
    mailbox
        .set_list("/3 10 1795404339\n1000000001.h:2, 20 3:1795404339:1\n1000000002.h:2, 15 7:1700000000:0\n");
    let expected = ["1000000001.h:2, 17 UID3-1795404339", "1000000002.h:2,S 17 UID7-1700000000"];
    assert_eq!(shown(&mailbox.open()), expected);
    assert_eq!(
        mailbox.list(),
        "/3 10 1795404339\n#postrider:exact-octets\n\
         1000000001.h:2, 17 3:1795404339:0\n1000000002.h:2,S 17 7:1700000000:0\n"
    );
    let stamp = mailbox.list_stamp();
    assert_eq!(shown(&mailbox.open()), expected);
    assert_eq!(mailbox.list_stamp(), stamp);
}

#[test]
fn only_regular_files_are_messages() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.write("outside", "secret");
    for part in ["cur", "new"] {
        fs::create_dir(mailbox.path(&format!("{part}/2.directory"))).unwrap();
        symlink(mailbox.path("outside"), mailbox.path(&format!("{part}/3.link"))).unwrap();
        symlink("nowhere", mailbox.path(&format!("{part}/4.dangling"))).unwrap();
        let directory = File::open(mailbox.path(part)).unwrap();
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mkfifoat(directory, "5.fifo", mode).unwrap();
        mailbox.write(&format!("{part}/.6.hidden"), "x");
    }
    assert_eq!(shown(&mailbox.open()), ["1.a:2, 8 UID1-1800000000"]);
    assert_eq!(mailbox.names("new"), [".6.hidden", "2.directory", "3.link", "4.dangling", "5.fifo"]);
}

#[test]
fn nothing_in_cur_is_overwritten_by_new_mail() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.write("new/1.a", "another");
    let (maildrop, notices) = mailbox.open_noticing();
    assert_eq!(shown(&maildrop), ["1.a:2, 8 UID1-1800000000", "1.a_1:2, 9 UID2-1800000000"]);
    assert_eq!(notices, ["./cur has another ./new/1.a, renamed to ./cur/1.a_1:2,"]);
}

#[test]
fn a_move_that_was_cut_short_is_finished() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    fs::hard_link(mailbox.path("cur/1.a:2,"), mailbox.path("new/1.a")).unwrap();
    fs::hard_link(mailbox.path("cur/1.a:2,"), mailbox.path("cur/1.a:2,S")).unwrap();
    assert_eq!(shown(&mailbox.open()), ["1.a:2,S 8 UID1-1800000000"]);
    assert_eq!(mailbox.names("new"), [""; 0]);
    assert_eq!(mailbox.names("cur"), ["1.a:2,S"]);
}

#[test]
fn a_name_with_no_room_for_flags_is_a_message_all_the_same() {
    let mailbox = Mailbox::new();
    let long = "x".repeat(254);
    mailbox.write(&format!("new/{long}"), "");
    assert_eq!(shown(&mailbox.open()), [format!("{long} 0 UID1-1800000000")]);
    assert_eq!(shown(&mailbox.open()), [format!("{long} 0 UID1-1800000000")]);
}

#[test]
fn strange_names_keep_their_unique_ids() {
    let mailbox = Mailbox::new();
    let long = format!("{}\n", "x".repeat(80));
    for name in ["1 a b:2,", "2\n:2,", "3\t ", "4\u{e9}:2,", &long] {
        mailbox.write(&format!("cur/{name}"), "");
    }
    let first = unique_ids(&mailbox.open());
    assert_eq!(first.len(), 5);
    assert!(first.contains(&"2+0A".to_owned()));
    assert_eq!(first.iter().filter(|id| id.starts_with("ENOMEM-")).count(), 1);
    assert_eq!(unique_ids(&mailbox.open_at(NOW + 1)), first);
}

#[test]
fn old_files_in_tmp_are_removed_by_their_time_of_modification() {
    let mailbox = Mailbox::new();
    let aged = |name: &str, minutes: u64| {
        mailbox.write(name, "");
        let file = File::options().write(true).open(mailbox.path(name)).unwrap();
        file.set_modified(UNIX_EPOCH + Duration::from_secs(NOW - 60 * minutes)).unwrap();
    };
    aged("tmp/older", 48 * 60 + 1);
    aged("tmp/younger", 48 * 60 - 1);
    aged("tmp/.older", 48 * 60 + 1);
    fs::create_dir(mailbox.path("tmp/directory")).unwrap();
    mailbox.open();
    assert_eq!(mailbox.names("tmp"), [".older", "directory", "younger"]);
}

#[test]
fn a_maildir_may_be_reached_by_a_link_but_nothing_in_it() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    symlink(".", mailbox.path("link")).unwrap();
    let maildir = Maildir::open(&mailbox.path("link")).unwrap();
    assert_eq!(maildir.open_maildrop(NOW, &mut |_| ()).unwrap().len(), 1);

    mailbox.rename("cur", "elsewhere");
    symlink("elsewhere", mailbox.path("cur")).unwrap();
    assert!(matches!(mailbox.try_open(NOW).0, Err(Error::NoCur(_))));
}

#[test]
fn without_maildir_or_cur_the_error_says_so() {
    let mailbox = Mailbox::new();
    let missing = Maildir::open(&mailbox.path("missing")).unwrap_err();
    assert!(matches!(&missing, Error::NoMaildir(error) if error.kind() == ErrorKind::NotFound));
    assert_eq!(missing.to_string(), "No such file or directory");
    fs::remove_dir(mailbox.path("cur")).unwrap();
    let no_cur = mailbox.try_open(NOW).0.unwrap_err();
    assert_eq!(no_cur.to_string(), "scancur opendir(\"cur\"): No such file or directory");
}

#[test]
fn a_list_that_cannot_be_read_is_an_error_and_not_a_fresh_start() {
    for make in
        [|path: &Path| fs::create_dir(path).unwrap(), |path: &Path| symlink("elsewhere", path).unwrap()]
    {
        let mailbox = Mailbox::with(&["1.a:2,"]);
        make(&mailbox.path("courierpop3dsizelist"));
        let error = mailbox.try_open(NOW).0.unwrap_err();
        assert!(matches!(error, Error::SizeList(_)));
        assert!(error.to_string().starts_with("failed to open courierpop3dsizelist file: "));
    }
}

#[test]
fn a_list_that_cannot_be_saved_shows_what_has_a_number() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.open();
    mailbox.write("cur/0.new:2,", "");
    mailbox.remove("cur/2.b:2,");
    fs::remove_dir(mailbox.path("tmp")).unwrap();
    let list = mailbox.list();
    let (maildrop, notices) = mailbox.open_noticing();
    assert_eq!(shown(&maildrop), ["1.a:2, 8 UID1-1800000000"]);
    assert_eq!(notices, ["Error while saving courierpop3dsizelist"]);
    assert_eq!(mailbox.list(), list);

    fs::create_dir(mailbox.path("tmp")).unwrap();
    assert_eq!(shown(&mailbox.open()), ["0.new:2, 0 UID3-1800000000", "1.a:2, 8 UID1-1800000000"]);
}

#[test]
fn a_list_that_cannot_be_saved_shows_one_message_if_none_has_a_number() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    // Where the lock should be made: also a way not to be able to save.
    fs::create_dir(mailbox.path("courierpop3dsizelist.lock")).unwrap();
    let (maildrop, notices) = mailbox.open_noticing();
    assert_eq!(maildrop.len(), 1);
    let file = fs::metadata(mailbox.path("cur/1.a:2,")).unwrap();
    let expected = format!("ENOMEM-{:016X}-{:016X}-{:016X}", file.mtime(), file.dev(), file.ino());
    assert_eq!(unique_ids(&maildrop), [expected]);
    assert_eq!(notices, ["Error while saving courierpop3dsizelist"]);
    assert!(!mailbox.has("courierpop3dsizelist"));
}

#[test]
fn a_list_that_need_not_be_saved_shows_everything() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.open();
    mailbox.remove("cur/2.b:2,");
    fs::remove_dir(mailbox.path("tmp")).unwrap();
    mailbox.write("tmp", "not a directory");
    let (maildrop, notices) = mailbox.open_noticing();
    assert_eq!(shown(&maildrop), ["1.a:2, 8 UID1-1800000000"]);
    assert_eq!(notices.len(), 2);
    assert_eq!(notices[0], "opendir(\"tmp\"): Not a directory");
}

#[test]
fn loginexec_is_a_regular_file_that_its_owner_may_execute() {
    use std::os::unix::fs::PermissionsExt;
    let mailbox = Mailbox::new();
    let maildir = mailbox.maildir();
    assert!(!maildir.loginexec().unwrap());
    mailbox.write("loginexec", "#!/bin/sh\n");
    assert!(!maildir.loginexec().unwrap());
    fs::set_permissions(mailbox.path("loginexec"), fs::Permissions::from_mode(0o700)).unwrap();
    assert!(maildir.loginexec().unwrap());
    mailbox.rename("loginexec", "script");
    symlink("script", mailbox.path("loginexec")).unwrap();
    assert!(!maildir.loginexec().unwrap());
    maildir.remove_loginexec().unwrap();
    maildir.remove_loginexec().unwrap();
    assert!(!mailbox.has("loginexec"));
}

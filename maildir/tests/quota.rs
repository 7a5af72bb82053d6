//! `maildirsize` after messages were removed (reference: maildir 8).
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs::{self, File};
use std::os::unix::fs::symlink;
use std::time::{Duration, SystemTime};

use maildir::{Maildir, Sharing};
use support::{Mailbox, NOW, remove};

/// Lets the file look as if it had been written long ago.
fn age(mailbox: &Mailbox, name: &str) {
    let file = File::options().append(true).open(mailbox.path(name)).unwrap();
    file.set_modified(SystemTime::now() - Duration::from_secs(16 * 60)).unwrap();
}

/// Removes the messages at `indexes`, and gives `maildirsize` after that.
fn after_removal(mailbox: &Mailbox, indexes: &[usize]) -> String {
    let (_, _, failed, notices) = remove(&mut mailbox.open(), indexes);
    assert_eq!((failed, notices), (0, vec![]));
    mailbox.read("maildirsize")
}

#[test]
fn a_removal_is_one_line_that_takes_all_of_it_off() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b,S=1000:2,S", "3.c:2,"]);
    mailbox.write("maildirsize", "100000S\n        2000            3\n");
    let expected = "100000S\n        2000            3\n       -1006           -2\n";
    assert_eq!(after_removal(&mailbox, &[0, 1]), expected);
}

#[test]
fn trashed_messages_and_those_that_others_removed_do_not_count() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,T", "3.c:2,"]);
    let quota = "100000S\n        2000            3\n";
    mailbox.write("maildirsize", quota);
    let mut maildrop = mailbox.open();
    mailbox.remove("cur/1.a:2,");
    assert_eq!(remove(&mut maildrop, &[0, 1]), (1, 1, 0, vec![]));
    assert_eq!(mailbox.read("maildirsize"), quota);
}

#[test]
fn without_the_file_there_is_no_quota() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    assert_eq!(remove(&mut mailbox.open(), &[0]), (1, 0, 0, vec![]));
    assert!(!mailbox.has("maildirsize"));
}

#[test]
fn a_link_is_no_quota() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.write("outside", "100S\n           6            1\n");
    symlink("outside", mailbox.path("maildirsize")).unwrap();
    assert_eq!(remove(&mut mailbox.open(), &[0]), (1, 0, 0, vec![]));
    assert_eq!(mailbox.read("outside"), "100S\n           6            1\n");
}

#[test]
fn a_long_file_is_counted_anew_and_nothing_is_subtracted_twice() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,", "3.c:2,T"]);
    mailbox.write("maildirsize", format!("10C,5000S\n{}", "           1            1\n".repeat(200)));
    mailbox.maildir().create_folder(b"F", Sharing::Private).unwrap();
    mailbox.maildir().create_folder(b"Trash", Sharing::Private).unwrap();
    mailbox.write(".F/new/4.d", "12345");
    mailbox.write(".Trash/cur/5.e:2,", "123456");
    let expected = "10C,5000S\n          11            2\n";
    assert_eq!(after_removal(&mailbox, &[0]), expected);
    assert_eq!(mailbox.names("tmp"), [""; 0]);
}

#[test]
fn a_sum_below_nothing_is_counted_anew() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.write("maildirsize", "5000S\n           3            9\n");
    assert_eq!(after_removal(&mailbox, &[0]), "5000S\n           6            1\n");
}

#[test]
fn who_is_still_over_quota_is_counted_anew_unless_that_was_just_done() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,", "3.c:2,"]);
    mailbox.write("maildirsize", "5S\n         900            3\n");
    let appended = "5S\n         900            3\n          -6           -1\n";
    assert_eq!(after_removal(&mailbox, &[0]), appended);
    // By now there are two lines.
    assert_eq!(after_removal(&mailbox, &[0]), "5S\n           6            1\n");

    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,", "3.c:2,"]);
    mailbox.write("maildirsize", "1C\n         900            3\n");
    age(&mailbox, "maildirsize");
    assert_eq!(after_removal(&mailbox, &[0]), "1C\n          12            2\n");
}

#[test]
fn what_cannot_be_counted_anew_is_subtracted() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.write("maildirsize", "5000S\n           3            9\n");
    let mut maildrop = mailbox.open();
    fs::remove_dir(mailbox.path("tmp")).unwrap();
    assert_eq!(remove(&mut maildrop, &[0]), (1, 0, 0, vec![]));
    assert_eq!(mailbox.read("maildirsize"), "5000S\n           3            9\n          -6           -1\n");
}

#[test]
fn a_quota_that_is_not_understood_is_kept_and_told() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.write("maildirsize", "100S,5X\x1b\n           6            1\n");
    let (_, _, _, notices) = remove(&mut mailbox.open(), &[0]);
    assert_eq!(notices, ["quota string '100S,5X.' not parseable"]);
    assert!(mailbox.read("maildirsize").ends_with("           1\n          -6           -1\n"));
}

#[test]
fn a_folder_counts_for_the_maildir_it_is_in_and_trash_for_nothing() {
    let mailbox = Mailbox::new();
    let quota = "5000S\n         100           10\n";
    mailbox.write("maildirsize", quota);
    for (folder, expected) in [("Trash", ""), ("F", "          -4           -1\n")] {
        mailbox.maildir().create_folder(folder.as_bytes(), Sharing::Private).unwrap();
        mailbox.write(&format!(".{folder}/cur/1.a:2,"), "1234");
        let maildir = Maildir::open(&mailbox.path(&format!(".{folder}"))).unwrap();
        let mut maildrop = maildir.open_maildrop(NOW, &mut |_| ()).unwrap();
        assert_eq!(remove(&mut maildrop, &[0]), (1, 0, 0, vec![]));
        assert_eq!(mailbox.read("maildirsize"), format!("{quota}{expected}"));
    }
}

#[test]
fn a_maildir_that_says_it_is_a_folder_touches_no_quota_of_what_is_no_maildir() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    mailbox.write("maildirfolder", "");
    mailbox.write("maildirsize", "5000S\n");
    mailbox.write("../maildirsize", "5000S\n");
    assert_eq!(remove(&mut mailbox.open(), &[0]), (1, 0, 0, vec![]));
    assert_eq!(mailbox.read("../maildirsize"), "5000S\n");
    assert_eq!(mailbox.read("maildirsize"), "5000S\n");
}

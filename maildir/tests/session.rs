//! What happens on disk while a maildrop is open: other programs rename and
//! remove, RETR marks, QUIT removes.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::fs;
use std::io::Read;
use std::os::unix::fs::symlink;

use maildir::{Maildrop, OpenError};
use support::{Mailbox, remove, unique_ids};

fn text(maildrop: &mut Maildrop, index: usize) -> Result<String, OpenError> {
    let place = maildrop.place(index).unwrap();
    let mut text = String::new();
    maildrop.open_message(place)?.file.read_to_string(&mut text)?;
    Ok(text)
}

#[test]
fn a_message_is_found_under_its_new_flags() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,", "3.c"]);
    let mut maildrop = mailbox.open();
    mailbox.rename("cur/1.a:2,", "cur/1.a:2,RS");
    mailbox.rename("cur/2.b:2,", "new/2.b");
    mailbox.rename("cur/3.c", "cur/3.c:2,S");
    assert_eq!(text(&mut maildrop, 0).unwrap(), "1.a:2,");
    assert_eq!(text(&mut maildrop, 1).unwrap(), "2.b:2,");
    assert_eq!(text(&mut maildrop, 2).unwrap(), "3.c");
    assert_eq!(maildrop.name(maildrop.place(0).unwrap()), b"1.a:2,RS");
    assert_eq!(remove(&mut maildrop, &[0, 1, 2]), (3, 0, 0, vec![]));
    assert_eq!(mailbox.names("cur"), [""; 0]);
    assert_eq!(mailbox.names("new"), [""; 0]);
}

#[test]
fn a_message_that_is_gone_is_gone() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    let mut maildrop = mailbox.open();
    mailbox.remove("cur/1.a:2,");
    assert!(matches!(text(&mut maildrop, 0), Err(OpenError::Gone)));
    assert!(maildrop.mark_seen(maildrop.place(0).unwrap()).is_err());
    assert_eq!(remove(&mut maildrop, &[0]), (0, 1, 0, vec![]));
    assert_eq!(mailbox.names("cur"), ["2.b:2,"]);
}

#[test]
fn a_message_is_not_mistaken_for_another_one() {
    // Two messages with one unique name: neither stands in for the other.
    let mailbox = Mailbox::with(&["1.a:2,", "1.a:2,S"]);
    let mut maildrop = mailbox.open();
    mailbox.remove("cur/1.a:2,");
    assert!(matches!(text(&mut maildrop, 0), Err(OpenError::Gone)));
    assert_eq!(remove(&mut maildrop, &[0]), (0, 1, 0, vec![]));
    assert_eq!(mailbox.names("cur"), ["1.a:2,S"]);
}

#[test]
fn a_message_that_may_be_another_one_is_not_removed() {
    let mailbox = Mailbox::with(&["1.a:2,", "1.a:2,S"]);
    let mut maildrop = mailbox.open();
    mailbox.rename("cur/1.a:2,", "cur/1.a:2,F");
    assert!(matches!(text(&mut maildrop, 0), Err(OpenError::Io(_))));
    assert_eq!(remove(&mut maildrop, &[0]), (0, 0, 1, vec![]));
    assert_eq!(mailbox.names("cur"), ["1.a:2,F", "1.a:2,S"]);
}

#[test]
fn what_cannot_be_removed_is_told_and_still_there() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    let mut maildrop = mailbox.open();
    // A directory cannot be unlinked, not by root either.
    mailbox.remove("cur/1.a:2,");
    fs::create_dir(mailbox.path("cur/1.a:2,")).unwrap();
    assert_eq!(remove(&mut maildrop, &[0, 1]), (1, 0, 1, vec![]));
    assert_eq!(mailbox.names("cur"), ["1.a:2,"]);
}

#[test]
fn a_file_that_became_a_link_is_not_followed() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    let mut maildrop = mailbox.open();
    mailbox.write("outside", "secret");
    mailbox.remove("cur/1.a:2,");
    symlink(mailbox.path("outside"), mailbox.path("cur/1.a:2,")).unwrap();
    assert!(matches!(text(&mut maildrop, 0), Err(OpenError::Io(_))));
    assert_eq!(remove(&mut maildrop, &[0]), (1, 0, 0, vec![]));
    assert_eq!(mailbox.read("outside"), "secret");
}

#[test]
fn a_message_that_was_read_has_the_seen_flag_and_keeps_its_unique_id() {
    let mailbox = Mailbox::with(&["1.a:2,T", "2.b", "3.c:2,S", "4.d:2,"]);
    let mut maildrop = mailbox.open();
    let before = unique_ids(&maildrop);
    mailbox.rename("cur/4.d:2,", "cur/4.d:2,F");
    for place in maildrop.places() {
        maildrop.mark_seen(place).unwrap();
    }
    assert_eq!(mailbox.names("cur"), ["1.a:2,ST", "2.b:2,S", "3.c:2,S", "4.d:2,FS"]);
    assert_eq!(unique_ids(&maildrop), before);
    assert_eq!(unique_ids(&mailbox.open()), before);
}

#[test]
fn the_seen_flag_never_costs_another_message_its_file() {
    let mailbox = Mailbox::with(&["1.a:2,", "1.a:2,S"]);
    let mut maildrop = mailbox.open();
    assert!(maildrop.mark_seen(maildrop.place(0).unwrap()).is_err());
    assert_eq!(mailbox.read("cur/1.a:2,S"), "1.a:2,S");
    assert_eq!(text(&mut maildrop, 0).unwrap(), "1.a:2,");
}

#[test]
fn the_directory_may_be_renamed_while_it_is_open() {
    let mailbox = Mailbox::with(&["1.a:2,"]);
    let mut maildrop = mailbox.open();
    fs::rename(mailbox.path("cur"), mailbox.path("moved")).unwrap();
    assert_eq!(text(&mut maildrop, 0).unwrap(), "1.a:2,");
    assert_eq!(remove(&mut maildrop, &[0]), (1, 0, 0, vec![]));
}

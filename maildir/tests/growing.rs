//! A large size list, to which lines are added: the same unique-ids for everybody
//! who reads it, whatever a crash leaves of it (ledger 332).
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use maildir::Maildrop;
use support::{Mailbox, NOW, unique_ids};

/// Messages of a large maildrop.
const MANY: usize = 300;

fn large() -> Mailbox {
    let mailbox = Mailbox::new();
    for number in 0..MANY {
        mailbox.write(&format!("cur/{}.a:2,", 1_000_000_000 + number), "x");
    }
    mailbox
}

/// Unique-ids by unique name.
fn by_name(maildrop: &Maildrop) -> BTreeMap<String, String> {
    let unique = |name: &[u8]| String::from_utf8_lossy(name).split(':').next().unwrap_or_default().to_owned();
    let one = |place| (unique(maildrop.name(place)), maildrop.unique_id(place).to_string());
    maildrop.places().map(one).collect()
}

#[test]
fn what_is_new_is_added_at_the_end() {
    let mailbox = large();
    mailbox.open();
    let before = mailbox.list();
    let inode = mailbox.list_stamp().0;
    assert!(
        before.starts_with(
            "/3 1301 1800000000\n#postrider:exact-octets:301\n1000000000.a:2, 3 1:1800000000:0\n"
        )
    );
    mailbox.write("new/1500000000.b", "Subject: \u{e9}\n\n");
    mailbox.write("new/0500000000.c", "x");
    let ids = unique_ids(&mailbox.open_at(NOW + 9));
    assert_eq!((ids[0].as_str(), ids[MANY + 1].as_str()), ("UID301-1800000000", "UID302-1800000000"));
    assert_eq!(mailbox.list_stamp().0, inode, "it was written anew");
    let added = "0500000000.c:2, 3 301:1800000000:0\n1500000000.b:2, 15 302:1800000000:1\n";
    assert_eq!(mailbox.list().strip_prefix(&before), Some(added));
    assert_eq!(unique_ids(&mailbox.open_at(NOW + 99)), ids);

    mailbox.remove("cur/1500000000.b:2,");
    mailbox.write("new/1600000000.d", "x");
    let ids = by_name(&mailbox.open());
    assert_eq!(ids["1600000000.d"], "UID303-1800000000");
    assert!(
        mailbox.list().starts_with("/3 1304 1800000000\n#postrider:exact-octets:304\n0500000000.c:2, 3 301:")
    );
}

#[test]
fn when_no_number_is_reserved_the_list_is_written_anew() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,"]);
    mailbox.set_list("/3 9 17\n#postrider:exact-octets:8\n1.a:2, 8 7:17:0\n");
    assert_eq!(unique_ids(&mailbox.open()), ["UID7-17", "UID8-17"]);
    assert_eq!(mailbox.list(), "/3 9 17\n#postrider:exact-octets:8\n1.a:2, 8 7:17:0\n2.b:2, 8 8:17:0\n");
    mailbox.write("new/3.c", "x");
    assert_eq!(unique_ids(&mailbox.open()), ["UID7-17", "UID8-17", "UID9-17"]);
    assert!(mailbox.list().starts_with("/3 10 17\n#postrider:exact-octets\n1.a:2, "));
}

#[test]
fn courier_goes_on_above_every_number_that_was_reserved() {
    let mailbox = Mailbox::with(&["1.a:2,", "2.b:2,", "3.c:2,"]);
    // As Courier writes it when it has added 2.b, the mark left out.
    mailbox.set_list("/3 1009 17\n1.a:2, 8 7:17:0\n2.b:2, 8 1008:17:0\n");
    assert_eq!(unique_ids(&mailbox.open()), ["UID7-17", "UID1008-17", "UID1009-17"]);
}

#[test]
fn wherever_a_crash_has_cut_it_no_unique_id_has_two_messages() {
    let names = ["1.a:2,", "2.b:2,S", "3.c:2,", "4.d:2,"];
    let before = "/3 1000 17\n#postrider:exact-octets:8\n1.a:2, 8 7:17:0\n";
    let whole = format!("{before}2.b:2, 9 8:17:0\n3.c:2, 8 9:17:1\n");
    for end in before.len()..=whole.len() {
        let mailbox = Mailbox::with(&names);
        mailbox.set_list(&whole[..end]);
        let first = mailbox.open();
        let ids = unique_ids(&first);
        assert_eq!(ids[0], "UID7-17");
        assert_eq!(ids.iter().collect::<BTreeSet<_>>().len(), names.len(), "{end}: {ids:?}");
        // Courier believes each line that has all its fields, and so do we.
        for line in whole[..end].lines().skip(2) {
            let [name, _, id] = line.split(' ').collect::<Vec<_>>()[..] else { continue };
            let [uid, validity, ..] = id.split(':').collect::<Vec<_>>()[..] else { continue };
            if !validity.is_empty() {
                let index = names.iter().position(|other| other[..3] == name[..3]).unwrap();
                assert_eq!(ids[index], format!("UID{uid}-{validity}"), "{end}");
            }
        }
        assert_eq!(
            (first.octets(first.place(1).unwrap()), first.is_utf8(first.place(2).unwrap())),
            (9, end == whole.len())
        );
        mailbox.write("new/5.e", "x");
        let later = unique_ids(&mailbox.open_at(NOW + 1));
        assert_eq!(later[..4], ids);
        assert!(!ids.contains(&later[4]), "{end}");
        assert_eq!(unique_ids(&mailbox.open_at(NOW + 2)), later);
    }
}

#[test]
fn who_reads_while_others_add_sees_whole_lines() {
    const SESSIONS: u64 = 4;
    const ROUNDS: u64 = 15;
    let mailbox = large();
    let now = || SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs();
    let inode = {
        mailbox.open_at(now());
        mailbox.list_stamp().0
    };
    let session = |number: u64| {
        let mut seen = BTreeSet::new();
        for round in 0..ROUNDS {
            let name = format!("{}.{number}", 1_100_000_000 + round);
            mailbox.write(&format!("tmp/{name}"), "x");
            fs::rename(mailbox.path(&format!("tmp/{name}")), mailbox.path(&format!("new/{name}"))).unwrap();
            seen.extend(by_name(&mailbox.open_at(now())));
        }
        seen
    };
    let seen: BTreeSet<(String, String)> = thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS).map(|number| scope.spawn(move || session(number))).collect();
        sessions.into_iter().flat_map(|session| session.join().unwrap()).collect()
    });
    let expected = MANY + usize::try_from(SESSIONS * ROUNDS).unwrap();
    assert_eq!(seen.len(), expected, "a message had two unique-ids");
    assert_eq!(seen.iter().map(|(_, id)| id).collect::<BTreeSet<_>>().len(), expected);
    assert_eq!(mailbox.list_stamp().0, inode, "it was written anew");
}

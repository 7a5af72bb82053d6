//! A large listing that goes along with its Maildir: what came, went or was
//! renamed is worked in, whoever did it, and the rest is not read (ledger 334).
#![allow(clippy::unwrap_used, clippy::panic, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::symlink;
use std::thread;
use std::time::{Duration, SystemTime};

use maildir::{Listings, Maildrop};
use support::{Mailbox, unique_ids};

/// Messages of a large maildrop, and more than a change leaves to be read.
const MANY: usize = 600;
const ROOM: usize = 1 << 24;

/// A unique name that two messages have.
const SHARED: &str = "2000000000.a";

struct Place {
    mailbox: Mailbox,
    listings: Listings,
    /// Every unique-id that was seen, by unique name.
    ids: BTreeMap<String, String>,
}

fn name(number: usize) -> String {
    format!("{}.M{number}P1.host", 1_000_000_000 + number)
}

/// Opened, and so known.
fn place() -> Place {
    let mailbox = Mailbox::new();
    for number in 0..MANY {
        mailbox.write(&format!("cur/{}:2,", name(number)), "x");
    }
    let mut place = Place { mailbox, listings: Listings::new(ROOM), ids: BTreeMap::new() };
    place.check("at first");
    place.check("known");
    place
}

impl Place {
    fn open(&self) -> Maildrop {
        let now = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap().as_secs();
        self.mailbox
            .maildir()
            .open_maildrop_known(&self.listings, now, &mut |notice| panic!("{notice}"))
            .unwrap()
    }

    /// Opens it, and finds what is there: all messages in order, each with the
    /// unique-id that it had, or one that none had.
    fn check(&mut self, what: &str) -> Maildrop {
        let maildrop = self.open();
        let names: Vec<String> = maildrop
            .places()
            .map(|place| String::from_utf8_lossy(maildrop.name(place)).into_owned())
            .collect();
        let is_message = |name: &String| {
            let kind = fs::symlink_metadata(self.mailbox.path(&format!("cur/{name}"))).unwrap().file_type();
            kind.is_file() && !name.starts_with('.')
        };
        let mut there: Vec<String> = self.mailbox.names("cur").into_iter().filter(is_message).collect();
        // All numbers are equally long.
        there.sort_by(|one, other| one.split(':').next().cmp(&other.split(':').next()).then(one.cmp(other)));
        assert_eq!(names, there, "{what}");
        let shown = unique_ids(&maildrop);
        assert_eq!(shown.iter().collect::<BTreeSet<_>>().len(), shown.len(), "{what}");
        let used: BTreeSet<String> = self.ids.values().cloned().collect();
        // Which of two that share a unique name is which, nobody can say.
        for (name, id) in names.iter().zip(&shown).filter(|(name, _)| !name.starts_with(SHARED)) {
            let unique = name.split(':').next().unwrap().to_owned();
            match self.ids.get(&unique) {
                Some(known) => assert_eq!(known, id, "{what}: {name}"),
                None => assert!(!used.contains(id), "{what}: {id} again"),
            }
            self.ids.insert(unique, id.clone());
        }
        let lines: String =
            shown.iter().enumerate().map(|(index, id)| format!("{} {id}\r\n", index + 1)).collect();
        assert!(maildrop.unique_id_lines().is_none_or(|listed| listed == lines.as_bytes()), "{what}");
        let octets: String = maildrop
            .places()
            .map(|place| format!("{} {}\r\n", place.index() + 1, maildrop.octets(place)))
            .collect();
        assert!(maildrop.octets_lines().is_none_or(|listed| listed == octets.as_bytes()), "{what}");
        let total: u64 = maildrop.places().map(|place| maildrop.octets(place)).sum();
        assert_eq!(maildrop.total().0, total, "{what}");
        maildrop
    }

    /// Inode of the list: who reads everything writes it anew once a message is gone.
    fn inode(&self) -> u64 {
        self.mailbox.list_stamp().0
    }
}

#[test]
fn what_comes_and_goes_is_worked_in_and_the_list_is_not_written_anew() {
    let mut place = place();
    let inode = place.inode();
    place.mailbox.remove(&format!("cur/{}:2,", name(7)));
    assert_eq!(place.check("one is gone").len(), MANY - 1);
    place.mailbox.write(&format!("new/{}", name(MANY)), "Subject: \u{e9}\n\n");
    place.mailbox.write(&format!("new/{}", name(MANY + 1)), "x\n");
    let maildrop = place.check("two are new");
    assert_eq!(maildrop.octets(maildrop.place(MANY - 1).unwrap()), 15);
    assert!(maildrop.is_utf8(maildrop.place(MANY - 1).unwrap()));
    place.mailbox.write("cur/1000000000.A:2,S", "in the middle");
    place.check("one came to cur/");
    place.mailbox.rename(&format!("cur/{}:2,", name(3)), &format!("cur/{}:2,FS", name(3)));
    place.check("flags");
    assert_eq!(place.inode(), inode, "everything was read");
    let list = place.mailbox.list();
    assert!(list.contains(&name(7)), "everything was read");
    let ends: Vec<&str> = list.lines().rev().take(3).collect();
    assert_eq!(ends[0].split(' ').next(), Some("1000000000.A:2,S"));
    assert!(ends[1].starts_with(&format!("{}:2, 3 ", name(MANY + 1))));
}

#[test]
fn what_a_session_does_itself_is_worked_in_too() {
    let mut place = place();
    let inode = place.inode();
    let mut maildrop = place.check("nothing new");
    for index in [3, 4, 5] {
        maildrop.mark_seen(maildrop.place(index).unwrap()).unwrap();
    }
    place.check("seen");
    assert_eq!(support::remove(&mut maildrop, &[4, 9]), (2, 0, 0, vec![]));
    assert_eq!(place.check("removed").len(), MANY - 2);
    assert_eq!(place.inode(), inode, "everything was read");
}

type Change = fn(&Mailbox);

#[test]
fn whatever_is_done_the_next_session_sees_what_is_there() {
    let changes: [(&str, Change); 16] = [
        ("delivery", |mailbox| mailbox.write("new/2000000000.a", "x")),
        ("two of one unique name", |mailbox| {
            mailbox.write("cur/2000000000.a:2,F", "x");
            mailbox.write("cur/2000000000.a:2,", "y");
        }),
        ("one of them goes", |mailbox| mailbox.remove("cur/2000000000.a:2,F")),
        ("the other goes and comes back", |mailbox| {
            mailbox.rename("cur/2000000000.a:2,", "tmp/a");
            mailbox.rename("tmp/a", "cur/2000000000.a:2,R");
        }),
        ("a name without flags", |mailbox| mailbox.write("cur/2000000001.b", "x")),
        ("gets some", |mailbox| mailbox.rename("cur/2000000001.b", "cur/2000000001.b:2,S")),
        ("loses them", |mailbox| mailbox.rename("cur/2000000001.b:2,S", "cur/2000000001.b")),
        ("an LF", |mailbox| mailbox.write("cur/2000000002.\nc:2,", "x")),
        ("what is no message", |mailbox| {
            fs::create_dir(mailbox.path("cur/2000000003.d:2,")).unwrap();
            symlink("nowhere", mailbox.path("cur/2000000004.e:2,")).unwrap();
            mailbox.write("cur/.hidden", "x");
        }),
        ("becomes one", |mailbox| {
            fs::remove_dir(mailbox.path("cur/2000000003.d:2,")).unwrap();
            mailbox.write("cur/2000000003.d:2,", "x");
            mailbox.rename("cur/.hidden", "cur/2000000005.f:2,");
        }),
        ("a message in the place of another", |mailbox| {
            mailbox.rename("cur/2000000003.d:2,", "cur/2000000005.f:2,");
        }),
        ("a hard link", |mailbox| {
            fs::hard_link(mailbox.path("cur/2000000005.f:2,"), mailbox.path("cur/2000000006.g:2,")).unwrap();
        }),
        ("an exchange", |mailbox| {
            let at = |name: &str| mailbox.path(&format!("cur/{name}"));
            let (one, other) = (at("2000000005.f:2,"), at("2000000006.g:2,"));
            let flags = rustix::fs::RenameFlags::EXCHANGE;
            rustix::fs::renameat_with(rustix::fs::CWD, one, rustix::fs::CWD, other, flags).unwrap();
        }),
        ("more than is noted", |mailbox| {
            for number in 0..6000 {
                let (one, other) = (mailbox.path(&format!("cur/{number}.x")), mailbox.path("cur/.other"));
                fs::write(&one, "").unwrap();
                fs::rename(one, &other).unwrap();
                fs::rename(&other, mailbox.path(&format!("tmp/{number}.y"))).unwrap();
            }
            mailbox.write("cur/2000000007.h:2,", "x");
        }),
        ("another list", |mailbox| {
            mailbox.write("tmp/list", mailbox.list());
            mailbox.rename("tmp/list", "courierpop3dsizelist");
            mailbox.write("new/2000000008.i", "x");
        }),
        ("another cur", |mailbox| {
            mailbox.rename("cur", "old");
            fs::create_dir(mailbox.path("cur")).unwrap();
            mailbox.write("cur/2000000009.j:2,", "x");
        }),
    ];
    // At once, and when everything has settled.
    for pause in [Duration::ZERO, Duration::from_millis(30)] {
        let mut place = place();
        for (what, change) in changes {
            thread::sleep(pause);
            place.check(what);
            change(&place.mailbox);
            place.check(what);
            place.check(what);
        }
    }
}

#[test]
fn processes_that_follow_one_maildrop_agree() {
    let mut place = place();
    let mut other = Listings::new(ROOM);
    for round in 0..40 {
        place.mailbox.write(&format!("new/{}", name(MANY + round)), "x");
        if round % 3 == 0 {
            place.mailbox.remove(&format!("cur/{}:2,", name(round)));
        }
        place.check("one process");
        std::mem::swap(&mut place.listings, &mut other);
        place.check("the other");
    }
}

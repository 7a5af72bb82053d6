//! `kill -9` just before each system call of `courierpop3d`, one after the
//! other, over the whole of a session: opening the maildrop, writing the size
//! list, UPDATE. Whatever the moment, no message is lost that QUIT was not to
//! delete, no unique-id changes, and none is given twice.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod support;

use std::collections::BTreeMap;
use std::fs;
use std::process::Stdio;

use system::kill_at::{self, Ending};

use crate::support::Home;

/// No session makes so many calls; a loop that gets here does not end.
const MOST_CALLS: u64 = 5000;

/// A Maildir before the session that is killed.
struct Scenario {
    /// Files, below the Maildir. Each message has a text of its own.
    files: &'static [(&'static str, &'static str)],
    /// What the client sends.
    script: &'static str,
    /// Subjects of the messages that it deletes.
    deleted: &'static [&'static str],
}

/// Messages by what they say, with their unique-ids.
type Listing = BTreeMap<String, String>;

#[test]
fn a_list_of_ours_and_new_mail() {
    kill_everywhere(&Scenario {
        files: &[
            ("cur/1000000001.a.h:2,", "Subject: a\n\n"),
            ("cur/1000000002.b.h:2,S", "Subject: b\n\n"),
            ("cur/1000000003.c.h:2,", "Subject: c\n\n"),
            ("new/1000000004.d.h", "Subject: d\n\n"),
            (
                "courierpop3dsizelist",
                "/3 8 1795397094\n#postrider:exact-octets\n1000000001.a.h:2, 14 5:1795397094:0\n\
                 1000000002.b.h:2, 14 6:1795397094:0\n1000000003.c.h:2, 14 7:1795397094:0\n",
            ),
        ],
        script: "UIDL\r\nRETR 2\r\nRETR 4\r\nDELE 1\r\nDELE 4\r\nQUIT\r\n",
        deleted: &["a", "d"],
    });
}

#[test]
fn a_list_of_couriers_and_a_quota() {
    kill_everywhere(&Scenario {
        files: &[
            ("cur/1000000001.a.h,S=12:2,", "Subject: a\n\n"),
            ("cur/1000000002.b.h", "Subject: b\n\n"),
            ("new/1000000004.d.h", "Subject: d\n\n"),
            ("maildirsize", "1S,1C\n          12            1\n          24            2\n"),
            (
                "courierpop3dsizelist",
                "/3 19 1795397094\n1000000001.a.h,S=12:2, 14 5:1795397094:0\n\
                 1000000002.b.h 14 18:1795397093:0\n1000000003.gone.h:2, 14 7:1795397094:0\n",
            ),
        ],
        script: "UIDL\r\nRETR 2\r\nDELE 1\r\nQUIT\r\n",
        deleted: &["a"],
    });
}

#[test]
fn the_first_login_ever() {
    kill_everywhere(&Scenario {
        files: &[
            ("new/1000000001.a.h", "Subject: a\n\n"),
            ("new/1000000002.b.h", "Subject: b\n\n"),
            ("cur/1000000003.c.h:2,FS", "Subject: c\n\n"),
        ],
        script: "UIDL\r\nDELE 2\r\nQUIT\r\n",
        deleted: &["b"],
    });
}

#[test]
fn a_list_to_which_new_mail_is_added() {
    kill_everywhere(&Scenario {
        files: &[
            ("cur/1000000001.a.h:2,", "Subject: a\n\n"),
            ("cur/1000000002.b.h:2,S", "Subject: b\n\n"),
            ("new/1000000003.c.h", "Subject: c\n\n"),
            ("new/1000000004.d.h", "Subject: d\n\n"),
            (
                "courierpop3dsizelist",
                "/3 1007 1795397094\n#postrider:exact-octets:7\n1000000001.a.h:2, 14 5:1795397094:0\n\
                 1000000002.b.h:2, 14 6:1795397094:0\n",
            ),
        ],
        script: "UIDL\r\nRETR 2\r\nRETR 4\r\nDELE 1\r\nDELE 4\r\nQUIT\r\n",
        deleted: &["a", "d"],
    });
}

#[test]
fn a_list_that_a_crash_has_cut_short() {
    kill_everywhere(&Scenario {
        files: &[
            ("cur/1000000001.a.h:2,", "Subject: a\n\n"),
            ("cur/1000000002.b.h:2,S", "Subject: b\n\n"),
            ("cur/1000000003.c.h:2,", "Subject: c\n\n"),
            (
                "courierpop3dsizelist",
                "/3 1007 1795397094\n#postrider:exact-octets:6\n1000000001.a.h:2, 14 5:1795397094:0\n\
                 1000000002.b.h:2, 14 6:1795",
            ),
        ],
        script: "UIDL\r\nDELE 1\r\nQUIT\r\n",
        deleted: &["a"],
    });
}

/// Kills the session at its first call, at its second, and so on until it gets
/// through.
fn kill_everywhere(scenario: &Scenario) {
    for nth in 1..MOST_CALLS {
        let home = lay_out(scenario);
        let before = known_before(scenario);
        let mut courierpop3d = home.courierpop3d();
        courierpop3d.stderr(Stdio::null());
        let run = kill_at::run_until(courierpop3d, scenario.script.as_bytes(), nth, kill_at::every).unwrap();
        let context = format!("call {nth}, {:?}", run.ending);
        let heard = unique_ids_heard(&run.stdout);
        let left = texts(&home).len();
        check(&home, scenario, &before, &heard, &context);
        if let Ending::Finished(status) = run.ending {
            assert!(status.success(), "{context}");
            assert!(String::from_utf8_lossy(&run.stdout).ends_with("+OK Bye-bye.\r\n"), "{context}");
            println!("{nth} calls, each survived");
            assert_eq!(left, messages(scenario).len() - scenario.deleted.len(), "{context}");
            return;
        }
    }
    panic!("the session does not end");
}

fn lay_out(scenario: &Scenario) -> Home {
    let home = Home::new().unwrap();
    for (name, text) in scenario.files {
        home.put(name, text.as_bytes()).unwrap();
    }
    home
}

/// What is left must be sound, by the files and by what sessions to come say.
fn check(home: &Home, scenario: &Scenario, before: &Listing, heard: &[String], context: &str) {
    let deleted = |subject: &String| scenario.deleted.contains(&subject.as_str());
    let left = texts(home);
    for subject in messages(scenario).iter().filter(|subject| !deleted(subject)) {
        assert_eq!(left.iter().filter(|text| *text == subject).count(), 1, "{context}: message {subject}");
    }
    let after = listing(home);
    for (subject, id) in &after {
        // A message that was known keeps its unique-id …
        assert!(before.get(subject).is_none_or(|known| known == id), "{context}: {subject} is {id} now");
    }
    // … and one that the killed session has named keeps that name: the order of
    // the messages is that of their subjects.
    for (subject, id) in messages(scenario).iter().zip(heard) {
        assert!(after.get(subject).is_none_or(|now| now == id), "{context}: {subject} was {id} for a client");
    }
    home.put("new/2000000000.z.h", b"Subject: z\n\n").unwrap();
    let later = listing(home);
    let new = later.get("z").expect("new mail is listed");
    let given_before = before.values().chain(heard).chain(after.values());
    assert!(given_before.into_iter().all(|id| id != new), "{context}: {new} is given twice");
    assert!(after.iter().all(|(subject, id)| later.get(subject) == Some(id)), "{context}: ids have changed");
}

/// The unique-ids that the scenario's own size list gives.
fn known_before(scenario: &Scenario) -> Listing {
    let list = scenario.files.iter().find(|(name, _)| *name == "courierpop3dsizelist");
    let lines = list.map_or("", |(_, text)| text).lines();
    let entries = lines.filter_map(|line| {
        let [name, _, ids] = line.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let subject = name.split('.').nth(1)?;
        let mut ids = ids.split(':');
        Some((subject.to_owned(), format!("UID{}-{}", ids.next()?, ids.next()?)))
    });
    entries.collect()
}

/// Subjects of the scenario's messages, in order.
fn messages(scenario: &Scenario) -> Vec<String> {
    let mut subjects: Vec<String> =
        scenario.files.iter().filter_map(|(_, text)| subject(text)).map(str::to_owned).collect();
    subjects.sort();
    subjects
}

fn subject(text: &str) -> Option<&str> {
    text.strip_prefix("Subject: ")?.lines().next()
}

/// Subjects of the messages on disk.
fn texts(home: &Home) -> Vec<String> {
    let mut texts = Vec::new();
    for directory in ["cur", "new"] {
        for entry in fs::read_dir(home.path(directory)).unwrap() {
            let text = fs::read_to_string(entry.unwrap().path()).unwrap();
            texts.push(subject(&text).expect("whole messages only").to_owned());
        }
    }
    texts
}

/// What a session that is not killed lists.
fn listing(home: &Home) -> Listing {
    let replies =
        home.session(&[b"UIDL\r\nTOP 1 0\r\nTOP 2 0\r\nTOP 3 0\r\nTOP 4 0\r\nTOP 5 0\r\nQUIT\r\n"]).unwrap();
    let replies = String::from_utf8(replies).unwrap();
    let subjects = replies.lines().filter_map(subject);
    let ids = unique_ids_heard(replies.as_bytes());
    let listing: Listing = subjects.map(str::to_owned).zip(ids.iter().cloned()).collect();
    assert_eq!(listing.len(), ids.len(), "{replies}");
    listing
}

/// The unique-ids in the replies of a session that may have been cut short.
fn unique_ids_heard(replies: &[u8]) -> Vec<String> {
    let replies = String::from_utf8_lossy(replies);
    let lines = replies.split_inclusive('\n').filter_map(|line| line.strip_suffix("\r\n"));
    lines.filter_map(|line| Some(line.split_once(" UID")?.1)).map(|id| format!("UID{id}")).collect()
}

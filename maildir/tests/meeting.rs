//! Sessions that meet on one Maildir: each message has one unique-id, and no
//! unique-id has two messages.
#![allow(clippy::unwrap_used, clippy::disallowed_methods)]

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::env;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use maildir::{Maildir, Maildrop};
use support::Mailbox;

const SESSIONS: u64 = 4;
const ROUNDS: u64 = 20;

/// The time, as it is: what is in `tmp/` must not look old to others.
fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

/// Unique-ids by what does not change of a name.
type Seen = BTreeSet<(String, String)>;

fn see(maildrop: &Maildrop, seen: &mut Seen) {
    for place in maildrop.places() {
        let name = String::from_utf8_lossy(maildrop.name(place));
        let unique = name.split(':').next().unwrap_or_default().to_owned();
        seen.insert((unique, maildrop.unique_id(place).to_string()));
    }
}

/// Delivers, opens, sets flags and removes, `ROUNDS` times.
fn session(path: &Path, number: u64) -> Seen {
    let mut seen = Seen::new();
    let mut notices = Vec::new();
    for round in 0..ROUNDS {
        let name = format!("{}.{number}.{round}", 1000 + round);
        std::fs::write(path.join("tmp").join(&name), "x").unwrap();
        std::fs::rename(path.join("tmp").join(&name), path.join("new").join(&name)).unwrap();
        let maildir = Maildir::open(path).unwrap();
        let mut maildrop =
            maildir.open_maildrop(now(), &mut |notice| notices.push(notice.to_string())).unwrap();
        see(&maildrop, &mut seen);
        for place in maildrop.places().skip(number as usize).step_by(3) {
            // Another session may have been quicker.
            let _ = maildrop.mark_seen(place);
        }
        if round % 4 == number {
            let _ = maildrop.remove(maildrop.place(0), &mut |_| ());
        }
    }
    assert_eq!(notices, [""; 0]);
    seen
}

/// No name twice, no unique-id twice.
fn agree(all: &Seen) {
    let by_name: BTreeMap<_, _> = all.iter().map(|(name, id)| (name, id)).collect();
    let by_id: BTreeMap<_, _> = all.iter().map(|(name, id)| (id, name)).collect();
    assert_eq!(by_name.len(), all.len(), "a message had two unique-ids: {all:?}");
    assert_eq!(by_id.len(), all.len(), "a unique-id had two messages: {all:?}");
    assert_eq!(all.len() as u64, SESSIONS * ROUNDS);
}

#[test]
fn threads_agree_on_unique_ids() {
    let mailbox = Mailbox::new();
    let path = mailbox.path("");
    let mut all = Seen::new();
    thread::scope(|scope| {
        let sessions: Vec<_> = (0..SESSIONS)
            .map(|number| {
                scope.spawn({
                    let path = &path;
                    move || session(path, number)
                })
            })
            .collect();
        sessions.into_iter().for_each(|session| all.extend(session.join().unwrap()));
    });
    see(&mailbox.open_at(now()), &mut all);
    agree(&all);
}

/// One of the processes of the next test; by itself, a single session.
#[test]
fn one_session_agrees_with_itself() {
    let path = env::var_os("MAILDIR_OF_MANY");
    let number = env::var("MAILDIR_SESSION").map_or(0, |number| number.parse().unwrap());
    let alone = Mailbox::new();
    let seen = session(&path.map_or_else(|| alone.path(""), PathBuf::from), number);
    assert!(!seen.is_empty());
    for (name, id) in seen {
        println!("seen {name} {id}");
    }
}

#[test]
#[allow(clippy::disallowed_types)]
fn processes_agree_on_unique_ids() {
    let mailbox = Mailbox::new();
    let start = |number: u64| {
        std::process::Command::new(env::current_exe().unwrap())
            .args(["--exact", "one_session_agrees_with_itself", "--nocapture"])
            .env("MAILDIR_OF_MANY", mailbox.path(""))
            .env("MAILDIR_SESSION", number.to_string())
            .stdout(std::process::Stdio::piped())
            .spawn()
            .unwrap()
    };
    let started: Vec<_> = (0..SESSIONS).map(start).collect();
    let mut all = Seen::new();
    for session in started {
        let output = session.wait_with_output().unwrap();
        assert!(output.status.success());
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            // The harness prints the test's name on the same line as the first.
            let Some(at) = line.find("seen ") else { continue };
            let mut words = line[at..].split(' ').skip(1).map(str::to_owned);
            all.insert((words.next().unwrap(), words.next().unwrap()));
        }
    }
    see(&mailbox.open_at(now()), &mut all);
    agree(&all);
}

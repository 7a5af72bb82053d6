//! Switching between Courier and postrider on one Maildir, with mail coming
//! and going in between: no client fetches anything twice.
//!
//! (That each program stands in for its namesake is shown by the dialogues,
//! which run on mixed chains too.)

mod built;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;

use testbed::client::Client;
use testbed::dialogue::Side;
use testbed::maildrop::{Change, Entry, Kind, lay_out, names};
use testbed::stand::{Cast, Login, Stand};
use testbed::wire::Wire;
use testbed::{Outcome, courier};

/// Messages at the beginning.
const MESSAGES: usize = 1000;

/// Messages that arrive before each session.
const ARRIVALS: usize = 25;

/// Who serves the sessions, one after the other: all programs at once, there
/// and back, then one program at a time; at last a list of ours to which we have
/// added (ledger 332).
const SESSIONS: [Cast; 14] = [
    Cast::COURIER,
    Cast::OURS,
    Cast::COURIER,
    Cast::OURS,
    Cast { couriertcpd: Side::Ours, ..Cast::COURIER },
    Cast { couriertcpd: Side::Ours, login: Login::Socket, ..Cast::COURIER },
    Cast { courierpop3d: Side::Ours, ..Cast::COURIER },
    Cast::OURS,
    Cast::COURIER,
    Cast::OURS,
    Cast::COURIER,
    Cast::OURS,
    Cast::OURS,
    Cast::COURIER,
];

#[test]
fn unique_ids_survive_every_change_of_programs() -> Outcome {
    if let Some(reason) = courier::missing() {
        return courier::leave_out(&reason);
    }
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir()?;
    testbed::stand::make_public(directory.path())?;
    let programs = built::programs(&directory.path().join("programs"))?;
    // Without authdaemond the mail programs take turns on pipes.
    let authdaemond = courier::missing_authdaemond().is_none();
    let mut stand = Stand::new(&directory.path().join("stand"), &programs, authdaemond)?;
    let entry =
        |number| Entry { path: format!("cur/{}:2,", name(number)), kind: Kind::File(message(number)) };
    let entries: Vec<Entry> = (0..MESSAGES).map(entry).collect();
    lay_out(&stand.account().home, &entries, stand.account().owner)?;

    let mut history = History::default();
    for (session, cast) in SESSIONS.into_iter().enumerate() {
        history.check_session(&mut stand, session, cast, authdaemond).map_err(|fault| {
            let log = fs::read_to_string(stand.log()).unwrap_or_default();
            format!("session {session}, {cast:?}: {fault}\n{log}")
        })?;
    }
    Ok(())
}

/// What is known of one Maildir from all sessions so far.
#[derive(Default)]
struct History {
    /// The unique-id of each message that is there, by its unique name.
    unique_ids: BTreeMap<String, String>,
    /// Every unique-id that was ever seen.
    used: BTreeSet<String>,
}

impl History {
    /// Mail arrives, flags change, a session is held and deletes.
    fn check_session(&mut self, stand: &mut Stand, session: usize, cast: Cast, tcp: bool) -> Outcome {
        arrive_and_flag(stand, session)?;
        let present = present(stand)?;
        let mut chain;
        let wire: Box<dyn Wire> = if tcp {
            chain = stand.chain(cast, &[], &[])?;
            Box::new(chain.connect()?)
        } else {
            Box::new(stand.pipes(cast.courierpop3d, &[])?)
        };
        let mut client = if tcp { Client::log_in(wire)? } else { Client::logged_in(wire)? };
        let listing = client.listing("UIDL")?;
        if listing.len() != present.len() {
            return Err(format!("{} messages, and {} unique-ids", present.len(), listing.len()).into());
        }
        let mut deleted = BTreeSet::new();
        for (index, (name, line)) in present.iter().zip(&listing).enumerate() {
            let number = index + 1;
            let unique_id = line.strip_prefix(&format!("{number} ")).ok_or("UIDL misses a number")?;
            self.check(name, unique_id)?;
            if number % 13 == session {
                client.command(&format!("DELE {number}"))?;
                deleted.insert(name.clone());
            }
        }
        // Every third client goes away without a word, and deletes nothing.
        if session % 3 == 2 {
            return Ok(());
        }
        client.quit()?;
        self.unique_ids.retain(|name, _| !deleted.contains(name));
        let left: BTreeSet<_> = self::present(stand)?.into_iter().collect();
        let wanted: BTreeSet<_> = present.into_iter().filter(|name| !deleted.contains(name)).collect();
        if left == wanted { Ok(()) } else { Err("QUIT left other messages than it should".into()) }
    }

    /// Whether the message called `name` has the unique-id it always had, or
    /// a new one if it is new.
    fn check(&mut self, name: &str, unique_id: &str) -> Outcome {
        match self.unique_ids.get(name) {
            Some(known) if known == unique_id => Ok(()),
            Some(known) => Err(format!("{name} was {known} and is now {unique_id}").into()),
            None if self.used.contains(unique_id) => Err(format!("{unique_id} is given twice").into()),
            None => {
                self.used.insert(unique_id.to_owned());
                self.unique_ids.insert(name.to_owned(), unique_id.to_owned());
                Ok(())
            }
        }
    }
}

/// New mail in `new`, and here and there a flag in `cur`.
fn arrive_and_flag(stand: &Stand, session: usize) -> Outcome {
    let (maildir, owner) = (stand.account().maildir(), stand.account().owner);
    for number in 0..ARRIVALS {
        let number = MESSAGES + session * ARRIVALS + number;
        Change::Write(format!("new/{}", name(number)), message(number)).apply(&maildir, owner)?;
    }
    for name in names(&maildir.join("cur"))?.iter().skip(session).step_by(31) {
        let flagged =
            if name.ends_with('F') { name.trim_end_matches('F').to_owned() } else { format!("{name}F") };
        Change::Rename(format!("cur/{name}"), format!("cur/{flagged}")).apply(&maildir, owner)?;
    }
    Ok(())
}

/// The unique names of all messages, in the order of their message-numbers.
fn present(stand: &Stand) -> Outcome<Vec<String>> {
    let maildir = stand.account().maildir();
    let mut present = [names(&maildir.join("cur"))?, names(&maildir.join("new"))?].concat();
    present.iter_mut().for_each(|name| name.truncate(name.find(':').unwrap_or(name.len())));
    present.sort_unstable();
    Ok(present)
}

/// Names that sort as Courier sorts them, since all numbers are equally long.
fn name(number: usize) -> String {
    format!("{}.M{number}P1.host", 1_500_000_000 + number)
}

fn message(number: usize) -> Vec<u8> {
    format!("From: a@example.com\nSubject: message {number}\n\n{}\n", "x".repeat(number % 97)).into_bytes()
}

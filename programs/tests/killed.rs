//! Each process of the service is killed at each moment of a session: who is not
//! its client goes on, it is replaced, and no mail is lost.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::net::TcpStream;
use std::os::unix::fs::chown;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::client::Client;

use house::{House, children};

/// Where a session is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Phase {
    BeforeLogin,
    /// A worker has been asked, and does not answer.
    Asked,
    /// The monitor has been shown the ticket, and does not look at it.
    Shown,
    /// A message is marked.
    InSession,
    /// QUIT has been said, and a message is marked.
    Quitting,
}

/// Who is killed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Front,
    Auth,
    Worker,
    Mailbox,
}

impl Victim {
    fn pids(self, house: &mut House) -> Vec<i32> {
        let pids = match self {
            Victim::Front => house.processes("postrider-front"),
            Victim::Auth => house.processes("postrider-auth"),
            Victim::Mailbox => house.processes("postrider-mailbox"),
            Victim::Worker => {
                let auth = house.processes("postrider-auth")[0];
                // They are started by way of /proc/self/exe.
                children(auth.cast_unsigned(), "exe")
            }
        };
        assert!(!pids.is_empty(), "{self:?}");
        pids
    }
}

const PHASES: [Phase; 5] =
    [Phase::BeforeLogin, Phase::Asked, Phase::Shown, Phase::InSession, Phase::Quitting];

fn signal(pids: &[i32], signal: Signal) {
    for pid in pids {
        // A stopped process may have been killed meanwhile.
        let _it_has_gone = kill(Pid::from_raw(*pid), signal);
    }
}

/// Puts one message into the maildrop, in the place of what is there.
fn deliver(house: &House) {
    let (maildir, (uid, gid)) = (house.stand.account().maildir(), house.stand.account().owner);
    for entry in fs::read_dir(maildir.join("cur")).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    let path = maildir.join("new/2.message");
    fs::write(&path, "Subject: two\n\nhello\n").unwrap();
    if nix::unistd::geteuid().is_root() {
        chown(path, Some(uid), Some(gid)).unwrap();
    }
}

/// A client that has come to `phase`, and whom to wake up after it.
fn come_to(house: &mut House, phase: Phase) -> (Client<TcpStream>, Vec<i32>) {
    let stream = house.service.connect().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut client = Client::greeted(stream).unwrap();
    client.command("USER alice").unwrap();
    let asleep = match phase {
        Phase::BeforeLogin => return (client, Vec::new()),
        Phase::Asked => Victim::Worker.pids(house),
        Phase::Shown => vec![house.service.pid().cast_signed()],
        Phase::InSession | Phase::Quitting => Vec::new(),
    };
    signal(&asleep, Signal::SIGSTOP);
    client.say("PASS secret").unwrap();
    if asleep.is_empty() {
        assert!(client.line().unwrap().starts_with("+OK"));
        client.command("DELE 1").unwrap();
    } else {
        // Time enough to get that far; where it was not, it is an earlier moment.
        thread::sleep(Duration::from_millis(100));
    }
    if phase == Phase::Quitting {
        client.say("QUIT").unwrap();
    }
    (client, asleep)
}

/// What the client still hears, until its connection ends.
fn last_words(mut client: Client<TcpStream>, phase: Phase) -> Vec<String> {
    if phase != Phase::Quitting {
        let _it_may_have_ended = client.say("QUIT");
    }
    std::iter::from_fn(|| client.line().ok()).collect()
}

/// Waits until those who were killed are gone for good and others have come.
fn await_successors(house: &mut House, victim: Victim, killed: &[i32]) {
    let end = Instant::now() + PATIENCE;
    while victim.pids(house).iter().any(|pid| killed.contains(pid)) {
        assert!(Instant::now() < end, "{victim:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

fn kill_in_all_phases(victim: Victim) {
    let mut house = House::new();
    for phase in PHASES {
        house.log_in_again().quit().unwrap();
        deliver(&house);
        let mut other = house.log_in_again();
        let (client, asleep) = come_to(&mut house, phase);
        let killed = victim.pids(&mut house);
        signal(&killed, Signal::SIGKILL);
        signal(&asleep, Signal::SIGCONT);
        let said = last_words(client, phase);
        if victim != Victim::Mailbox {
            assert_eq!(other.command("NOOP").unwrap(), "+OK Yup.", "{victim:?} {phase:?}");
        }
        drop(other);
        let mut again = house.log_in_again();
        let there = again.command("STAT").unwrap();
        let was_marked = matches!(phase, Phase::InSession | Phase::Quitting);
        let promised = was_marked && said.iter().any(|line| line.starts_with("+OK Bye"));
        match there.split(' ').nth(1) {
            Some("1") => assert!(!promised, "{victim:?} {phase:?}: {said:?}"),
            Some("0") => assert!(was_marked, "{victim:?} {phase:?}: {said:?}"),
            _ => assert_eq!(there, "", "{victim:?} {phase:?}"),
        }
        again.quit().unwrap();
        await_successors(&mut house, victim, &killed);
    }
}

#[test]
fn a_front_may_be_killed_at_any_moment() {
    kill_in_all_phases(Victim::Front);
}

#[test]
fn auth_may_be_killed_at_any_moment() {
    kill_in_all_phases(Victim::Auth);
}

#[test]
fn workers_of_auth_may_be_killed_at_any_moment() {
    kill_in_all_phases(Victim::Worker);
}

#[test]
fn a_mailbox_process_may_be_killed_at_any_moment() {
    kill_in_all_phases(Victim::Mailbox);
}

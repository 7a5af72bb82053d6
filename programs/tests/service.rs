//! `postrider serve` as a whole: whose processes there are, what happens when
//! one of them ends, and that nobody waits for somebody else.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::Command;
use std::thread;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;

use house::{House, end};

/// The real, effective, saved and file system ids of a process.
fn ids(pid: i32, field: &str) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix(field)).unwrap();
    line.split_whitespace().map(|id| id.parse().unwrap()).collect()
}

#[test]
fn who_reads_mail_or_hears_strangers_is_not_root() {
    let mut house = House::new();
    let client = house.log_in_again();
    let (uid, gid) = house.stand.account().owner;
    for pid in house.processes("postrider-mailbox") {
        assert_eq!((ids(pid, "Uid:"), ids(pid, "Gid:")), (vec![uid; 4], vec![gid; 4]));
        assert!(!ids(pid, "Groups:").contains(&0));
    }
    let fronts = house.processes("postrider-front");
    assert!(!fronts.is_empty());
    for pid in fronts {
        assert!(!ids(pid, "Uid:").contains(&0) && !ids(pid, "Gid:").contains(&0));
        assert!(!ids(pid, "Groups:").contains(&0));
    }
    client.quit().unwrap();
}

#[test]
fn sessions_outlive_the_processes_that_let_them_in() {
    let mut house = House::new();
    let mut client = house.log_in_again();
    for name in ["postrider-front", "postrider-auth"] {
        let pids = house.processes(name);
        assert!(!pids.is_empty(), "{name}");
        end(&pids);
        assert_eq!(client.command("STAT").unwrap(), "+OK 1 23", "{name}");
        house.log_in_again().quit().unwrap();
    }
    client.quit().unwrap();
}

#[test]
fn a_mailbox_process_that_ends_takes_its_own_sessions_along_and_is_replaced() {
    let mut house = House::new();
    let mut client = house.log_in_again();
    client.command("DELE 1").unwrap();
    end(&house.processes("postrider-mailbox"));
    assert!(client.command("NOOP").is_err());
    let mut again = house.log_in_again();
    assert_eq!(again.command("STAT").unwrap(), "+OK 1 23");
    again.quit().unwrap();
}

#[test]
fn a_thousand_strangers_who_say_nothing_hold_up_nobody() {
    let mut house = House::new();
    let mut strangers = Vec::new();
    for number in 0..1000 {
        let mut stranger = house.service.connect().unwrap();
        stranger.write_all(&b"USER alice\r\nPA"[..number % 14]).unwrap();
        strangers.push(stranger);
    }
    for _ in 0..20 {
        house.log_in_again().quit().unwrap();
    }
    // They are still there.
    for stranger in &mut strangers {
        stranger.set_read_timeout(Some(PATIENCE)).unwrap();
        let mut greeting = [0; 3];
        stranger.read_exact(&mut greeting).unwrap();
        assert_eq!(&greeting, b"+OK");
    }
}

#[test]
fn a_thousand_who_leave_before_they_are_let_in_hold_up_nobody() {
    let mut house = House::new();
    for _ in 0..1000 {
        // Its greeting is not read: the connection is reset, and its ticket shown to nobody.
        house.service.connect().unwrap().write_all(b"USER alice\r\nPASS secret\r\n").unwrap();
    }
    for _ in 0..20 {
        house.log_in_again().quit().unwrap();
    }
    assert!(!house.log().contains("ERR: "), "{}", house.log());
}

#[test]
fn where_descriptors_are_few_the_oldest_stranger_goes_and_logins_succeed() {
    let mut house = House::new();
    house.log_in_again().quit().unwrap();
    let few_descriptors = |program| {
        let mut command = Command::new("/bin/sh");
        command.args(["-c", "ulimit -n 140 && exec \"$0\" \"$@\""]).arg(program);
        command
    };
    let mut house = house.served_by(few_descriptors, &[], &[]);
    let strangers: Vec<_> = (0..300).map(|_| house.service.connect().unwrap()).collect();
    for _ in 0..5 {
        house.log_in_again().quit().unwrap();
    }
    drop(strangers);
    assert!(!house.log().contains("accept: "), "{}", house.log());
}

#[test]
fn a_client_that_does_not_read_holds_up_nobody_and_gets_everything() {
    let text = "a line of a message that is long enough\n".repeat(500_000);
    let mut house = House::with_message(text.as_bytes());
    let mut slow = house.log_in_again();
    slow.say("RETR 1").unwrap();
    let mut other = house.log_in_again();
    for _ in 0..10 {
        other.command("NOOP").unwrap();
    }
    other.quit().unwrap();
    assert_eq!(slow.line().unwrap(), "+OK 20500000 octets follow.");
    for _ in 0..500_000 {
        assert_eq!(slow.line().unwrap(), "a line of a message that is long enough");
    }
    assert_eq!(slow.line().unwrap(), ".");
    slow.quit().unwrap();
}

#[test]
fn on_sigterm_who_is_logged_in_may_finish() {
    let mut house = House::new();
    let mut client = house.log_in_again();
    client.command("DELE 1").unwrap();
    let pid = i32::try_from(house.service.pid()).unwrap();
    kill(Pid::from_raw(pid), Signal::SIGTERM).unwrap();
    // Nobody else is let in.
    let end = Instant::now() + PATIENCE;
    while TcpStream::connect(house.service.address()).is_ok() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    client.quit().unwrap();
    let cur = house.stand.account().maildir().join("cur");
    assert_eq!(fs::read_dir(cur).unwrap().count(), 0);
    while house.service.ended().unwrap().is_none() && Instant::now() < end {
        thread::sleep(Duration::from_millis(10));
    }
    assert!(house.service.ended().unwrap().unwrap().success(), "{}", house.log());
}

//! How `postrider serve` ends where somebody is in the midst of something.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs;
use std::process::Command;

use house::House;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::PATIENCE;
use testbed::process::Running;

/// A service whose sessions have so many seconds after SIGTERM, with a message of
/// so many lines that no buffer holds it.
fn house(farewell: &str) -> House {
    let message = format!("Subject: long\n\n{}", format!("{}\n", "x".repeat(99)).repeat(LINES));
    let mut house = House::with_message(message.as_bytes()).served(&[("POSTRIDER_FAREWELL", farewell)], &[]);
    house.await_ready();
    house
}

const LINES: usize = 400_000;

fn terminate(house: &mut House) {
    kill(Pid::from_raw(house.service.pid().cast_signed()), Signal::SIGTERM).unwrap();
    house.await_log("INFO: shutting down");
}

#[test]
fn a_slow_reader_has_his_message_to_its_end_within_the_time_of_the_farewell() {
    let mut house = house("3600");
    let mut slow = house.log_in().unwrap();
    slow.command("RETR 1").unwrap();
    terminate(&mut house);
    let mut heard = 0;
    loop {
        match slow.line().unwrap().as_str() {
            "." => break,
            text => heard += usize::from(text.starts_with("xxx")),
        }
    }
    assert_eq!(heard, LINES);
    slow.quit().unwrap();
    assert!(house.ended().success());
}

#[test]
fn behind_that_time_a_message_that_nobody_takes_breaks_off_and_is_no_whole_one() {
    let mut house = house("1");
    let mut slow = house.log_in().unwrap();
    slow.command("DELE 1").unwrap();
    slow.command("RSET").unwrap();
    slow.command("RETR 1").unwrap();
    terminate(&mut house);
    assert!(house.ended().success());
    while let Ok(line) = slow.line() {
        assert_ne!(line, ".");
    }
    assert_eq!(fs::read_dir(house.stand.account().maildir().join("cur")).unwrap().count(), 1);
}

#[test]
fn a_demonstration_ends_with_its_terminal() {
    let house = House::new();
    let log = house.accounts().1.with_extension("demo");
    let mut demo = Command::new(house.program());
    let mut demo = Running::start_logging(demo.args(["serve", "--demo"]), &log).unwrap();
    let pid = demo.child().id();
    let ready = format!("INFO: ready, pid={pid}");
    let is_ready = || Ok(fs::read_to_string(&log)?.contains(&ready).then_some(()));
    demo.await_answer("postrider", &log, is_ready).unwrap();
    kill(Pid::from_raw(pid.cast_signed()), Signal::SIGHUP).unwrap();
    let ended = demo.wait(PATIENCE).unwrap();
    let said = fs::read_to_string(&log).unwrap();
    assert!(ended.is_some_and(|status| status.success()), "{said}");
    assert!(said.contains("INFO: shutting down") && !said.contains("read again"), "{said}");
}

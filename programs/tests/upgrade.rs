//! `postrider upgrade`: another program goes on with the service.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Command, Output};

use house::House;
use testbed::client::Client;
use testbed::tls::Tls;

/// A word to the service in a house. Whoever serves there ends with this.
struct Word {
    program: PathBuf,
    directory: PathBuf,
}

impl Word {
    fn to(house: &House) -> Word {
        let program = house.program().with_file_name("word");
        testbed::process::install(&house.program(), &program).unwrap();
        Word { program, directory: house.accounts().0 }
    }

    fn say(&self, word: &str) -> Output {
        Command::new(&self.program).arg(word).arg("--directory").arg(&self.directory).output().unwrap()
    }

    /// What a word that must succeed has printed.
    fn good(&self, word: &str) -> String {
        let output = self.say(word);
        assert!(output.status.success(), "{output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// What one that must fail has.
    fn bad(&self, word: &str) -> String {
        let output = self.say(word);
        assert!(!output.status.success(), "{output:?}");
        String::from_utf8(output.stderr).unwrap()
    }

    /// What the status says of `word`.
    fn status(&self, word: &str) -> Vec<String> {
        let status = self.good("status");
        let lines = status.lines().filter_map(|line| line.strip_prefix(word)?.strip_prefix(": "));
        lines.map(str::to_owned).collect()
    }

    fn pid(&self) -> String {
        self.status("pid").remove(0)
    }
}

impl Drop for Word {
    fn drop(&mut self) {
        self.say("stop");
    }
}

#[test]
fn another_process_goes_on_while_people_log_in_and_nobody_notices() {
    let house = House::new();
    let certificates = house.certificates();
    let mut house = house.served_with(&certificates, &[], &[]);
    house.await_ready();
    let word = Word::to(&house);
    let mut session = house.log_in().unwrap();
    let tls = Tls::begin(house.service.connect_for_tls().unwrap(), &certificates).unwrap();
    let mut session_inside_tls = Client::log_in(tls).unwrap();
    let mut halfway = Client::greeted(house.service.connect().unwrap()).unwrap();
    halfway.command("USER alice").unwrap();
    let first = word.pid();
    assert_eq!(first, house.service.pid().to_string());
    let (before, mut pids) = (word.status("listening"), vec![first]);
    let sessions = house.while_people_log_in(&certificates, |_| {
        for _ in 0..3 {
            let said = word.good("upgrade");
            pids.push(word.pid());
            assert_eq!(said, format!("process {} serves now\n", pids.last().unwrap()));
        }
    });
    assert!(sessions > 0);
    pids.dedup();
    assert_eq!(pids.len(), 4);
    assert_eq!(word.status("listening"), before);
    // The first process is there for its sessions, and ends with the last one.
    assert!(house.service.ended().unwrap().is_none());
    halfway.command("PASS secret").unwrap();
    for client in [&mut session, &mut halfway] {
        assert!(client.command("STAT").unwrap().starts_with("+OK 1 "));
    }
    assert!(session_inside_tls.command("STAT").unwrap().starts_with("+OK 1 "));
    session_inside_tls.quit().unwrap();
    halfway.quit().unwrap();
    session.quit().unwrap();
    assert!(house.ended().success());
    house.log_in().unwrap().quit().unwrap();
    // The new ones can be told what the first one could.
    assert!(word.good("reload").contains("in force"));
}

#[test]
fn a_new_program_that_does_not_serve_is_ended_and_the_old_one_goes_on() {
    let house = House::new();
    let certificates = house.certificates();
    let mut house = house.served_with(&certificates, &[("POSTRIDER_READY_WITHIN", "2")], &[]);
    house.await_ready();
    let (word, program) = (Word::to(&house), house.program());
    let pid = word.pid();
    let replaced = |text: &str| {
        let new = program.with_file_name("new");
        fs::write(&new, text).unwrap();
        fs::set_permissions(&new, Permissions::from_mode(0o755)).unwrap();
        fs::rename(&new, &program).unwrap();
    };
    let sessions = house.while_people_log_in(&certificates, |_| {
        for (new, why) in [
            ("#!/bin/sh\nexit 0\n", "the new program has ended"),
            ("#!/bin/sh\nexec sleep 600\n", "the new program does not serve after 4 s"),
            ("#!/bin/sh\necho nonsense >&3\nexec sleep 600\n", "the new program talks nonsense"),
        ] {
            replaced(new);
            let said = word.bad("upgrade");
            assert!(said.contains(why), "{said}");
        }
        fs::remove_file(&program).unwrap();
        let said = word.bad("upgrade");
        assert!(said.contains("No such file or directory"), "{said}");
        testbed::process::install(&word.program, &program).unwrap();
        // It has the program, but not the settings.
        let authdaemonrc = word.directory.join("authdaemonrc");
        fs::write(&authdaemonrc, "authmodulelist=\"authnobody\"\ndaemons=2\n").unwrap();
        let said = word.bad("upgrade");
        assert!(said.contains("the service stays as it is: ") && said.contains("authnobody"), "{said}");
        fs::remove_file(&authdaemonrc).unwrap();
        assert_eq!(word.pid(), pid);
    });
    assert!(sessions > 0);
    word.good("upgrade");
    assert_ne!(word.pid(), pid);
    assert!(house.ended().success());
    house.log_in().unwrap().quit().unwrap();
}

#[test]
fn the_end_of_the_new_process_is_that_of_the_old_one() {
    let mut house = House::new().served(&[("POSTRIDER_FAREWELL", "1")], &[]);
    house.await_ready();
    let word = Word::to(&house);
    let mut session = house.log_in().unwrap();
    word.good("upgrade");
    session.command("NOOP").unwrap();
    assert_eq!(word.status("before this"), ["a process that finishes its sessions"]);
    word.good("stop");
    assert!(house.ended().success());
    assert!(session.line().is_err());
}

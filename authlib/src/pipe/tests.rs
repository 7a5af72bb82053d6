//! Programs that answer, and such as do not.

use super::Pipe;
use crate::module::{Changed, Client, Module, PasswordChange};
use crate::{Record, Verdict};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::time::Duration;

/// A module that is the shell script `script`.
fn program(script: &str) -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("authProg");
    // Written by another process: a file that this one has open for writing
    // while a test beside this one forks cannot be executed.
    let text = directory.path().join("text");
    fs::write(&text, format!("#!/bin/sh\n{script}\n")).unwrap();
    assert!(std::process::Command::new("cp").args([&text, &path]).status().unwrap().success());
    fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    (directory, path)
}

fn ask(pipe: &mut Pipe) -> Verdict {
    let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
    pipe.authenticate(&record, &Client::at(b"::1").unwrap())
}

const ALICE: &str = "UID=5\\nGID=6\\nHOME=/h\\nADDRESS=alice\\n.\\n";

#[test]
fn one_program_answers_many_questions_in_turn() {
    let script = format!(
        "while read word rest; do case \"$word\" in
                AUTH) read a; read b; read c; read d
                      [ \"$a$b$c$d\" = pop3loginalicesecret ] && printf '{ALICE}' || echo FAIL;;
                PRE) printf \"UID=5\\nGID=6\\nHOME=/h\\nADDRESS=$$\\n.\\n\";;
                PASSWD) echo OK;;
                ENUMERATE) printf 'a\\t1\\t2\\t/h\\t\\t\\nb\\t1\\t2\\t/h\\tM\\n.\\n';;
                *) echo nonsense;;
            esac; done"
    );
    let (_directory, path) = program(&script);
    let mut pipe = Pipe::foreign(path);
    assert!(matches!(ask(&mut pipe), Verdict::Accept(_)));
    let wrong = Record::login(b"pop3", b"alice", b"wrong").unwrap();
    assert!(matches!(pipe.authenticate(&wrong, &Client::default()), Verdict::Reject));
    let mut pid = || match pipe.look_up(b"pop3", b"alice", &Client::default()) {
        Verdict::Accept(account) => account.address,
        other => panic!("{other:?}"),
    };
    assert_eq!(pid(), pid());
    let change = PasswordChange::new(b"pop3", b"alice", b"secret", b"new").unwrap();
    assert_eq!(pipe.change_password(&change), Changed::Done);
    let mut names = Vec::new();
    pipe.enumerate(&mut |entry| {
        names.push(entry.name.clone());
        true
    })
    .unwrap();
    assert_eq!(names, [b"a", b"b"]);
    assert!(matches!(ask(&mut pipe), Verdict::Accept(_)));
}

#[test]
fn our_programs_hear_who_the_client_is_and_may_say_that_they_cannot_tell() {
    let (_directory, path) = program(
        "[ \"$POSTRIDER_PIPE\" = 1 ] || exit 1
             while read line; do [ \"$line\" = TCPREMOTEIP=::1 ] || exit 1
             read line; read a; read b; read c; read d; echo UNAVAILABLE; done",
    );
    let mut pipe = Pipe::ours("authsome", path);
    for _ in 0..3 {
        let Verdict::Unavailable(reason) = ask(&mut pipe) else { panic!() };
        assert_eq!(reason.to_string(), "cannot tell");
    }
    assert_eq!(pipe.name(), "authsome");
}

#[test]
fn whatever_it_does_wrong_is_unavailable_and_the_next_question_starts_it_anew() {
    let once = |wrong: &str| {
        format!(
            "if [ ! -e \"$0.once\" ]; then : > \"$0.once\"; read x; {wrong}\nfi\n\
                 read x; read a; read b; read c; read d; printf '{ALICE}'; read x"
        )
    };
    for (wrong, said) in [
        ("exit 0", "has ended without an answer"),
        ("printf 'UID=5\\nGID=6\\n'; exit 0", "has ended without an answer"),
        ("printf 'UID=5\\nGID=6\\n'; sleep 60", "does not answer in time"),
        ("sleep 60", "does not answer in time"),
        ("exec yes", "the answer has no end"),
        ("printf 'FAIL\\nFAIL\\n'; sleep 60", "does not answer in time"),
        ("printf 'UID=0\\nGID=6\\nHOME=/\\nADDRESS=x\\n.\\n'; exit", "nobody's mail is read with root's ids"),
        ("kill -9 $$", "has ended without an answer"),
    ] {
        let (_directory, path) = program(&once(wrong));
        let mut pipe = Pipe::foreign(path).with_patience(Duration::from_millis(700));
        let Verdict::Unavailable(reason) = ask(&mut pipe) else { panic!("{wrong}") };
        assert!(reason.to_string().ends_with(said), "{wrong}: {reason}");
        let mut pipe = pipe.with_patience(Duration::from_secs(60));
        assert!(matches!(ask(&mut pipe), Verdict::Accept(_)), "{wrong}");
    }
}

#[test]
fn what_it_says_unasked_is_no_answer() {
    let (_directory, path) = program(
        "read x; read a; read b; read c; read d; echo FAIL; sleep 0.1\n\
             printf 'UID=7\\nGID=7\\nHOME=/h\\nADDRESS=mallory\\n.\\n'; read x; sleep 1",
    );
    let mut pipe = Pipe::foreign(path);
    assert!(matches!(ask(&mut pipe), Verdict::Reject));
    std::thread::sleep(Duration::from_millis(500));
    assert!(matches!(ask(&mut pipe), Verdict::Reject));
}

#[test]
fn a_program_that_is_not_there_is_asked_for_again_later() {
    let (directory, path) =
        program(&format!("read x; read a; read b; read c; read d; printf '{ALICE}'; read x"));
    let away = directory.path().join("away");
    fs::rename(&path, &away).unwrap();
    let mut pipe = Pipe::foreign(path.clone());
    let Verdict::Unavailable(reason) = ask(&mut pipe) else { panic!() };
    assert!(reason.to_string().ends_with("authProg: No such file or directory"), "{reason}");
    fs::rename(&away, &path).unwrap();
    assert!(matches!(ask(&mut pipe), Verdict::Accept(_)));
}

#[test]
fn a_list_that_breaks_off_or_is_no_list_is_unavailable() {
    for list in ["a\\t1\\t2\\t/h\\t\\t\\n", "nonsense\\n.\\n", ""] {
        let (_directory, path) = program(&format!("read x; printf '{list}'"));
        assert!(Pipe::foreign(path).enumerate(&mut |_| true).is_err(), "{list}");
    }
}

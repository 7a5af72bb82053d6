//! Unknown user, wrong password and locked account take the same time: asked in
//! this process, and over authdaemond's socket.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::path::Path;
use std::sync::{Mutex, MutexGuard, PoisonError};

use authlib::cram::Proof;
use authlib::daemon::{Daemon, Timeouts};
use authlib::hmac_state::Hash;
use authlib::passwd::Passwd;
use authlib::userdb::Userdb;
use authlib::{Client, Module, Record, Verdict};
use testbed::Outcome;
use testbed::authdaemond::OurAuthdaemond;
use testbed::stopwatch::look_alike;

/// Accounts of every kind that no wrong password opens. The hash takes some
/// milliseconds, more than a busy machine's noise, so that one that is not computed
/// would show.
fn accounts() -> String {
    let hash = "$2b$07$abcdefghijklmnopqrstuuOQiyCxlgf/oeuTqixKmWdcYUh4Hjl0a";
    let cram = "hmac-md5pw=cd3ba7deaad6e5ca23448ba42e379747a9e0f7f1fbc00c8a81bbaac395731b56";
    let ids = "uid=5000|gid=5000|home=/h";
    let others: String =
        (0..50).map(|number| format!("other{number}\t{ids}|systempw={hash}|{cram}\n")).collect();
    format!(
        "alice\t{ids}|systempw={hash}|{cram}\nlocked\t{ids}|systempw=*|hmac-md5pw=*\nno-pop3\t{ids}|imappw={hash}\n\
         disabled\t{ids}|systempw={hash}|{cram}|options=disablepop3=1\n{others}"
    )
}

/// Accounts that nobody gets into with a wrong password: one that is not
/// there, and each kind of those that are.
const USERS: [&str; 5] = ["alice", "nobody", "locked", "no-pop3", "disabled"];

fn password(user: &str) -> Record {
    Record::login(b"pop3", user.as_bytes(), b"wrong").unwrap()
}

fn proof(user: &str) -> Record {
    let response = format!("{user} {}", "0".repeat(32));
    Record::proof(b"pop3", &Proof::new(Hash::Md5, b"<1@host>", response.as_bytes()).unwrap()).unwrap()
}

/// Finds that `module` rejects all `users` after the same time.
fn rejects_alike(module: &mut dyn Module, record: fn(&str) -> Record, users: &[&str]) -> Outcome {
    let module = std::cell::RefCell::new(module);
    let ask = |user: &str| -> Outcome {
        match module.borrow_mut().authenticate(&record(user), &Client::default()) {
            Verdict::Reject => Ok(()),
            other => Err(format!("{user}: {other:?}").into()),
        }
    };
    let mut runs: Vec<_> = users.iter().map(|user| (*user, move || ask(user))).collect();
    look_alike(&mut runs.iter_mut().map(|(user, run)| (*user, run as _)).collect::<Vec<_>>())
}

/// A userdb of these accounts, and an authdaemond that is not running.
fn data_base() -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let program = Path::new(env!("CARGO_BIN_EXE_authdaemond"));
    let daemon = OurAuthdaemond::new(program, directory.path()).unwrap();
    daemon.install(&accounts(), Path::new(env!("CARGO_BIN_EXE_makeuserdb"))).unwrap();
    (directory, daemon)
}

/// One stopwatch at a time: they would disturb each other.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

#[test]
fn userdb_rejects_after_the_same_time() {
    let (_alone, (_directory, daemon)) = (alone(), data_base());
    let mut userdb = Userdb::of(&daemon.configuration().join("userdb"));
    rejects_alike(&mut userdb, password, &USERS).unwrap();
    rejects_alike(&mut userdb, proof, &USERS).unwrap();
}

#[test]
fn authdaemond_rejects_after_the_same_time() {
    let (_alone, (_directory, mut daemon)) = (alone(), data_base());
    daemon.start("authmodulelist=authuserdb\ndaemons=1\nPOSTRIDER_FAILURES=0\n").unwrap();
    daemon.rejects_alike(&USERS).unwrap();
    let mut socket = Daemon::on(daemon.socket(), Timeouts::default());
    rejects_alike(&mut socket, proof, &USERS).unwrap();
}

#[test]
fn the_machines_own_users_are_rejected_after_the_same_time() {
    let _alone = alone();
    let users = ["no-such-user-here", "nobody"];
    rejects_alike(&mut Passwd::authpwd(), password, &users).unwrap();
    if system::user::is_root() {
        rejects_alike(&mut Passwd::authshadow(), password, &users).unwrap();
    }
}

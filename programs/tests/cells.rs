//! The table of docs/authentication.md, as far as the modules of this package
//! are concerned; and what clients hear where such a module is the only one of
//! a chain.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;
use std::thread;

use testbed::cells::{Cells, Place};
use testbed::client::Client;
use testbed::courier::leave_out;
use testbed::machine::{self, Machine};

/// Of the password `secret`.
const HASH: &str = "$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1";

#[test]
fn authuserdb() {
    let cells = Cells::of(Path::new(env!("CARGO_BIN_EXE_authuserdb"))).unwrap();
    let userdb = cells.configuration().join("userdb");
    fs::write(&userdb, cells.account().record(&["pop3pw={PLAIN}secret".to_owned()])).unwrap();
    fs::set_permissions(&userdb, Permissions::from_mode(0o600)).unwrap();
    let status = Command::new(env!("CARGO_BIN_EXE_makeuserdb")).arg("-f").arg(&userdb).status().unwrap();
    assert!(status.success());
    cells.play().unwrap();
}

#[test]
fn authpwd() {
    if let Some(cells) = with_users(env!("CARGO_BIN_EXE_authpwd"), HASH) {
        cells.play().unwrap();
    }
}

#[test]
fn authshadow() {
    if let Some(cells) = with_users(env!("CARGO_BIN_EXE_authshadow"), "x") {
        cells.play().unwrap();
    }
}

#[test]
fn authpipe() {
    with_program().play().unwrap();
}

#[test]
fn authcustom() {
    Cells::of(Path::new(env!("CARGO_BIN_EXE_authcustom"))).unwrap().play().unwrap();
}

#[test]
fn authpwd_in_a_chain() {
    if let Some(cells) = with_users(env!("CARGO_BIN_EXE_authpwd"), HASH) {
        each_verdict_is_heard(cells);
    }
}

#[test]
fn authshadow_in_a_chain() {
    if let Some(cells) = with_users(env!("CARGO_BIN_EXE_authshadow"), "x") {
        each_verdict_is_heard(cells);
    }
}

#[test]
fn authpipe_in_a_chain() {
    each_verdict_is_heard(with_program());
}

#[test]
fn authcustom_in_a_chain_lets_in_nobody() {
    let cells = Cells::of(Path::new(env!("CARGO_BIN_EXE_authcustom"))).unwrap();
    hears(cells, &[("alice", "secret", "-ERR [AUTH] Login failed.")]);
}

#[test]
fn authpwd_and_authshadow_list_who_could_log_in() {
    for (module, password) in [(env!("CARGO_BIN_EXE_authpwd"), HASH), (env!("CARGO_BIN_EXE_authshadow"), "x")]
    {
        let Some(mut cells) = with_users(module, password) else { return };
        let _chain = cells.serve(Place::Authdaemond).unwrap();
        let socket = cells.directory().join("run/authdaemon/socket");
        let mut command = Command::new(env!("CARGO_BIN_EXE_authenumerate"));
        let output = command.arg("-o").env("POSTRIDER_AUTHDAEMON_SOCKET", &socket).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        let list = String::from_utf8(output.stdout).unwrap();
        let ((uid, gid), home) = (cells.account().owner, cells.account().home.display());
        let alice = format!("alice\t{uid}\t{gid}\t{home}\t\t");
        assert_eq!(list.lines().filter(|line| *line == alice).count(), 1, "{list}");
        assert!(!list.contains("rooted\t") && !list.contains("root\t"), "{list}");
    }
}

/// On a machine with the users `alice` and `rooted`, whose group is root's;
/// `password` is what /etc/passwd has for both, and /etc/shadow has the hash.
/// `None`, with a line that says why, where this cannot be had.
fn with_users(module: &str, password: &str) -> Option<Cells> {
    if let Some(reason) = machine::missing() {
        leave_out(&reason).unwrap();
        return None;
    }
    let cells = Cells::of(Path::new(module)).unwrap();
    let (account, directory) = (cells.account(), cells.directory());
    let shadow = format!("{HASH}:19000::::::\nrooted:{HASH}:19000::::::");
    let ((uid, gid), home) = (account.owner, account.home.display());
    let users = format!(
        "alice:{password}:{uid}:{gid}:Alice,,:{home}:/bin/sh\nrooted:{password}:{uid}:0::{home}:/bin/sh\n"
    );
    let passwd = directory.join("own-passwd");
    fs::write(&passwd, fs::read_to_string("/etc/passwd").unwrap() + &users).unwrap();
    let machine = Machine::new().with_alice(account, &shadow, directory).unwrap();
    let machine = machine.with(&passwd, Path::new("/etc/passwd"));
    Some(cells.behind(&machine.words()))
}

/// With a program that knows `alice` and her password, and ends without an
/// answer when it is asked about `rooted`.
fn with_program() -> Cells {
    let cells = Cells::of(Path::new(env!("CARGO_BIN_EXE_authpipe"))).unwrap();
    let ((uid, gid), home) = (cells.account().owner, cells.account().home.display());
    let script = format!(
        "#!/bin/sh
while read -r word octets; do
    body=$octets
    [ \"$word\" != AUTH ] || body=$(head -c \"$octets\" | tr '\\n' ' ')
    case \"$word $body\" in
    'AUTH pop3 login alice secret ' | 'PRE . pop3 alice') printf 'UID={uid}\\nGID={gid}\\nHOME={home}\\nADDRESS=alice\\n.\\n';;
    'AUTH pop3 login rooted '*) exit 1;;
    *) echo FAIL;;
    esac
done
"
    );
    let program = cells.configuration().join("authProg");
    fs::write(&program, script).unwrap();
    fs::set_permissions(&program, Permissions::from_mode(0o755)).unwrap();
    cells
}

/// Right, wrong, unknown and unavailable are three answers.
fn each_verdict_is_heard(cells: Cells) {
    hears(
        cells,
        &[
            ("alice", "secret", "+OK logged in."),
            ("alice", "wrong", "-ERR [AUTH] Login failed."),
            ("nobody-of-this-name", "secret", "-ERR [AUTH] Login failed."),
            ("rooted", "secret", "-ERR [SYS/TEMP]"),
        ],
    );
}

/// What clients hear in a chain whose only module this is; with a failed login
/// each waits for its answer, so all of them at once.
fn hears(mut cells: Cells, expected: &[(&str, &str, &str)]) {
    let mut chain = cells.serve(Place::Chain).unwrap();
    thread::scope(|scope| {
        for (user, password, answer) in expected {
            let mut client = Client::greeted(chain.connect().unwrap()).unwrap();
            scope.spawn(move || {
                client.command(&format!("USER {user}")).unwrap();
                client.say(&format!("PASS {password}")).unwrap();
                let heard = client.line().unwrap();
                assert!(heard.starts_with(answer), "{user} {password}: {heard}");
            });
        }
    });
}

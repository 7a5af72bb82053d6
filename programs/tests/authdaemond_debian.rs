//! Courier's programs before our authdaemond, and our tools before theirs.
//!
//! Where Courier's programs are not installed, or this user may not start
//! them, a line says so; with `CI=true` that is a failure.

// Helpers of tests may stop them, as the tests may.
#![allow(clippy::unwrap_used, clippy::panic)]

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output};

use testbed::authdaemond::OurAuthdaemond;
use testbed::chain::Chain;
use testbed::courier::{self, Authdaemond};

const AUTHDAEMOND: &str = env!("CARGO_BIN_EXE_authdaemond");
const MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");
const OUR_AUTHTEST: &str = env!("CARGO_BIN_EXE_authtest");
const OUR_AUTHENUMERATE: &str = env!("CARGO_BIN_EXE_authenumerate");

const ACCOUNTS: &str = "\
alice\tuid=5000|gid=5001|home=/home/alice|mail=/home/alice/Maildir|systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1
bob@example.com\tuid=5000|gid=5000|home=/home/bob|gecos=Bob Builder,,|quota=100000S,100C|options=disableshared=1,foo=bar|systempw={SHA256}K7gNU3sdo+OL0wNhqoVWhr3g6s1xYv72ol/pe/Unols=
";

/// Whether to go on; says so if not.
fn is_here() -> bool {
    let Some(reason) = courier::missing_authdaemond() else { return true };
    courier::leave_out(&reason).unwrap();
    false
}

fn ours() -> (tempfile::TempDir, OurAuthdaemond) {
    let directory = tempfile::tempdir().unwrap();
    // Accounts have other rights than we and must get to their homes.
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    let mut daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory.path()).unwrap();
    daemon.install(ACCOUNTS, Path::new(MAKEUSERDB)).unwrap();
    daemon.start("authmodulelist=authuserdb\ndaemons=2\n").unwrap();
    (directory, daemon)
}

fn theirs() -> (tempfile::TempDir, Authdaemond) {
    let directory = tempfile::tempdir().unwrap();
    let daemon = Authdaemond::start(directory.path()).unwrap();
    let userdb = daemon.configuration().join("userdb");
    fs::write(&userdb, ACCOUNTS).unwrap();
    fs::set_permissions(&userdb, fs::Permissions::from_mode(0o600)).unwrap();
    assert!(Command::new(courier::MAKEUSERDB).arg("-f").arg(&userdb).status().unwrap().success());
    (directory, daemon)
}

fn said(output: &Output) -> (String, String, bool) {
    let text = |octets: &[u8]| String::from_utf8(octets.to_vec()).unwrap();
    (text(&output.stdout), text(&output.stderr), output.status.success())
}

#[test]
fn the_tools_of_both_say_the_same_of_both() {
    if !is_here() {
        return;
    }
    let ((_one, our_daemon), (_two, mut their_daemon)) = (ours(), theirs());
    let socket = their_daemon.configuration().with_file_name("run").join("authdaemon/socket");
    for words in [
        ["-s", "pop3", "alice", "secret"].as_slice(),
        &["-s", "pop3", "alice", "wrong"],
        &["-s", "pop3", "alice"],
        &["bob@example.com", "secret"],
        &["bob@example.com"],
        &["nobody"],
    ] {
        let theirs = said(&their_daemon.command("authtest").unwrap().args(words).output().unwrap());
        let their_tool = said(&our_daemon.command_of_courier("authtest").args(words).output().unwrap());
        let mut command = Command::new(OUR_AUTHTEST);
        our_daemon.at_home(&mut command);
        let ours = said(&command.args(words).output().unwrap());
        let mut command = Command::new(OUR_AUTHTEST);
        command.env("POSTRIDER_AUTHDAEMON_SOCKET", &socket);
        let our_tool = said(&command.args(words).output().unwrap());
        assert_eq!(their_tool, theirs, "{words:?}: their authtest");
        assert_eq!(our_tool, theirs, "{words:?}: our authtest, their authdaemond");
        assert_eq!(ours, theirs, "{words:?}: our authtest, our authdaemond");
    }
    for words in [[].as_slice(), &["-o"], &["-s"], &["-s", "-o"]] {
        let theirs = said(&their_daemon.command("authenumerate").unwrap().args(words).output().unwrap());
        let their_tool = said(&our_daemon.command_of_courier("authenumerate").args(words).output().unwrap());
        let mut command = Command::new(OUR_AUTHENUMERATE);
        our_daemon.at_home(&mut command);
        let ours = said(&command.args(words).output().unwrap());
        assert_eq!(their_tool, theirs, "{words:?}: their authenumerate");
        assert_eq!(ours, theirs, "{words:?}: our authenumerate");
    }
}

#[test]
fn the_tools_of_both_change_passwords_at_both() {
    if !is_here() {
        return;
    }
    let ((_one, our_daemon), (_two, mut their_daemon)) = (ours(), theirs());
    let socket = their_daemon.configuration().with_file_name("run").join("authdaemon/socket");
    // Without -f: their authdaemond needs to know the source of a record.
    assert!(their_daemon.command(courier::MAKEUSERDB).unwrap().status().unwrap().success());
    let ours = |words: &[&str], socket: &Path| {
        let mut command = Command::new(OUR_AUTHTEST);
        command.env("POSTRIDER_AUTHDAEMON_SOCKET", socket);
        said(&command.args(words).output().unwrap())
    };
    let mut theirs =
        |words: &[&str]| said(&their_daemon.command("authtest").unwrap().args(words).output().unwrap());
    let their_tool =
        |words: &[&str]| said(&our_daemon.command_of_courier("authtest").args(words).output().unwrap());
    let wrong = ["-s", "pop3", "alice", "wrong", "new"];
    let expected = theirs(&wrong);
    assert_eq!(their_tool(&wrong), expected, "their authtest");
    assert_eq!(ours(&wrong, &our_daemon.socket()), expected, "ours");
    assert_eq!(ours(&wrong, &socket), expected, "our authtest, their authdaemond");
    let [first, second] = [["-s", "pop3", "alice", "secret", "new"], ["-s", "pop3", "alice", "new", "newer"]];
    let expected = theirs(&first);
    assert!(expected.2, "{expected:?}");
    assert_eq!(their_tool(&first), expected, "their authtest");
    assert_eq!(ours(&second, &our_daemon.socket()), expected, "ours");
    assert_eq!(ours(&second, &socket), expected, "our authtest, their authdaemond");
    for (password, is_right) in [("newer", true), ("new", false), ("secret", false)] {
        let words = ["-s", "pop3", "alice", password];
        let right = [theirs(&words).2, their_tool(&words).2];
        assert_eq!(right, [is_right; 2], "{password}");
    }
}

#[test]
fn their_login_program_asks_our_authdaemond() {
    if !is_here() {
        return;
    }
    let (directory, daemon) = ours();
    let home = directory.path().join("home");
    fs::create_dir(&home).unwrap();
    let record = format!(
        "alice\tuid=64110|gid=64111|home={}|systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1\n",
        home.display()
    );
    daemon.install(&record, Path::new(MAKEUSERDB)).unwrap();
    let mut command = daemon.command_of_courier(courier::COURIERTCPD);
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin");
    // Who is accepted shows who it has become.
    let shown = directory.path().join("shown");
    fs::write(&shown, "#!/bin/sh\necho \"+OK $(id -u) $(id -g) $AUTHENTICATED $(pwd) $1\"\n").unwrap();
    fs::set_permissions(&shown, fs::Permissions::from_mode(0o755)).unwrap();
    let words = [courier::COURIERPOP3LOGIN.into(), shown.into(), "./Maildir".into()];
    let log = directory.path().join("chain.log");
    fs::write(&log, "").unwrap();
    let mut chain = Chain::start(command, &words, &log).unwrap();
    let mut heard = |password: &str| {
        let mut connection = chain.connect().unwrap();
        write!(connection, "USER alice\r\nPASS {password}\r\n").unwrap();
        connection.shutdown(std::net::Shutdown::Write).unwrap();
        let mut heard = String::new();
        connection.read_to_string(&mut heard).unwrap();
        heard
    };
    let good = heard("secret");
    let expected = format!("+OK 64110 64111 alice {} ./Maildir\n", home.display());
    assert!(good.ends_with(&expected), "{good}\n{}", daemon.log().unwrap());
    let bad = heard("wrong");
    assert!(bad.contains("-ERR Login failed.") && !bad.contains("64110"), "{bad}");
}

//! A process that is born as one of the service, tries what it must not do, and
//! tells what came of it.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use nix::sys::ptrace;
use nix::sys::signal::kill;
use nix::unistd::{Pid, Uid};
use programs::service::birth;
use programs::service::confinement::{Confinement, Needs};
use system::attempt;

/// Says which part the program plays, where it is to play one.
pub(crate) const PART: &str = "POSTRIDER_TEST_PART";
/// A directory of the user whose the process is, with the file `file` and the
/// program `program` in it, and beside it another, `other`.
const HOME: &str = "POSTRIDER_TEST_HOME";
/// Where somebody listens.
const ADDRESS: &str = "POSTRIDER_TEST_ADDRESS";

pub(crate) const TESTS: &[(&str, fn())] = &[
    ("without_confinement_all_of_it_can_be_done", without),
    ("a_front_has_no_files_no_programs_and_makes_no_connections", front),
    ("a_proxy_connects_and_has_no_files_and_no_programs", proxy),
    ("a_mailbox_process_has_files_alone", mailbox),
    ("a_mailbox_process_of_one_account_has_its_maildir_alone", account),
    ("a_mailbox_process_that_may_run_loginexec_still_looks_into_nobody", with_loginexec),
    ("auth_with_userdb_alone_writes_its_directory_and_has_no_network", auth),
    ("auth_with_modules_of_others_runs_them_and_looks_into_nobody", auth_with_anything),
    ("what_is_required_is_said_to_be_missing_or_wrong", wrong_words),
];

/// All that is tried; what makes the process a traced one comes last.
const ALL: [&str; 15] = [
    "read own",
    "write own",
    "read other",
    "write other",
    "read system",
    "connect",
    "listen",
    "datagram",
    "socket pair",
    "program",
    "process",
    "executable memory",
    "signal",
    "name spaces",
    "ptrace",
];

/// What no process needs.
const NEVER: [&str; 2] = ["name spaces", "ptrace"];

fn without() {
    check("mailbox", &[("POSTRIDER_CONFINEMENT", "off")], &ALL);
}

fn front() {
    check("front", &[], &["socket pair"]);
}

fn proxy() {
    check("proxy", &[], &["socket pair", "connect"]);
}

fn mailbox() {
    check("mailbox", &[], &["read own", "write own", "read other", "write other", "read system"]);
}

fn account() {
    check("account", &[], &["read own", "write own"]);
}

fn with_loginexec() {
    check("mailbox with programs", &[], &all_but_never());
}

fn auth() {
    let may = [
        "read own",
        "write own",
        "read other",
        "read system",
        "socket pair",
        "program",
        "process",
        "executable memory",
        "signal",
    ];
    check("auth", &[], &may);
}

/// Where we are not root, they may need what a confinement would take away
/// (unix_chkpwd).
fn auth_with_anything() {
    if !Uid::effective().is_root() {
        return check("auth with anything", &[], &ALL);
    }
    check("auth with anything", &[], &all_but_never());
}

fn all_but_never() -> Vec<&'static str> {
    ALL.into_iter().filter(|what| !NEVER.contains(what)).collect()
}

fn wrong_words() {
    let (said, _) = Born::new().try_all("mailbox", &[("POSTRIDER_CONFINEMENT", "of")]);
    assert!(said.contains("POSTRIDER_CONFINEMENT"), "{said}");
    // What this machine has is not missing.
    check("front", &[("POSTRIDER_CONFINEMENT", "require")], &["socket pair"]);
}

/// A process of the kind `part` can do what `may` says, and nothing else.
fn check(part: &str, environment: &[(&str, &str)], may: &[&str]) {
    let (said, results) = Born::new().try_all(part, environment);
    assert_eq!(results.len(), ALL.len(), "{said}");
    for (what, result) in results {
        assert_eq!(result == "ok", may.contains(&what.as_str()), "{part}: {what}: {result}");
    }
}

/// A place for one process.
struct Born {
    directory: tempfile::TempDir,
    listener: TcpListener,
}

impl Born {
    fn new() -> Born {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        testbed::stand::make_public(directory.path()).unwrap();
        for name in ["home", "other"] {
            let home = directory.path().join(name);
            fs::create_dir(&home).unwrap();
            fs::write(home.join("file"), "text").unwrap();
            fs::copy("/bin/true", home.join("program")).unwrap();
            fs::set_permissions(home.join("program"), fs::Permissions::from_mode(0o755)).unwrap();
            if Uid::effective().is_root() {
                let (uid, gid) = ids();
                chown(&home, Some(uid), Some(gid)).unwrap();
                chown(home.join("file"), Some(uid), Some(gid)).unwrap();
            }
        }
        Born { directory, listener: TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap() }
    }

    /// What a process of the kind `part` has said, and what came of what it
    /// has tried.
    fn try_all(&self, part: &str, environment: &[(&str, &str)]) -> (String, BTreeMap<String, String>) {
        let program = self.directory.path().join("born");
        testbed::process::install(&std::env::current_exe().unwrap(), &program).unwrap();
        let (mut ours, theirs) = UnixStream::pair().unwrap();
        let mut command = Command::new(program);
        command.env_clear().envs(environment.iter().copied()).env(PART, part);
        command.env(HOME, self.directory.path().join("home"));
        command.env(ADDRESS, self.listener.local_addr().unwrap().to_string());
        if !part.starts_with("auth") {
            let (uid, gid) = ids();
            command.args([uid.to_string(), gid.to_string()]);
        }
        system::descriptor::pass(&mut command, OwnedFd::from(theirs), 3).unwrap();
        let output = command.output().unwrap();
        drop(command);
        let mut told = String::new();
        ours.read_to_string(&mut told).unwrap();
        let results = told.lines().filter_map(|line| line.split_once(": "));
        let results = results.map(|(what, result)| (what.to_owned(), result.to_owned())).collect();
        (format!("{}{told}", String::from_utf8_lossy(&output.stderr)), results)
    }
}

/// Whom the process becomes.
fn ids() -> (u32, u32) {
    if Uid::effective().is_root() {
        system::user::by_name("nobody").unwrap().unwrap()
    } else {
        system::user::own_ids()
    }
}

/// Plays `part`: is born, tries everything, and tells.
pub(crate) fn be(part: &str) -> ExitCode {
    let home = PathBuf::from(std::env::var_os(HOME).unwrap());
    let auth = |modules| Confinement::Auth { directories: vec![home.clone()], modules };
    let born = match part {
        "front" => birth::as_account(&Confinement::Front),
        "proxy" => birth::as_account(&Confinement::Proxy),
        "mailbox" => birth::as_account(&Confinement::Mailbox),
        "account" => birth::as_account(&Confinement::Account(home.clone())),
        "mailbox with programs" => birth::as_account(&Confinement::MailboxWithPrograms),
        "auth" => birth::as_auth(&auth(Needs::Nothing)),
        _ => birth::as_auth(&auth(Needs::Anything)),
    };
    match born {
        Ok(wire) => tell(&mut UnixStream::from(wire), &home),
        Err(reason) => eprintln!("{reason}"),
    }
    ExitCode::SUCCESS
}

fn tell(wire: &mut UnixStream, home: &Path) {
    for what in ALL {
        let result = attempt(what, home).map_or_else(|error| error.to_string(), |()| "ok".to_owned());
        writeln!(wire, "{what}: {result}").unwrap();
    }
}

fn attempt(what: &str, home: &Path) -> io::Result<()> {
    let other = home.with_file_name("other");
    match what {
        "read own" => File::open(home.join("file")).map(drop),
        "write own" => write(home),
        "write other" => write(&other),
        "read other" => File::open(other.join("file")).map(drop),
        "read system" => File::open("/etc/passwd").map(drop),
        "connect" => {
            let address: SocketAddr = std::env::var(ADDRESS).unwrap().parse().unwrap();
            TcpStream::connect(address).map(drop)
        }
        "listen" => TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map(drop),
        "datagram" => UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map(drop),
        "socket pair" => UnixStream::pair().map(drop),
        "program" => Command::new(home.join("program")).spawn().and_then(|mut child| child.wait()).map(drop),
        "process" => attempt::a_process(),
        "executable memory" => attempt::executable_memory(),
        "signal" => Ok(kill(Pid::this(), None)?),
        "name spaces" => attempt::name_spaces(),
        "ptrace" => Ok(ptrace::traceme()?),
        _ => Err(io::ErrorKind::Unsupported.into()),
    }
}

fn write(directory: &Path) -> io::Result<()> {
    fs::write(directory.join("new"), "x")?;
    fs::rename(directory.join("new"), directory.join("newer"))
}

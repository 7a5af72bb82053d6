//! Our login program makes copies of itself for connections; nobody is to see a
//! difference but that it is faster (ledger 344).

use std::fs;
use std::path::Path;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use testbed::Outcome;
use testbed::chain::own_address;
use testbed::process::install;

use crate::stand::{Client, Ours, Server, Start, eventually, script};

const LOGIN: &str = env!("CARGO_BIN_EXE_courierpop3login");
const GREETING: &str = "+OK Hello there.\r";

/// A couriertcpd with our login program, or with `program` in its place.
fn serving(start: Start<'_>, program: &Path, words: &[&str]) -> Outcome<Server> {
    let address = own_address();
    let ports = format!("{}.{}", address.ip(), address.port());
    let program = program.to_str().ok_or("no text")?;
    start.at(address, &ports, &[&[program], words].concat())
}

fn serving_ours(start: Start<'_>) -> Outcome<Server> {
    serving(start, LOGIN.as_ref(), &["/bin/false", "./Maildir"])
}

fn greeted(server: &Server) -> Outcome<Client> {
    let mut client = server.connect()?;
    assert_eq!(client.line()?, GREETING);
    Ok(client)
}

/// The children of `parent` that have not ended.
fn children(parent: u32) -> Outcome<Vec<i32>> {
    let mut children = Vec::new();
    for entry in fs::read_dir("/proc")? {
        let name = entry?.file_name();
        let Some(pid) = name.to_str().and_then(|name| name.parse().ok()) else { continue };
        // It may have ended meanwhile.
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
        let fields: Vec<&str> = stat.rsplit(") ").next().unwrap_or_default().split(' ').collect();
        if let [state, of, ..] = fields[..]
            && state != "Z"
            && of.parse() == Ok(parent)
        {
            children.push(pid);
        }
    }
    Ok(children)
}

/// The one of them that has no client on descriptor 1.
fn fork_server(parent: u32) -> Outcome<Option<i32>> {
    let has_none = |process: &i32| {
        fs::read_link(format!("/proc/{process}/fd/1")).is_ok_and(|file| file == Path::new("/dev/null"))
    };
    Ok(children(parent)?.into_iter().find(has_none))
}

#[test]
fn copies_are_children_of_couriertcpd_and_each_knows_its_own_connection() -> Outcome {
    let mut server = serving_ours(Start::new(Ours, &[]))?;
    let clients = [greeted(&server)?, greeted(&server)?, greeted(&server)?];
    // The fork server is one more.
    let processes = children(server.pid())?;
    assert_eq!(processes.len(), 4);
    for process in processes {
        let (words, exe) = (format!("/proc/{process}/cmdline"), format!("/proc/{process}/exe"));
        assert_eq!(fs::read_to_string(words)?, format!("{LOGIN}\0/bin/false\0./Maildir\0"));
        assert_eq!(fs::read_link(exe)?, fs::canonicalize(LOGIN)?);
    }
    let ports =
        clients.iter().map(|client| Ok(client.0.local_addr()?.port())).collect::<Outcome<Vec<_>>>()?;
    let line = |port: &u16| format!("DEBUG: Connection, ip=[::ffff:127.0.0.1], port=[{port}]");
    let lines: Vec<String> = ports.iter().map(line).collect();
    server.logs(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

#[test]
fn copies_hold_slots_until_they_end() -> Outcome {
    let server = serving_ours(Start::new(Ours, &["-maxprocs=2", "-maxperip=9"]))?;
    let (one, _other) = (greeted(&server)?, greeted(&server)?);
    let mut waiting = server.connect()?;
    assert!(waiting.hears_nothing()?);
    one.hang_up()?;
    assert_eq!(waiting.line()?, GREETING);
    Ok(())
}

#[test]
fn the_next_program_finds_what_a_program_that_was_started_finds() -> Outcome {
    let directory = tempfile::tempdir()?;
    let module = directory.path().join("module");
    script(
        &module,
        "#!/bin/sh\nenv | grep -e ^TCPREMOTEPORT -e FORKSERVER\n\
         for n in 0 1 2 3 4 5 6 7 8 9; do test -e /proc/$$/fd/$n && printf $n; done\n\
         grep -e ^SigBlk -e ^SigIgn /proc/self/status; echo\n",
    )?;
    let words = [module.to_str().ok_or("no text")?, "/bin/false", "./Maildir"];
    let mut found = Vec::new();
    for prelude in ["", "export POSTRIDER_FORKSERVER=0"] {
        let mut server = serving(Start::new(Ours, &[]).after(prelude), LOGIN.as_ref(), &words)?;
        let mut client = greeted(&server)?;
        assert_eq!(children(server.pid())?.len(), if prelude.is_empty() { 2 } else { 1 });
        let port = client.0.local_addr()?.port().to_string();
        client.say("USER alice\r\nPASS secret\r")?;
        let said = client.everything()?;
        assert!(said.contains(&port), "{said}");
        found.push(said.replace(&port, "PORT"));
    }
    assert_eq!(found[0], found[1]);
    assert!(!found[0].contains("FORKSERVER"), "{}", found[0]);
    Ok(())
}

#[test]
fn another_program_in_the_same_place_is_the_next_clients() -> Outcome {
    let directory = tempfile::tempdir()?;
    let (program, next) = (directory.path().join("program"), directory.path().join("next"));
    install(LOGIN.as_ref(), &program)?;
    let server = serving(Start::new(Ours, &[]), &program, &["/bin/false", "./Maildir"])?;
    let _early = greeted(&server)?;
    script(&next, "#!/bin/sh\necho another\n")?;
    fs::rename(&next, &program)?;
    assert_eq!(server.ask()?, "another\n");
    install(LOGIN.as_ref(), &next)?;
    fs::rename(&next, &program)?;
    greeted(&server).map(drop)
}

#[test]
fn a_fork_server_that_is_killed_or_stopped_costs_no_more_than_one_client() -> Outcome {
    let mut server = serving_ours(Start::new(Ours, &["-maxperip=9"]))?;
    greeted(&server)?.hang_up()?;
    let first = fork_server(server.pid())?.ok_or("there is none")?;
    kill(Pid::from_raw(first), Signal::SIGKILL)?;
    eventually("it has ended", || Ok(fork_server(server.pid())?.is_none().then_some(())))?;
    let second = eventually("there is another one", || {
        greeted(&server)?.hang_up()?;
        Ok(fork_server(server.pid())?.filter(|process| *process != first))
    })?;
    kill(Pid::from_raw(second), Signal::SIGSTOP)?;
    assert_eq!(server.ask()?, "");
    greeted(&server)?.hang_up()
}

#[test]
fn with_the_client_on_descriptor_2_every_program_is_started() -> Outcome {
    let mut server = serving_ours(Start::new(Ours, &["-stderr=socket"]))?;
    let mut client = server.connect()?;
    assert!(client.line()?.starts_with("DEBUG: Connection"));
    assert_eq!(client.line()?, GREETING);
    assert_eq!(children(server.pid())?.len(), 1);
    Ok(())
}

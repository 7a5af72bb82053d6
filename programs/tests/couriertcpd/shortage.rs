//! A machine that is short of descriptors.

use std::fs;
use std::thread::sleep;
use std::time::Duration;

use rustix::process::{Pid, Resource, Rlimit};
use testbed::Outcome;

use crate::stand::{Ours, Server, Start, eventually, is_root};

/// Processor time of the server so far, in the kernel's ticks.
fn ticks(server: &mut Server) -> Outcome<u64> {
    let stat = fs::read_to_string(format!("/proc/{}/stat", server.pid()))?;
    // The second column, in parentheses, may hold blanks.
    let columns: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let [user, system] = [columns.get(11), columns.get(12)];
    Ok(user.ok_or("no utime")?.parse::<u64>()? + system.ok_or("no stime")?.parse::<u64>()?)
}

#[test]
fn without_descriptors_clients_wait_and_the_server_neither_spins_nor_dies() -> Outcome {
    // Ledger 514. Five are what it has open: 0 to 2, a listener, its signals.
    let mut server = Start::new(Ours, &[]).after("ulimit -S -n 5").serving("echo hello")?;
    let mut client = server.connect()?;
    server.logs(&["ERR: accept: Too many open files"])?;

    let before = ticks(&mut server)?;
    sleep(Duration::from_millis(1500));
    // A loop that spins uses about a hundred a second.
    assert!(ticks(&mut server)? - before < 25);
    assert!(server.is_alive()?);
    assert!(client.hears_nothing()?);
    server.logs(&["ERR: accept: Too many open files"])?;

    let pid = Pid::from_raw(i32::try_from(server.pid())?);
    let maximum = rustix::process::getrlimit(Resource::Nofile).maximum;
    rustix::process::prlimit(pid, Resource::Nofile, Rlimit { current: Some(100), maximum })?;
    assert_eq!(client.line()?, "hello");
    Ok(())
}

#[test]
fn a_client_for_whom_no_process_can_be_made_is_let_go_and_holds_no_slot() -> Outcome {
    // The kernel counts processes per user, and does not count root's. Nobody
    // else is this user, not even another run of this test: the server is his
    // first process, a client's program his second.
    if !is_root() {
        return Ok(());
    }
    let nobody_else = 20_000 + std::process::id() % 40_000;
    let user_and_group = [format!("-user={nobody_else}"), format!("-group={nobody_else}")];
    let options = [&user_and_group[0], &user_and_group[1], "-maxprocs=2", "-warn=2"];
    // The shells do not agree about the option's name.
    let prelude = "ulimit -S -u 2 2>/dev/null || ulimit -S -p 2";
    let server = Start::new(Ours, &options).after(prelude).serving("echo hello; read x")?;
    for _ in 0..3 {
        let mut client = eventually("a client is served", || {
            let mut client = server.connect()?;
            Ok((client.line()? == "hello").then_some(client))
        })?;
        assert_eq!(server.ask()?, "");
        client.say("bye")?;
    }
    assert!(server.log().starts_with("/bin/sh: Resource temporarily unavailable\n"), "{}", server.log());
    Ok(())
}

#[test]
fn a_log_that_nobody_reads_holds_nobody_up() -> Outcome {
    // Descriptor 2 is a pipe that is full; its reading end is open, unread.
    let prelude = "mkfifo full && exec 8<>full 2>full; \
        timeout 1 dd if=/dev/zero bs=4096 count=1000 >&2 2>/dev/null || true";
    let server = Start::new(Ours, &["-maxprocs=1"]).after(prelude).serving("echo hello")?;
    for _ in 0..3 {
        assert_eq!(server.ask()?, "hello\n");
    }
    Ok(())
}

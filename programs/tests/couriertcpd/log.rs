//! Where descriptor 2 leads.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use nix::sys::signal::Signal;
use testbed::Outcome;
use testbed::chain::own_address;

use crate::stand::{Ours, Server, Start, Whose, eventually, script};

#[test]
fn a_log_file_is_made_for_group_members_and_appended_to() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-stderr=log", "-maxprocs=1"])
            .after("umask 007")
            .serving("echo one >&2; echo done")?;
        assert_eq!(server.ask()?, "done\n");
        let log = server.file("log");
        assert_eq!(fs::metadata(&log)?.permissions().mode() & 0o777, 0o660, "{whose:?}");
        assert_eq!(server.ask()?, "done\n");
        // The order of the two processes' lines is theirs.
        eventually("everything is in the file", || {
            let text = fs::read_to_string(&log)?;
            let lines: Vec<&str> = text.lines().collect();
            let both = lines.iter().filter(|line| **line == "one").count() == 2;
            Ok((both && lines.contains(&"ALERT: 1 maximum active connections.")).then_some(()))
        })?;
        assert_eq!(server.log(), "", "{whose:?}");
    }
    Ok(())
}

#[test]
fn a_log_that_is_the_socket_is_the_client() -> Outcome {
    for whose in Whose::all() {
        let server = Start::new(whose, &["-stderr=socket", "-maxprocs=1"]).serving("echo complaint >&2")?;
        assert_eq!(server.ask()?, "complaint\n");
        // Ledger 510.
        assert_eq!(server.file("socket").exists(), whose != Ours);
        if whose == Ours {
            server.logs(&["ALERT: 1 maximum active connections."])?;
        }
    }
    Ok(())
}

/// A logger that writes what it reads to the file `read`, after its words.
/// It ends at a line `end`.
const LOGGER: &str = "#!/bin/sh\necho \"logger $*\" >>read\n\
    while read line; do echo \"$line\" >>read; test \"$line\" = end && exit; done\necho eof >>read\n";

/// A server with that logger, whose program logs what the client says.
fn with_logger(whose: Whose, options: &[&str]) -> Outcome<Server> {
    let place = tempfile::tempdir()?;
    let logger = place.path().join("logger");
    script(&logger, LOGGER)?;
    let option = format!("-stderrlogger={}", logger.display());
    let options = [&[option.as_str()], options].concat();
    let mut server = Start::new(whose, &options).serving("read x; echo \"$x\" >&2; echo done")?;
    server.keep(place);
    Ok(server)
}

fn log_line(server: &Server, line: &str) -> Outcome {
    let mut client = server.connect()?;
    client.say(line)?;
    assert_eq!(client.everything()?, "done\n");
    Ok(())
}

fn logger_reads(server: &Server, lines: &[&str]) -> Outcome {
    let wanted: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let read = || fs::read_to_string(server.file("read")).unwrap_or_default();
    eventually(&format!("the logger has read {wanted:?}"), || Ok((read() == wanted).then_some(())))
        .map_err(|error| format!("{error}; it has read {:?}", read()).into())
}

#[test]
fn a_logger_reads_all_lines_and_is_told_the_programs_name() -> Outcome {
    for whose in Whose::all() {
        let mut server = with_logger(whose, &["-stderr=unused"])?;
        log_line(&server, "one")?;
        log_line(&server, "two")?;
        logger_reads(&server, &["logger sh", "one", "two"])?;
        assert!(!server.file("unused").exists(), "{whose:?}");
        server.signal(Signal::SIGTERM)?;
        assert_eq!(server.exit_code()?, Some(0));
        logger_reads(&server, &["logger sh", "one", "two", "eof"])?;
    }
    Ok(())
}

#[test]
fn a_logger_is_told_another_name_if_one_is_given() -> Outcome {
    for whose in Whose::all() {
        let server = with_logger(whose, &["-stderrloggername=my name"])?;
        logger_reads(&server, &["logger my name"])?;
    }
    Ok(())
}

#[test]
fn a_logger_that_ends_is_started_again_and_no_line_is_lost() -> Outcome {
    // Ledger 508.
    let server = with_logger(Ours, &[])?;
    log_line(&server, "end")?;
    logger_reads(&server, &["logger sh", "end"])?;
    log_line(&server, "one")?;
    log_line(&server, "two")?;
    let notice = format!("WARN: {} ended, it will be started again", server.kept("logger")?.display());
    eventually("the new logger has read all", || {
        let read = fs::read_to_string(server.file("read"))?;
        let lines: Vec<&str> = read.lines().skip(2).collect();
        let [first, rest @ ..] = lines.as_slice() else { return Ok(None) };
        let all = ["one", "two", &notice].iter().all(|line| rest.contains(line));
        Ok((*first == "logger sh" && rest.len() == 3 && all).then_some(()))
    })
}

#[test]
fn names_that_are_not_looked_up_are_mentioned_once() -> Outcome {
    // Ledger 506. The helper always says -nodnslookup, so this one goes without it.
    let address = own_address();
    let ports = format!("{}.{}", address.ip(), address.port());
    let server =
        Start::new(Ours, &[]).with_lookups().at(address, &ports, &["/bin/sh", "-c", "env | grep HOST="])?;
    assert_eq!(server.ask()?, "");
    server.logs(&["WARN: host names are not looked up, TCPREMOTEHOST and TCPLOCALHOST are not set"])
}

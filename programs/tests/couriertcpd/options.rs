//! Words on the command line that end it before it listens.

use testbed::Outcome;
use testbed::chain::own_address;

use crate::stand::{Couriers, Ours, Start, Whose};

/// A command line, and the line that couriertcpd ends with. `{}` stands for
/// the name it was called by, `PORT` for a port that is free.
struct Case {
    words: &'static [&'static str],
    line: &'static str,
    /// Courier's line, where it is another one, with the ledger's number.
    courier: Option<(u16, &'static str)>,
}

const fn same(words: &'static [&'static str], line: &'static str) -> Case {
    Case { words, line, courier: None }
}

const fn differs(
    words: &'static [&'static str],
    line: &'static str,
    ledger: u16,
    courier: &'static str,
) -> Case {
    Case { words, line, courier: Some((ledger, courier)) }
}

const USAGE: &str = "Usage: {} [options] port prog arg1 arg2...";
const NO_PID: &str = "{}: -pid argument is required.";
const MAXPROCS: &str = "Invalid -maxprocsarg option.";

const CASES: &[Case] = &[
    same(&[], USAGE),
    same(&["-nodnslookup", "PORT"], USAGE),
    same(&["-bogus", "PORT", "/bin/cat"], "{}: Invalid option: -bogus"),
    same(&["-bogus=1", "PORT", "/bin/cat"], "{}: Invalid option: -bogus=1"),
    same(&["--help"], "{}: Invalid option: --help"),
    same(&["-stop"], NO_PID),
    same(&["-restart"], NO_PID),
    same(&["-maxprocs", "PORT", "/bin/cat"], MAXPROCS),
    same(&["-maxprocs=0", "PORT", "/bin/cat"], MAXPROCS),
    same(&["-maxprocs=-1", "PORT", "/bin/cat"], MAXPROCS),
    same(&["-maxprocs=x", "PORT", "/bin/cat"], MAXPROCS),
    same(&["-maxperip=0", "PORT", "/bin/cat"], "Invalid -maxperip option."),
    same(&["-maxperc=0", "PORT", "/bin/cat"], "Invalid -maxperc option."),
    same(&["-listen=0", "PORT", "/bin/cat"], "Invalid -listen option."),
    same(&["0", "/bin/cat"], "Invalid port: 0"),
    same(&["65536", "/bin/cat"], "Invalid port: 65536"),
    same(&["no-such-service", "/bin/cat"], "Invalid port: no-such-service"),
    same(&["-address=nosuch", "110", "/bin/cat"], "Invalid IP address: nosuch"),
    same(&["-address=", "110", "/bin/cat"], "Invalid IP address: "),
    same(&["nosuch.110", "/bin/cat"], "Invalid IP address: nosuch"),
    same(&["-group=nosuch", "PORT", "/bin/cat"], "Group not found: nosuch"),
    differs(&["-user=nosuch", "PORT", "/bin/cat"], "User not found: nosuch", 505, "getpwnam: Success"),
    // Courier's line is lost with the descriptor.
    differs(&["-stderr=/nosuch/log", "PORT", "/bin/cat"], "/nosuch/log: No such file or directory", 519, ""),
    same(&["-pid=/nosuch/pid", "PORT", "/bin/cat"], "/nosuch/pid.lock: No such file or directory"),
];

/// What Courier would go on with, and then listen.
const OURS_ONLY: &[(u16, &[&str], &str)] = &[
    (503, &["-maxprocs=5x", "PORT", "/bin/cat"], MAXPROCS),
    (503, &["-warn=x", "PORT", "/bin/cat"], "Invalid -warn option."),
    (503, &["PORTx", "/bin/cat"], "Invalid port: PORTx"),
    (504, &["", "/bin/cat"], "Invalid port: "),
    (505, &["-user=", "PORT", "/bin/cat"], "User not found: "),
    (508, &["-stderrlogger=/no/logger", "PORT", "/bin/cat"], "/no/logger: No such file or directory"),
    (500, &["-access=/x", "PORT", "/bin/cat"], "{}: Option not supported in this release: -access=/x"),
    (500, &["-drop", "PORT", "/bin/cat"], "{}: Option not supported in this release: -drop"),
    (500, &["-haproxy=9", "PORT", "/bin/cat"], "{}: Option not supported in this release: -haproxy=9"),
];

#[test]
fn what_is_wrong_is_said_in_couriers_words_with_exit_status_1() -> Outcome {
    for case in CASES {
        for whose in Whose::all() {
            let line = match case.courier {
                Some((_ledger, courier)) if whose == Couriers => courier,
                _ => case.line,
            };
            check(whose, case.words, line)?;
        }
    }
    Ok(())
}

#[test]
fn what_courier_takes_and_we_do_not_is_said() -> Outcome {
    OURS_ONLY.iter().try_for_each(|(_ledger, words, line)| check(Ours, words, line))
}

#[test]
fn the_ledger_has_every_number_named_here() -> Outcome {
    let ledger = testbed::ledger::numbers()?;
    let in_cases = CASES.iter().filter_map(|case| case.courier).map(|(number, _)| number);
    for number in in_cases.chain(OURS_ONLY.iter().map(|(number, ..)| *number)) {
        assert!(ledger.contains(&number), "{number}");
    }
    Ok(())
}

#[test]
fn courier_reads_numbers_as_atoi_does() -> Outcome {
    // Ledger 503: what `OURS_ONLY` refuses is a server at Courier's.
    if Whose::all().contains(&Couriers) {
        let server = Start::new(Couriers, &["-maxprocs=5x", "-warn=x"]).serving("echo hello")?;
        assert_eq!(server.ask()?, "hello\n");
    }
    Ok(())
}

#[test]
fn a_port_that_is_taken_is_an_error() -> Outcome {
    let address = own_address();
    let _taken = std::net::TcpListener::bind(address)?;
    let port = format!("{}.{}", address.ip(), address.port());
    Whose::all().into_iter().try_for_each(|whose| {
        check(whose, &[&port, "/bin/cat"], "bind: Address already in use")?;
        check(whose, &[&format!("PORT,{port}"), "/bin/cat"], "bind: Address already in use")
    })
}

#[test]
fn a_lone_dash_and_options_without_effect_are_taken() -> Outcome {
    for whose in Whose::all() {
        let options = ["-proxy", "-listen=5", "-nodnslookup=yes", "-address=127.0.0.1", "-"];
        let server = Start::new(whose, &options).serving("echo hello")?;
        assert_eq!(server.ask()?, "hello\n");
    }
    Ok(())
}

fn check(whose: Whose, words: &[&str], line: &str) -> Outcome {
    let address = own_address();
    let port = format!("{}.{}", address.ip(), address.port());
    let words: Vec<String> = words.iter().map(|word| word.replace("PORT", &port)).collect();
    let line = line.replace("{}", whose.path()).replace("PORT", &address.port().to_string());
    let output = whose.run(&words.iter().map(String::as_str).collect::<Vec<_>>())?;

    let said = String::from_utf8(output.stderr)?;
    // Courier may add a line about itself.
    let lines =
        if whose == Ours { said.trim_end_matches('\n') } else { said.lines().next().unwrap_or_default() };
    assert_eq!(lines, line, "{whose:?} {words:?}");
    assert_eq!(output.status.code(), Some(1), "{whose:?} {words:?}");
    assert!(output.stdout.is_empty(), "{whose:?} {words:?}");
    Ok(())
}

//! The project's commands: `cargo xtask demo`, `cargo xtask test` and others.
//!
//! One file for each command; they call cargo and the built programs, and
//! nothing of the product depends on them.

mod bench;
mod debian;
mod demo;
mod fuzz;
mod micro;
mod project;
mod promises;
mod test;

use std::env;
use std::process::ExitCode;

const USAGE: &str = "usage: cargo xtask COMMAND

  demo [classic]            build, and serve a throw-away account on a loopback port until Ctrl-C
  test                      run all the tests
  promises                  check what no compiler checks (part of test)
  bench [--quick] [NAME…]   measure both deployments beside Courier, Dovecot and what the machine can do
  bench --profile NAME…     draw flame graphs of postrider in these scenarios (docs/flame)
  bench logins              measure logins with PostgreSQL, userdb and Courier's authdaemond
  micro [keep]              count the instructions of hot functions (part of test), or keep them to compare
  fuzz [TARGET [SECONDS]]   run one fuzz target, or all, for so long each (default 60)
";

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let result = match words.as_slice() {
        ["demo"] => demo::integrated(),
        ["demo", "classic"] => demo::classic(),
        ["test"] => test::run(),
        ["promises"] => promises::run(),
        ["bench", "logins"] => bench::logins(),
        ["bench", words @ ..] => bench::servers(words),
        ["micro"] => micro::run(micro::Then::Compare).map(drop),
        ["micro", "keep"] => micro::run(micro::Then::Keep).map(drop),
        ["fuzz"] => fuzz::run(None, 60),
        ["fuzz", target] => fuzz::run(Some(target), 60),
        ["fuzz", target, seconds] if seconds.parse::<u32>().is_ok() => {
            fuzz::run(Some(target).filter(|target| **target != "all").copied(), seconds.parse().unwrap_or(60))
        }
        _ => {
            eprint!("{USAGE}");
            return ExitCode::from(2);
        }
    };
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

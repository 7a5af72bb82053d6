//! A process of the service that somebody has taken over: it speaks the wire
//! itself and says whatever it likes. It is refused, the log says so, and others
//! are served.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
#[path = "captured/fronts.rs"]
mod fronts;
mod house;
#[path = "captured/others.rs"]
mod others;
#[path = "captured/puppet.rs"]
mod puppet;
#[path = "captured/wire.rs"]
mod wire;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    // Under the name of a program of the service it plays that.
    if let Some(name) = puppet::name() {
        return puppet::play(&name);
    }
    let trial = |(name, test): (&'static str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let tests = fronts::TESTS.iter().chain(others::TESTS).copied();
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).collect()).exit_code()
}

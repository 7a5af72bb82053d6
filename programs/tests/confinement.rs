//! What processes of the service cannot do: tried from inside by a process that
//! was born as they are (`confinement/inside.rs`), and looked at from outside.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;
mod house;
#[path = "confinement/inside.rs"]
mod inside;
#[path = "confinement/outside.rs"]
mod outside;

use std::process::ExitCode;

use libtest_mimic::{Arguments, Trial};

fn main() -> ExitCode {
    // A test starts this program again to be born.
    if let Some(part) = std::env::var_os(inside::PART) {
        return inside::be(&part.to_string_lossy());
    }
    let trial = |(name, test): (&'static str, fn())| {
        Trial::test(name, move || {
            test();
            Ok(())
        })
    };
    let tests = inside::TESTS.iter().chain(outside::TESTS).copied();
    libtest_mimic::run(&Arguments::from_args(), tests.map(trial).collect()).exit_code()
}

//! `cargo xtask bench`: postrider's two deployments, Courier, Dovecot and a
//! server that answers from memory, measured in turns on one machine with one
//! client that compares every octet.
//!
//! For development only; nothing of the product depends on it.

mod canned;
mod figures;
mod group;
mod load;
mod mail;
mod picture;
mod places;
mod report;
mod run;
mod scale;
mod scenarios;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

use self::run::Wanted;
use self::scale::Scale;

fn main() -> ExitCode {
    let words: Vec<String> = env::args().skip(1).collect();
    match command(&words) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("{error:#}");
            ExitCode::FAILURE
        }
    }
}

/// Runs what `words` ask for; whether all of ours has worked.
fn command(words: &[String]) -> Result<bool> {
    match words.split_first() {
        Some((first, rest)) if first == "canned" => canned::run(rest).map(|()| true),
        Some((directory, rest)) => {
            let quick = rest.iter().any(|word| word == "--quick");
            let scale = if quick { Scale::quick() } else { Scale::full() };
            let names = rest.iter().filter(|word| *word != "--quick").cloned().collect();
            run::run(&PathBuf::from(directory), &scale, &Wanted { names })
        }
        None => Err(anyhow::anyhow!("bench PROGRAMS [--quick] [SCENARIO…]")).context("one word at least"),
    }
}

//! `cargo xtask bench`: postrider's two deployments, Courier, Dovecot and a
//! server that answers from memory, measured in turns on one machine with one
//! client that compares every octet.
//!
//! For development only; nothing of the product depends on it.

mod canned;
mod figures;
mod flame;
mod ground;
mod group;
mod growth;
mod load;
mod mail;
mod picture;
mod places;
mod profile;
mod report;
mod run;
mod scale;
mod scenarios;

use std::env;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};

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
            let is_option = |word: &&String| word.starts_with("--");
            let (options, names): (Vec<_>, Vec<_>) = rest.iter().partition(is_option);
            let names: Vec<String> = names.into_iter().cloned().collect();
            let directory = PathBuf::from(directory);
            match options.iter().map(|option| option.as_str()).collect::<Vec<_>>()[..] {
                [] => run::run(&directory, &Scale::full(), &names),
                ["--quick"] => run::run(&directory, &Scale::quick(), &names),
                ["--profile"] => run::profile(&directory, &Scale::full(), &names).map(|()| true),
                _ => Err(anyhow::anyhow!("--quick or --profile, and no other option")),
            }
        }
        None => Err(anyhow::anyhow!("bench PROGRAMS [--quick|--profile] [SCENARIO…]"))
            .context("one word at least"),
    }
}

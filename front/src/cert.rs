//! postrider-cert: makes a certificate, and checks those that there are.
//!
//! It hears no client. With ids for words it is what tries certificates for
//! the monitor ([`programs::service::assay`]).

mod check;
mod keep;
mod make;
mod words;

use std::env;
use std::io::{self, Write};
use std::process::ExitCode;

use self::words::{Call, USAGE};

/// Runs postrider-cert with the words of its command line.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let done = match Call::parse(&words) {
        Ok(Call::Assay) => return programs::service::assay::run(crate::make_server),
        Ok(Call::Help) => Ok(USAGE.to_owned()),
        Ok(Call::Make(wish)) => wish.make(),
        Ok(Call::Keep(file)) => keep::keep(&file),
        Ok(Call::Look(file)) => keep::look(&file),
        Ok(Call::Check { chain, key }) => check::files(&chain, &key),
        Err(wrong) => Err(format!("{wrong}{USAGE}")),
    };
    let (said, status) = match &done {
        Ok(said) => (io::stdout().write_all(said.as_bytes()), ExitCode::SUCCESS),
        Err(wrong) => (io::stderr().write_all(wrong.as_bytes()), ExitCode::FAILURE),
    };
    if said.is_ok() { status } else { ExitCode::FAILURE }
}

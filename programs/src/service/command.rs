//! The words behind `postrider`: which command it is.

use std::env;
use std::ffi::OsString;
use std::io::{self, Write};
use std::process::ExitCode;

use super::control::{self, Request};
use super::{certificate, check, serve, user};

const USAGE: &str = "\
Usage: postrider serve [OPTION]…        the server
       postrider reload|upgrade|stop|status [OPTION]…
                                        a word to a server that runs
       postrider check [OPTION]…        whether it would serve, and with which settings
       postrider user COMMAND …         its accounts
       postrider cert COMMAND …         certificates
       postrider serve|reload|check|user|cert --help
                                        more about each
       postrider --help | --version
";

/// Runs postrider with the words of its command line.
#[must_use]
pub fn run() -> ExitCode {
    let words: Vec<OsString> = env::args_os().skip(1).collect();
    let (first, rest) = words.split_first().map_or((None, &[][..]), |(first, rest)| (first.to_str(), rest));
    let wants_help = rest.iter().any(|word| is_help(word.to_str()));
    match first {
        Some("serve") if wants_help => say(&serve::usage()),
        Some("serve") => serve::run(rest),
        Some("check") if wants_help => say(&check::usage()),
        Some("check") => check::run(rest),
        Some("user") if wants_help => say(user::USAGE),
        Some("user") => user::run(rest),
        Some("cert") => certificate::run(rest),
        Some(word) if let Some(request) = Request::of(word) => match wants_help {
            true => say(&control::usage()),
            false => control::run(request, rest),
        },
        Some("--version") => say(concat!("postrider ", env!("CARGO_PKG_VERSION"), "\n")),
        first if is_help(first) => say(USAGE),
        _ => wrong("", USAGE),
    }
}

fn is_help(word: Option<&str>) -> bool {
    matches!(word, Some("--help" | "-h"))
}

pub(super) fn say(text: &str) -> ExitCode {
    match io::stdout().write_all(text.as_bytes()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

/// Says what is wrong with the words, if that is known, and how they should be.
pub(super) fn wrong(what: &str, usage: &str) -> ExitCode {
    let what = if what.is_empty() { String::new() } else { format!("postrider: {what}\n") };
    let _ = io::stderr().write_all(format!("{what}{usage}").as_bytes());
    ExitCode::FAILURE
}

//! `postrider-auth -try`: whether the modules of authdaemonrc answer. Each is
//! asked about an account that there need not be; *no* is a good answer.

use std::env;
use std::process::ExitCode;

use authlib::{Client, Verdict};

use super::check::say;
use crate::authdaemond::Settings;
use crate::modules;

/// The word that asks for it.
pub(super) const WORD: &str = "-try";
/// Who is asked about.
const NOBODY: &[u8] = b"postrider-check";

/// Tries the modules, if the command line asks for that.
pub(super) fn run_as_trial() -> Option<ExitCode> {
    let words: Vec<_> = env::args_os().skip(1).collect();
    let is_asked = matches!(words.as_slice(), [word] if word == WORD);
    is_asked.then(|| if try_modules() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn try_modules() -> bool {
    let settings = match Settings::read_or_embedded() {
        Ok(settings) => settings,
        Err(wrong) => return say("modules", Err(wrong)),
    };
    let mut good = true;
    for name in settings.modules() {
        good &= say(&format!("module {name}"), answers(name));
    }
    good
}

/// What it answers, or why it does not.
fn answers(name: &str) -> Result<String, String> {
    let mut module = modules::called(name).map_err(|missing| missing.to_string())?;
    let client = Client::at(b"::1").map_err(|refused| refused.to_string())?;
    match module.look_up(b"pop3", NOBODY, &client) {
        Verdict::Accept(_) | Verdict::Reject => Ok("answers".to_owned()),
        Verdict::Unavailable(reason) => Err(reason.to_string()),
    }
}

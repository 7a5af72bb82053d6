//! `postrider serve`, with an account that `postrider user` makes.

use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result};

use super::{Stage, USER, tell_password};

/// The programs that take part.
pub(super) const PROGRAMS: [&str; 4] =
    ["postrider", "postrider-auth", "postrider-front", "postrider-mailbox"];

/// A call of postrider with its directory in ours.
fn postrider(stage: &Stage, words: &[&str]) -> Command {
    let mut postrider = stage.program("postrider");
    postrider.args(words).arg("--directory").arg(stage.path("postrider"));
    postrider
}

/// Makes the account and gives its Maildir.
pub(super) fn make_account(stage: &Stage, password: &str) -> Result<PathBuf> {
    tell_password(postrider(stage, &["user", "add", USER]), password)?;
    Ok(stage.path("postrider").join("mail").join(USER).join("Maildir"))
}

/// Starts the service.
pub(super) fn start(stage: &Stage, port: u16) -> Result<Child> {
    let mut serve = postrider(stage, &["serve", "--listen", &format!("127.0.0.1:{port}")]);
    serve.stdin(Stdio::null()).spawn().context("postrider")
}

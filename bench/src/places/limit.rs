//! The limit: our own server of canned answers.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::Stdio;

use anyhow::{Context, Result, ensure};
use testbed::chain::own_address;
use testbed::process::Running;

use super::{Ground, Place};
use crate::canned;
use crate::group::Group;

/// Starts it.
pub(super) fn start(ground: &Ground, directory: &Path, _: &Path) -> Result<Place> {
    let group = Group::new("limit")?;
    let log = directory.join("log");
    let (clear, tls) = (own_address(), own_address());
    let (certificate, key) = ground.certificates.server();
    let mut command = group.command(std::env::current_exe()?);
    command.args(["canned", &clear.to_string(), &tls.to_string()]).arg(certificate).arg(key);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(fs::File::create(&log)?);
    let mut running = Running::start(&mut command)?;
    let mut input = running.child().stdin.take().context("a pipe")?;
    let output = running.child().stdout.take().context("a pipe")?;
    for account in &ground.accounts {
        input.write_all(canned::line(account).as_bytes())?;
    }
    drop(input);
    let mut line = String::new();
    BufReader::new(output).read_line(&mut line)?;
    ensure!(line == "ready\n", "it does not start: {}", fs::read_to_string(&log)?);
    Ok(Place {
        clear,
        tls: Some(tls),
        client_tls: ground.client_tls.clone(),
        homes: None,
        _running: vec![Box::new(running)],
        group,
    })
}

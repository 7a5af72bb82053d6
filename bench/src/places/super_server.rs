//! couriertcpd, ours or Courier's, with limits that no scenario meets.

use std::ffi::OsString;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use anyhow::Result;
use testbed::chain::own_address;
use testbed::process::Running;

use super::readable;

/// Starts `couriertcpd`, which runs `words` for each connection, with its log
/// in `log`, and waits until it listens.
pub(super) fn start(
    mut couriertcpd: Command,
    words: &[OsString],
    log: &Path,
) -> Result<(Running, SocketAddr)> {
    let address = own_address();
    let mut stderr = OsString::from("-stderr=");
    stderr.push(log);
    couriertcpd.args(["-nodnslookup", "-maxprocs=4000", "-maxperip=4000"]).arg(stderr);
    couriertcpd.arg(format!("-address={}", address.ip())).arg(address.port().to_string()).args(words);
    let mut running = Running::start_logging(&mut couriertcpd, log)?;
    running.connect("couriertcpd", log, address).map_err(readable)?;
    Ok((running, address))
}

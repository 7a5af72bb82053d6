//! Dovecot, from Debian's package dovecot-pop3d, with the settings that its
//! manual has for speed: login processes that serve many, mail processes that
//! are used again, answers of auth kept, nothing looked at twice.

use std::fs;
use std::net::TcpStream;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use testbed::chain::own_address;
use testbed::dovecot::DOVECOT;
use testbed::process::Running;

use super::{Ground, Place, readable};
use crate::group::Group;
use crate::mail::{Account, OWNER};

/// Starts it.
pub(super) fn start(ground: &Ground, directory: &Path, homes: &Path) -> Result<Place> {
    ensure!(Path::new(DOVECOT).exists(), "{DOVECOT} is not there (Debian: dovecot-core)");
    testbed::dovecot::install(&ground.dovecot, directory).map_err(readable)?;
    let group = Group::new("dovecot")?;
    let (clear, tls) = (own_address(), own_address());
    let users: String = ground
        .accounts
        .iter()
        .map(|Account { name, hash, .. }| {
            let scheme = if hash.starts_with('$') { "{CRYPT}" } else { "" };
            let (home, (uid, gid)) = (homes.join(name), OWNER);
            format!(
                "{name}:{scheme}{hash}::::::userdb_uid={uid} userdb_gid={gid} userdb_home={}\n",
                home.display()
            )
        })
        .collect();
    fs::write(directory.join("users"), users)?;
    let log = directory.join("log");
    fs::write(&log, "")?;
    let (certificate, key) = ground.certificates.server();
    let configuration = directory.join("dovecot.conf");
    let text = include_str!("dovecot.conf")
        .replace("@DIRECTORY@", &directory.display().to_string())
        .replace("@CERTIFICATE@", &certificate.display().to_string())
        .replace("@KEY@", &key.display().to_string())
        .replace("@ADDRESS@", &clear.ip().to_string())
        .replace("@PORT@", &clear.port().to_string())
        .replace("@TLS_ADDRESS@", &tls.ip().to_string())
        .replace("@TLS_PORT@", &tls.port().to_string())
        .replace("@UID@", &OWNER.0.to_string());
    fs::write(&configuration, text)?;
    let mut command = group.command(DOVECOT);
    command.args(["-F", "-c"]).arg(&configuration);
    let mut running = Running::start_logging(&mut command, &directory.join("errors"))?;
    running.connect("dovecot", &log, clear).map_err(readable)?;
    TcpStream::connect(tls).map_err(|error| anyhow!("Dovecot does not speak TLS: {error}"))?;
    Ok(Place {
        clear,
        tls: Some(tls),
        client_tls: ground.client_tls.clone(),
        homes: Some(homes.to_owned()),
        _running: vec![Box::new(running)],
        group,
    })
}

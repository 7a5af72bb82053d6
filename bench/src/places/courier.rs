//! Courier, from Debian's packages courier-pop and courier-authdaemon.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Result, anyhow, ensure};
use testbed::courier::{self, Authdaemond};

use super::{Ground, Place, make_userdb, readable, super_server};
use crate::group::Group;

const COURIERTLS: &str = "/usr/bin/couriertls";

/// Starts it: authdaemond with five workers, one super-server for each port.
pub(super) fn start(ground: &Ground, directory: &Path, homes: &Path) -> Result<Place> {
    if let Some(reason) = courier::missing_authdaemond() {
        return Err(anyhow!(reason));
    }
    ensure!(Path::new(COURIERTLS).exists(), "{COURIERTLS} is not there (Debian: courier-base)");
    let group = Group::new("courier")?;
    let log = directory.join("log");
    // Its TLS wants certificate and key in one file.
    let (certificate, key) = ground.certificates.server();
    let both = directory.join("pop3d.pem");
    fs::write(&both, [fs::read(certificate)?, fs::read(key)?].concat())?;
    let rc = "authmodulelist=\"authuserdb\"\ndaemons=5\n";
    let files = [("authdaemonrc", rc)];
    let daemon = directory.join("authdaemond");
    let mut authdaemond =
        Authdaemond::start_behind(&group.words(), &daemon, "authuserdb", &files).map_err(readable)?;
    make_userdb(ground, homes, &authdaemond.configuration(), Path::new(courier::MAKEUSERDB))?;
    let words: [OsString; 3] =
        [courier::COURIERPOP3LOGIN.into(), courier::COURIERPOP3D.into(), "Maildir".into()];
    let mut start = |front: &[OsString]| {
        let inner = authdaemond.command(courier::COURIERTCPD).map_err(readable)?;
        let mut command = group.around(&inner);
        command.env("TLS_CERTFILE", &both).env("POP3_TLS_REQUIRED", "0");
        super_server::start(command, &[front, &words].concat(), &log)
    };
    let (running, clear) = start(&[])?;
    let (running_tls, tls) = start(&[COURIERTLS, "-server", "-tcpd"].map(OsString::from))?;
    Ok(Place {
        clear,
        tls: Some(tls),
        client_tls: ground.client_tls.clone(),
        homes: Some(homes.to_owned()),
        _running: vec![Box::new(running), Box::new(running_tls), Box::new(authdaemond)],
        group,
    })
}

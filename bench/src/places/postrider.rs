//! Our two deployments.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::Result;
use testbed::authdaemond::OurAuthdaemond;
use testbed::process::command_behind;
use testbed::service::Service;

use super::{Ground, Place, make_userdb, readable, super_server};
use crate::group::Group;

const PATH: &str = "/usr/sbin:/usr/bin:/sbin:/bin";

/// Connections that no scenario reaches.
const ROOM: usize = 60_000;

/// `postrider serve`.
pub(super) fn service(ground: &Ground, directory: &Path, homes: &Path) -> Result<Place> {
    service_with_room(ground, directory, homes, ROOM)
}

/// The same for so many connections at once.
pub(super) fn service_with_room(
    ground: &Ground,
    directory: &Path,
    homes: &Path,
    room: usize,
) -> Result<Place> {
    let group = Group::new("service")?;
    let configuration = directory.join("postrider");
    testbed::stand::make_public(&configuration).map_err(readable)?;
    make_userdb(ground, homes, &configuration, &ground.programs.join("makeuserdb"))?;
    let log = directory.join("log");
    fs::write(&log, "")?;
    let mut command = group.command(ground.programs.join("postrider"));
    command.env_clear().env("PATH", PATH).env("MAXDAEMONS", room.to_string());
    let mut service =
        Service::start(command, &configuration, &log, Some(&ground.certificates)).map_err(readable)?;
    service.connect().map_err(readable)?;
    Ok(Place {
        clear: service.address(),
        tls: Some(service.tls_address()),
        client_tls: ground.client_tls.clone(),
        homes: Some(homes.to_owned()),
        _running: vec![Box::new(service)],
        group,
    })
}

/// The chain of programs that Courier's manual names, in its form with
/// authdaemond.
pub(super) fn classic(ground: &Ground, directory: &Path, homes: &Path) -> Result<Place> {
    let group = Group::new("classic")?;
    let log = directory.join("log");
    let daemon = directory.join("authdaemond");
    let mut authdaemond =
        OurAuthdaemond::new(&ground.programs.join("authdaemond"), &daemon).map_err(readable)?;
    make_userdb(ground, homes, &authdaemond.configuration(), &ground.programs.join("makeuserdb"))?;
    authdaemond
        .start_behind(&group.words(), "authmodulelist=\"authuserdb\"\ndaemons=5\n")
        .map_err(readable)?;
    let mut couriertcpd = command_behind(&group.words(), &ground.programs.join("couriertcpd"));
    couriertcpd.env_clear().env("PATH", PATH);
    authdaemond.at_home(&mut couriertcpd);
    let words: [OsString; 3] = [
        ground.programs.join("courierpop3login").into(),
        ground.programs.join("courierpop3d").into(),
        "./Maildir".into(),
    ];
    let (running, clear) = super_server::start(couriertcpd, &words, &log)?;
    Ok(Place {
        clear,
        tls: None,
        client_tls: ground.client_tls.clone(),
        homes: Some(homes.to_owned()),
        _running: vec![Box::new(running), Box::new(authdaemond)],
        group,
    })
}

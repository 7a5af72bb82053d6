//! The chain of the manual page, with an account in userdb's text.

use std::fs;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use anyhow::{Context, Result, ensure};

use super::{Stage, USER, tell_password};

/// The programs that take part.
pub(super) const PROGRAMS: [&str; 7] = [
    "couriertcpd",
    "courierpop3login",
    "authuserdb",
    "courierpop3d",
    "makeuserdb",
    "userdbpw",
    "maildirmake",
];

/// The account in userdb, and its Maildir.
pub(super) fn make_account(stage: &Stage, password: &str) -> Result<PathBuf> {
    let hash = tell_password(stage.program("userdbpw"), password)?;
    let (uid, gid, home) = (stage.uid, stage.gid, stage.path("home"));
    let record =
        format!("{USER}\tuid={uid}|gid={gid}|home={}|systempw={}\n", home.display(), hash.trim_end());
    let userdb = stage.path("userdb");
    stage.write(&userdb, record.as_bytes())?;
    fs::set_permissions(&userdb, fs::Permissions::from_mode(0o600))?;
    succeed(stage.program("makeuserdb").arg("-f").arg(&userdb))?;
    fs::create_dir(&home)?;
    chown(&home, Some(uid), Some(gid))?;
    let maildir = home.join("Maildir");
    succeed(stage.program("maildirmake").arg(&maildir))?;
    Ok(maildir)
}

/// Starts the chain.
pub(super) fn start(stage: &Stage, port: u16) -> Result<Child> {
    let mut couriertcpd = stage.program("couriertcpd");
    couriertcpd.args(["-nodnslookup", "-address=127.0.0.1"]).arg(port.to_string());
    couriertcpd
        .args(["courierpop3login", "authuserdb", "courierpop3d"].map(|name| stage.programs.join(name)));
    couriertcpd.arg("./Maildir").stdin(Stdio::null()).env("POSTRIDER_SYSCONFDIR", stage.directory.path());
    couriertcpd.spawn().context("couriertcpd")
}

fn succeed(command: &mut Command) -> Result<()> {
    let status = command.status()?;
    ensure!(status.success(), "{:?} failed: {status}", command.get_program());
    Ok(())
}

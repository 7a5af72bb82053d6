//! The packages that the tests want: Courier's programs, and clients that
//! nobody here wrote.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

/// What the tests compare us with, use as clients, look through, and (g++, for
/// libFuzzer) build with.
const PACKAGES: &[&str] = &[
    "checkpw",
    "courier-pop",
    "courier-authdaemon",
    "courier-authlib-ldap",
    "courier-authlib-mysql",
    "courier-authlib-pipe",
    "courier-authlib-postgresql",
    "courier-authlib-sqlite",
    "courier-authlib-userdb",
    "curl",
    "fetchmail",
    "g++",
    "getmail6",
    "haproxy",
    "ldap-utils",
    "libio-socket-ssl-perl",
    "mariadb-server",
    "mpop",
    "openssl",
    "perl",
    "pgbouncer",
    "postgresql",
    "python3",
    "slapd",
    "sqlite3",
    "strace",
    "systemd",
    "util-linux",
];

/// Installs what is missing, if we are root on Debian. Elsewhere the tests
/// themselves say what they leave out.
pub(crate) fn install() -> Result<()> {
    if !Uid::effective().is_root() || !Path::new("/etc/debian_version").exists() {
        return Ok(());
    }
    let missing: Vec<_> = PACKAGES.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    let _nothing_is_started = NothingStarts::declare()?;
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat())
}

/// Whether this run is one that counts: what it cannot do is a failure then.
pub(crate) fn nothing_may_be_left_out() -> bool {
    std::env::var("CI").is_ok_and(|ci| ci == "true")
}

fn is_installed(package: &str) -> bool {
    let query =
        Command::new("dpkg-query").args(["--show", "--showformat=${db:Status-Status}", package]).output();
    query.is_ok_and(|output| output.stdout == b"installed")
}

fn apt_get(words: &[&str]) -> Result<()> {
    let mut command = Command::new("timeout");
    command.args(["600", "apt-get", "--quiet", "--option=DPkg::Lock::Timeout=120"]).args(words);
    command.env("DEBIAN_FRONTEND", "noninteractive").stdin(Stdio::null());
    let status = command.status().context("apt-get")?;
    ensure!(status.success(), "apt-get {}: {status}", words.join(" "));
    Ok(())
}

/// While this lives, no package may start a daemon (invoke-rc.d(8)).
struct NothingStarts(bool);

const POLICY: &str = "/usr/sbin/policy-rc.d";

impl NothingStarts {
    fn declare() -> Result<NothingStarts> {
        match File::create_new(POLICY) {
            Ok(mut file) => {
                file.write_all(b"#!/bin/sh\nexit 101\n")?;
                file.set_permissions(Permissions::from_mode(0o755))?;
                Ok(NothingStarts(true))
            }
            // Somebody has a policy of his own; that is for him to say.
            Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(NothingStarts(false)),
            Err(error) => Err(error).context(POLICY),
        }
    }
}

impl Drop for NothingStarts {
    fn drop(&mut self) {
        if self.0
            && let Err(error) = fs::remove_file(POLICY)
        {
            eprintln!("{POLICY}: {error}");
        }
    }
}

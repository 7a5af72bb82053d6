//! The packages that the tests want: Courier's programs, and clients that
//! nobody here wrote.

use std::fs::{self, File, Permissions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};
use nix::unistd::Uid;

use crate::project;

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
    "dovecot-core",
    "fetchmail",
    "g++",
    "getmail6",
    "gsasl",
    "haproxy",
    "ldap-utils",
    "libio-socket-ssl-perl",
    "mariadb-server",
    "mpop",
    "nmap",
    "openssl",
    "perl",
    "pgbouncer",
    "postgresql",
    "python3",
    "slapd",
    "sqlite3",
    "sslscan",
    "strace",
    "systemd",
    "testssl.sh",
    "util-linux",
];

/// What `cargo xtask bench` wants: the servers that it compares us with.
pub(crate) const FOR_BENCH: &[&str] = &[
    "courier-pop",
    "courier-authdaemon",
    "courier-authlib-userdb",
    "dovecot-core",
    "linux-perf",
    "openssl",
    "strace",
    "util-linux",
];

/// Installs what the tests want and is missing. Where that cannot be done they
/// say themselves what they leave out.
pub(crate) fn install() -> Result<()> {
    install_these(PACKAGES)?;
    if can_install() { unpack_dovecot() } else { Ok(()) }
}

/// Unpacks Dovecot's POP3 server, since Debian lets only one be installed.
pub(crate) fn unpack_dovecot() -> Result<()> {
    unpack("dovecot-pop3d", &project::target_directory()?.join("dovecot-pop3d"))
}

/// Whether we are root on Debian.
fn can_install() -> bool {
    Uid::effective().is_root() && Path::new("/etc/debian_version").exists()
}

/// Installs those of `packages` that are missing, if we are root on Debian.
pub(crate) fn install_these(packages: &[&str]) -> Result<()> {
    if !can_install() {
        return Ok(());
    }
    let missing: Vec<_> = packages.iter().copied().filter(|package| !is_installed(package)).collect();
    if missing.is_empty() {
        return Ok(());
    }
    println!("installing {}", missing.join(" "));
    let _nothing_is_started = NothingStarts::declare()?;
    apt_get(&["update"])?;
    let install = ["install", "--yes", "--no-install-recommends"];
    apt_get(&[&install[..], &missing[..]].concat())
}

/// Unpacks `package` into `directory`, if it is not there already: one that
/// cannot be installed beside others that are.
fn unpack(package: &str, directory: &Path) -> Result<()> {
    if directory.exists() {
        return Ok(());
    }
    let download = tempfile::tempdir()?;
    // apt fetches as a user of its own.
    fs::set_permissions(download.path(), Permissions::from_mode(0o777))?;
    let mut apt = Command::new("timeout");
    apt.args(["600", "apt-get", "--quiet", "download", package]).current_dir(download.path());
    let status = apt.stdin(Stdio::null()).status().context("apt-get")?;
    ensure!(status.success(), "apt-get download {package}: {status}");
    let archive = fs::read_dir(download.path())?.next().context("apt-get has downloaded nothing")??;
    let status = Command::new("dpkg-deb").arg("--extract").arg(archive.path()).arg(directory).status()?;
    ensure!(status.success(), "dpkg-deb: {status}");
    Ok(())
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

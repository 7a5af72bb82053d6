//! The trial of what TLS is to be made of, before anybody serves with it: a
//! process that is nobody reads it as a front would, says what is wrong with
//! it, and ends. So a front is never given what it cannot use.

use std::io;
use std::os::fd::OwnedFd;
use std::path::Path;
use std::process::{Child, Command, ExitCode, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use authlib::printable::reason;

use super::birth;
use super::confinement::Confinement;
use super::front::tls::MakeServer;
use super::material::Material;
use crate::log;

/// How long a trial may take.
const PATIENCE: Duration = Duration::from_secs(20);

/// Runs the trial, in the process that is to end with it.
#[must_use]
pub fn run(make_server: MakeServer) -> ExitCode {
    let material = birth::as_account(&Confinement::Front)
        .and_then(|material| Material::unseal(material).map_err(|error| reason(&error)));
    match material.and_then(|material| make_server(&material)) {
        Ok(made) => {
            made.remarks.iter().for_each(|remark| log::warning(remark));
            ExitCode::SUCCESS
        }
        Err(wrong) => {
            log::error(&format_args!("TLS: {wrong}"));
            ExitCode::FAILURE
        }
    }
}

/// A trial that goes on.
pub(super) struct Assay {
    child: Child,
    ends: Instant,
}

impl Assay {
    /// Begins the trial of `material`, by `program` as whom `ids` name, with
    /// the service's `environment`.
    ///
    /// # Errors
    /// What the system reports.
    pub(super) fn begin(
        program: &Path,
        ids: &[String],
        environment: impl IntoIterator<Item = (std::ffi::OsString, std::ffi::OsString)>,
        material: &OwnedFd,
    ) -> io::Result<Assay> {
        let mut command = Command::new(program);
        command.args(ids).env_clear().envs(environment).stdin(Stdio::null()).stdout(Stdio::null());
        system::descriptor::pass(&mut command, material.try_clone()?, birth::WIRE)?;
        Ok(Assay { child: command.spawn()?, ends: Instant::now() + PATIENCE })
    }

    /// Whether the material is good, if that is known by now. The log says why
    /// it is not.
    pub(super) fn verdict(&mut self) -> Option<bool> {
        match self.child.try_wait() {
            Ok(status @ Some(_)) => status.map(|status: ExitStatus| status.success()),
            Ok(None) if Instant::now() < self.ends => None,
            Ok(None) | Err(_) => {
                log::error(&"TLS: its certificates could not be tried");
                let _it_has_ended = self.child.kill();
                let _it_was_killed = self.child.wait();
                Some(false)
            }
        }
    }

    /// The same, as soon as it is known.
    pub(super) fn wait(mut self) -> bool {
        loop {
            match self.verdict() {
                Some(verdict) => return verdict,
                None => std::thread::sleep(Duration::from_millis(2)),
            }
        }
    }
}

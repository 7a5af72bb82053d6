//! What a run stands on: programs, certificates, accounts and mail, in a
//! directory that goes with it.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::thread::sleep;
use std::time::Duration;

use anyhow::{Context, Result};
use testbed::certificates::Certificates;

use crate::load;
use crate::mail::Pool;
use crate::places::{Ground, Places, readable};
use crate::scale::{GROWING, Scale};
use crate::scenarios::Scenario;

/// Makes all of it in `directory`, with the programs of the directory `built`.
///
/// # Errors
/// A file cannot be made, or crypt(3) has not the hashes of today.
pub(crate) fn make(directory: &Path, built: &Path, scale: &Scale) -> Result<Ground> {
    testbed::stand::make_public(directory).map_err(readable)?;
    let programs = directory.join("bin");
    fs::create_dir(&programs)?;
    testbed::stand::make_public(&programs).map_err(readable)?;
    for entry in fs::read_dir(built)? {
        let entry = entry?;
        let (path, meta) = (entry.path(), entry.metadata()?);
        if meta.is_file() && meta.mode() & 0o111 != 0 && path.extension().is_none() {
            testbed::process::install(&path, &programs.join(entry.file_name())).map_err(readable)?;
        }
    }
    let certificates = Certificates::make(&directory.join("certificates"), [127, 0, 0, 1].into(), "client")
        .map_err(readable)?;
    let client_tls = load::tls(&certificates)?;
    let slow = [("yescrypt", c"$y$"), ("bcrypt", c"$2b$")];
    let slow: Vec<(&str, String)> = slow
        .into_iter()
        .map(|(name, prefix)| {
            let setting = system::crypt::setting(prefix, 0)?;
            let hash = system::crypt::hash(b"secret", &setting)?.context("crypt(3) cannot")?;
            Ok((name, String::from_utf8(hash)?))
        })
        .collect::<Result<_>>()?;
    Ok(Ground {
        directory: directory.to_owned(),
        programs,
        dovecot: built.join("../dovecot-pop3d"),
        certificates,
        client_tls,
        accounts: scale.accounts(&slow),
        pool: Pool::new(directory.join("pool"))?,
    })
}

/// Mail for the accounts whose maildrops last for the whole run.
///
/// # Errors
/// What the file system says.
pub(crate) fn lay_out(ground: &Ground, scale: &Scale, scenarios: &[Scenario], places: &Places) -> Result<()> {
    let named = |names: &[&str]| scenarios.iter().any(|scenario| names.contains(&scenario.name));
    for account in &ground.accounts {
        let lasts = match account.name.as_str() {
            "many" => named(&["poll-many", "poll-stat", "known"]),
            GROWING => named(&["poll-new"]),
            name => !["first", "emptied", "grown"].iter().any(|prefix| name.starts_with(prefix)),
        };
        for place in places.standing().filter(|_| lasts) {
            place.lay_out(&ground.pool, &account.name, account.mail)?;
        }
    }
    // So that the disk is not busy with it later.
    rustix::fs::sync();
    sleep(if scale.quick { Duration::from_millis(2500) } else { Duration::from_secs(10) });
    Ok(())
}

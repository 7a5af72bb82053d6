//! Parts of `/etc` that are a test's own: in a mount namespace, where they lie
//! over the machine's and nothing on the machine is touched. That takes root.

use std::ffi::OsString;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;
use crate::chain::Account;

/// Why there can be no such namespace here, if so.
#[must_use]
pub fn missing() -> Option<String> {
    let permitted = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    let permitted = permitted.is_ok_and(|status| status.success());
    (!permitted).then(|| "users of a test's own need root and a mount namespace".to_owned())
}

/// Files and directories that lie over the machine's.
#[derive(Debug, Clone, Default)]
pub struct Machine {
    mounts: Vec<(PathBuf, PathBuf)>,
}

impl Machine {
    /// One like this.
    #[must_use]
    pub fn new() -> Machine {
        Machine::default()
    }

    /// The same with `own` in the place of `theirs`, which exists.
    #[must_use]
    pub fn with(mut self, own: &Path, theirs: &Path) -> Machine {
        self.mounts.push((own.to_owned(), theirs.to_owned()));
        self
    }

    /// The same with the system user `alice`, who is `account`. `shadow` is her
    /// line of the shadow data base behind the name: hash, day of the last
    /// change, and so on. The files are made in `directory`.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub fn with_alice(self, account: &Account, shadow: &str, directory: &Path) -> Outcome<Machine> {
        let ((uid, gid), home) = (account.owner, account.home.display());
        let passwd = format!("alice:x:{uid}:{gid}:Alice Liddell,,:{home}:/bin/sh\n");
        self.with_line("passwd", 0o644, &passwd, directory)?
            .with_line("group", 0o644, &format!("alice:x:{gid}:\nreaders:x:64115:alice\n"), directory)?
            .with_line("shadow", 0o640, &format!("alice:{shadow}\n"), directory)
    }

    fn with_line(self, name: &str, mode: u32, lines: &str, directory: &Path) -> Outcome<Machine> {
        let (own, theirs) = (directory.join(name), Path::new("/etc").join(name));
        fs::write(&own, format!("{}{lines}", fs::read_to_string(&theirs)?))?;
        // A group may read the shadow data base.
        chown(&own, None, Some(fs::metadata(&theirs)?.gid()))?;
        fs::set_permissions(&own, Permissions::from_mode(mode))?;
        Ok(self.with(&own, &theirs))
    }

    /// The words that run the program that follows them in this place.
    #[must_use]
    pub fn words(&self) -> Vec<OsString> {
        let script = "while [ \"$1\" != -- ]; do mount --bind \"$1\" \"$2\" || exit 1; shift 2; done; \
            shift; exec \"$@\"";
        let mut words: Vec<OsString> =
            ["unshare", "--mount", "sh", "-c", script, "sh"].map(Into::into).into();
        words.extend(self.mounts.iter().flat_map(|(own, theirs)| [own.into(), theirs.into()]));
        words.push("--".into());
        words
    }
}

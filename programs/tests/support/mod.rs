//! A maildrop of its own for a test, and our `courierpop3d` on it.

use std::fs::{self, Permissions};
use std::io::{Read, Write};
use std::os::unix::fs::{PermissionsExt, chown};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use tempfile::TempDir;
use testbed::Outcome;
use testbed::chain::Account;

/// An account with a home directory that is removed with this value.
pub(crate) struct Home {
    directory: TempDir,
    account: Account,
}

impl Home {
    /// An account with an empty Maildir. The program lies beside it, where the
    /// account's user can reach it wherever the project is.
    pub(crate) fn new() -> Outcome<Home> {
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir()?;
        fs::set_permissions(directory.path(), Permissions::from_mode(0o755))?;
        let built = Path::new(env!("CARGO_BIN_EXE_courierpop3d"));
        testbed::process::install(built, &directory.path().join("courierpop3d"))?;
        let account = Account::new(directory.path().join("alice"));
        testbed::maildrop::lay_out(&account.home, &[], account.owner)?;
        Ok(Home { directory, account })
    }

    /// A path in the Maildir.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.account.maildir().join(name)
    }

    /// Puts a file into the Maildir.
    pub(crate) fn put(&self, name: &str, octets: &[u8]) -> Outcome {
        let path = self.path(name);
        fs::write(&path, octets)?;
        Ok(chown(path, Some(self.account.owner.0), Some(self.account.owner.1))?)
    }

    /// Our `courierpop3d` as the account's user, in its home.
    pub(crate) fn courierpop3d(&self) -> Command {
        let mut command = Command::new(self.directory.path().join("courierpop3d"));
        command.arg("./Maildir").current_dir(&self.account.home);
        command.env_clear().env("AUTHENTICATED", "alice").env("UTF8", "1");
        if nix::unistd::geteuid().is_root() {
            command.uid(self.account.owner.0).gid(self.account.owner.1);
        }
        command
    }

    /// A whole session: what the client sends, in `pieces`, and all that it
    /// gets.
    pub(crate) fn session(&self, pieces: &[&[u8]]) -> Outcome<Vec<u8>> {
        let mut command = self.courierpop3d();
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn()?;
        let mut input = child.stdin.take().ok_or("no input")?;
        std::thread::scope(|scope| {
            scope.spawn(move || {
                for piece in pieces {
                    // The server may have had enough before we had.
                    let _ = input.write_all(piece);
                }
            });
            let mut replies = Vec::new();
            child.stdout.take().ok_or("no output")?.read_to_end(&mut replies)?;
            let Output { status, stderr, .. } = child.wait_with_output()?;
            if status.code().is_none() {
                return Err(format!("{status}: {}", String::from_utf8_lossy(&stderr)).into());
            }
            Ok(replies)
        })
    }
}

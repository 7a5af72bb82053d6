//! A machine with a user `alice` and PAM services of its own, for our
//! authdaemond and for Courier's. Needs root.

use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;
use testbed::authdaemond::OurAuthdaemond;
use testbed::chain::Account;
use testbed::courier::{Authdaemond, leave_out};
use testbed::machine::{self, Machine};
use testbed::stand::{Programs, make_public};

pub(crate) const AUTHPAM: &str = env!("CARGO_BIN_EXE_authpam");

/// Alice's line of the shadow data base: the password `secret`, and nothing
/// that ends.
pub(crate) const SHADOW: &str = "$6$saltsalt$TVLlQcbpFVof5W3Yz4DTP6gRstiNuHwwTt6GLc1E5n0U0aDehy0S5knV8wiOQSpT0Y77vwPZN.\
    Pq.H91p5hVO1:19000::::::";

/// Passwords of the shadow data base, checked without the pause after a wrong
/// one, which tests need not wait for.
pub(crate) const UNIX: &str = "auth required pam_unix.so nodelay\naccount required pam_unix.so\n";

const RC: &str = "authmodulelist=\"authpam\"\ndaemons=3\n";

/// Whether there can be such a machine; says so if not.
pub(crate) fn is_here() -> bool {
    let Some(reason) = machine::missing() else { return true };
    leave_out(&reason).unwrap();
    false
}

/// Puts a PAM service beside the others.
pub(crate) fn service(directory: &Path, name: &str, lines: &str) {
    fs::create_dir_all(directory).unwrap();
    fs::write(directory.join(name), lines).unwrap();
}

/// The machine's own files and programs.
pub(crate) struct Stand {
    pub(crate) directory: TempDir,
    pub(crate) account: Account,
    pub(crate) programs: Programs,
    machine: Machine,
}

impl Stand {
    /// One whose services are what is in `services`, name and lines, and `pop3`.
    /// Where pam_user_map is asked, `guest` is alice.
    pub(crate) fn new(services: &[(&str, &str)], shadow: &str) -> Stand {
        let stand = Stand::with_services_of_the_machine(shadow);
        let [pam, security] = ["pam.d", "security"].map(|name| stand.directory.path().join(name));
        service(&pam, "pop3", UNIX);
        services.iter().for_each(|(name, lines)| service(&pam, name, lines));
        service(&security, "user_map.conf", "guest: alice\n");
        let machine = stand.machine.clone().with(&pam, Path::new("/etc/pam.d"));
        Stand { machine: machine.with(&security, Path::new("/etc/security")), ..stand }
    }

    /// One that has alice, and the machine's services.
    pub(crate) fn with_services_of_the_machine(shadow: &str) -> Stand {
        let directory = tempfile::tempdir().unwrap();
        make_public(directory.path()).unwrap();
        let mut built = testbed::cells::built(Path::new(AUTHPAM)).unwrap();
        built.push(AUTHPAM.into());
        let programs = Programs::copy(&built, &directory.path().join("bin")).unwrap();
        let account = Account::new(directory.path().join("alice"));
        make_public(&account.home).unwrap();
        let machine = Machine::new().with_alice(&account, shadow, directory.path()).unwrap();
        Stand { directory, account, programs, machine }
    }

    /// Our authdaemond.
    pub(crate) fn ours(&self) -> OurAuthdaemond {
        self.ours_with(RC)
    }

    /// The same with `rc` as its authdaemonrc.
    pub(crate) fn ours_with(&self, rc: &str) -> OurAuthdaemond {
        let program = self.programs.path("authdaemond");
        let mut daemon = OurAuthdaemond::new(&program, &self.directory.path().join("ours")).unwrap();
        daemon.start_behind(&self.machine.words(), rc).unwrap();
        daemon
    }

    /// A command for what `words`, and those that are added to it, run there.
    pub(crate) fn command(&self, words: &[&str]) -> Command {
        let mut command = Command::new("env");
        command.args(self.machine.words()).args(words);
        command
    }

    /// Courier's.
    pub(crate) fn courier(&self) -> Authdaemond {
        Authdaemond::start_behind(
            &self.machine.words(),
            &self.directory.path().join("theirs"),
            "authpam",
            &[],
        )
        .unwrap()
    }

    /// Puts a PAM service beside the others.
    pub(crate) fn service(&self, name: &str, lines: &str) {
        service(&self.directory.path().join("pam.d"), name, lines);
    }

    /// Gives alice another line of the shadow data base.
    pub(crate) fn set_shadow(&self, shadow: &str) {
        // In its place: the file lies over another one.
        let file = self.directory.path().join("shadow");
        let text = fs::read_to_string(&file).unwrap();
        let others: String = text.split_inclusive('\n').filter(|line| !line.starts_with("alice:")).collect();
        fs::write(&file, format!("{others}alice:{shadow}\n")).unwrap();
    }

    /// A shell script that modules run.
    pub(crate) fn script(&self, name: &str, lines: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, format!("#!/bin/sh\n{lines}\n")).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(0o755)).unwrap();
        path
    }
}

/// The request whether a password is right.
pub(crate) fn auth(service: &str, user: &str, password: &str) -> Vec<u8> {
    let body = format!("{service}\nlogin\n{user}\n{password}\n");
    format!("TCPREMOTEIP=::ffff:192.0.2.7\nAUTH {}\n{body}", body.len()).into_bytes()
}

//! A directory with accounts, and authldap beside it.

use std::fs;
use std::path::{Path, PathBuf};

use tempfile::TempDir;
use testbed::Outcome;
use testbed::pipe_program::PipeProgram;
use testbed::slapd::{READER, SUFFIX, Slapd};

pub(crate) const AUTHLDAP: &str = env!("CARGO_BIN_EXE_authldap");

/// The password `secret`.
pub(crate) const SSHA: &str = "{SSHA}gVK8WC9YyFT1gMsQHTGCgT3sSv5zYWx0";
pub(crate) const CRYPT: &str = "{CRYPT}$5$rounds=1000$abcdefgh$XIppta5rT8zJUu4vAOKQXrwq9uY4Ijlz6VjyOmkx5i4";

/// What authldaprc says unless a test says otherwise.
const USUAL: &str = "\
LDAP_PROTOCOL_VERSION 3
LDAP_TIMEOUT   30
LDAP_HOMEDIR   homeDir
LDAP_UID       mailUid
LDAP_GID       mailGid
LDAP_CRYPTPW   cryptPassword
";

/// A server, and a directory with an authldaprc.
pub(crate) struct House {
    pub(crate) slapd: Slapd,
    directory: TempDir,
}

/// Whether there can be a server; says so if not.
pub(crate) fn is_possible() -> bool {
    let Some(reason) = testbed::slapd::missing() else { return true };
    testbed::courier::leave_out(&reason).unwrap();
    false
}

/// An entry below the suffix, with what everybody has and `lines`.
pub(crate) fn person(name: &str, lines: &str) -> String {
    person_below(name, SUFFIX, lines)
}

/// The same below `superior`.
pub(crate) fn person_below(name: &str, superior: &str, lines: &str) -> String {
    format!(
        "dn: cn={name},{superior}\nobjectClass: mailAccount\nmail: {name}\nhomeDir: /home/{name}\n\
         mailUid: 5000\nmailGid: 5001\n{lines}\n\n"
    )
}

/// Alice, whose password is `secret`.
pub(crate) fn alice() -> String {
    person("alice", &format!("cryptPassword: {SSHA}"))
}

impl House {
    /// A server with the entries of `ldif`.
    pub(crate) fn with(ldif: &str) -> House {
        House::around(Slapd::start(ldif).unwrap())
    }

    pub(crate) fn around(slapd: Slapd) -> House {
        let house = House { slapd, directory: tempfile::tempdir().unwrap() };
        house.configure("");
        house
    }

    /// Writes authldaprc: `settings`, and what is usual where they say nothing.
    pub(crate) fn configure(&self, settings: &str) {
        // By renaming, as an editor does it.
        let beside = self.configuration().join("new");
        fs::write(&beside, self.authldaprc(settings)).unwrap();
        fs::rename(beside, self.configuration().join("authldaprc")).unwrap();
    }

    /// The text of it. Of several with one name the first counts.
    pub(crate) fn authldaprc(&self, settings: &str) -> String {
        let set = |name: &str| settings.lines().any(|line| line.split_whitespace().next() == Some(name));
        let place = format!("LDAP_URI {}\nLDAP_BASEDN {SUFFIX}\n", self.slapd.ldap());
        let usual: String = place
            .lines()
            .chain(USUAL.lines())
            .filter(|line| !line.split_whitespace().next().is_some_and(set))
            .map(|line| format!("{line}\n"))
            .collect();
        format!("{settings}\n{usual}##NAME: MARKER:0\n")
    }

    pub(crate) fn configuration(&self) -> PathBuf {
        self.directory.path().to_owned()
    }

    /// authldap, with the settings that were written last and `settings`.
    pub(crate) fn program(&self, settings: &str) -> PipeProgram {
        self.configure(settings);
        self.program_with(&[])
    }

    /// authldap, with the settings that were written last.
    pub(crate) fn program_with(&self, environment: &[(&str, &str)]) -> PipeProgram {
        PipeProgram::start(Path::new(AUTHLDAP), &self.configuration(), environment).unwrap()
    }
}

/// Settings to bind as somebody who may read and change passwords.
pub(crate) fn as_reader() -> String {
    format!("LDAP_INITBIND 1\nLDAP_BINDDN {READER}\nLDAP_BINDPW {}\n", testbed::slapd::PASSWORD)
}

/// The answer to a look-up of `user` for `service`.
pub(crate) fn look_up(program: &mut PipeProgram, service: &str, user: &str) -> Outcome<String> {
    program.ask(format!("PRE . {service} {user}\n").as_bytes())
}

/// The answer to a change of `user`'s password.
pub(crate) fn change(program: &mut PipeProgram, user: &str, old: &str, new: &str) -> Outcome<String> {
    program.ask(format!("PASSWD pop3\t{user}\t{old}\t{new}\n").as_bytes())
}

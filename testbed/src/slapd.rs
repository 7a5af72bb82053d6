//! An OpenLDAP server that is thrown away, on a loopback address of its own
//! (`ldap://`, `ldaps://`) and a UNIX socket (`ldapi://`).
//!
//! Where AppArmor confines slapd to Debian's own directories it cannot open
//! ours: what needs it is left out there ([`missing`]).

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::sys::signal::Signal;
use tempfile::TempDir;

use crate::certificates::Certificates;
use crate::chain::own_address;
use crate::process::{Running, said};
use crate::stand::make_public;
use crate::{Outcome, ordinary};

/// Everything is below this entry.
pub const SUFFIX: &str = "dc=example,dc=com";
/// Who may do everything.
pub const ADMINISTRATOR: &str = "cn=admin,dc=example,dc=com";
/// Who may read passwords, and change them.
pub const READER: &str = "cn=reader,dc=example,dc=com";
/// The password of both.
pub const PASSWORD: &str = "the server's secret";
/// Below this entry nobody but those two sees anything.
pub const CLOSED: &str = "ou=closed,dc=example,dc=com";

const PROGRAM: &str = "/usr/sbin/slapd";

/// What Courier's users put into their directories, and what a test wants to
/// be free of any syntax. The numbers are those of examples (RFC 5612).
const SCHEMA: &str = "
attributetype (1.3.6.1.4.1.32473.1.1 NAME 'mailbox' SUP name)
attributetype (1.3.6.1.4.1.32473.1.2 NAME 'quota' SUP name)
attributetype (1.3.6.1.4.1.32473.1.3 NAME 'clearPassword' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40)
attributetype (1.3.6.1.4.1.32473.1.4 NAME 'cryptPassword' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40)
attributetype (1.3.6.1.4.1.32473.1.5 NAME 'disablepop3' SUP name)
attributetype (1.3.6.1.4.1.32473.1.6 NAME 'shared' SUP name)
attributetype (1.3.6.1.4.1.32473.1.7 NAME 'handle' SUP name)
attributetype (1.3.6.1.4.1.32473.1.8 NAME 'realm' SUP name)
attributetype (1.3.6.1.4.1.32473.1.9 NAME 'delivery' SUP name)
attributetype (1.3.6.1.4.1.32473.1.10 NAME 'mailUid' SUP name)
attributetype (1.3.6.1.4.1.32473.1.11 NAME 'mailGid' SUP name)
attributetype (1.3.6.1.4.1.32473.1.12 NAME 'homeDir' EQUALITY octetStringMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.40)
attributetype (1.3.6.1.4.1.32473.1.13 NAME 'address' SUP name)
objectclass (1.3.6.1.4.1.32473.2.1 NAME 'mailAccount' SUP top STRUCTURAL
  MAY (cn $ uid $ mail $ description $ userPassword $ mailbox $ quota $ clearPassword $ cryptPassword $ disablepop3
       $ shared $ handle $ realm $ delivery $ mailUid $ mailGid $ homeDir $ address))
";

const SUFFIX_ENTRIES: &str = "
dn: dc=example,dc=com
objectClass: dcObject
objectClass: organization
dc: example
o: example

dn: cn=reader,dc=example,dc=com
objectClass: mailAccount
cn: reader
userPassword: the server's secret

dn: ou=closed,dc=example,dc=com
objectClass: organizationalUnit
ou: closed
";

/// A running server.
#[derive(Debug)]
pub struct Slapd {
    server: Option<Running>,
    address: SocketAddr,
    secure: SocketAddr,
    certificates: Option<Certificates>,
    directory: TempDir,
}

/// Why there can be none here, if so.
#[must_use]
pub fn missing() -> Option<String> {
    if !Path::new(PROGRAM).exists() {
        return Some(format!("{PROGRAM} is not there (Debian: slapd)"));
    }
    let profiles = fs::read_to_string("/sys/kernel/security/apparmor/profiles").unwrap_or_default();
    let is_confined = profiles.lines().any(|profile| profile == format!("{PROGRAM} (enforce)"));
    is_confined.then(|| format!("AppArmor keeps {PROGRAM} out of the directories of tests"))
}

impl Slapd {
    /// A server with TLS and, below [`SUFFIX`], the entries of `ldif`, as soon
    /// as it answers.
    ///
    /// # Errors
    /// It cannot be made or started.
    pub fn start(ldif: &str) -> Outcome<Slapd> {
        Slapd::start_with(ldif, Some("try"))
    }

    /// The same without certificates: it refuses StartTLS.
    ///
    /// # Errors
    /// As [`start`](Slapd::start).
    pub fn start_without_tls(ldif: &str) -> Outcome<Slapd> {
        Slapd::start_with(ldif, None)
    }

    /// The same with TLS, and nobody is served over it who has no certificate.
    ///
    /// # Errors
    /// As [`start`](Slapd::start).
    pub fn start_demanding_certificates(ldif: &str) -> Outcome<Slapd> {
        Slapd::start_with(ldif, Some("demand"))
    }

    /// `clients` is what it wants of their certificates, if it has TLS.
    fn start_with(ldif: &str, clients: Option<&str>) -> Outcome<Slapd> {
        let (directory, address) = (tempfile::tempdir()?, own_address());
        make_public(directory.path())?;
        ordinary::directory(&directory.path().join("data"))?;
        let certificates = match clients {
            Some(_) => Some(Certificates::make(&directory.path().join("tls"), address.ip(), "client")?),
            None => None,
        };
        if let Some(certificates) = &certificates {
            ordinary::give(&certificates.server().1)?;
        }
        let secure = SocketAddr::new(address.ip(), address.port() + 5000);
        let mut server = Slapd { server: None, address, secure, certificates, directory };
        fs::write(server.path("slapd.conf"), server.configuration(clients.unwrap_or_default()))?;
        server.load(&format!("{SUFFIX_ENTRIES}\n{ldif}"))?;
        server.start_again()?;
        Ok(server)
    }

    fn configuration(&self, clients: &str) -> String {
        let schemata: String = ["core", "cosine", "nis", "inetorgperson"]
            .map(|name| format!("include /etc/ldap/schema/{name}.schema\n"))
            .concat();
        let data = self.path("data");
        let data = data.display();
        let tls = self.certificates.as_ref().map_or_else(String::new, |certificates| {
            let (certificate, key) = certificates.server();
            format!(
                "TLSCertificateFile {}\nTLSCertificateKeyFile {}\nTLSCACertificateFile {}\nTLSVerifyClient {clients}\n",
                certificate.display(),
                key.display(),
                certificates.authority().display()
            )
        });
        format!(
            "{schemata}{SCHEMA}
pidfile {data}/pid
argsfile {data}/args
modulepath /usr/lib/ldap
moduleload back_mdb
{tls}
sizelimit size.soft=100 size.hard=100 size.pr=100 size.prtotal=unlimited
database mdb
suffix \"{SUFFIX}\"
rootdn \"{ADMINISTRATOR}\"
rootpw \"{PASSWORD}\"
directory {data}
maxsize 268435456
dbnosync
access to attrs=userPassword by dn.exact=\"{READER}\" write by self write by anonymous auth by * none
access to dn.subtree=\"{CLOSED}\" by dn.exact=\"{READER}\" write by self read by anonymous auth by * none
access to * by dn.exact=\"{READER}\" write by * read
"
        )
    }

    /// Loads `ldif` while the server does not run.
    fn load(&self, ldif: &str) -> Outcome {
        let mut command = ordinary::command(PROGRAM)?;
        // slapd is slapadd too, by its name or this option.
        command.args(["-T", "add", "-q", "-f"]).arg(self.path("slapd.conf"));
        said(&mut command, ldif)?;
        Ok(())
    }

    /// Starts it after [`stop`](Slapd::stop), where it was.
    ///
    /// # Errors
    /// It does not answer.
    pub fn start_again(&mut self) -> Outcome {
        let mut command = ordinary::command(PROGRAM)?;
        let addresses =
            [Some(self.ldap()), self.certificates.as_ref().map(|_| self.ldaps()), Some(self.ldapi())];
        let addresses: Vec<String> = addresses.into_iter().flatten().collect();
        // Any -d keeps it in the foreground.
        command.arg("-f").arg(self.path("slapd.conf")).args(["-d", "0", "-h"]).arg(addresses.join(" "));
        let log = self.path("log");
        let server = self.server.insert(Running::start_logging(&mut command, &log)?);
        server.connect("slapd", &log, self.address).map(drop)
    }

    /// Ends it at once, with all its connections.
    pub fn stop(&mut self) {
        if let Some(server) = self.server.take() {
            server.end_by(Signal::SIGKILL);
        }
    }

    /// Changes entries, by LDIF with `changetype`.
    ///
    /// # Errors
    /// What ldapmodify(1) says.
    pub fn modify(&self, ldif: &str) -> Outcome {
        self.client("ldapmodify", &[], ldif).map(|_| ())
    }

    /// The values of `attribute` at the entry `dn`, with passwords as they are
    /// stored, sorted.
    ///
    /// # Errors
    /// What ldapsearch(1) says.
    pub fn values(&self, dn: &str, attribute: &str) -> Outcome<Vec<String>> {
        let values = self.path("values");
        fs::create_dir_all(&values)?;
        // Every value goes into a file of its own, so that nothing is to be decoded.
        let directory = values.display().to_string();
        let words =
            ["-LLL", "-o", "ldif-wrap=no", "-tt", "-T", &directory, "-s", "base", "-b", dn, attribute];
        let said = self.client("ldapsearch", &words, "")?;
        let files = said.lines().filter_map(|line| Some(line.split_once(":< file://")?.1.to_owned()));
        let mut values = files.map(fs::read_to_string).collect::<Result<Vec<_>, _>>()?;
        values.sort();
        Ok(values)
    }

    fn client(&self, program: &str, words: &[&str], input: &str) -> Outcome<String> {
        let secret = self.path("secret");
        fs::write(&secret, PASSWORD)?;
        let mut command = Command::new(program);
        command.env("LDAPNOINIT", "1").args(["-x", "-D", ADMINISTRATOR, "-H", &self.ldap(), "-y"]);
        command.arg(secret).args(words);
        said(&mut command, input)
    }

    /// Its URI on TCP, where it knows StartTLS.
    #[must_use]
    pub fn ldap(&self) -> String {
        format!("ldap://{}", self.address)
    }

    /// Its URI with TLS from the beginning.
    #[must_use]
    pub fn ldaps(&self) -> String {
        format!("ldaps://{}", self.secure)
    }

    /// Its URI on a UNIX socket.
    #[must_use]
    pub fn ldapi(&self) -> String {
        format!("ldapi://{}", self.path("data/socket").display().to_string().replace('/', "%2F"))
    }

    /// Its certificates.
    ///
    /// # Errors
    /// It has none.
    pub fn certificates(&self) -> Outcome<&Certificates> {
        self.certificates.as_ref().ok_or_else(|| "this slapd has no certificates".into())
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }
}

impl Drop for Slapd {
    fn drop(&mut self) {
        self.stop();
    }
}

#[cfg(test)]
mod tests {
    use super::{Slapd, missing};
    use crate::courier::leave_out;

    #[test]
    fn a_server_answers_ends_and_answers_again() {
        if let Some(reason) = missing() {
            return leave_out(&reason).unwrap();
        }
        let alice = "dn: cn=alice,dc=example,dc=com\nobjectClass: mailAccount\nuserPassword: {SSHA}x\n";
        let mut server = Slapd::start(alice).unwrap();
        server.stop();
        assert!(server.values("cn=alice,dc=example,dc=com", "userPassword").is_err());
        server.start_again().unwrap();
        let change = "dn: cn=alice,dc=example,dc=com\nchangetype: modify\nadd: mailbox\nmailbox: Mail dir\n";
        server.modify(change).unwrap();
        assert_eq!(server.values("cn=alice,dc=example,dc=com", "userPassword").unwrap(), ["{SSHA}x"]);
        assert_eq!(server.values("cn=alice,dc=example,dc=com", "mailbox").unwrap(), ["Mail dir"]);
    }
}

//! The directory of the service: accounts, settings and, unless an account
//! says otherwise, mail.

use std::env;
use std::fs::{self, DirBuilder};
use std::net::{IpAddr, SocketAddr};
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};

use authlib::Module;
use authlib::printable::reason;
use authlib::userdb::Userdb;

/// What is said where nobody names the directory and there is no usual one.
pub(super) const NOWHERE: &str = "there is no HOME, so --directory is required";

/// Where it is if nobody says otherwise: `$XDG_DATA_HOME/postrider`, else
/// `~/.local/share/postrider`; `None` without a HOME.
pub(super) fn usual() -> Option<PathBuf> {
    let set = |name| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
    let data = set("XDG_DATA_HOME").or_else(|| Some(set("HOME")?.join(".local/share")))?;
    Some(data.join("postrider"))
}

/// The absolute path of `directory`, which is made if it is not there: for its
/// owner alone. Where that is root others may pass, since their mail is below.
///
/// # Errors
/// A line that names it.
pub(super) fn make(directory: &Path) -> Result<PathBuf, String> {
    let made = DirBuilder::new().recursive(true).mode(mode()).create(directory);
    let path = made.and_then(|()| fs::canonicalize(directory));
    path.map_err(|error| format!("{}: {}", directory.display(), reason(&error)))
}

/// The mode of directories that lead to people's mail.
pub(super) fn mode() -> u32 {
    if system::user::is_root() { 0o711 } else { 0o700 }
}

/// The text of the accounts.
pub(super) fn userdb(directory: &Path) -> PathBuf {
    directory.join("userdb")
}

/// A line that says what to type next; `None` where accounts are not (or not
/// only) in the embedded store, or it cannot be read, which auth reports. With
/// TLS, if `certificate` is the service's own, which is good for this machine.
pub(super) fn hint(directory: &Path, address: SocketAddr, certificate: Option<&Path>) -> Option<String> {
    if directory.join("authdaemonrc").exists() {
        return None;
    }
    let mut first = None;
    let mut each = |entry: &authlib::Entry| {
        first = Some(entry.name.clone());
        false
    };
    Userdb::of(&userdb(directory)).enumerate(&mut each).ok()?;
    Some(match first {
        Some(name) => {
            let (name, address) = (harmless(&name), reachable(address));
            let certificate = certificate.filter(|_| address.ip().is_loopback());
            let tls = certificate.map(|file| format!(" --ssl-reqd --cacert {}", harmless_path(file)));
            format!("try it: curl -u {name}{} pop3://{address}/", tls.unwrap_or_default())
        }
        None if usual()
            .is_some_and(|usual| fs::canonicalize(usual).is_ok_and(|usual| usual == directory)) =>
        {
            "there are no accounts yet; make one: postrider user add NAME".to_owned()
        }
        None => {
            let directory = harmless_path(directory);
            format!("there are no accounts yet; make one: postrider user add NAME --directory {directory}")
        }
    })
}

/// A name that can be pasted into a shell as it is, or a word for any.
fn harmless(name: &[u8]) -> &str {
    let is_plain = |octet: &u8| octet.is_ascii_alphanumeric() || b"@._+-".contains(octet);
    std::str::from_utf8(name).ok().filter(|name| name.as_bytes().iter().all(is_plain)).unwrap_or("NAME")
}

fn harmless_path(path: &Path) -> &str {
    let parts = path.to_str().filter(|path| path.split('/').all(|part| harmless(part.as_bytes()) == part));
    parts.unwrap_or("PATH")
}

/// An address that leads to who listens at `address`.
fn reachable(address: SocketAddr) -> SocketAddr {
    match address.ip() {
        IpAddr::V4(ip) if ip.is_unspecified() => SocketAddr::from(([127, 0, 0, 1], address.port())),
        IpAddr::V6(ip) if ip.is_unspecified() => (std::net::Ipv6Addr::LOCALHOST, address.port()).into(),
        _ => address,
    }
}

#[cfg(test)]
mod tests {
    use super::{harmless, harmless_path, hint, make, reachable};
    use std::os::unix::fs::PermissionsExt;
    use std::path::Path;

    #[test]
    fn what_is_to_be_pasted_does_nothing_else() {
        assert_eq!(harmless(b"alice+x@example.com"), "alice+x@example.com");
        assert!(
            [&b"a b"[..], b"$(x)", b"a;b", b"\xff", b"a\x1b"].iter().all(|name| harmless(name) == "NAME")
        );
        assert_eq!(harmless_path(Path::new("/srv/mail.d")), "/srv/mail.d");
        assert_eq!(harmless_path(Path::new("/srv/my mail")), "PATH");
    }

    #[test]
    fn a_client_can_reach_the_address_that_is_shown() {
        for (listens, shown) in
            [("0.0.0.0:1", "127.0.0.1:1"), ("[::]:1", "[::1]:1"), ("192.0.2.1:1", "192.0.2.1:1")]
        {
            assert_eq!(reachable(listens.parse().unwrap()).to_string(), shown);
        }
    }

    #[test]
    fn a_directory_is_made_once_and_without_accounts_one_is_told_how_to_make_one() {
        let parent = tempfile::tempdir().unwrap();
        let made = make(&parent.path().join("a/b")).unwrap();
        assert_eq!(made.metadata().unwrap().permissions().mode() & 0o777, super::mode());
        assert_eq!(make(&made).unwrap(), made);
        let address = "127.0.0.1:1110".parse().unwrap();
        assert!(hint(&made, address, None).unwrap().contains("postrider user add NAME --directory /"));
        std::fs::write(made.join("authdaemonrc"), "").unwrap();
        assert_eq!(hint(&made, address, None), None);
    }
}

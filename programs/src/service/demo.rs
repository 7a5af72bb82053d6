//! `postrider serve --demo`: a throw-away account with sample mail, in a
//! directory of its own that is gone when the service ends.

use std::env;
use std::ffi::OsString;
use std::fs;
use std::net::{Ipv4Addr, TcpListener};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};

use authlib::printable::reason;
use zeroize::Zeroizing;

use super::{certificate, directory, user};

/// The option.
pub(super) const OPTION: &str = "--demo";
/// The account's name.
const NAME: &str = "demo";
/// The ports, if nobody else has them: that for all, and that where TLS is spoken
/// at once.
const PORTS: [u16; 2] = [1110, 1995];

/// The shortest first: it is the one to look at.
const MESSAGES: [&[u8]; 4] = [
    include_bytes!("../../../demo/messages/leading-dot.eml"),
    include_bytes!("../../../demo/messages/plain.eml"),
    include_bytes!("../../../demo/messages/utf8-header.eml"),
    include_bytes!("../../../demo/messages/attachment.eml"),
];

/// The directory of the demonstration. Dropping it removes it.
pub(super) struct Demo {
    directory: PathBuf,
    ports: [u16; 2],
    password: Zeroizing<String>,
}

impl Demo {
    /// Makes directory, account and mail. Root has no mail, so its is nobody's.
    ///
    /// # Errors
    /// A line for the log.
    pub(super) fn make() -> Result<Demo, String> {
        let failed = |error: std::io::Error| reason(&error);
        let (uid, gid) = if system::user::is_root() {
            system::user::by_name("nobody").map_err(failed)?.ok_or("there is no user nobody")?
        } else {
            system::user::own_ids()
        };
        // mkdtemp(3) puts something in the place of six of these.
        let template = env::temp_dir().join(format!("postrider-demo-{}", "X".repeat(6)));
        let directory = nix::unistd::mkdtemp(&template).map_err(|error| failed(error.into()))?;
        let octets: [u8; 5] = system::random::octets().map_err(failed)?;
        let password = Zeroizing::new(octets.iter().map(|octet| format!("{octet:02x}")).collect());
        let demo = Demo { directory, ports: free_ports().map_err(failed)?, password };
        fs::set_permissions(&demo.directory, fs::Permissions::from_mode(directory::mode()))
            .map_err(failed)?;
        let maildir = user::make(&demo.directory, NAME, uid, gid, demo.password.as_bytes())?;
        deliver(&maildir, uid, gid).map_err(failed)?;
        Ok(demo)
    }

    /// The words of a command line that serves it.
    pub(super) fn words(&self) -> Vec<OsString> {
        let [all, tls] = self.ports.map(|port| format!("127.0.0.1:{port}").into());
        let directory = self.directory.clone().into();
        vec!["--directory".into(), directory, "--listen".into(), all, "--listen-tls".into(), tls]
    }

    /// What to type.
    pub(super) fn text(&self) -> String {
        let ([port, tls_port], password) = (self.ports, self.password.as_str());
        let certificate = self.directory.join(certificate::NAME);
        let certificate = certificate.display();
        format!(
            "
postrider serves {NAME}'s Maildir on 127.0.0.1, port {port}. The account is gone when you press Ctrl-C.

    user name   {NAME}
    password    {password}

Try, in another terminal:

    curl -u {NAME}:{password} pop3://127.0.0.1:{port}/              # the scan listing
    curl -u {NAME}:{password} pop3://127.0.0.1:{port}/1             # the first message
    curl -u {NAME}:{password} pop3://127.0.0.1:{port}/ -l -X UIDL   # the unique-ids
    curl -u {NAME}:{password} pop3://127.0.0.1:{port}/3 -I -X DELE  # delete the third

and inside TLS, with a certificate that it has made for itself:

    curl -u {NAME}:{password} --cacert {certificate} pop3s://127.0.0.1:{tls_port}/

What follows is the server's log.

"
        )
    }
}

impl Drop for Demo {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.directory) {
            crate::log::path_error("rmdir", &self.directory, &reason(&error));
        }
    }
}

/// The usual ports, or any free ones.
fn free_ports() -> std::io::Result<[u16; 2]> {
    let at = |port| TcpListener::bind((Ipv4Addr::LOCALHOST, port));
    let bound = PORTS.map(|port| at(port).or_else(|_| at(0))?.local_addr());
    let [all, tls] = bound;
    Ok([all?.port(), tls?.port()])
}

fn deliver(maildir: &Path, uid: u32, gid: u32) -> std::io::Result<()> {
    for (number, message) in MESSAGES.iter().enumerate() {
        let path = maildir.join(format!("new/{}.M{number}P1.demo", 1_700_000_000 + number));
        fs::write(&path, message)?;
        chown(&path, Some(uid), Some(gid))?;
    }
    Ok(())
}

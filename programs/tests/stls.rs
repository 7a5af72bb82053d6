//! STLS with Courier's own couriertls behind our `courierpop3login`, and
//! Python's ssl module as the client.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a test says what is wrong by panicking"
)]

mod built;
#[path = "stls/external.rs"]
mod external;

use std::fs;
use std::io::{Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;
use testbed::chain::Chain;
use testbed::stand::{Cast, Programs, Stand};

const COURIERTLS: &str = "/usr/bin/couriertls";
const PYTHON: &str = "/usr/bin/python3";

/// Sends the octets of its third argument in clear, shakes hands once it has
/// heard STLS answered, sends those of the fourth inside TLS, and prints what it
/// has got: in clear, a line of dashes, inside. A certificate and its key may
/// follow.
const CLIENT: &str = r#"
import socket, ssl, sys
host, port, clear, inside, *certificate = sys.argv[1:]
connection = socket.create_connection((host, int(port)), timeout=60)
connection.sendall(clear.encode("latin1").decode("unicode_escape").encode("latin1"))
heard = b""
while b"negotiation now.\r\n" not in heard:
    octets = connection.recv(65536)
    if not octets:
        break
    heard += octets
print(heard.decode("latin1") + "-----")
context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
context.check_hostname = False
context.verify_mode = ssl.CERT_NONE
if certificate:
    context.load_cert_chain(*certificate)
with context.wrap_socket(connection) as connection:
    connection.sendall(inside.encode("latin1").decode("unicode_escape").encode("latin1"))
    heard = b""
    while not heard.endswith(b"Bye-bye.\r\n") and not heard.endswith(b"next time.\r\n"):
        octets = connection.recv(65536)
        if not octets:
            break
        heard += octets
    print(heard.decode("latin1"))
"#;

/// A stand with a certificate, and the environment that switches STLS on.
struct Tls {
    directory: TempDir,
    programs: Programs,
    stand: Stand,
    cast: Cast,
    /// The client's certificate and key.
    certificate: Vec<PathBuf>,
}

impl Tls {
    /// `None`, with a line that says why, where the parts are not to be had.
    fn new() -> Option<Tls> {
        for part in [COURIERTLS, PYTHON, "/usr/bin/openssl"] {
            if !Path::new(part).exists() {
                testbed::courier::leave_out(&format!("STLS, since there is no {part}")).unwrap();
                return None;
            }
        }
        let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let programs = built::programs(&directory.path().join("programs")).unwrap();
        let stand = Stand::new(&directory.path().join("stand"), &programs, false).unwrap();
        let account = stand.account();
        testbed::maildrop::lay_out(&account.home, &[], account.owner).unwrap();
        make_certificate(directory.path());
        Some(Tls { directory, programs, stand, cast: Cast::OURS, certificate: Vec::new() })
    }

    /// What a client hears that says `clear`, then `inside` TLS.
    fn converse(&mut self, clear: &str, inside: &str, more: &[(&str, &str)]) -> (String, String) {
        let mut chain = self.chain(more);
        drop(chain.connect().unwrap());
        let address = chain.address();
        let output = Command::new(PYTHON)
            .args(["-c", CLIENT, &address.ip().to_string(), &address.port().to_string(), clear, inside])
            .args(&self.certificate)
            .stdin(Stdio::null())
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        let log = fs::read_to_string(self.stand.log()).unwrap();
        let errors = String::from_utf8_lossy(&output.stderr);
        let (clear, inside) = said.split_once("-----\n").unwrap_or_else(|| panic!("{said}\n{errors}\n{log}"));
        (clear.to_owned(), format!("{inside}{errors}"))
    }

    /// A chain that offers STLS.
    fn chain(&mut self, more: &[(&str, &str)]) -> Chain {
        let environment = self.environment(more);
        self.stand.chain(self.cast, &environment, &[]).unwrap()
    }

    fn environment(&self, more: &[(&str, &str)]) -> Vec<(String, String)> {
        let certificate = self.directory.path().join("pop3d.pem").display().to_string();
        let usual = [
            ("POP3_STARTTLS", "YES"),
            ("COURIERTLS", COURIERTLS),
            ("TLS_CERTFILE", &certificate),
            ("TLS_VERIFYPEER", "NONE"),
        ];
        usual.iter().chain(more).map(|&(name, value)| (name.to_owned(), value.to_owned())).collect()
    }
}

fn make_certificate(directory: &Path) {
    let (key, certificate) = (directory.join("key.pem"), directory.join("certificate.pem"));
    let status = Command::new("/usr/bin/openssl")
        .args(["req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=localhost"])
        .arg("-keyout")
        .arg(&key)
        .arg("-out")
        .arg(&certificate)
        .stderr(Stdio::null())
        .status()
        .unwrap();
    assert!(status.success());
    let both = [fs::read(key).unwrap(), fs::read(certificate).unwrap()].concat();
    let file = directory.join("pop3d.pem");
    fs::write(&file, both).unwrap();
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).unwrap();
}

#[test]
fn a_login_inside_tls_pipelines_into_the_transaction() {
    let Some(mut tls) = Tls::new() else { return };
    let inside = r"CAPA\r\nUSER alice\r\nPASS secret\r\nSTAT\r\nQUIT\r\n";
    let (clear, inside) = tls.converse(r"CAPA\r\nSTLS\r\n", inside, &[]);
    assert!(clear.contains("\r\nSTLS\r\n"), "{clear}");
    assert!(clear.ends_with("+OK Begin SSL/TLS negotiation now.\r\n"), "{clear}");
    assert!(!inside.contains("STLS") && inside.contains("\r\nSASL PLAIN LOGIN\r\nUSER\r\n"), "{inside}");
    assert!(inside.contains("+OK logged in.\r\n+OK 0 0\r\n+OK Bye-bye.\r\n"), "{inside}");
    let log = fs::read_to_string(tls.stand.log()).unwrap();
    assert!(
        log.lines().any(|line| line.starts_with("INFO: LOGOUT, user=alice") && line.ends_with("stls=1")),
        "{log}"
    );
}

#[test]
fn nothing_that_was_said_in_clear_survives() {
    let Some(mut tls) = Tls::new() else { return };
    // A name, and what somebody may have put behind STLS in the same packet.
    let clear = r"USER mallory\r\nSTLS\r\nUSER mallory\r\nUSER mall";
    let (_, inside) = tls.converse(clear, r"PASS secret\r\nQUIT\r\n", &[]);
    assert_eq!(inside.trim_end(), "-ERR USER/PASS required.\r\n+OK Better luck next time.");
}

#[test]
fn where_tls_is_required_it_opens_the_door() {
    let Some(mut tls) = Tls::new() else { return };
    let required = [("POP3_TLS_REQUIRED", "1")];
    let clear = r"USER alice\r\nAUTH PLAIN\r\nSTLS\r\n";
    let inside = r"USER alice\r\nPASS secret\r\nQUIT\r\n";
    let (clear, inside) = tls.converse(clear, inside, &required);
    assert_eq!(clear.matches("-ERR TLS required to log in.\r\n").count(), 2, "{clear}");
    assert!(inside.contains("+OK logged in.\r\n"), "{inside}");
}

#[test]
fn bearer_tokens_are_for_tls_alone() {
    let Some(mut tls) = Tls::new() else { return };
    let announced = [("POP3AUTH", "PLAIN OAUTHBEARER"), ("POP3AUTH_TLS", "PLAIN OAUTHBEARER XOAUTH2")];
    let inside = r"CAPA\r\nAUTH XOAUTH2\r\n*\r\nQUIT\r\n";
    let (clear, inside) = tls.converse(r"CAPA\r\nAUTH OAUTHBEARER\r\nSTLS\r\n", inside, &announced);
    assert!(clear.contains("\r\nSASL PLAIN\r\n"), "{clear}");
    assert!(clear.contains("-ERR TLS required to log in.\r\n+OK Begin"), "{clear}");
    assert!(inside.contains("\r\nSASL PLAIN OAUTHBEARER XOAUTH2\r\n"), "{inside}");
    assert!(inside.contains("\r\n+ \r\n-ERR Authentication aborted.\r\n"), "{inside}");
}

#[test]
fn a_failed_login_inside_tls_goes_on_inside_tls() {
    let Some(mut tls) = Tls::new() else { return };
    let inside = r"USER alice\r\nPASS wrong\r\nCAPA\r\nUSER alice\r\nPASS secret\r\nQUIT\r\n";
    let (_, inside) = tls.converse(r"STLS\r\n", inside, &[]);
    assert!(inside.contains("-ERR [AUTH] Login failed.\r\n"), "{inside}");
    assert!(!inside.contains("STLS"), "{inside}");
    assert!(inside.contains("+OK logged in.\r\n+OK Bye-bye.\r\n"), "{inside}");
}

#[test]
fn a_failed_handshake_ends_the_connection() {
    let Some(mut tls) = Tls::new() else { return };
    let mut chain = tls.chain(&[]);
    let mut client = chain.connect().unwrap();
    client.set_read_timeout(Some(testbed::PATIENCE)).unwrap();
    client.write_all(b"STLS\r\n").unwrap();
    let mut heard = Vec::new();
    while !heard.ends_with(b"negotiation now.\r\n") {
        let mut octet = [0];
        client.read_exact(&mut octet).unwrap();
        heard.push(octet[0]);
    }
    // In clear, where a handshake should be.
    client.write_all(b"USER alice\r\nPASS secret\r\nSTAT\r\n").unwrap();
    let mut rest = Vec::new();
    // Whether it ends in EOF or in a reset, it must end.
    let _ = client.read_to_end(&mut rest);
    assert!(!rest.windows(3).any(|part| part == b"+OK"), "{}", String::from_utf8_lossy(&rest));
}

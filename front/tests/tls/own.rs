//! The certificate of a service that nobody has given one.

use std::fs;
use std::net::SocketAddr;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use testbed::chain::own_address;

use crate::house::{House, text};

const CERT: &str = env!("CARGO_BIN_EXE_postrider-cert");

/// A service without a certificate that is to listen for TLS too.
struct Bare {
    house: House,
    address: SocketAddr,
}

impl Bare {
    fn new() -> Bare {
        let house = House::with_message(b"Subject: one\n\nhello\n");
        let mut bare = Bare { address: house.service.tls_address(), house };
        bare.serve();
        bare
    }

    fn serve(&mut self) {
        self.address = own_address();
        let at = [("POSTRIDER_LISTEN_TLS".to_owned(), self.address.to_string())];
        self.house.service = self.house.stand.service(false, &at, &[], None).unwrap();
        self.house.service.connect_at(self.address).unwrap();
    }

    fn file(&self) -> PathBuf {
        self.house.directory().join("stand/postrider/pop3d.pem")
    }

    /// What curl fetches from `address` if it trusts the certificate alone.
    fn fetch(&self, scheme: &str, address: SocketAddr) -> String {
        let (ip, port) = (address.ip(), address.port());
        let mut curl = Command::new("curl");
        curl.args(["-sS", "--ssl-reqd", "-u", "alice:secret", "--cacert"]).arg(self.file());
        curl.args([
            "--resolve",
            &format!("localhost:{port}:{ip}"),
            &format!("{scheme}://localhost:{port}/1"),
        ]);
        let output = curl.output().unwrap();
        assert!(output.status.success(), "{}\n{}", text(&output.stderr), self.house.log());
        text(&output.stdout)
    }
}

fn keep(words: &[&str], file: &Path) -> Output {
    Command::new(CERT).arg("keep").args(words).arg(file).output().unwrap()
}

#[test]
fn without_a_certificate_one_is_made_once_and_clients_that_trust_it_get_their_mail() {
    let mut bare = Bare::new();
    let made = format!("INFO: a certificate was made: {}: for ", bare.file().display());
    assert_eq!(bare.house.log().matches(&made).count(), 1, "{}", bare.house.log());
    for (scheme, address) in [("pop3", bare.house.service.address()), ("pop3s", bare.address)] {
        assert_eq!(bare.fetch(scheme, address), "Subject: one\r\n\r\nhello\r\n", "{scheme}");
    }
    assert_eq!(fs::metadata(bare.file()).unwrap().permissions().mode() & 0o7777, 0o600);
    let directory = bare.file().parent().unwrap().to_owned();
    let left = testbed::maildrop::names(&directory).unwrap();
    assert!(
        left.iter().filter(|name| name.contains("pem") || name.contains("certificate")).eq(["pop3d.pem"]),
        "{left:?}"
    );

    let before = fs::read(bare.file()).unwrap();
    bare.serve();
    assert_eq!(bare.fetch("pop3s", bare.address), "Subject: one\r\n\r\nhello\r\n");
    assert!(!bare.house.log().contains("a certificate was made"), "{}", bare.house.log());
    assert_eq!(fs::read(bare.file()).unwrap(), before);
}

#[test]
fn one_whose_time_is_over_is_made_anew_unless_somebody_has_taken_it_over() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pop3d.pem");
    let look = |file: &Path| text(&keep(&["--look"], file).stdout);
    assert_eq!(look(&file), format!("{}: it will be made\n", file.display()));
    let made = text(&keep(&[], &file).stdout);
    assert_eq!(look(&file), made);
    assert_eq!(text(&keep(&[], &file).stdout), "");

    let octets = fs::read_to_string(&file).unwrap();
    let (mark, key) = octets.split_once('\n').unwrap();
    let mut expired = Command::new("openssl");
    expired
        .args(["x509", "-days", "1", "-copy_extensions", "copy", "-in"])
        .arg(&file)
        .arg("-signkey")
        .arg(&file);
    let expired = expired.output().unwrap();
    assert!(expired.status.success(), "{}", text(&expired.stderr));
    let (key, _) = key.split_once("-----BEGIN CERTIFICATE").unwrap();
    let expired = format!("{key}{}", text(&expired.stdout));

    // Somebody else's: it stays as it is.
    fs::write(&file, &expired).unwrap();
    assert_eq!(text(&keep(&[], &file).stdout), "");
    assert_eq!(fs::read_to_string(&file).unwrap(), expired);
    assert!(look(&file).contains(": for "), "{}", look(&file));

    fs::write(&file, format!("{mark}\n{expired}")).unwrap();
    let inode = fs::metadata(&file).unwrap().ino();
    assert!(look(&file).contains("; it will be made anew"), "{}", look(&file));
    let again = text(&keep(&[], &file).stdout);
    assert_eq!(again, look(&file));
    assert_ne!(fs::metadata(&file).unwrap().ino(), inode, "it was not replaced as a whole");
    assert_eq!(testbed::maildrop::names(directory.path()).unwrap(), ["pop3d.pem"]);
}

#[test]
fn what_cannot_be_made_ends_the_start_with_its_reason() {
    let nowhere = keep(&[], Path::new("/proc/nowhere/pop3d.pem"));
    assert!(!nowhere.status.success());
    assert_eq!(text(&nowhere.stderr), "/proc/nowhere/pop3d.pem: No such file or directory\n");
}

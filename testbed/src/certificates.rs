//! Certificates for servers and clients of tests, made by openssl(1): an
//! authority, what it has signed, and a stranger that has signed nothing.

use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::Outcome;

/// A directory with certificates and keys, all in PEM.
#[derive(Clone, Debug)]
pub struct Certificates(PathBuf);

impl Certificates {
    /// Makes them in `directory`, which is made. The server is `localhost` and
    /// has the address `ip`; the client's common name is `client`.
    ///
    /// # Errors
    /// openssl(1) is not there, or fails.
    pub fn make(directory: &Path, ip: IpAddr, client: &str) -> Outcome<Certificates> {
        fs::create_dir_all(directory)?;
        let certificates = Certificates(directory.to_owned());
        // The system's own settings would make everybody an authority.
        fs::write(certificates.path("openssl.cnf"), "[req]\ndistinguished_name = dn\n[dn]\n")?;
        let authority = ["basicConstraints = critical, CA:TRUE", "subjectKeyIdentifier = hash"];
        certificates.certificate("ca", "test authority", &authority, None)?;
        certificates.certificate("stranger", "another authority", &authority, None)?;
        let names = format!("subjectAltName = DNS:localhost, IP:{ip}");
        certificates.certificate(
            "server",
            "localhost",
            &["basicConstraints = CA:FALSE", &names],
            Some("ca"),
        )?;
        for (file, authority) in [("client", "ca"), ("impostor", "stranger")] {
            certificates.certificate(file, client, &["basicConstraints = CA:FALSE"], Some(authority))?;
        }
        Ok(certificates)
    }

    /// The authority's certificate.
    #[must_use]
    pub fn authority(&self) -> PathBuf {
        self.path("ca.pem")
    }

    /// The certificate of an authority that has signed nobody but the impostor.
    #[must_use]
    pub fn stranger(&self) -> PathBuf {
        self.path("stranger.pem")
    }

    /// The server's certificate and its key.
    #[must_use]
    pub fn server(&self) -> (PathBuf, PathBuf) {
        (self.path("server.pem"), self.path("server.key"))
    }

    /// A certificate of the server, signed by the authority, that was good in
    /// January 2020; it is made now. The key is [`server`](Certificates::server)'s.
    ///
    /// # Errors
    /// openssl(1) fails.
    pub fn expired(&self) -> Outcome<PathBuf> {
        let settings = "[ca]\ndefault_ca = own\n[own]\ndatabase = index.txt\nnew_certs_dir = .\nrand_serial = yes\n\
            default_md = sha256\npolicy = names\ncopy_extensions = copy\n[names]\ncommonName = supplied\n";
        fs::write(self.path("ca.cnf"), settings)?;
        fs::write(self.path("index.txt"), "")?;
        let request = ["x509", "-x509toreq", "-copy_extensions", "copy", "-in", "server.pem"];
        self.openssl(&[&request[..], &["-signkey", "server.key", "-out", "server.csr"]].concat())?;
        let ca = ["ca", "-batch", "-notext", "-config", "ca.cnf", "-cert", "ca.pem", "-keyfile", "ca.key"];
        let dates = ["-startdate", "20200101000000Z", "-enddate", "20200201000000Z"];
        self.openssl(&[&ca[..], &dates, &["-in", "server.csr", "-out", "expired.pem"]].concat())?;
        Ok(self.path("expired.pem"))
    }

    /// The client's certificate and its key.
    #[must_use]
    pub fn client(&self) -> (PathBuf, PathBuf) {
        (self.path("client.pem"), self.path("client.key"))
    }

    /// A certificate with the client's name that the stranger has signed, and its
    /// key.
    #[must_use]
    pub fn impostor(&self) -> (PathBuf, PathBuf) {
        (self.path("impostor.pem"), self.path("impostor.key"))
    }

    fn certificate(&self, file: &str, name: &str, extensions: &[&str], signed_by: Option<&str>) -> Outcome {
        let mut command = Command::new("openssl");
        command.args(["req", "-x509", "-days", "30", "-nodes", "-config"]).arg(self.path("openssl.cnf"));
        command.args(["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"]);
        command.args(["-subj", &format!("/CN={name}")]);
        command.arg("-keyout").arg(self.path(&format!("{file}.key")));
        command.arg("-out").arg(self.path(&format!("{file}.pem")));
        for extension in extensions {
            command.args(["-addext", extension]);
        }
        if let Some(authority) = signed_by {
            command.arg("-CA").arg(self.path(&format!("{authority}.pem")));
            command.arg("-CAkey").arg(self.path(&format!("{authority}.key")));
        }
        run(&mut command)
    }

    /// Runs it in this directory.
    fn openssl(&self, words: &[&str]) -> Outcome {
        run(Command::new("openssl").args(words).current_dir(&self.0))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

fn run(openssl: &mut Command) -> Outcome {
    let made = openssl.stdin(Stdio::null()).output().map_err(|error| format!("openssl: {error}"))?;
    if made.status.success() {
        return Ok(());
    }
    Err(format!("openssl: {}", String::from_utf8_lossy(&made.stderr)).into())
}

//! Clients that nobody here wrote, with a token, through our whole chain and
//! through our authdaemond.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use testbed::cells::{Cells, Place};
use testbed::certificates::Certificates;
use testbed::oauth::Kind;
use testbed::{Outcome, courier};

use crate::cells::{MODULE, made};
use crate::issuer::Issuer;

const COURIERTLS: &str = "/usr/bin/couriertls";

/// Who fetches the one message of the maildrop, and how.
type Fetch = fn(&Errand<'_>, mechanism: &str) -> Outcome<Output>;

/// From where, with which token, and a directory for files.
struct Errand<'a> {
    server: SocketAddr,
    token: &'a str,
    directory: &'a Path,
}

#[test]
fn curl_with_either_mechanism() -> Outcome {
    fetches("/usr/bin/curl", |errand, mechanism| curl(errand, mechanism, &[]))
}

#[test]
fn curl_with_an_initial_response() -> Outcome {
    fetches("/usr/bin/curl", |errand, mechanism| curl(errand, mechanism, &["--sasl-ir"]))
}

#[test]
fn mpop_with_either_mechanism() -> Outcome {
    fetches("/usr/bin/mpop", mpop)
}

/// As in real life: the token behind STLS, with Courier's couriertls, and
/// nothing announced before it.
#[test]
fn curl_behind_stls() -> Outcome {
    for part in ["/usr/bin/curl", COURIERTLS] {
        if !Path::new(part).exists() {
            return courier::leave_out(&format!("{part} is not installed"));
        }
    }
    let issuer = Issuer::new(Kind::Rs256)?;
    let token = issuer.token("alice")?;
    let cells = Cells::of(Path::new(MODULE))?;
    let certificates =
        Certificates::make(&cells.directory().join("tls"), Ipv4Addr::LOCALHOST.into(), "client")?;
    let (certificate, key) = certificates.server();
    let both = cells.directory().join("pop3d.pem");
    fs::write(&both, [fs::read(key)?, fs::read(certificate)?].concat())?;
    fs::set_permissions(&both, fs::Permissions::from_mode(0o600))?;
    fs::write(cells.configuration().join("authoauth2rc"), issuer.settings(&made(&cells)))?;
    let mut cells = cells
        .with("POP3_TOKEN_IN_CLEAR", "0")
        .with("POP3_TLS", "0")
        .with("POP3_STARTTLS", "YES")
        .with("COURIERTLS", COURIERTLS)
        .with("TLS_CERTFILE", &both.display().to_string())
        .with("TLS_VERIFYPEER", "NONE");
    let mut chain = cells.serve(Place::Chain)?;
    drop(chain.connect()?);
    let errand = Errand { server: chain.address(), token: &token, directory: cells.directory() };
    for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
        let output = curl(&errand, mechanism, &["--ssl-reqd", "--insecure"])?;
        let said = String::from_utf8_lossy(&output.stdout).into_owned();
        assert!(output.status.success() && said.contains("It is true."), "{mechanism}: {output:?}");
        let output = curl(&errand, mechanism, &[])?;
        assert!(!output.status.success(), "{mechanism}: {output:?}");
    }
    Ok(())
}

/// `program` gets the message with a good token, in both places, with both
/// mechanisms; with a bad one it understands that it has nothing to get.
fn fetches(program: &str, fetch: Fetch) -> Outcome {
    if !Path::new(program).exists() {
        return courier::leave_out(&format!("{program} is not installed"));
    }
    // The shortest signature: mpop reads lines of 500 octets.
    let issuer = Issuer::new(Kind::EdDsa)?;
    let (good, bad) = (issuer.token("alice")?, issuer.token("bob")?);
    let mut cells = Cells::of(Path::new(MODULE))?;
    fs::write(cells.configuration().join("authoauth2rc"), issuer.settings(&made(&cells)))?;
    for place in [Place::Chain, Place::Authdaemond] {
        let mut chain = cells.serve(place)?;
        // The chain listens from here on; a session without a word does no harm.
        drop(chain.connect()?);
        for mechanism in ["OAUTHBEARER", "XOAUTH2"] {
            let errand = |token| Errand { server: chain.address(), token, directory: cells.directory() };
            let output = fetch(&errand(&good), mechanism)?;
            let said = String::from_utf8_lossy(&output.stdout).into_owned();
            let why = String::from_utf8_lossy(&output.stderr).into_owned();
            assert!(
                output.status.success() && said.contains("It is true."),
                "{place:?} {mechanism}: {said}{why}"
            );
            if place == Place::Authdaemond {
                continue;
            }
            let output = fetch(&errand(&bad), mechanism)?;
            assert!(
                !output.status.success() && output.stdout.is_empty(),
                "{place:?} {mechanism}: {output:?}"
            );
        }
    }
    Ok(())
}

fn curl(errand: &Errand<'_>, mechanism: &str, more: &[&str]) -> Outcome<Output> {
    let mut command = Command::new("/usr/bin/curl");
    command.args([
        "--disable",
        "--silent",
        "--show-error",
        "--user",
        "alice:",
        "--oauth2-bearer",
        errand.token,
    ]);
    command.args(["--login-options", &format!("AUTH={mechanism}")]).args(more);
    Ok(command.arg(format!("pop3://{}/1", errand.server)).stdin(Stdio::null()).output()?)
}

fn mpop(errand: &Errand<'_>, mechanism: &str) -> Outcome<Output> {
    let settings = errand.directory.join("mpoprc");
    let text = format!(
        "account default\nhost {ip}\nport {port}\nuser alice\npassword {token}\ntls off\nauth {mechanism}\n\
         keep on\nonly_new off\nreceived_header off\nuidls_file {directory}/uidls\ndelivery mbox /dev/stdout\n",
        ip = errand.server.ip(),
        port = errand.server.port(),
        token = errand.token,
        mechanism = mechanism.to_ascii_lowercase(),
        directory = errand.directory.display(),
    );
    fs::write(&settings, text)?;
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600))?;
    Ok(Command::new("/usr/bin/mpop")
        .arg("--quiet")
        .arg("--file")
        .arg(settings)
        .stdin(Stdio::null())
        .output()?)
}

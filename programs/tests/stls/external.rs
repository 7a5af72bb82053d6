//! EXTERNAL: couriertls verifies the client's certificate, and the name in it
//! logs in.

use std::ffi::OsString;
use std::fs;
use std::net::{IpAddr, Ipv4Addr};
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use testbed::certificates::Certificates;
use testbed::chain::Chain;
use testbed::process::daemon;
use testbed::stand::{Cast, Login};

use super::{COURIERTLS, Tls};

/// A stand whose client has a certificate of `name`.
fn with_certificate(name: &str) -> Option<(Tls, Certificates)> {
    let mut tls = Tls::new()?;
    let directory = tls.directory.path().join("certificates");
    let certificates = Certificates::make(&directory, IpAddr::V4(Ipv4Addr::LOCALHOST), name).unwrap();
    let (certificate, key) = certificates.client();
    tls.certificate = vec![certificate, key];
    Some((tls, certificates))
}

/// What the administrator sets.
fn settings(certificates: &Certificates) -> [(&'static str, String); 3] {
    let authority = certificates.authority().display().to_string();
    [("TLS_VERIFYPEER", "PEER".to_owned()), ("TLS_TRUSTCERTS", authority), ("TLS_EXTERNAL", "cn".to_owned())]
}

/// What is heard in clear, where a CAPA comes before STLS, and inside.
fn converse(tls: &mut Tls, certificates: &Certificates, inside: &str) -> (String, String) {
    let settings = settings(certificates);
    let settings: Vec<(&str, &str)> = settings.iter().map(|(name, value)| (*name, value.as_str())).collect();
    tls.converse(r"CAPA\r\nSTLS\r\n", &format!(r"CAPA\r\n{inside}QUIT\r\n"), &settings)
}

const FAILED: &str = "-ERR [AUTH] Authentication failed.\r\n";
const IN: &str = "+OK logged in.\r\n+OK 0 0\r\n";

#[test]
fn the_certificates_name_logs_in_through_a_chain() {
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    let (clear, inside) = converse(&mut tls, &certificates, r"AUTH EXTERNAL =\r\nSTAT\r\n");
    assert!(clear.contains("\r\nSASL PLAIN LOGIN\r\n"), "{clear}");
    assert!(inside.contains("\r\nSASL PLAIN LOGIN EXTERNAL\r\n") && inside.contains(IN), "{inside}");
    let log = fs::read_to_string(tls.stand.log()).unwrap();
    assert!(log.contains("INFO: LOGIN, user=alice, "), "{log}");
}

#[test]
fn another_name_fails_and_the_certificate_is_not_forgotten_by_that() {
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    let attempts = r"AUTH EXTERNAL Ym9i\r\nUSER bob\r\nPASS wrong\r\nAUTH EXTERNAL\r\n\r\nSTAT\r\n";
    let (_, inside) = converse(&mut tls, &certificates, attempts);
    let expected = format!("{FAILED}+OK Password required.\r\n-ERR [AUTH] Login failed.\r\n+ \r\n{IN}");
    assert!(inside.contains(&expected), "{inside}\n{}", fs::read_to_string(tls.stand.log()).unwrap());
}

#[test]
fn an_authdaemond_is_asked_whose_account_it_is() {
    const OURS: Cast = Cast { login: Login::OurSocket, ..Cast::OURS };
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    tls.cast = OURS;
    let (_, inside) = converse(&mut tls, &certificates, r"AUTH EXTERNAL YWxpY2U=\r\nSTAT\r\n");
    assert!(inside.contains(IN), "{inside}");
}

#[test]
fn a_name_without_an_account_fails() {
    let Some((mut tls, certificates)) = with_certificate("carol") else { return };
    let (_, inside) = converse(&mut tls, &certificates, r"AUTH EXTERNAL =\r\n");
    assert!(inside.contains(" EXTERNAL\r\n") && inside.contains(FAILED), "{inside}");
}

#[test]
fn without_a_certificate_or_with_two_names_nothing_is_offered() {
    for (name, has_certificate) in [("alice", false), ("bob/CN=alice", true)] {
        let Some((mut tls, certificates)) = with_certificate(name) else { return };
        if !has_certificate {
            tls.certificate.clear();
        }
        let (_, inside) = converse(&mut tls, &certificates, r"AUTH EXTERNAL =\r\n");
        assert!(!inside.contains("EXTERNAL") && inside.contains(FAILED), "{name}: {inside}");
    }
}

#[test]
fn a_certificate_that_nobody_trusts_ends_the_connection() {
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    let directory = tls.directory.path().join("others");
    let others = Certificates::make(&directory, IpAddr::V4(Ipv4Addr::LOCALHOST), "alice").unwrap();
    let (certificate, key) = others.client();
    tls.certificate = vec![certificate, key];
    let (_, inside) = converse(&mut tls, &certificates, r"AUTH EXTERNAL =\r\nSTAT\r\n");
    assert!(!inside.contains("+OK"), "{inside}");
    let log = fs::read_to_string(tls.stand.log()).unwrap();
    assert!(log.contains("STARTTLS failed: "), "{log}");
}

/// The port of POP3 over TLS: couriertls runs the login program.
#[test]
fn where_tls_begins_with_the_connection_the_name_is_in_the_environment() {
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    // The userdb is compiled for this one.
    drop(tls.chain(&[]));
    let mut command = daemon(tls.programs.path("couriertcpd"));
    command.env_clear().env("PATH", "/usr/sbin:/usr/bin:/sbin:/bin").env("POP3_TLS", "1");
    command.env("POSTRIDER_SYSCONFDIR", tls.directory.path().join("stand/postrider"));
    command.envs(tls.environment(&[])).envs(settings(&certificates));
    let program = |name| tls.programs.path(name).into_os_string();
    let words: Vec<OsString> = vec![
        COURIERTLS.into(),
        "-server".into(),
        "-tcpd".into(),
        program("courierpop3login"),
        program("authuserdb"),
        program("courierpop3d"),
        "./Maildir".into(),
    ];
    let mut chain = Chain::start(command, &words, &tls.stand.log()).unwrap();
    drop(chain.connect().unwrap());
    let (certificate, key) = certificates.client();
    let mut client = Command::new("/usr/bin/openssl");
    client.args(["s_client", "-quiet", "-ign_eof", "-connect", &chain.address().to_string(), "-cert"]);
    client.arg(certificate).arg("-key").arg(key);
    client.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
    let mut client = client.spawn().unwrap();
    let commands = b"AUTH EXTERNAL =\r\nSTAT\r\nQUIT\r\n";
    std::io::Write::write_all(&mut client.stdin.take().unwrap(), commands).unwrap();
    let heard = client.wait_with_output().unwrap().stdout;
    let heard = String::from_utf8_lossy(&heard);
    let log = fs::read_to_string(tls.stand.log()).unwrap();
    assert_eq!(heard, format!("+OK Hello there.\r\n{IN}+OK Bye-bye.\r\n"), "{log}");
}

#[test]
fn mpop_logs_in_with_its_certificate() {
    let mpop = "/usr/bin/mpop";
    if !std::path::Path::new(mpop).exists() {
        testbed::courier::leave_out("EXTERNAL with mpop, since there is none").unwrap();
        return;
    }
    let Some((mut tls, certificates)) = with_certificate("alice") else { return };
    let settings_of_server = settings(&certificates);
    let settings_of_server: Vec<(&str, &str)> =
        settings_of_server.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let account = tls.stand.account().clone();
    let message = account.maildir().join("new/1.host");
    fs::write(&message, "Subject: a letter\n\nHello\n").unwrap();
    chown(&message, Some(account.owner.0), Some(account.owner.1)).unwrap();
    let mut chain = tls.chain(&settings_of_server);
    drop(chain.connect().unwrap());
    let (certificate, key) = certificates.client();
    let directory = tls.directory.path();
    let settings = directory.join("mpoprc");
    let text = format!(
        "account default\nhost {}\nport {}\nuser alice\nauth external\ntls on\ntls_starttls on\n\
         tls_certcheck off\ntls_cert_file {}\ntls_key_file {}\nkeep on\nuidls_file {uidls}\ndelivery mbox {inbox}\n",
        chain.address().ip(),
        chain.address().port(),
        certificate.display(),
        key.display(),
        uidls = directory.join("uidls").display(),
        inbox = directory.join("inbox").display(),
    );
    fs::write(&settings, text).unwrap();
    fs::set_permissions(&settings, fs::Permissions::from_mode(0o600)).unwrap();
    let output = Command::new(mpop).arg("--file").arg(&settings).env("HOME", directory).output().unwrap();
    let log = fs::read_to_string(tls.stand.log()).unwrap();
    assert!(output.status.success(), "{}\n{log}", String::from_utf8_lossy(&output.stderr));
    let inbox = fs::read_to_string(directory.join("inbox")).unwrap();
    assert!(inbox.contains("Subject: a letter\n"), "{inbox}\n{log}");
}

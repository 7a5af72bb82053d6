//! Settings from all their sources together.

use super::{Reader, Settings, read};
use crate::service::options::Options;
use std::ffi::OsString;
use std::fs;
use std::path::Path;

/// A directory with Courier's files.
fn couriers(pop3d: &str, pop3d_ssl: Option<&str>, authdaemonrc: &str) -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("pop3d"), pop3d).unwrap();
    if let Some(text) = pop3d_ssl {
        fs::write(directory.path().join("pop3d-ssl"), text).unwrap();
    }
    fs::write(directory.path().join("authdaemonrc"), authdaemonrc).unwrap();
    directory
}

fn settings(words: &[&str]) -> Result<Settings, String> {
    let words: Vec<OsString> = words.iter().map(OsString::from).collect();
    read(&Options::parse(&words).unwrap())
}

fn of(directory: &Path) -> Result<Settings, String> {
    settings(&["--courier", directory.to_str().unwrap()])
}

fn names(settings: &Settings, reader: Reader) -> Vec<String> {
    let environment = settings.environment(reader, Path::new("/d"));
    environment.into_iter().map(|(name, value)| format!("{}={}", name.display(), value.display())).collect()
}

#[test]
fn pop3d_ssl_stands_above_pop3d() {
    let directory = couriers(
        "MAILDIRPATH=One\nPORT=111\n",
        Some("A=$PORT\nMAILDIRPATH=Two\nSSLPORT=$A\n"),
        "daemons=3\n",
    );
    let settings = of(directory.path()).unwrap();
    assert_eq!(settings.get("MAILDIRPATH").unwrap(), "Two");
    assert_eq!(settings.source("MAILDIRPATH"), format!("{}/pop3d-ssl:2", directory.path().display()));
    assert_eq!(
        (settings.get("SSLPORT").unwrap(), settings.get("ADDRESS").unwrap()),
        ("111".as_ref(), "0".as_ref())
    );
    assert_eq!(settings.directory(), directory.path());
}

#[test]
fn a_process_gets_what_concerns_it_and_nothing_else() {
    let pop3d =
        "POP3AUTH=PLAIN\nDEBUG_LOGIN=1\nPOP3_LOG_DELETIONS=1\nMAXDAEMONS=4\nDEFAULTOPTIONS=a\nSECRET=x\n";
    let directory = couriers(pop3d, None, "DEBUG_LOGIN=0\nauthmodulelist=authuserdb\n");
    let settings = of(directory.path()).unwrap();
    let front = names(&settings, Reader::Front);
    assert!(front.contains(&"POP3AUTH=PLAIN".to_owned()) && front.contains(&"DEBUG_LOGIN=1".to_owned()));
    assert_eq!(names(&settings, Reader::Mailbox), ["POP3_LOG_DELETIONS=1"]);
    // authdaemond's settings are in authdaemonrc, which auth reads itself.
    assert_eq!(names(&settings, Reader::Auth), ["POSTRIDER_SYSCONFDIR=/d"]);
    for reader in [Reader::Front, Reader::Mailbox, Reader::Auth] {
        assert!(
            !names(&settings, reader).iter().any(|it| it.starts_with("SECRET") || it.starts_with("PATH"))
        );
    }
}

#[test]
fn whether_certificates_count_auth_hears_from_couriers_files_too() {
    let pop3d_ssl =
        "TLS_VERIFYPEER=PEER\nTLS_TRUSTCERTS=/ca.pem\nTLS_EXTERNAL=emailaddress\nTLS_PROTOCOL=TLSv1.2\n";
    let directory = couriers("POP3AUTH=PLAIN\n", Some(pop3d_ssl), "");
    let settings = of(directory.path()).unwrap();
    let expected = ["TLS_EXTERNAL=emailaddress", "TLS_TRUSTCERTS=/ca.pem", "TLS_VERIFYPEER=PEER"];
    let auth = names(&settings, Reader::Auth);
    assert!(expected.iter().all(|line| auth.contains(&(*line).to_owned())), "{auth:?}");
    assert_eq!(auth.len(), expected.len() + 1, "{auth:?}");
}

#[test]
fn what_is_not_honoured_is_said_in_a_line_and_what_would_be_unsafe_is_refused() {
    let pop3d = "TCPDOPTS=\"-nodnslookup -maxperc=9 -access=/etc/x\"\nPOP3_PROXY=0\nTLS_VERIFYPEER=NONE\nODD=1\n\
        AUTH_MKHOMEDIR_SKEL=/etc/skel\nPIDFILE=/run/x\n";
    let directory = couriers(pop3d, None, "");
    let settings = of(directory.path()).unwrap();
    let path = directory.path().join("pop3d");
    let warnings = settings.warnings();
    let at = |line: usize, rest: &str| format!("{}:{line}{rest}", path.display());
    assert!(warnings.contains(&at(4, ": ODD is not honoured: it is not known")), "{warnings:?}");
    assert!(warnings.contains(&at(5, ": AUTH_MKHOMEDIR_SKEL is not honoured: homes are not made at logins")));
    assert!(
        !warnings
            .iter()
            .any(|it| it.contains("PIDFILE") || it.contains("POP3_PROXY") || it.contains("-nodns"))
    );
    let refusals = settings.refusals();
    assert_eq!(refusals.len(), 1);
    assert!(refusals[0].starts_with(&at(1, ", TCPDOPTS: -access is refused: ")), "{refusals:?}");
}

#[test]
fn options_in_tcpdopts_stand_for_their_variables() {
    let directory =
        couriers("ADDRESS=0\nMAXPERIP=4\nTCPDOPTS=\"-address=127.0.0.1 -maxperip=9\"\n", None, "");
    let settings = of(directory.path()).unwrap();
    assert_eq!(settings.get("ADDRESS").unwrap(), "127.0.0.1");
    assert_eq!(settings.get("MAXPERIP").unwrap(), "9");
    assert!(settings.warnings().is_empty(), "{:?}", settings.warnings());
    let directory = couriers("TCPDOPTS=-maxperc=20\n", None, "");
    let settings = of(directory.path()).unwrap();
    assert_eq!(settings.get("POSTRIDER_MAXPERC").unwrap(), "20");
    assert_eq!(settings.get("POSTRIDER_MAXPERC_BITS").unwrap(), "24 120");
    let directory = couriers("TCPDOPTS=-maxproc=9\n", None, "");
    let wrong = of(directory.path()).unwrap_err();
    assert!(wrong.ends_with("pop3d:1: TCPDOPTS: -maxproc=9 is no option of couriertcpd"), "{wrong}");
}

#[test]
fn what_cannot_be_read_is_an_error_with_file_and_line() {
    let directory = couriers("PORT=110\nif true; then\n", None, "");
    assert!(of(directory.path()).unwrap_err().ends_with("/pop3d:2: it is neither NAME=value nor a comment"));
    let directory = couriers("PORT=110\n", Some("SSLPORT=`id`"), "");
    assert!(of(directory.path()).unwrap_err().ends_with("/pop3d-ssl:1: a command's output is not read"));
    let directory = couriers("PORT=110\n", None, "daemons\n");
    assert!(of(directory.path()).unwrap_err().contains("authdaemonrc: line 1"));
    assert!(of(Path::new("/nowhere")).unwrap_err().starts_with("/nowhere/pop3d: "));
}

#[test]
fn a_file_stands_above_authdaemonrc_and_the_command_line_above_all() {
    let directory = tempfile::tempdir().unwrap();
    let (path, file) = (directory.path().to_str().unwrap(), directory.path().join("p.toml"));
    fs::write(directory.path().join("authdaemonrc"), "daemons=3\nauthmodulelist=authpam\nPRIVATE=1\n")
        .unwrap();
    let text = format!("directory = '{path}'\n[accounts]\nworkers = 5\n[listen]\nclear = ['127.0.0.1:1']\n");
    fs::write(&file, text).unwrap();
    let settings = settings(&["--config", file.to_str().unwrap(), "--listen", "127.0.0.1:2"]).unwrap();
    assert_eq!(settings.get("POSTRIDER_LISTEN").unwrap(), "127.0.0.1:2");
    let found: Vec<String> =
        settings.all().map(|(name, value)| format!("{name} {}", value.text.display())).collect();
    assert!(found.contains(&"daemons 5".to_owned()) && !found.contains(&"daemons 3".to_owned()), "{found:?}");
    assert!(found.contains(&"authmodulelist authpam".to_owned()));
    // What stands in authdaemonrc alone auth reads there.
    let auth = names(&settings, Reader::Auth);
    assert!(
        auth.contains(&"daemons=5".to_owned()) && !auth.iter().any(|it| it.contains("authpam")),
        "{auth:?}"
    );
}

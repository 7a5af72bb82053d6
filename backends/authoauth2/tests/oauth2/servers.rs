//! A server that is down, slow, or talks nonsense is *unavailable*: nobody is
//! let in, and nobody is told that his token is wrong.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::BufReader;
use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::sync::Arc;

use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use testbed::Outcome;
use testbed::certificates::Certificates;
use testbed::oauth::{Answer, Key, Kind, Server, key_set};

use crate::issuer::{Issuer, KEYS, claims, settings};
use crate::program::{Program, Said};

const MADE: &str = "OAUTH2_UID 5000\nOAUTH2_GID 5001\nOAUTH2_HOME /srv/mail/$(local_part)\n";

fn alice() -> Said {
    Said::Accept("alice".to_owned(), "/srv/mail/alice".to_owned())
}

/// All that a server can do wrong, where `right` would be the answer, and what
/// the log has about it.
fn wrong_answers(right: &str, elsewhere: String) -> Vec<(Answer, &'static str)> {
    vec![
        (Answer::Json("<html>".to_owned()), ""),
        (Answer::Json(String::new()), ""),
        (Answer::Json("[]".to_owned()), ""),
        (Answer::Json("{}".to_owned()), ""),
        (Answer::Json("[".repeat(100_000)), ""),
        (Answer::Status(500, right.to_owned()), "the answer is 500"),
        (Answer::Status(401, right.to_owned()), "the answer is 401"),
        (Answer::Status(204, String::new()), "the answer is 204"),
        (Answer::Elsewhere(elsewhere), "the answer is 302"),
        (Answer::Half(right.to_owned()), ""),
        (Answer::Endless, "is larger than"),
        (Answer::EndlessHead, ""),
        (Answer::End, ""),
    ]
}

/// Answers that never end.
const SLOW: [Answer; 2] = [Answer::Drip, Answer::Silence];
const IMPATIENT: &str = "OAUTH2_TIMEOUT 1\n";

#[test]
fn a_slow_server_is_not_waited_for() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let token = issuer.token("alice").unwrap();
    let keys = issuer.settings(&format!("{IMPATIENT}{MADE}"));
    for settings in [keys, introspection(&issuer.server, &format!("{IMPATIENT}{MADE}"))] {
        let mut program = Program::start(&settings).unwrap();
        for answer in SLOW {
            issuer.server.answer(KEYS, answer.clone());
            issuer.server.answer("/introspect", answer.clone());
            assert_eq!(program.show("alice", &token).unwrap(), Said::Unavailable, "{answer:?}");
        }
        let log = program.log().unwrap();
        assert_eq!(log.matches(": timeout: global, user=alice\n").count(), SLOW.len(), "{log}");
    }
}

#[test]
fn keys_that_cannot_be_had_make_nothing_wrong() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let right = key_set(&[&issuer.key]).unwrap();
    issuer.server.answer("/elsewhere", Answer::Json(right.clone()));
    let token = issuer.token("alice").unwrap();
    let mut program = Program::start(&issuer.settings(MADE)).unwrap();
    let answers = wrong_answers(&right, issuer.server.url("/elsewhere"));
    for (answer, _) in &answers {
        issuer.server.answer(KEYS, answer.clone());
        assert_eq!(program.show("alice", &token).unwrap(), Said::Unavailable, "{answer:?}");
    }
    assert_eq!((issuer.server.asked(KEYS), issuer.server.asked("/elsewhere")), (answers.len(), 0));
    issuer.server.answer(KEYS, Answer::Json(right));
    assert_eq!(program.show("alice", &token).unwrap(), alice());
    assert_log(&program.log().unwrap(), &answers);
}

/// Each line tells of the answer in its place.
fn assert_log(log: &str, answers: &[(Answer, &str)]) {
    let lines: Vec<&str> = log.lines().filter(|line| line.starts_with("ERR: ")).collect();
    assert_eq!(lines.len(), answers.len(), "{log}");
    for (line, (answer, said)) in lines.iter().zip(answers) {
        assert!(line.contains(said), "{answer:?}: {line}");
    }
}

#[test]
fn a_server_that_is_gone_is_unavailable_and_keys_outlive_it_for_a_while() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let token = issuer.token("alice").unwrap();
    let lifetimes = "OAUTH2_JWKS_LIFETIME 0\nOAUTH2_JWKS_PAUSE 0\n";
    let mut believing = Program::start(&issuer.settings(&format!("{MADE}{lifetimes}"))).unwrap();
    let strict = format!("{MADE}{lifetimes}OAUTH2_JWKS_STALE 0\n");
    let mut strict = Program::start(&issuer.settings(&strict)).unwrap();
    let mut late = Program::start(&issuer.settings(MADE)).unwrap();
    assert_eq!(believing.show("alice", &token).unwrap(), alice());
    let unknown = issuer.key.token_with(br#"{"alg":"ES256","kid":"two"}"#, b"{}").unwrap();
    drop(issuer);
    assert_eq!(believing.show("alice", &token).unwrap(), alice());
    assert_eq!(believing.show("alice", &unknown).unwrap(), Said::Unavailable);
    assert_eq!(strict.show("alice", &token).unwrap(), Said::Unavailable);
    assert_eq!(late.show("alice", &token).unwrap(), Said::Unavailable);
}

#[test]
fn a_new_key_is_found_when_a_token_names_it() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let directory = tempfile::tempdir().unwrap();
    let new = Key::make(directory.path(), "two", Kind::EdDsa).unwrap();
    let token = new.token(&claims(r#""email":"alice""#)).unwrap();
    let mut program = Program::start(&issuer.settings(&format!("{MADE}OAUTH2_JWKS_PAUSE 0\n"))).unwrap();
    assert_eq!(program.show("alice", &token).unwrap(), Said::Reject);
    issuer.server.answer(KEYS, Answer::Json(key_set(&[&issuer.key, &new]).unwrap()));
    assert_eq!(program.show("alice", &token).unwrap(), alice());
    let asked = issuer.server.asked(KEYS);
    assert_eq!(program.show("alice", &issuer.token("alice").unwrap()).unwrap(), alice());
    assert_eq!(issuer.server.asked(KEYS), asked);
}

#[test]
fn strangers_cannot_make_us_ask_for_keys_again_and_again() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let seldom = format!("{MADE}OAUTH2_JWKS_PAUSE 3600\n");
    let mut program = Program::start(&issuer.settings(&seldom)).unwrap();
    for number in 0..50 {
        let header = format!(r#"{{"alg":"EdDSA","kid":"{number}"}}"#);
        let token = testbed::oauth::token(header.as_bytes(), b"{}", b"");
        assert_eq!(program.show("alice", &token).unwrap(), Said::Reject);
    }
    assert_eq!(issuer.server.asked(KEYS), 1);
}

#[test]
fn an_issuer_that_cannot_be_asked_makes_nothing_wrong() {
    let server = Server::start().unwrap();
    let active = claims(r#""active":true,"email":"alice""#);
    let mut program = Program::start(&introspection(&server, MADE)).unwrap();
    let mut answers = wrong_answers(&active, server.url("/elsewhere"));
    for json in [
        r#"{"active":"true","email":"alice"}"#,
        r#"{"active":1,"email":"alice"}"#,
        r#"{"email":"alice"}"#,
        r#"{"active":false,"active":true,"email":"alice"}"#,
    ] {
        answers.push((Answer::Json(json.to_owned()), "the answer about a token"));
    }
    server.answer("/elsewhere", Answer::Json(active.clone()));
    for (answer, _) in &answers {
        server.answer("/introspect", answer.clone());
        assert_eq!(program.show("alice", "opaque").unwrap(), Said::Unavailable, "{answer:?}");
    }
    assert_eq!(server.asked("/elsewhere"), 0);
    server.answer("/introspect", Answer::Json(active));
    assert_eq!(program.show("alice", "opaque").unwrap(), alice());
    assert_log(&program.log().unwrap(), &answers);
}

#[test]
fn what_the_issuer_says_of_a_token_counts() {
    let server = Server::start().unwrap();
    let told = |more: &str| claims(&format!(r#""active":true,{more}"#));
    let tokens = BTreeMap::from([
        ("alices".to_owned(), told(r#""email":"alice""#)),
        (
            "timeless".to_owned(),
            r#"{"active":true,"iss":"https://id.example.com","aud":"mail","email":"alice"}"#.to_owned(),
        ),
        ("a%2Fb%2Bc%3D".to_owned(), told(r#""email":"alice""#)),
        ("bobs".to_owned(), told(r#""email":"bob""#)),
        ("nobodys".to_owned(), told(r#""sub":"alice""#)),
        ("strangers".to_owned(), r#"{"active":true,"aud":"other","email":"alice"}"#.to_owned()),
        (
            "late".to_owned(),
            r#"{"active":true,"iss":"https://id.example.com","aud":"mail","exp":1,"email":"alice"}"#
                .to_owned(),
        ),
    ]);
    let client = "mail:hunter2".to_owned();
    server.answer("/introspect", Answer::Introspection { client, tokens: tokens.clone() });
    let mut program = Program::start(&introspection(&server, MADE)).unwrap();
    for token in ["alices", "timeless", "a/b+c="] {
        assert_eq!(program.show("alice", token).unwrap(), alice(), "{token}");
    }
    for token in ["bobs", "nobodys", "strangers", "late", "unknown"] {
        assert_eq!(program.show("alice", token).unwrap(), Said::Reject, "{token}");
    }
    // What it thinks of us is no matter of the token.
    server.answer("/introspect", Answer::Introspection { client: "mail:hunter3".to_owned(), tokens });
    assert_eq!(program.show("alice", "alices").unwrap(), Said::Unavailable);
    let log = program.log().unwrap();
    assert!(
        log.contains("its issuer says that it is not active") && log.contains("the answer is 401"),
        "{log}"
    );
    assert!(!log.contains("hunter") && !log.contains("alices"), "{log}");
}

fn introspection(server: &Server, more: &str) -> String {
    settings(&format!(
        "OAUTH2_INTROSPECTION_URL {}\nOAUTH2_CLIENT_ID mail\nOAUTH2_CLIENT_SECRET hunter2\n{more}",
        server.url("/introspect")
    ))
}

#[test]
fn a_server_is_known_by_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let address = IpAddr::V4(Ipv4Addr::LOCALHOST);
    let certificates = Certificates::make(&directory.path().join("tls"), address, "client").unwrap();
    let server = tls_server(&certificates).unwrap();
    let key = Key::make(directory.path(), "one", Kind::Es256).unwrap();
    server.answer(KEYS, Answer::Json(key_set(&[&key]).unwrap()));
    let token = key.token(&claims(r#""email":"alice""#)).unwrap();
    let show = |authorities: &Path| {
        let keys = format!(
            "OAUTH2_JWKS_URL {}\nOAUTH2_TLS_CACERTFILE {}\n",
            server.url(KEYS),
            authorities.display()
        );
        let mut program = Program::start(&settings(&format!("{keys}{MADE}"))).unwrap();
        let said = program.show("alice", &token).unwrap();
        (said, program.log().unwrap())
    };
    assert_eq!(show(&certificates.authority()).0, alice());
    let (said, log) = show(&certificates.stranger());
    assert_eq!(said, Said::Unavailable);
    assert!(log.contains("invalid peer certificate"), "{log}");
    let nothing = directory.path().join("nothing.pem");
    fs::write(&nothing, "").unwrap();
    let (said, log) = show(&nothing);
    assert_eq!(said, Said::Unavailable);
    assert!(log.contains("holds no certificate"), "{log}");
    assert_eq!(server.asked(KEYS), 1);
}

/// A server that speaks TLS with the certificate of the server.
fn tls_server(certificates: &Certificates) -> Outcome<Server> {
    let (certificate, key) = certificates.server();
    let chain = CertificateDer::pem_reader_iter(BufReader::new(File::open(certificate)?));
    let chain: Vec<_> = chain.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(key)?;
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()?
        .with_no_client_auth()
        .with_single_cert(chain, key)?;
    let config = Arc::new(config);
    Server::start_tls(move |connection| {
        let session = ServerConnection::new(Arc::clone(&config))?;
        Ok(Box::new(StreamOwned::new(session, connection)))
    })
}

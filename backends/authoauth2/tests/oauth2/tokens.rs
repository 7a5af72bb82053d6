//! Which tokens open which account, and why others do not.

use authlib::Record;
use testbed::oauth::{Answer, Key, Kind, key_set, signed_with_secret, token};

use crate::issuer::{AUDIENCE, ISSUER, Issuer, KEYS, claims, now, settings};
use crate::program::{Program, Said};

const MADE: &str = "OAUTH2_UID 5000\nOAUTH2_GID 5001\nOAUTH2_HOME /srv/mail/$(domain)/$(local_part)\n";
const ALICE: &str = "alice@example.com";

fn alice() -> Said {
    Said::Accept(ALICE.to_owned(), "/srv/mail/example.com/alice".to_owned())
}

#[test]
fn what_openssl_signs_is_believed_and_nothing_else() {
    for kind in [Kind::Rs256, Kind::Ps256, Kind::Es256, Kind::EdDsa] {
        let issuer = Issuer::new(kind).unwrap();
        let mut program = Program::start(&issuer.settings(MADE)).unwrap();
        let good = issuer.token(ALICE).unwrap();
        assert_eq!(program.show(ALICE, &good).unwrap(), alice(), "{kind:?}");
        let (signed, signature) = good.rsplit_once('.').unwrap();
        let middle = signature.len() / 2;
        let other = if &signature[middle..=middle] == "A" { "B" } else { "A" };
        let spoilt = format!("{signed}.{}{other}{}", &signature[..middle], &signature[middle + 1..]);
        let foreign = issuer.token("bob@example.com").unwrap();
        let exchanged = format!("{}.{signature}", foreign.rsplit_once('.').unwrap().0);
        for wrong in [spoilt, exchanged, format!("{signed}."), format!("{good}AAAA"), format!("{good}=")] {
            assert_eq!(program.show(ALICE, &wrong).unwrap(), Said::Reject, "{kind:?}");
        }
        assert_eq!(program.show(ALICE, &good).unwrap(), alice(), "{kind:?}");
        assert_eq!(issuer.server.asked(KEYS), 1, "{kind:?}");
    }
}

#[test]
fn the_token_says_whose_it_is() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let mut program = Program::start(&issuer.settings(MADE)).unwrap();
    let good = issuer.token(ALICE).unwrap();
    for user in [ALICE, "", "alice@EXAMPLE.com"] {
        assert_eq!(program.show(user, &good).unwrap(), alice(), "{user}");
    }
    for user in ["bob@example.com", "alice", "alice@example.org"] {
        assert_eq!(program.show(user, &good).unwrap(), Said::Reject, "{user}");
    }
    let log = program.log().unwrap();
    assert_eq!(log.matches("token not accepted: it is about somebody else, user=").count(), 3, "{log}");
    assert!(log.contains("user=bob@example.com, account=alice@example.com\n"), "{log}");
}

/// Why a token is not accepted is in the log, and nothing of the token.
#[test]
fn a_bad_token_is_rejected_and_the_log_says_why() {
    let issuer = Issuer::new(Kind::Rs256).unwrap();
    let (key, directory) = (&issuer.key, tempfile::tempdir().unwrap());
    let strangers = Key::make(directory.path(), "one", Kind::Rs256).unwrap();
    let body = claims(r#""email":"alice@example.com""#);
    let header = r#"{"alg":"RS256","kid":"one","typ":"JWT"}"#;
    let with = |header: &str| key.token_with(header.as_bytes(), body.as_bytes()).unwrap();
    let says = |claims: String| key.token(&claims).unwrap();
    let (pem, set) = (key.public_pem().unwrap(), key_set(&[key]).unwrap());
    let hs256 = |secret: &[u8]| signed_with_secret(r#"{"alg":"HS256","kid":"one"}"#, &body, secret).unwrap();
    let embedded = format!(r#"{{"alg":"RS256","jwk":{}}}"#, strangers.jwk().unwrap());
    let (soon, ago) = (now() + 3600, now() - 600);
    let email = r#""email":"alice@example.com""#;
    let bad = [
        (token(br#"{"alg":"none"}"#, body.as_bytes(), b""), "its algorithm is not allowed"),
        (token(br#"{"alg":"nOnE","kid":"one"}"#, body.as_bytes(), b""), "its algorithm is not allowed"),
        (hs256(&pem), "its algorithm is not allowed"),
        (hs256(set.as_bytes()), "its algorithm is not allowed"),
        (with(r#"{"alg":"RS384","kid":"one"}"#), "it is signed with a key that is not known"),
        (with(r#"{"alg":"RS256","kid":"two"}"#), "it is signed with a key that is not known"),
        (with(r#"{"alg":"ES256","kid":"one"}"#), "it is signed with a key that is not known"),
        (strangers.token(&body).unwrap(), "its signature is wrong"),
        (strangers.token_with(embedded.as_bytes(), body.as_bytes()).unwrap(), "its signature is wrong"),
        (with(r#"{"alg":"RS256","kid":"one","crit":["exp"]}"#), "its header has extensions"),
        (with(r#"{"alg":"RS256","kid":"one","alg":"RS256"}"#), "its header is no object of JSON"),
        (with(r#"{"alg":"RS256","kid":"one","typ":"logout+jwt"}"#), "its type is not allowed"),
        (
            says(format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}",{email}}}"#)),
            "it does not say when it expires",
        ),
        (says(format!(r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","exp":{ago},{email}}}"#)), "it has expired"),
        (says(claims(&format!(r#""nbf":{soon},{email}"#))), "it is not valid yet"),
        (
            says(format!(r#"{{"iss":"{ISSUER}","aud":"other","exp":{soon},{email}}}"#)),
            "it is for another audience",
        ),
        (
            says(format!(r#"{{"iss":"{ISSUER}","aud":["a","b"],"exp":{soon},{email}}}"#)),
            "it is for another audience",
        ),
        (
            says(format!(r#"{{"iss":"https://evil.example","aud":"{AUDIENCE}","exp":{soon},{email}}}"#)),
            "its issuer is another one",
        ),
        (says(claims(&format!(r#""aud":"{AUDIENCE}",{email}"#))), "its claims are no object of JSON"),
        (says(claims(&format!(r#"{email},"email":"bob@example.com""#))), "its claims are no object of JSON"),
        (says(claims(r#""email":["alice@example.com"]"#)), "the claim that names the account is no text"),
        (says(claims(r#""sub":"alice""#)), "the claim that names the account is missing"),
        (says(claims(r#""email":"../../etc@example.com""#)), "its name cannot stand in a path"),
        (says(claims(r#""email":"alice@../../etc""#)), "its name cannot stand in a path"),
        (says(claims(r#""email":"alice""#)), "its name has no domain"),
        (says(claims(&format!(r#"{email},"email_verified":false"#))), "its e-mail address is not verified"),
        (says("[]".to_owned()), "its claims are no object of JSON"),
        (
            key.token_with(header.as_bytes(), b"{\"email\":\"\xff\"}").unwrap(),
            "its claims are no object of JSON",
        ),
        (key.token_with(b"\xff\xfe", body.as_bytes()).unwrap(), "its header is no object of JSON"),
        ("a.b".to_owned(), "it is no JWT"),
        (format!("{}.e30", with(header)), "it is no JWT"),
        (".".repeat(8000), "it is no JWT"),
        (format!("{}.e30.AA", "A".repeat(8000)), "its header is no object of JSON"),
    ];
    let mut program = Program::start(&issuer.settings(&format!("OAUTH2_JWKS_PAUSE 0\n{MADE}"))).unwrap();
    for (token, reason) in &bad {
        assert_eq!(program.show("", token).unwrap(), Said::Reject, "{reason}");
    }
    assert_eq!(program.show(ALICE, &with(header)).unwrap(), alice());
    let log = program.log().unwrap();
    for (line, (token, reason)) in log.lines().zip(&bad) {
        let said = format!("INFO: authoauth2: token not accepted: {reason}, user=");
        // Of a good token with a useless name, the name.
        let name = line.strip_prefix(&said).unwrap_or_else(|| panic!("{line}, not {said}"));
        assert!(
            name.is_empty() || reason.starts_with("its name") && name.starts_with(", account="),
            "{line}"
        );
        let parts = token.split('.').filter(|part| part.len() > 3);
        parts.for_each(|part| assert!(!log.contains(part), "{log}"));
    }
    assert_eq!(log.lines().count(), bad.len(), "{log}");
}

#[test]
fn what_an_administrator_asks_for_a_token_must_have() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let asked = "OAUTH2_SCOPE mail.read pop\nOAUTH2_TYPE at+jwt\nOAUTH2_MAX_AGE 600\nOAUTH2_LEEWAY 0\n\
        OAUTH2_CLAIM preferred_username\nOAUTH2_DEFAULT_DOMAIN example.com\nOAUTH2_ALGORITHMS EdDSA\n";
    let mut program = Program::start(&issuer.settings(&format!("{asked}{MADE}"))).unwrap();
    let header = br#"{"alg":"EdDSA","kid":"one","typ":"at+jwt"}"#;
    let mut show = |header: &[u8], more: &str| {
        let claims = claims(more);
        program.show("alice", &issuer.key.token_with(header, claims.as_bytes()).unwrap()).unwrap()
    };
    assert_eq!(show(header, r#""preferred_username":"alice","scope":"pop openid mail.read""#), alice());
    for more in [
        r#""preferred_username":"alice","scope":"pop""#,
        r#""preferred_username":"alice@example.org","scope":"pop mail.read""#,
        r#""email":"alice@example.com","scope":"pop mail.read""#,
    ] {
        assert_eq!(show(header, more), Said::Reject, "{more}");
    }
    let plain = br#"{"alg":"EdDSA","kid":"one","typ":"JWT"}"#;
    assert_eq!(show(plain, r#""preferred_username":"alice","scope":"pop mail.read""#), Said::Reject);
    let old = format!(
        r#"{{"iss":"{ISSUER}","aud":"{AUDIENCE}","iat":{},"exp":{},"preferred_username":"alice","scope":"pop mail.read"}}"#,
        now() - 1000,
        now() + 3600
    );
    let old = issuer.key.token_with(header, old.as_bytes()).unwrap();
    assert_eq!(program.show("", &old).unwrap(), Said::Reject);
    assert!(program.log().unwrap().contains("it is too old"));
}

#[test]
fn keys_in_a_file_are_read_as_they_are_now() {
    let directory = tempfile::tempdir().unwrap();
    let [one, two] = ["one", "two"].map(|name| Key::make(directory.path(), name, Kind::Es256).unwrap());
    let file = directory.path().join("keys.json");
    std::fs::write(&file, key_set(&[&one]).unwrap()).unwrap();
    let mut program =
        Program::start(&settings(&format!("OAUTH2_JWKS_FILE {}\n{MADE}", file.display()))).unwrap();
    let [first, second] =
        [&one, &two].map(|key| key.token(&claims(r#""email":"alice@example.com""#)).unwrap());
    assert_eq!(program.show(ALICE, &first).unwrap(), alice());
    assert_eq!(program.show(ALICE, &second).unwrap(), Said::Reject);
    std::fs::write(&file, key_set(&[&two]).unwrap()).unwrap();
    assert_eq!(program.show(ALICE, &first).unwrap(), Said::Reject);
    assert_eq!(program.show(ALICE, &second).unwrap(), alice());
    std::fs::write(&file, "{\"keys\":[").unwrap();
    assert_eq!(program.show(ALICE, &second).unwrap(), Said::Unavailable);
    std::fs::remove_file(&file).unwrap();
    assert_eq!(program.show(ALICE, &second).unwrap(), Said::Unavailable);
}

#[test]
fn passwords_are_for_others_and_no_names_are_told() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let mut program = Program::start(&issuer.settings(MADE)).unwrap();
    let password = Record::login(b"pop3", b"alice@example.com", b"secret").unwrap();
    assert_eq!(program.authenticate(&password).unwrap(), Said::Reject);
    assert_eq!(program.look_up(ALICE).unwrap(), Said::Reject);
    assert_eq!(program.log().unwrap(), "");
    assert_eq!(issuer.server.asked(KEYS), 0);
}

#[test]
fn settings_that_are_wrong_are_said_at_once_and_let_nobody_in() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let token = issuer.token(ALICE).unwrap();
    for (wrong, said) in [
        (MADE.replace("UID 5000", "UID 0"), "nobody's mail is read with root's ids"),
        (MADE.replace("GID 5001", "GID mail"), "OAUTH2_GID is not a number"),
        (format!("{MADE}OAUTH2_ALGORITHMS HS256\n"), "OAUTH2_ALGORITHMS"),
        (format!("{MADE}OAUTH2_JWKS_FILE /keys.json\n"), "and one alone"),
    ] {
        let mut program = Program::start(&issuer.settings(&wrong)).unwrap();
        assert_eq!(program.show(ALICE, &token).unwrap(), Said::Unavailable, "{said}");
        let log = program.log().unwrap();
        assert!(log.contains(said) && !log.contains(&token), "{log}");
    }
    let mut program = Program::start(&issuer.settings(&format!("{MADE}OAUTH2_AUDIENSE x\n"))).unwrap();
    assert_eq!(program.show(ALICE, &token).unwrap(), alice());
    assert!(program.log().unwrap().contains("OAUTH2_AUDIENSE is not known, and not used"));
}

#[test]
fn an_account_that_another_module_cannot_tell_of_is_unavailable() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    issuer.server.answer(KEYS, Answer::Json(key_set(&[&issuer.key]).unwrap()));
    let mut program = Program::start(&issuer.settings("OAUTH2_ACCOUNTS authuserdb\n")).unwrap();
    let token = issuer.token(ALICE).unwrap();
    assert_eq!(program.show(ALICE, &token).unwrap(), Said::Reject);
    std::fs::write(program.configuration().join("userdb.dat"), "no data base").unwrap();
    assert_eq!(program.show(ALICE, &token).unwrap(), Said::Unavailable);
    assert!(program.log().unwrap().contains("there is no such account"));
}

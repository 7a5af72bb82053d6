//! Records as programs write them, and octets that are none.

use super::{Claim, LIMIT, Malformed, Record, Refused};
use crate::bearer::{Bearer, Scheme};
use crate::cram::Proof;
use crate::hmac_state::Hash;
use proptest::prelude::*;

#[test]
fn a_login_record_looks_as_authlib_7_says() {
    let record = Record::login(b"pop3", b"alice", b"secret").unwrap();
    assert_eq!(record.encode().expose(), b"pop3\nlogin\nalice\nsecret\n\n");
    assert_eq!(record.body(), b"pop3\nlogin\nalice\nsecret\n");
    assert_eq!((record.service(), record.authtype()), (b"pop3".as_slice(), b"login".as_slice()));
}

/// As Courier's login program sends it (reference: authlib 3.4).
const COURIERS_PROOF: &[u8] = b"pop3\ncram-md5\n\
        PDBERUI4NTg4OTkxNENCNDc4OTkxNTQyRjg4RkJGOEVFQHZtPg==\n\
        YWxpY2UgYjdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n";

fn proof_of(record: &Record) -> Option<Proof> {
    match record.claim() {
        Some(Claim::Proof(proof)) => Some(proof),
        _ => None,
    }
}

#[test]
fn a_proof_travels_in_base64_as_couriers_does() {
    let record = Record::decode(COURIERS_PROOF).unwrap();
    let proof = proof_of(&record).unwrap();
    assert_eq!(proof.challenge(), b"<0DEB85889914CB478991542F88FBF8EE@vm>");
    assert_eq!(record.claim().unwrap().user(), b"alice");
    assert!(proof.is_of_password(b"secret"));
    assert!(record.credentials().is_none());
    assert_eq!(Record::proof(b"pop3", &proof).unwrap().body(), COURIERS_PROOF);
}

#[test]
fn a_token_travels_behind_the_name() {
    let bearer = Bearer::new(Scheme::Xoauth2, b"alice", b"a.b-c").unwrap();
    let record = Record::token(b"pop3", &bearer).unwrap();
    assert_eq!(record.encode().expose(), b"pop3\nxoauth2\nalice\na.b-c\n\n");
    let Some(Claim::Token(same)) = record.claim() else { panic!() };
    assert_eq!((same.scheme(), same.user()), (Scheme::Xoauth2, b"alice".as_slice()));
    assert_eq!(same.token().expose(), b"a.b-c");
    assert!(record.credentials().is_none() && record.claim().unwrap().password().is_none());
}

#[test]
fn in_oauthbearer_alone_the_name_may_be_missing() {
    let bearer = Bearer::new(Scheme::Oauthbearer, b"", b"abc").unwrap();
    let record = Record::token(b"pop3", &bearer).unwrap();
    assert_eq!(record.body(), b"pop3\noauthbearer\n\nabc\n");
    assert_eq!(record.claim().unwrap().user(), b"");
    for octets in [
        b"pop3\nxoauth2\n\nabc\n".as_slice(),
        b"pop3\noauthbearer\nabc\n",
        b"pop3\noauthbearer\nalice\n\n",
        b"pop3\noauthbearer\nalice\na b\n\n",
        b"pop3\noauthbearer\nalice\nabc\nabc\n\n",
        b"pop3\noauthbearer\nal\tice\nabc\n\n",
    ] {
        assert!(Record::decode(octets).unwrap().claim().is_none(), "{octets:?}");
    }
}

#[test]
fn a_name_that_is_added_to_a_token_is_checked_and_a_long_token_refused() {
    let bearer = |token: &[u8]| Bearer::new(Scheme::Xoauth2, b"alice", token).unwrap();
    let refused = |bearer: Bearer| Record::token(b"pop3", &bearer).unwrap_err();
    let renamed = |user: &[u8]| bearer(b"abc").with_user(user.to_vec());
    assert_eq!(refused(renamed(b"al\nice")), Refused::ControlOctet("user name"));
    assert_eq!(refused(renamed(b"")), Refused::Empty("user name"));
    assert_eq!(refused(bearer(&[b'a'; LIMIT])), Refused::TooLong);
    let others = b"pop3\nxoauth2\nalice\n\n\n".len();
    assert!(Record::token(b"pop3", &bearer(&vec![b'a'; LIMIT - others])).is_ok());
    assert_eq!(refused(bearer(&vec![b'a'; LIMIT - others + 1])), Refused::TooLong);
}

#[test]
fn what_is_no_proof_is_no_claim() {
    for authdata in [
        "PGE+\n",
        "PGE+\nYWxpY2U=\nmore\n",
        "PGE+\n####\n",
        "####\nYWxpY2UgYjdlZWE0ZTU0NWU4Y2FjYjM0ODgyNmFjYWFkNDFhZTU=\n",
        "PGE+\nYWxpY2U=\n",
        "PGE+\n\n",
        // `al LF ice` and a digest.
        "PGE+\nYWwKaWNlIDExMDQ3MDE1MTNhZTM1Mjk5YjBkYWRlOTlkZmZkNTY1\n",
    ] {
        let record = Record::decode(format!("pop3\ncram-md5\n{authdata}").as_bytes()).unwrap();
        assert!(record.claim().is_none(), "{authdata:?}");
    }
    let other = String::from_utf8_lossy(COURIERS_PROOF).replace("cram-md5", "cram-sha1");
    assert!(Record::decode(other.as_bytes()).unwrap().claim().is_none());
}

#[test]
fn a_name_that_is_added_to_a_proof_is_checked_too() {
    let proof = || proof_of(&Record::decode(COURIERS_PROOF).unwrap()).unwrap();
    let refused = |user: &[u8]| Record::proof(b"pop3", &proof().with_user(user.to_vec())).unwrap_err();
    assert_eq!(refused(b"al\nice"), Refused::ControlOctet("user name"));
    assert_eq!(refused(b""), Refused::Empty("user name"));
    assert_eq!(refused(&[b'a'; LIMIT]), Refused::TooLong);
}

#[test]
fn one_or_two_final_line_ends_mean_the_same() {
    for octets in [b"pop3\nlogin\nalice\nsecret\n".as_slice(), b"pop3\nlogin\nalice\nsecret\n\n"] {
        let record = Record::decode(octets).unwrap();
        let login = record.credentials().unwrap();
        assert_eq!((login.user, login.password), (b"alice".as_slice(), b"secret".as_slice()));
        assert_eq!(record.encode().expose(), octets);
    }
}

#[test]
fn a_record_with_more_or_fewer_lines_has_no_credentials() {
    for octets in [
        b"pop3\nlogin\nalice\n".as_slice(),
        b"pop3\nlogin\nalice\nsecret\nmore\n\n",
        b"pop3\nlogin\nalice\nsecret\n\n\n",
        b"pop3\ncram-md5\nYQ==\nYg==\n\n",
        b"pop3\n\nalice\nsecret\n\n",
    ] {
        assert!(Record::decode(octets).unwrap().credentials().is_none(), "{octets:?}");
    }
}

#[test]
fn what_is_no_record_is_said_to_be_none() {
    let malformed = |octets: &[u8]| Record::decode(octets).unwrap_err();
    assert_eq!(malformed(b""), Malformed::Empty);
    assert_eq!(malformed(b"pop3"), Malformed::Fields);
    assert_eq!(malformed(b"pop3\nlogin\n"), Malformed::Fields);
    assert_eq!(malformed(b"pop3\nlogin\nalice\nsecret"), Malformed::Fields);
    assert_eq!(malformed(b"pop3\nlogin\nali\0ce\nsecret\n"), Malformed::Fields);
    assert_eq!(malformed(&[b'\n'; LIMIT + 1]), Malformed::TooLong);
}

#[test]
fn control_octets_and_empty_fields_never_become_a_record() {
    let refused = |user: &[u8], password: &[u8]| Record::login(b"pop3", user, password).unwrap_err();
    for octet in (0..0x20).chain([0x7f]) {
        assert_eq!(refused(&[b'a', octet], b"secret"), Refused::ControlOctet("user name"));
        assert_eq!(refused(b"alice", &[octet]), Refused::ControlOctet("password"));
    }
    assert_eq!(refused(b"", b"secret"), Refused::Empty("user name"));
    assert_eq!(refused(b"alice", b""), Refused::Empty("password"));
}

#[test]
fn the_limit_is_exact() {
    let others = b"pop3\nlogin\na\n\n\n".len();
    assert!(Record::login(b"pop3", b"a", &vec![b'x'; LIMIT - others]).is_ok());
    let refused = Record::login(b"pop3", b"a", &vec![b'x'; LIMIT - others + 1]).unwrap_err();
    assert_eq!(refused, Refused::TooLong);
}

#[test]
fn debug_output_shows_no_password() {
    let record = Record::login(b"pop3", b"alice", b"hunter2").unwrap();
    assert!(!format!("{record:?}").contains("hunter2"));
}

proptest! {
    #[test]
    fn any_octets_are_decoded_without_harm(octets in prop::collection::vec(any::<u8>(), 0..100)) {
        if let Ok(record) = Record::decode(&octets) {
            prop_assert_eq!(record.encode().expose(), &octets);
            let _ = (record.credentials(), record.claim());
            let _ = (record.service(), record.authtype(), record.authdata());
        }
    }

    #[test]
    fn lines_of_any_kind_are_decoded_without_harm(octets in "[a\n]{0,12}") {
        if let Ok(record) = Record::decode(octets.as_bytes()) {
            let _ = (record.claim(), record.authdata(), record.body());
        }
    }

    #[test]
    fn a_proof_with_anything_in_it_is_decoded_without_harm(
        challenge in "[a-zA-Z0-9+/=]{0,40}",
        response in "[a-zA-Z0-9+/=]{0,80}",
    ) {
        let octets = format!("pop3\ncram-md5\n{challenge}\n{response}\n");
        let _ = Record::decode(octets.as_bytes()).unwrap().claim();
    }

    #[test]
    fn a_proof_that_is_encoded_can_be_decoded(user in "[ -~é]{1,40}", digest in "[0-9a-f]{40}") {
        let response = format!("{user} {digest}");
        let proof = Proof::new(Hash::Sha1, b"<1@host>", response.as_bytes()).unwrap();
        let record = Record::proof(b"pop3", &proof).unwrap();
        let again = proof_of(&Record::decode(record.encode().expose()).unwrap()).unwrap();
        prop_assert_eq!(again.user(), user.as_bytes());
        prop_assert!(again.response().expose() == response.as_bytes());
    }

    #[test]
    fn what_is_encoded_can_be_decoded(user in "[ -~é]{1,40}", password in "[ -~é]{1,40}") {
        let record = Record::login(b"pop3", user.as_bytes(), password.as_bytes()).unwrap();
        let again = Record::decode(record.encode().expose()).unwrap();
        let login = again.credentials().unwrap();
        prop_assert_eq!(login.user, user.as_bytes());
        prop_assert_eq!(login.password, password.as_bytes());
    }
}

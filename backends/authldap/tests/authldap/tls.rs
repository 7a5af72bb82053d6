//! StartTLS, `ldaps://`, `ldapi://`, and certificates.

use testbed::slapd::Slapd;

use crate::house::{House, SSHA, alice, as_reader, is_possible, person};
use crate::impostor::{Impostor, Then};

/// What a login of alice comes to, and what is logged.
fn outcome(house: &House, settings: &str, environment: &[(&str, &str)]) -> (String, String) {
    house.configure(settings);
    let mut program = house.program_with(environment);
    let answer = program.log_in("alice", "secret").unwrap();
    (answer, program.log().unwrap())
}

#[test]
fn a_server_with_a_certificate_that_is_trusted_is_talked_to() {
    if !is_possible() {
        return;
    }
    let house = House::with(&person("alice", &format!("cryptPassword: {SSHA}\nuserPassword: {SSHA}")));
    let certificates = house.slapd.certificates().unwrap();
    let authority = certificates.authority().display().to_string();
    let stranger = certificates.stranger().display().to_string();
    let start_tls = "LDAP_TLS 1".to_owned();
    let ldaps = format!("LDAP_URI {}", house.slapd.ldaps());
    let start_tls_and_bind = format!("{start_tls}\nLDAP_AUTHBIND 1");
    for settings in [&start_tls, &ldaps, &start_tls_and_bind] {
        for demand in [None, Some("demand"), Some("hard"), Some("try")] {
            let trusting = |file| {
                let demand = demand.map(|demand| ("LDAPTLS_REQCERT", demand));
                [("LDAPTLS_CACERT", file)].into_iter().chain(demand).collect::<Vec<_>>()
            };
            let (answer, _) = outcome(&house, settings, &trusting(&authority));
            assert!(answer.contains("ADDRESS=alice"), "{settings} {demand:?}");
            let (answer, log) = outcome(&house, settings, &trusting(&stranger));
            assert_eq!(answer, "UNAVAILABLE\n", "{settings} {demand:?}");
            assert!(log.contains("invalid peer certificate"), "{log}");
        }
        // The system does not know this authority.
        assert_eq!(outcome(&house, settings, &[]).0, "UNAVAILABLE\n");
        for demand in ["never", "allow"] {
            let environment = [("LDAPTLS_CACERT", stranger.as_str()), ("LDAPTLS_REQCERT", demand)];
            let (answer, _) = outcome(&house, settings, &environment);
            assert!(answer.contains("ADDRESS=alice"), "{settings} {demand}");
        }
        let (answer, log) = outcome(&house, settings, &[("LDAPTLS_CACERT", "/no/such/file")]);
        assert_eq!(answer, "UNAVAILABLE\n");
        assert!(log.contains("/no/such/file"), "{log}");
    }
}

#[test]
fn a_certificate_is_for_the_name_that_was_asked_for() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice());
    let authority = house.slapd.certificates().unwrap().authority().display().to_string();
    // The same server: ::ffff:127.… is no name of its certificate.
    let uri = house.slapd.ldaps();
    let (ip, port) = uri.strip_prefix("ldaps://").unwrap().split_once(':').unwrap();
    let settings = format!("LDAP_URI ldaps://[::ffff:{ip}]:{port}");
    let (answer, log) = outcome(&house, &settings, &[("LDAPTLS_CACERT", &authority)]);
    assert_eq!(answer, "UNAVAILABLE\n");
    assert!(log.contains("NotValidForName") || log.contains("not valid for name"), "{log}");
}

#[test]
fn where_starttls_is_refused_nothing_is_said_in_clear() {
    if !is_possible() {
        return;
    }
    let house = House::around(Slapd::start_without_tls(&alice()).unwrap());
    let (answer, log) = outcome(&house, "LDAP_TLS 1", &[("LDAPTLS_REQCERT", "never")]);
    assert_eq!(answer, "UNAVAILABLE\n");
    assert!(log.contains("protocolError"), "{log}");
    // StartTLS, and how servers refuse it, answer it with nonsense, agree and
    // go on in clear, or say more than that.
    let refused = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x02\x04\x00\x04\x00".as_slice();
    let agreed = b"\x30\x0c\x02\x01\x01\x78\x07\x0a\x01\x00\x04\x00\x04\x00".as_slice();
    let injected = [agreed, b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"].concat();
    for said in [refused, agreed, &injected, b"\x30\x00", b""] {
        let impostor = Impostor::saying(
            &[said, b"\x30\x0c\x02\x01\x02\x61\x07\x0a\x01\x00\x04\x00\x04\x00"],
            Then::Silence,
        );
        let settings = format!(
            "LDAP_URI {}\nLDAP_TLS 1\nLDAP_TIMEOUT 5\nLDAP_AUTHBIND 1\n{}",
            impostor.uri(),
            as_reader()
        );
        let (answer, _) = outcome(&house, &settings, &[("LDAPTLS_REQCERT", "never")]);
        assert_eq!(answer, "UNAVAILABLE\n", "{said:?}");
        let heard = impostor.heard();
        let start_tls = b"\x30\x1d\x02\x01\x01\x77\x18\x80\x161.3.6.1.4.1.1466.20037";
        assert!(heard.starts_with(start_tls), "{heard:?}");
        for word in [b"alice".as_slice(), b"secret", b"reader", b"mail"] {
            assert!(!heard.windows(word.len()).any(|window| window == word), "{said:?}");
        }
    }
}

#[test]
fn a_unix_socket_needs_no_tls() {
    if !is_possible() {
        return;
    }
    let house = House::with(&alice());
    for tls in ["LDAP_TLS 0", "LDAP_TLS 1"] {
        let settings = format!("LDAP_URI {}\n{tls}", house.slapd.ldapi());
        assert!(outcome(&house, &settings, &[]).0.contains("ADDRESS=alice"));
    }
    let (answer, log) = outcome(&house, "LDAP_URI ldapi://%2Fno%2Fsuch%2Fsocket", &[]);
    assert_eq!(answer, "UNAVAILABLE\n");
    assert!(log.contains("No such file or directory"), "{log}");
}

#[test]
fn a_server_that_wants_a_certificate_is_shown_ours() {
    if !is_possible() {
        return;
    }
    let house = House::around(Slapd::start_demanding_certificates(&alice()).unwrap());
    let certificates = house.slapd.certificates().unwrap();
    let authority = certificates.authority().display().to_string();
    let (certificate, key) = certificates.client();
    let (certificate, key) = (certificate.display().to_string(), key.display().to_string());
    let settings = format!("LDAP_URI {}", house.slapd.ldaps());
    let ours = [
        ("LDAPTLS_CACERT", authority.as_str()),
        ("LDAPTLS_CERT", certificate.as_str()),
        ("LDAPTLS_KEY", key.as_str()),
    ];
    assert!(outcome(&house, &settings, &ours).0.contains("ADDRESS=alice"));
    assert_eq!(outcome(&house, &settings, &ours[..1]).0, "UNAVAILABLE\n");
    let (answer, log) = outcome(&house, &settings, &ours[..2]);
    assert_eq!(answer, "UNAVAILABLE\n");
    assert!(log.contains("LDAPTLS_CERT and LDAPTLS_KEY go together"), "{log}");
}

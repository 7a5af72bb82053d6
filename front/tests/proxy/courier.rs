//! Courier's own programs behind the proxy, in clear and by STLS.

use std::fs;
use std::path::Path;

use testbed::certificates::Certificates;
use testbed::courier::{leave_out, missing_authdaemond};
use testbed::maildrop::lay_out;
use testbed::stand::{Cast, Programs, Stand, make_public};

use super::house::{House, message};
use super::{CONNECTED, LOGIN, conversation};

const COURIERTLS: &str = "/usr/bin/couriertls";

#[test]
fn courier_is_reached_in_clear_and_by_stls_and_sees_what_was_deleted() {
    let absent = (!Path::new(COURIERTLS).exists()).then(|| format!("there is no {COURIERTLS}"));
    if let Some(reason) = missing_authdaemond().or(absent) {
        return leave_out(&format!("Courier as a back-end: {reason}")).unwrap();
    }
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
    make_public(directory.path()).unwrap();
    let none: [&Path; 0] = [];
    let programs = Programs::copy(&none, &directory.path().join("bin")).unwrap();
    let mut stand = Stand::new(&directory.path().join("stand"), &programs, true).unwrap();
    // Its address is known when it runs; the name is enough.
    let made = directory.path().join("certificates");
    let certificates = Certificates::make(&made, [127, 0, 0, 1].into(), "proxy").unwrap();
    let (certificate, key) = certificates.server();
    let both = [fs::read(certificate).unwrap(), fs::read(key).unwrap()].concat();
    fs::write(made.join("pop3d.pem"), both).unwrap();
    let environment = [
        ("POP3_STARTTLS", "YES"),
        ("COURIERTLS", COURIERTLS),
        ("TLS_CERTFILE", made.join("pop3d.pem").to_str().unwrap()),
        ("TLS_VERIFYPEER", "NONE"),
    ]
    .map(|(name, value)| (name.to_owned(), value.to_owned()));
    for tls in ["none", "stls"] {
        lay_out(&stand.account().home, &[message()], stand.account().owner).unwrap();
        let mut chain = stand.chain(Cast::COURIER, &environment, &[]).unwrap();
        drop(chain.connect().unwrap());
        let (authority, port) = (certificates.authority(), super::at_localhost(chain.address()));
        let own = [
            ("POSTRIDER_PROXY_TLS", tls),
            ("POSTRIDER_PROXY_PORT", port.as_str()),
            ("POSTRIDER_PROXY_TRUSTCERTS", authority.to_str().unwrap()),
        ];
        let mut house = House::named("localhost", &own);
        let words = format!("{LOGIN}STAT\r\nRETR 1\r\nDELE 1\r\nQUIT\r\n");
        let said = conversation(house.service.connect().unwrap(), &words);
        let log = house.log();
        let behind = said.split_once(CONNECTED).unwrap_or_else(|| panic!("{tls}: {said}\n{log}")).1;
        assert!(behind.contains("\r\nSubject: one\r\n\r\nhello\r\n.\r\n+OK Deleted.\r\n"), "{tls}: {said}");
        assert!(behind.ends_with("+OK Bye-bye.\r\n"), "{said}");
        let left = fs::read_dir(stand.account().maildir().join("cur")).unwrap().count();
        assert_eq!(left, 0, "{tls}");
    }
}

//! What sslscan(1), nmap(1) and testssl(1) find at the service, by STLS and where
//! TLS comes first: no old version, no weak suite, no weakness that has a name.

use std::fs;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use crate::house::{House, text};

/// testssl looks at everything if this is set; that takes minutes.
const WHOLE: &str = "POSTRIDER_TESTSSL_WHOLE";

/// What testssl finds fault with, and why it is so all the same.
const KNOWN: [(&str, &str); 5] = [
    ("cipher_order", "all suites are good, and a client knows which costs it least"),
    ("cert_expirationStatus", "the certificate of these tests is good for 30 days"),
    ("cert_notAfter", "so it is"),
    ("cert_revocation", "neither it nor one that signs itself says where the revoked ones are listed"),
    ("DNS_CAArecord", "localhost is in no zone"),
];

/// What a scanner says; `None` if it is not here, which is said.
fn scanned(command: &mut Command) -> Option<Output> {
    // timeout(1) only ends a scanner that hangs.
    let mut bounded = Command::new("timeout");
    bounded.arg("900").arg(command.get_program()).args(command.get_args()).stdin(Stdio::null());
    let name = command.get_program().to_string_lossy().into_owned();
    if !Path::new("/usr/bin").join(&name).exists() {
        testbed::courier::leave_out(&format!("{name} is not installed")).unwrap();
        return None;
    }
    Some(bounded.output().unwrap())
}

/// Where `house` listens, as scanners write it, and their words for STLS.
fn ways(house: &mut House) -> [(String, bool); 2] {
    drop(house.service.connect_for_tls().unwrap());
    drop(house.service.connect().unwrap());
    [(house.service.address().to_string(), true), (house.service.tls_address().to_string(), false)]
}

#[test]
fn sslscan_finds_good_versions_and_suites_alone() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    for (address, stls) in ways(&mut house) {
        let mut sslscan = Command::new("sslscan");
        sslscan.args(["--no-colour", "--sni-name=localhost"]);
        sslscan.args(stls.then_some("--starttls-pop3")).arg(address);
        let Some(output) = scanned(&mut sslscan) else { return };
        let said = text(&output.stdout);
        for line in ["SSLv2", "SSLv3", "TLSv1.0", "TLSv1.1"].map(|version| format!("{version:<10}disabled\n"))
        {
            assert!(said.contains(&line), "{line}{said}");
        }
        for line in ["TLSv1.2   enabled\n", "TLSv1.3   enabled\n", "TLSv1.2 not vulnerable to heartbleed\n"] {
            assert!(said.contains(line), "{line}{said}");
        }
        let is_suite = |line: &&str| line.starts_with("Accepted ") || line.starts_with("Preferred ");
        let suites: Vec<_> = said.lines().filter(is_suite).collect();
        assert!(suites.len() >= 6, "{said}");
        for suite in suites {
            let is_good = suite.contains("GCM") || suite.contains("CHACHA20");
            let keeps_its_past = suite.contains("TLSv1.3") || suite.contains("ECDHE");
            assert!(is_good && keeps_its_past, "{suite}");
        }
        for fault in ["Insecure session renegotiation", "Compression enabled"] {
            assert!(!said.contains(fault), "{said}");
        }
    }
}

#[test]
fn nmaps_scripts_understand_the_service_and_give_it_the_best_grade() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    for (address, stls) in ways(&mut house) {
        let (ip, port) = address.rsplit_once(':').unwrap();
        let mut nmap = Command::new("nmap");
        nmap.args(["-Pn", "-n", "-sT", "-sV", "-p", port]);
        nmap.args(["--script", "pop3-capabilities,pop3-ntlm-info,ssl-cert,ssl-enum-ciphers"]).arg(ip);
        let Some(output) = scanned(&mut nmap) else { return };
        let said = text(&output.stdout);
        let capabilities = said.lines().find(|line| line.contains("pop3-capabilities:")).unwrap_or_default();
        for capability in ["PIPELINING", "UIDL", "TOP", "RESP-CODES", "IMPLEMENTATION(postrider)"] {
            assert!(capabilities.contains(capability), "{capability}\n{said}");
        }
        assert_eq!(capabilities.contains("STLS"), stls, "{said}");
        assert!(said.contains("ssl-cert: Subject: commonName=localhost"), "{said}");
        assert!(said.contains("least strength: A\n") && said.contains("TLSv1.3:"), "{said}");
        for fault in ["warnings:", "SSLv3", "TLSv1.0", "TLSv1.1", "ntlm", "NTLM", "VULNERABLE"] {
            assert!(!said.contains(fault), "{fault}\n{said}");
        }
    }
}

#[test]
fn testssl_finds_no_fault_but_those_that_have_their_reasons() {
    let mut house = House::with_message(b"Subject: one\n\nhello\n");
    let whole = std::env::var_os(WHOLE).is_some();
    for (address, stls) in ways(&mut house) {
        let (ip, port) = address.rsplit_once(':').unwrap();
        let findings = house.directory().join(format!("findings-{stls}.csv"));
        let mut testssl = Command::new("testssl");
        testssl.args(["--quiet", "--color", "0", "--warnings", "batch", "--nodns", "none", "--ip", ip]);
        testssl.arg("--add-ca").arg(house.certificates.authority()).arg("--csvfile").arg(&findings);
        if stls {
            testssl.args(["--starttls", "pop3"]);
        }
        match (whole, stls) {
            (true, _) => {}
            // What has a name is looked for once; the other way in is the same server.
            (false, true) => drop(testssl.args(["--protocols", "--server-defaults", "--vulnerable"])),
            (false, false) => drop(testssl.args(["--protocols", "--standard", "--server-preference"])),
        }
        let Some(output) = scanned(testssl.arg(format!("localhost:{port}"))) else { return };
        let said = fs::read_to_string(&findings).unwrap_or_default();
        let rows = said.lines().skip(1).map(|row| row.split("\",\"").collect::<Vec<_>>());
        let rows: Vec<_> = rows.filter(|row| row.len() > 4).collect();
        let has = |name: &str| rows.iter().any(|row| row[0].trim_start_matches('"') == name);
        assert!(
            has("TLS1_3") && has(if stls { "heartbleed" } else { "cipherlist_STRONG" }),
            "{}",
            text(&output.stdout)
        );
        let is_fault = |row: &Vec<&str>| {
            let is_known = KNOWN.iter().any(|(known, _)| *known == row[0].trim_start_matches('"'));
            !is_known && ["LOW", "MEDIUM", "HIGH", "CRITICAL"].contains(&row[3])
        };
        let faults: Vec<_> = rows.into_iter().filter(is_fault).collect();
        assert!(faults.is_empty(), "{faults:?}\n{}", text(&output.stdout));
    }
}

//! The two questions of SCRAM: what our authdaemond answers, who is named a
//! salt, and what a client hears where nobody can answer.

#![allow(clippy::unwrap_used, reason = "a test may stop")]

mod built;

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use testbed::authdaemond::OurAuthdaemond;
use testbed::client::Client;
use testbed::courier;
use testbed::stand::{Cast, Login, Stand, make_public};

const AUTHDAEMOND: &str = env!("CARGO_BIN_EXE_authdaemond");
const MAKEUSERDB: &str = env!("CARGO_BIN_EXE_makeuserdb");
const RC: &str = "authmodulelist=\"authuserdb authpwd\"\ndaemons=3\n";

/// One with keys, one with a password in clear, one with a hash, one locked.
const ACCOUNTS: &str = "\
keys\tuid=5000|gid=5000|home=/h|systempw=SCRAM-SHA-256$4096:EBESExQVFhcYGRobHB0eHw==$8S1HGPgPSVK5CD5xp42r4udKgYcfROqLrd+yXyNZCs0=:0Wq2a038K8/1UOMo24jIGBB37b41ldUVvZLLPVwSwQ4=
clear\tuid=5000|gid=5000|home=/h|systempw={PLAIN}secret
hash\tuid=5000|gid=5000|home=/h|systempw=$1$zbAvw0aR$0cYHeB6pNAcQlaRxz1D6N1
locked\tuid=5000|gid=5000|home=/h|systempw=*
";

fn start(directory: &Path, rc: &str) -> OurAuthdaemond {
    let mut daemon = OurAuthdaemond::new(Path::new(AUTHDAEMOND), directory).unwrap();
    daemon.install(ACCOUNTS, Path::new(MAKEUSERDB)).unwrap();
    daemon.start(rc).unwrap();
    daemon
}

/// The answer to `AUTH` with these lines behind the service.
fn ask(daemon: &OurAuthdaemond, lines: &str) -> String {
    let body = format!("pop3\n{lines}\n");
    let request = format!("AUTH {}\n{body}", body.len());
    String::from_utf8(daemon.ask(request.as_bytes()).unwrap()).unwrap()
}

#[test]
fn everybody_is_named_a_salt_and_the_same_one_tomorrow() {
    let directory = tempfile::tempdir().unwrap();
    let mut daemon = start(directory.path(), RC);
    let users =
        ["keys", "clear", "hash", "locked", "nobody", "stranger", "stranger@example.com", "str\u{e4}nger"];
    let salts = |daemon: &OurAuthdaemond| -> Vec<String> {
        ["scram-sha-1", "scram-sha-256"]
            .iter()
            .flat_map(|authtype| users.map(|user| ask(daemon, &format!("{authtype}\n{user}"))))
            .collect()
    };
    let first = salts(&daemon);
    assert_eq!(first[8], "SALT=4096:EBESExQVFhcYGRobHB0eHw==\n.\n");
    for (at, salt) in first.iter().enumerate().filter(|(at, _)| *at != 8) {
        // 16 octets in base64.
        assert!(
            salt.starts_with("SALT=20000:") && salt.ends_with("==\n.\n") && salt.len() == 38,
            "{at} {salt}"
        );
    }
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), first.len(), "two are alike");
    assert_eq!(salts(&daemon), first, "from whichever worker");
    daemon.stop();
    daemon.start(RC).unwrap();
    assert_eq!(salts(&daemon), first, "after a restart");
    let key = fs::metadata(daemon.configuration().join("scramkey")).unwrap();
    assert_eq!((key.len(), key.permissions().mode() & 0o777), (32, 0o600));
}

#[test]
fn where_the_key_cannot_be_beside_the_settings_it_is_beside_the_socket() {
    let directory = tempfile::tempdir().unwrap();
    fs::create_dir_all(directory.path().join("etc/scramkey")).unwrap();
    let rc = format!("{RC}SCRAM_ITERATIONS=4096\n");
    let mut daemon = start(directory.path(), &rc);
    let salt = ask(&daemon, "scram-sha-256\nstranger");
    assert!(salt.starts_with("SALT=4096:"), "{salt}\n{}", daemon.log().unwrap());
    assert!(daemon.socket().with_file_name("scramkey").is_file());
    fs::remove_file(daemon.socket().with_file_name("scramkey")).unwrap();
    fs::create_dir(daemon.socket().with_file_name("scramkey")).unwrap();
    // A worker that has not had the key yet cannot tell, and says why.
    daemon.stop();
    daemon.start(&rc).unwrap();
    assert_eq!(ask(&daemon, "scram-sha-256\nstranger"), "");
    daemon.await_log("no key for the salts of SCRAM").unwrap();
}

#[test]
fn who_brings_a_salt_along_is_told_who_has_nothing() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), RC);
    let with_salt = |user: &str| ask(&daemon, &format!("scram-sha-256\n{user}\n7000:c2FsdA=="));
    assert_eq!(with_salt("keys"), "SALT=4096:EBESExQVFhcYGRobHB0eHw==\n.\n");
    assert_eq!(with_salt("clear"), "SALT=7000:c2FsdA==\n.\n");
    for user in ["hash", "locked", "stranger"] {
        assert_eq!(with_salt(user), "FAIL\n", "{user}");
    }
    assert!(!daemon.configuration().join("scramkey").exists());
    for lines in ["scram-sha-256\nkeys\n4096", "scram-sha-256\nkeys\n1:YQ==\nmore", "SCRAM-SHA-256\nkeys"] {
        assert_eq!(ask(&daemon, lines), "FAIL\n", "{lines:?}");
    }
}

/// RFC 7677's conversation, in whose AuthMessage the salt is another than that
/// of `clear`: keys of a password in clear are made with what was named.
#[test]
fn a_proof_is_answered_with_the_account_and_a_signature_and_nothing_secret() {
    let directory = tempfile::tempdir().unwrap();
    let daemon = start(directory.path(), RC);
    let pencil = "clear\tuid=5000|gid=5000|home=/h|systempw={PLAIN}pencil\n";
    daemon.install(pencil, Path::new(MAKEUSERDB)).unwrap();
    let proof = |user: &str, proof: &str| {
        ask(
            &daemon,
            &format!(
                "scram-sha-256\n{user}\nbj11c2VyLHI9ck9wck5HZndFYmVSV2diTkVrcU8=\n\
                 cj1yT3ByTkdmd0ViZVJXZ2JORWtxTyVodllEcFdVYTJSYVRDQWZ1eEZJbGopaE5sRiRrMCxzPVcyMlphSjBTTlk3c29Fc1VFamI2Z1E9PSxpPTQwOTY=\n\
                 Yz1iaXdzLHI9ck9wck5HZndFYmVSV2diTkVrcU8laHZZRHBXVWEyUmFUQ0FmdXhGSWxqKWhObEYkazA=\n{proof}"
            ),
        )
    };
    assert_eq!(
        proof("clear", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        "UID=5000\nGID=5000\nHOME=/h\nADDRESS=clear\n\
         SERVERSIGNATURE=6rriTRBi23WpRR/wtup+mMhUZUn/dB5nLTJRsjl95G4=\n.\n"
    );
    for (user, wrong) in [
        ("clear", "cHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        ("stranger", "dHzbZapWIk4jUhN+Ute9ytag9zjfMHgsqmmiz7AndVQ="),
        ("clear", "dHzb"),
        ("clear", ""),
    ] {
        assert_eq!(proof(user, wrong), "FAIL\n", "{user} {wrong}");
    }
}

const NOT_HERE: &str = "-ERR Mechanism not available.";

/// What a client hears that tries SCRAM first, and then logs in otherwise.
fn hears(cast: Cast, authdaemond: bool) -> (String, Vec<String>, String) {
    let directory = tempfile::Builder::new().prefix("postrider-").tempdir().unwrap();
    make_public(directory.path()).unwrap();
    let programs = built::programs(&directory.path().join("programs")).unwrap();
    let mut stand = Stand::new(&directory.path().join("stand"), &programs, authdaemond).unwrap();
    let account = stand.account().clone();
    testbed::maildrop::lay_out(&account.home, &[], account.owner).unwrap();
    let announced = ("POP3AUTH".to_owned(), "SCRAM-SHA-256 PLAIN".to_owned());
    let mut chain = stand.chain(cast, &[announced], &[]).unwrap();
    let mut client = Client::greeted(chain.connect().unwrap()).unwrap();
    let capabilities = client.listing("CAPA").unwrap();
    client.say("AUTH SCRAM-SHA-256 bixhPWFsaWNlLG49YWxpY2Uscj1hYmM=").unwrap();
    let heard = client.line().unwrap();
    client.command("USER alice").unwrap();
    client.command("PASS secret").unwrap();
    client.quit().unwrap();
    (heard, capabilities, fs::read_to_string(stand.log()).unwrap())
}

#[test]
fn a_chain_does_not_offer_it_and_the_client_may_try_something_else() {
    let (heard, capabilities, _) = hears(Cast::OURS, false);
    assert_eq!(heard, NOT_HERE);
    assert!(capabilities.contains(&"SASL PLAIN".to_owned()), "{capabilities:?}");
}

#[test]
fn couriers_authdaemond_knows_nothing_of_it_and_nobodys_password_is_called_wrong() {
    if let Some(reason) = courier::missing_authdaemond() {
        courier::leave_out(&reason).unwrap();
        return;
    }
    let (heard, _, log) = hears(Cast { login: Login::Socket, ..Cast::OURS }, true);
    assert_eq!(heard, NOT_HERE, "{log}");
    assert!(
        log.contains("ERR: authdaemond does not know SCRAM-SHA-256; POP3AUTH should not list it"),
        "{log}"
    );
}

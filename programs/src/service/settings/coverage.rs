//! Nothing is read that the table does not have, and nothing of Courier's is
//! forgotten.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use super::{Kind, Reader, Status, called, table};

/// Every variable of Courier's files and programs (reference config.md 2 to 5).
const COURIERS: &str = "
    PIDFILE MAXDAEMONS MAXPERIP POP3AUTH POP3AUTH_TLS POP3AUTH_ORIG POP3AUTH_TLS_ORIG POP3_PROXY PROXY_HOSTNAME PORT
    ADDRESS AUTHSERVICE995 TCPDOPTS LOGGEROPTS DEFDOMAIN DOMAINSEP POP3DSTART POP3_LOG_DELETIONS AUTH_MKHOMEDIR_SKEL
    MAILDIRPATH MIME_UNICODE_MESSAGE_TYPE
    SSLPORT SSLADDRESS SSLPIDFILE SSLLOGGEROPTS POP3DSSLSTART POP3_STARTTLS POP3_TLS_REQUIRED COURIERTLS TLS_PRIORITY
    TLS_PROTOCOL TLS_STARTTLS_PROTOCOL TLS_CIPHER_LIST TLS_MIN_DH_BITS TLS_TIMEOUT TLS_CERTFILE TLS_PRIVATE_KEYFILE
    TLS_DHPARAMS TLS_TRUSTCERTS TLS_VERIFYPEER TLS_EXTERNAL TLS_CACHEFILE TLS_CACHESIZE TLS_INTCACHESIZE TLS_ALPN
    TLS_DEBUG
    authmodulelist authmodulelistorig daemons authdaemonvar DEBUG_LOGIN DEFAULTOPTIONS LDAPTLS_CACERT LDAPTLS_REQCERT
    LDAPTLS_CERT LDAPTLS_KEY
    TCPREMOTEIP TCPREMOTEPORT TCPLOCALPORT TCPLOCALIP TCPREMOTEHOST TCPLOCALHOST TCPREMOTEINFO MAXCPERIP BLOCK POP3_TLS
    PROTOCOL TLS_SUBJECT_EMAILADDRESS TLS_CONNECTED_PROTOCOL TIMEOUT_SOCK TIMEOUT_READ TIMEOUT_WRITE OPTIONS
    AUTHENTICATED AUTHADDR UTF8 MAILDIR MAILDIR_SKIP_SYMLINK_CHECKS AUTHUSER AUTHARGC AUTHARGV0 AUTHEXPIRE AUTHFULLNAME
    HOME PATH";

/// Every option of couriertcpd (reference couriertcpd.md 2).
const TCPDOPTS: &str = "
    -access -accesslocal -address -allow -block -denymsg -drop -group -user -haproxy -listen -maxprocs -warn -maxperip
    -maxperc -nodnslookup -noidentlookup -pid -stop -restart -stderr -stderrlogger -stderrloggername -proxy";

/// What looks like a variable in the sources and is none of the service's.
const OTHERS: [&str; 7] = [
    "POSTRIDER_NAMES",
    "POSTRIDER_ONLY_MAILDIR",
    "POSTRIDER_SUCCESSOR_OF",
    "XDG_DATA_HOME",
    "CARGO_PKG_VERSION",
    "CARGO_BIN_EXE_postrider",
    "UPDATE",
];

/// Whose sources the service is made of, from the root of the workspace.
const SOURCES: [&str; 7] = [
    "programs/src/service",
    "programs/src/service.rs",
    "programs/src/login",
    "programs/src/proxy",
    "programs/src/mailbox",
    "programs/src/authdaemond",
    "front/src",
];

/// Functions that read a variable.
const READS: [&str; 12] = [
    "octets",
    "non_empty",
    "number",
    "var_os",
    "var",
    "is_yes",
    "announced",
    "seconds",
    "from",
    "path",
    "set",
    "get",
];

#[test]
fn nothing_of_couriers_is_forgotten() {
    for name in COURIERS.split_whitespace().chain(TCPDOPTS.split_whitespace()) {
        assert!(called(name).is_some(), "{name} is not in the table");
    }
}

#[test]
fn every_variable_that_the_service_reads_is_in_the_table() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let mut found = 0;
    for file in SOURCES.iter().flat_map(|place| sources(&root.join(place))) {
        for name in variables(&fs::read_to_string(&file).unwrap()) {
            found += 1;
            assert!(
                called(&name).is_some() || OTHERS.contains(&name.as_str()),
                "{}: {name} is not in programs/src/service/settings/table/",
                file.display()
            );
        }
    }
    assert!(found > 30, "the sources are elsewhere");
}

#[test]
fn a_variable_is_seen_wherever_it_is_read() {
    let text = "f(\"POP3_TLS\"); const A: &str = \"POP3_APOP\"; environment::number(\"UTF8\"); say(\"STLS\");
        let [a, b] = [\"TLS_A\", \"B_\"]; number(rc, \"POSTRIDER_X\") \"POP3_TLS is set\"";
    assert_eq!(variables(text), ["POP3_TLS", "POP3_APOP", "UTF8", "TLS_A", "POSTRIDER_X"]);
}

#[test]
fn a_name_and_a_key_stand_in_the_table_once() {
    let names: BTreeSet<&str> = table::all().map(|setting| setting.name).collect();
    assert_eq!(names.len(), table::all().count());
    let keys: Vec<&str> = table::all().filter_map(|setting| setting.key).collect();
    assert_eq!(keys.iter().collect::<BTreeSet<_>>().len(), keys.len());
}

#[test]
fn who_honours_a_setting_gets_it_and_who_does_not_has_no_key_for_it() {
    for setting in table::all() {
        if setting.status == Status::Honoured {
            assert!(!setting.readers.is_empty(), "{}", setting.name);
        } else {
            assert_eq!(setting.key, None, "{}", setting.name);
            assert!(!setting.readers.contains(&Reader::Auth), "{}", setting.name);
        }
    }
}

#[test]
fn a_default_is_of_its_kind() {
    for setting in table::all().filter(|setting| !setting.default.is_empty()) {
        let fits = match setting.kind {
            Kind::Text | Kind::List => true,
            Kind::Number => setting.default.parse::<u32>().is_ok(),
            Kind::Switch => ["0", "1"].contains(&setting.default),
            Kind::Yes => ["NO", "YES"].contains(&setting.default),
        };
        assert!(fits, "{}", setting.name);
    }
}

/// The Rust files at or below `place`.
fn sources(place: &Path) -> Vec<PathBuf> {
    let Ok(entries) = fs::read_dir(place) else {
        return place.exists().then(|| place.to_owned()).into_iter().collect();
    };
    let below = entries.map(|entry| entry.unwrap().path()).filter(|path| !path.ends_with("settings"));
    below
        .flat_map(|path| sources(&path))
        .filter(|path| path.extension().is_some_and(|it| it == "rs"))
        .collect()
}

/// The names of variables in string literals: those with an underscore
/// wherever they stand, the others behind a function that reads one.
fn variables(text: &str) -> Vec<String> {
    let mut names = Vec::new();
    for (at, _) in text.match_indices('"') {
        let length = text[at + 1..].bytes().take_while(|octet| is_of_name(*octet)).count();
        let name = &text[at + 1..at + 1 + length];
        if length < 3 || !text[at + 1 + length..].starts_with('"') || name.ends_with('_') {
            continue;
        }
        let before = text[..at].trim_end_matches('(');
        let is_read = before.len() < at && READS.iter().any(|function| before.ends_with(function));
        if name.starts_with(|first: char| first.is_ascii_uppercase()) && (name.contains('_') || is_read) {
            names.push(name.to_owned());
        }
    }
    names
}

fn is_of_name(octet: u8) -> bool {
    octet.is_ascii_uppercase() || octet.is_ascii_digit() || octet == b'_'
}

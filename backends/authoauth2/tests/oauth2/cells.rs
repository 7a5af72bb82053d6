//! The rows of authoauth2 in the table of docs/authentication.md, with each way
//! to judge a token and to find an account.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Command;

use testbed::cells::{Cells, Credentials};
use testbed::oauth::{Answer, Kind};

use crate::issuer::{self, Issuer, claims};

pub(crate) const MODULE: &str = env!("CARGO_BIN_EXE_authoauth2");

/// Accounts that are made of their names.
pub(crate) fn made(cells: &Cells) -> String {
    let (uid, gid) = cells.account().owner;
    let parent = cells.account().home.parent().unwrap().display().to_string();
    format!("OAUTH2_UID {uid}\nOAUTH2_GID {gid}\nOAUTH2_HOME {parent}/$(local_part)\n")
}

/// Plays the row, with `settings` and a token for `alice`.
fn play(cells: Cells, settings: &str, token: String) {
    fs::write(cells.configuration().join("authoauth2rc"), settings).unwrap();
    cells.with_credentials(Credentials { token, ..Credentials::default() }).play().unwrap();
}

#[test]
fn keys_from_the_issuer_and_accounts_made_of_names() {
    let issuer = Issuer::new(Kind::Rs256).unwrap();
    let cells = Cells::of(Path::new(MODULE)).unwrap();
    let token = issuer.token("alice").unwrap();
    let settings = issuer.settings(&made(&cells));
    play(cells, &settings, token);
    assert!(issuer.server.asked(issuer::KEYS) > 0);
}

#[test]
fn keys_from_a_file_and_accounts_from_userdb() {
    let issuer = Issuer::new(Kind::Es256).unwrap();
    let cells = Cells::of(Path::new(MODULE)).unwrap();
    let userdb = cells.configuration().join("userdb");
    fs::write(&userdb, cells.account().record(&[])).unwrap();
    fs::set_permissions(&userdb, Permissions::from_mode(0o600)).unwrap();
    let makeuserdb = Path::new(MODULE).with_file_name("makeuserdb");
    assert!(Command::new(makeuserdb).arg("-f").arg(&userdb).status().unwrap().success());
    let keys = cells.directory().join("keys.json");
    fs::write(&keys, testbed::oauth::key_set(&[&issuer.key]).unwrap()).unwrap();
    let settings =
        issuer::settings(&format!("OAUTH2_JWKS_FILE {}\nOAUTH2_ACCOUNTS authuserdb\n", keys.display()));
    play(cells, &settings, issuer.token("alice").unwrap());
}

/// The client says `alice`; the default domain is added to that.
#[test]
fn the_issuer_is_asked_about_each_token() {
    let issuer = Issuer::new(Kind::EdDsa).unwrap();
    let tokens = BTreeMap::from([(
        "2YotnFZFEjr1zCsicMWpAA".to_owned(),
        claims(r#""active":true,"username":"alice@example.com""#),
    )]);
    let client = "mail:hunter2".to_owned();
    issuer.server.answer("/introspect", Answer::Introspection { client, tokens });
    let cells = Cells::of(Path::new(MODULE)).unwrap().with("DEFDOMAIN", "@example.com");
    let secret = cells.directory().join("secret");
    fs::write(&secret, "hunter2\n").unwrap();
    let settings = issuer::settings(&format!(
        "OAUTH2_INTROSPECTION_URL {}\nOAUTH2_CLIENT_ID mail\nOAUTH2_CLIENT_SECRET_FILE {}\nOAUTH2_CLAIM username\n{}",
        issuer.server.url("/introspect"),
        secret.display(),
        made(&cells)
    ));
    play(cells, &settings, "2YotnFZFEjr1zCsicMWpAA".to_owned());
}
